;;; SPDX-License-Identifier: LGPL-3.0-or-later
(use-modules (ice-9 exceptions)
             (srfi srfi-64)
             (tutti errors))

(define (caught thunk)
  "Return what THUNK raises."
  (with-exception-handler identity thunk #:unwind? #t))

(test-begin "errors")

(test-equal "a misspelt name: the nearest known one"
  "version" (nearest "verson" '("name" "version" "user")))
(test-equal "two letters swapped are one mistake"
  "start" (nearest "satrt" '("stop" "start")))
(test-equal "nothing is near"
  #f (nearest "zzzzz" '("name" "version")))
(test-equal "a suggestion" " Did you mean 'name'?" (suggestion "nam" '("name" "user")))
(test-equal "no suggestion: what is known" " Known: name, user." (suggestion "zzzzzz" '("name" "user")))

(define* (with-keyword a #:key (mode 1)) (list a mode))
(test-equal "a keyword that nobody knows is named" "there is no keyword #:mod here: is it misspelt?"
  (describe (caught (lambda () (apply with-keyword '(1 #:mod 2))))))
(test-equal "a call with wrong arguments names the procedure, without its address"
  "wrong number of arguments to describe, whose arguments are (object)"
  (describe (make-exception-from-throw 'wrong-number-of-args
                                       (list #f "Wrong number of arguments to ~A" (list describe) #f))))
(test-equal "a stack overflow" "the stack overflowed: does a procedure call itself without end?"
  (describe (caught (lambda () (throw 'stack-overflow #f "Stack overflow" #f #f)))))

(test-equal "an error of ours is its sentence"
  "service 'x': no" (describe (caught (lambda () (fail "service '~a': no" "x")))))
(test-equal "a place comes first"
  "site.scm:12:3: no" (describe (caught (lambda () (fail-at '("site.scm" 12 3) "no")))))
(test-eq "its code" 'misuse (tutti-error-code (caught (lambda () (fail "x")))))
(test-equal "a program can guard on the code" 'was-misuse
  (guard (e ((and (tutti-error? e) (eq? 'misuse (tutti-error-code e))) 'was-misuse))
    (fail "x")))
(test-equal "what is no error of ours is not guarded" 'something-else
  (guard (e ((tutti-error? e) 'ours) (#t 'something-else))
    (car (string->symbol "x"))))
(test-equal "its message" "service 'x': no"
  (tutti-error-message (caught (lambda () (fail "service '~a': no" "x")))))
(test-eq "the code of what is not built" 'not-built
  (tutti-error-code (caught (lambda () (not-built "checkpoint")))))
(test-equal "what is not built says the remedy"
  "site.scm:1:2: service 'x': in-parallel-map is not built yet: use map"
  (describe (caught (lambda () (not-built "in-parallel-map" #:of "service 'x'" #:location '("site.scm" 1 2))))))

(test-equal "describe: an error with irritants"
  "bad \"x\" 1" (describe (caught (lambda () (error "bad" "x" 1)))))
(test-equal "describe: a message that is a format"
  "bad x" (describe (caught (lambda () (scm-error 'misc-error #f "bad ~a" '("x") #f)))))
(test-equal "describe: an object that is no exception"
  "an object that is no exception was raised: 42"
  (describe (caught (lambda () (raise-exception 42)))))
(test-equal "describe: exit" "it called (exit 7)" (describe (caught (lambda () (exit 7)))))
(test-equal "describe: an odd throw" "my-key \"sub\" 1" (describe (caught (lambda () (throw 'my-key "sub" 1)))))
(test-equal "describe: an odd throw that looks like an error" "my-key \"sub\" 1 2"
  (describe (caught (lambda () (throw 'my-key "sub" 1 2)))))
(test-equal "describe: an unbound variable"
  "unbound variable 'no-such-name'"
  (describe (caught (lambda () (primitive-eval 'no-such-name)))))
(test-assert "describe: a message that is no string"
  (string? (describe (make-exception (make-error) (make-exception-with-message 'odd)))))
(test-assert "describe: irritants that are no list"
  (string? (describe (make-exception (make-exception-with-message "odd")
                                     (make-exception-with-irritants 'what)))))
(test-equal "describe escapes controls, which may come from a host"
  "a\\x1bb" (describe (caught (lambda () (fail "a\x1bb")))))

(test-end)
