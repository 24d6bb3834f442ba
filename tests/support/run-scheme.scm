;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; run-scheme.scm FILE
;;;
;;; Commentary:
;;;
;;; Runs a file of SRFI-64 tests.  Exits with 1 when a test failed, when the file raised or left a group open,
;;; or when it tested nothing: SRFI-64 alone would exit with 0, and leave a log file behind.  The file is
;;; compiled first, in memory, so that the compiler's warnings about it are seen.
;;;
;;; Code:

(use-modules (ice-9 exceptions)
             (ice-9 format)
             (ice-9 match)
             (srfi srfi-64)
             (system base compile)
             (system repl debug))

(define passed 0)
(define failed 0)
(define skipped 0)
(define groups 0)                       ; that are open

(define (location runner)
  (match (test-result-ref runner 'source-file)
    (#f "")
    (file (format #f "~a:~a: " file (test-result-ref runner 'source-line "?")))))

(define (print-failure runner)
  (define (print-property key label)
    (match (assq key (test-result-alist runner))
      ((_ . value) (format #t "  ~a ~s~%" label value))
      (#f #f)))
  (format #t "~aFAIL~a: ~{~a: ~}~a~%"
          (location runner)
          (if (eq? (test-result-kind runner) 'xpass) " (passed, though expected to fail)" "")
          (test-runner-group-path runner)
          (test-runner-test-name runner))
  (print-property 'source-form "form:    ")
  (print-property 'expected-value "expected:")
  (print-property 'expected-error "expected error:")
  (print-property 'actual-value "got:     ")
  (match (test-result-ref runner 'actual-error)
    (#f #f)
    ((key . arguments)
     (display "  raised:   ")
     (print-exception (current-output-port) #f key arguments))
    (exception (format #t "  raised:    ~s~%" exception))))

(define (on-test-end runner)
  (match (test-result-kind runner)
    ((or 'pass 'xfail) (set! passed (+ passed 1)))
    ('skip (set! skipped (+ skipped 1)))
    (_
     (set! failed (+ failed 1))
     (print-failure runner))))

(define (make-runner)
  (let ((runner (test-runner-null)))
    (test-runner-on-test-end! runner on-test-end)
    (test-runner-on-group-begin! runner
      (lambda (runner name count) (set! groups (+ groups 1))))
    (test-runner-on-group-end! runner
      (lambda (runner) (set! groups (- groups 1))))
    (test-runner-on-bad-count! runner
      (lambda (runner actual expected)
        (format #t "FAIL: ~a tests ran where ~a were announced~%" actual expected)
        (set! failed (+ failed 1))))
    (test-runner-on-bad-end-name! runner
      (lambda (runner begin end)
        (format #t "FAIL: the group ~s is ended as ~s~%" begin end)
        (set! failed (+ failed 1))))
    runner))

(define (run file)
  (test-runner-factory make-runner)
  (fluid-set! %default-port-encoding "UTF-8")   ; whatever the locale
  (set-port-encoding! (current-output-port) "UTF-8")
  (set-port-encoding! (current-error-port) "UTF-8")
  (setvbuf (current-output-port) 'line)
  (save-module-excursion
   (lambda ()
     (set-current-module (make-fresh-user-module))
     (compile-and-load file
                       #:env (current-module)
                       #:opts '(#:warnings (unbound-variable arity-mismatch format)))))
  (unless (zero? groups)
    (format #t "FAIL: ~a: ~a open group(s) at the end of the file~%" file groups)
    (set! failed (+ failed 1)))
  (when (zero? (+ passed failed skipped))
    (format #t "FAIL: ~a: no test ran~%" file)
    (set! failed 1))
  (format #t "~a passed, ~a failed, ~a skipped~%" passed failed skipped))

(define (print-raised file exception stack)
  (format #t "FAIL: ~a: raised outside of a test~%" file)
  (print-exception (current-output-port) #f
                   (exception-kind exception) (exception-args exception))
  (terminal-width 110)                  ; else asked of a terminal
  (display-backtrace stack (current-output-port)))

(match (cdr (command-line))
  ((file)
   (let ((tag (make-prompt-tag)))
     (call-with-prompt tag
       (lambda ()
         (with-exception-handler
             (lambda (exception)
               (unless (quit-exception? exception)
                 (print-raised file exception (make-stack #t 2 tag))
                 (abort-to-prompt tag))
               (raise-continuable exception))
           (lambda ()
             (run file))))
       (lambda (_)
         (set! failed (+ failed 1)))))
   (exit (zero? failed))))
