;;; SPDX-License-Identifier: LGPL-3.0-or-later
(use-modules (srfi srfi-64)
             (tutti)
             (tutti errors))

(define (sentence thunk)
  (with-exception-handler describe (lambda () (thunk) 'no-error) #:unwind? #t))

(test-begin "transitions")

(test-assert "versions are compared by number" (version<? "9.1" "10"))
(test-assert "a shorter version comes first" (version<? "1" "1.0.1"))
(test-assert "equal versions" (not (version<? "1.2" "1.2")))
(test-assert "letters" (version<? "1.a" "1.b"))

(test-equal "an effect outside of everything"
  "no host to act on: use (on-host HOST ...), or call 'run' from a transition"
  (sentence (lambda () (run (program "true")))))
(test-equal "on-roll-back outside of everything"
  "on-roll-back belongs in a transition" (sentence (lambda () (on-roll-back #t))))
(test-equal "current-host outside of everything"
  "no current host: this is neither a transition nor (on-host HOST ...)" (sentence current-host))
(test-assert "no site in use"
  (string-contains (sentence current-site) "no site is in use"))
(test-assert "start wants a definition"
  (string-prefix? "start: a service that is deployed is wanted" (sentence (lambda () (start 5)))))
(test-assert "a service that is declared is no service that is deployed"
  (string-prefix? "stop: a service that is deployed is wanted"
                  (sentence (lambda () (stop (service (name "x") (version "1")))))))
(test-assert "run wants a program"
  (string-prefix? "run: a program is wanted" (sentence (lambda () (run "uptime")))))
(test-assert "programs in transitions are of strings"
  (string-contains (sentence (lambda () (run (program "cat" (setting 'x))))) "declare it as a hook of the service"))
(test-assert "a daemon does not end"
  (string-contains (sentence (lambda () (run (daemon "x")))) "a daemon does not end"))
(test-end)
