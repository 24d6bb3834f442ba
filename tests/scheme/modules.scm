;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; What the modules that people use export.

(use-modules (srfi srfi-1)
             (srfi srfi-64))

(define (names module)
  (module-map (lambda (name variable) name) (resolve-interface module)))

(test-begin "modules")

(test-equal "(tutti) replaces nothing of Guile's" '()
  (lset-intersection eq? (names '(tutti)) (names '(guile))))
(test-equal "(tutti repl) replaces nothing of Guile's" '()
  (lset-intersection eq? (names '(tutti repl)) (names '(guile))))
(test-equal "a word is either of site programs or of the REPL" '()
  (lset-intersection eq? (names '(tutti)) (names '(tutti repl))))
(test-equal "a site program and the REPL have what they need" '()
  (lset-difference eq? '(service site-configuration run on-host tutti-error? use-site plan deploy)
                   (append (names '(tutti)) (names '(tutti repl)))))
(test-end)
