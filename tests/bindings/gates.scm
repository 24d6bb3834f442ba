;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; The gates: wrong types to every primitive, C++ errors as Scheme errors, text that is not UTF-8.

(use-modules (ice-9 exceptions)
             (ice-9 match)
             (srfi srfi-1)
             (srfi srfi-64)
             (tutti errors)
             (tutti private bindings))

(define (caught thunk)
  "Return what THUNK raises, or #f."
  (with-exception-handler identity (lambda () (thunk) #f) #:unwind? #t))

(define primitives
  (sort (filter (match-lambda ((name . procedure) (procedure? procedure)))
                (module-map (lambda (name variable) (cons name (variable-ref variable)))
                            (resolve-interface '(tutti private bindings))))
        (lambda (a b) (string<? (symbol->string (car a)) (symbol->string (car b))))))

(define (arity procedure)
  (match (procedure-minimum-arity procedure)
    ((required 0 #f) required)))

;; Those that take nothing that could be of a wrong type.
(define without-arguments
  (filter (match-lambda ((name . procedure) (zero? (arity procedure)))) primitives))

(test-begin "gates")

(test-assert "there are primitives" (> (length primitives) 60))
(test-assert "all names begin with %"
  (every (match-lambda ((name . _) (string-prefix? "%" (symbol->string name)))) primitives))
(test-equal "all have a docstring" '()
  (filter-map (match-lambda
                ((name . procedure) (and (not (procedure-documentation procedure)) name)))
              primitives))
(test-equal "none takes more than 10 arguments, all are required" '()
  (filter-map (match-lambda ((name . procedure) (and (> (arity procedure) 10) name))) primitives))

(for-each
 (match-lambda
   ((name . procedure)
    (unless (zero? (arity procedure))
      (for-each
       (lambda (value)
         (test-eq (format #f "~a of ~s" name value) 'wrong-type-arg
           (and=> (caught (lambda () (apply procedure (make-list (arity procedure) value))))
                  exception-kind)))
       (list 'a-symbol #t (vector 1 2 3))))))
 primitives)

(define error-of-library (caught (lambda () (%open-site "{}" "state.db"))))
(test-assert "an error of the library is an error of ours" (tutti-error? error-of-library))
(test-eq "with its code" 'misuse (tutti-error-code error-of-library))
(test-equal "and its sentence" "site: 'name' is missing" (describe error-of-library))
(test-assert "a std::exception, too: malformed JSON"
  (tutti-error? (caught (lambda () (%open-site "{" "state.db")))))
(test-assert "a message longer than any buffer"
  (let ((name (make-string 100000 #\x)))
    (> (string-length (describe (caught (lambda () (%open-site (string-append "{\"" name "\": 1}") "state.db")))))
       10)))
(test-assert "a thousand errors leak no exception and no handle"
  (every (lambda (n) (tutti-error? (caught (lambda () (%open-site "{}" "state.db"))))) (iota 1000)))
(test-assert "an error in an error handler"
  (tutti-error?
   (caught (lambda ()
             (with-exception-handler (lambda (e) (%open-site "{}" "state.db"))
               (lambda () (%open-site "{}" "state.db"))
               #:unwind? #t)))))
(test-equal "dynamic-wind guards run when a primitive raises" '(in out)
  (let ((log '()))
    (caught (lambda ()
              (dynamic-wind (lambda () (set! log (cons 'in log)))
                            (lambda () (%open-site "{}" "state.db"))
                            (lambda () (set! log (cons 'out log))))))
    (reverse log)))

(test-equal "a failed effect says what, how and why"
  "run x failed: no such file" (%failure-message "run x" 127 'exit "no such file"))
(test-equal "and without words, its status" "run x failed: exit 3" (%failure-message "run x" 3 'exit #f))
(test-equal "an effect in one line" "run uptime -p" (%describe-request 'run '("uptime" "-p") #f #f #f #f))
(test-assert "an unknown operation"
  (eq? 'wrong-type-arg (exception-kind (caught (lambda () (%describe-request 'explode '("x") #f #f #f #f))))))
(test-assert "an improper list"
  (eq? 'wrong-type-arg
       (exception-kind (caught (lambda () (%describe-request 'run '("x" . "y") #f #f #f #f))))))
(test-assert "an empty list of words"
  (eq? 'wrong-type-arg (exception-kind (caught (lambda () (%describe-request 'run '() #f #f #f #f))))))
(test-assert "an output that is malformed"
  (eq? 'wrong-type-arg
       (exception-kind (caught (lambda () (%describe-request 'run '("x") (vector 1 2) #f #f #f))))))
(test-equal "a name with characters beyond ASCII comes back as it went" "run héé ☃"
  (%describe-request 'run '("héé" "☃") #f #f #f #f))
(test-assert "a NUL in a string is no end"
  (string-contains (%describe-request 'run (list "a" (string #\b #\nul #\c)) #f #f #f #f) "c"))

(test-assert "the terminal has a size" (match (%terminal-size) (((? integer?) . (? integer?)) #t)))
(test-equal "signals are released twice without harm" '(#t #t)
  (list (unspecified? (%release-signals!)) (unspecified? (%release-signals!))))

(test-end)
