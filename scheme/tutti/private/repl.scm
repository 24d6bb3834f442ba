;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; (tutti private repl) --- `tutti repl'.
;;;
;;; Commentary:
;;;
;;; Guile's own REPL in a module that uses (tutti) and (tutti repl).  Errors are told in one line, without a debugger.
;;;
;;; Code:

(define-module (tutti private repl)
  #:use-module (ice-9 exceptions)
  #:use-module (ice-9 format)
  #:use-module (ice-9 match)
  #:use-module (system repl common)
  #:use-module (system repl repl)
  #:use-module (tutti errors)
  #:export (run-repl))

(define (activate-line-editing)
  "Let lines be edited, where Guile has what that needs."
  (when (isatty? (current-input-port))
    (false-if-exception
     ((module-ref (resolve-interface '(ice-9 readline)) 'activate-readline)))))

(define (make-repl-module)
  (let ((module (make-fresh-user-module)))
    (for-each (lambda (name) (module-use! module (resolve-interface name)))
              '((ice-9 match) (srfi srfi-1) (tutti) (tutti repl)))
    module))

(define (print-sentence port kind arguments default)
  "Print the exception of KIND with ARGUMENTS, as Guile's REPL has it, as one sentence."
  (format port "error: ~a"
          (describe (match arguments
                      (((? exception? exception)) exception)
                      (_ (make-exception-from-throw kind arguments))))))

(define (run-repl begin)
  "Call BEGIN, a thunk or #f, print what it returns, and read, evaluate and print until the end of input."
  (for-each (lambda (kind)
              (set-exception-printer! kind print-sentence))
            '(%exception syntax-error))
  (repl-default-option-set! 'on-error 'report)
  (repl-default-option-set! 'prompt "tutti> ")
  (activate-line-editing)
  (save-module-excursion
   (lambda ()
     (set-current-module (make-repl-module))
     (when begin
       (write (begin))
       (newline))
     (sigaction SIGINT
       (lambda (signal)
         (fail "interrupted")))
     (start-repl))))
