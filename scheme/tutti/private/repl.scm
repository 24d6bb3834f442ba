;;; (tutti private repl) --- `tutti repl'.
;;;
;;; Commentary:
;;;
;;; Guile's own REPL in a module that uses (tutti).  Errors are told in one line, without a debugger.
;;;
;;; Code:

(define-module (tutti private repl)
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
    (module-use! module (resolve-interface '(tutti)))
    (for-each (lambda (name) (module-use! module (resolve-interface name)))
              '((ice-9 match) (srfi srfi-1)))
    module))

(define (run-repl begin)
  "Call BEGIN, a thunk or #f, print what it returns, and read, evaluate and print until the end of input."
  (set-exception-printer! 'tutti-error
    (lambda (port key arguments default)
      (match arguments
        ((_ "~a" ((? string? message)) . _)
         (display "error: " port)
         (display message port))
        (_ (default)))))
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
