;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; What is not built yet is refused with a sentence.

(use-modules (ice-9 match)
             (srfi srfi-1)
             (srfi srfi-64)
             (tutti)
             (tutti errors)
             (tutti later)
             (tutti private bindings))

(define (sentence thunk)
  (with-exception-handler describe (lambda () (thunk) 'no-error) #:unwind? #t))
(define (refused? name text)
  "Is TEXT that NAME is not built yet, and what to do instead?"
  (match (string-contains text (string-append name " is not built yet: "))
    (#f #f)
    (start (not (string-suffix? ": " text)))))

(test-begin "later")

(define procedures
  (remove (lambda (name) (memq name '(in-parallel later-transition?)))
          (module-map (lambda (name variable) name) (resolve-interface '(tutti later)))))
(for-each (lambda (name)
            (test-assert (format #f "~a is refused with a sentence, whatever it is called with" name)
              (refused? (symbol->string name)
                        (sentence (lambda ()
                                    ((module-ref (resolve-interface '(tutti later)) name) 1 #:key 'value)))))
            (test-assert (format #f "~a is in the library's table" name)
              (member (symbol->string name) (%not-built-names)))
            (test-assert (format #f "~a is a word of site programs" name)
              (module-variable (resolve-interface '(tutti)) name)))
          procedures)
(for-each (lambda (name thunk)
            (test-assert (string-append name " is refused with a sentence")
              (refused? name (sentence thunk))))
          '("placement" "image" "platform" "in-parallel")
          (list (lambda () (placement (count 2))) (lambda () (image (name "x")))
                (lambda () (platform (name "x") (lookup car)))
                (lambda () (in-parallel (error "this is not evaluated")))))

(test-end)
