;;; SPDX-License-Identifier: LGPL-3.0-or-later
(use-modules (ice-9 match)
             (srfi srfi-64)
             (tutti)
             (tutti errors)
             (tutti policy))

(define (sentence thunk)
  (with-exception-handler describe (lambda () (thunk) 'no-error) #:unwind? #t))
(define (yes view host) #t)
(define (no view host) #f)
(define (never view host) 'wait)

(define (answer policy)
  (match (policy-predicates policy)
    (#(predicate)
     (call-with-values
         (lambda () (policy-answer (predicate 'view (host (name "h")))))
       list))))

(test-begin "policy")

(test-equal "a policy prints readably" "#<policy at most 30% of each class, and no>"
  (object->string (all-of (at-most "30%") no)))
(test-equal "what the library decides needs no predicate" #() (policy-predicates (at-most 3)))
(test-equal "as data, each procedure with its number"
  '#((("ask" . "yes") ("number" . 0))
     (("at_most" . 3) ("of" . "datacenter"))
     (("for_class" . "web") ("policy" . #((("at_most" . 32.3) ("percent" . #t) ("of" . "class"))
                                          (("ask" . "no") ("number" . 1)))))
     (("ask" . "never") ("number" . 2)))
  (policy->datum (all-of yes (at-most 3 #:of 'datacenter) (for-class "web" (all-of (at-most "32.3%") no)) never)))
(test-equal "the procedures are at their numbers" '(#t #f wait)
  (map (lambda (predicate) (predicate 'view (host (name "h"))))
       (vector->list (policy-predicates (all-of yes (for-class "web" (all-of (at-most "32.3%") no)) never)))))
(test-equal "a policy for a class says so" "#<policy (at most 32.3% of each class, and no) for web>"
  (object->string (for-class "web" (all-of (at-most "32.3%") no))))
(test-equal "an answer: a time" '(not-before 9) (answer (lambda (view host) (not-before 9))))
(test-equal "a procedure is a policy" '(yes 0) (answer yes))
(test-equal "an answer: none now" '(wait 0) (answer never))
(test-equal "an answer that is none"
  "policy 'predicate' answered 42 for host h; it must answer #t, #f, 'wait or (not-before TIME)"
  (sentence (lambda () (answer (lambda (view host) 42)))))
(test-assert "at-most: a bound that is none"
  (string-prefix? "at-most: a number of hosts above 0" (sentence (lambda () (at-most "30")))))
(test-assert "at-most 0 would never let anything start"
  (string-prefix? "at-most: a number of hosts above 0" (sentence (lambda () (at-most 0)))))

(test-assert "between hours" (between-hours? (* 3600 12) "11:00" "12:30" #:time-zone "UTC"))
(test-assert "not between hours" (not (between-hours? (* 3600 13) "11:00" "12:30" #:time-zone "UTC")))
(test-assert "midnight in between" (between-hours? (* 3600 23) "22:00" "05:00" #:time-zone "UTC"))
(test-assert "an hour that is none"
  (string-contains (sentence (lambda () (between-hours? 0 "25:00" "05:00"))) "'25:00' is no time of the day"))

(test-end)
