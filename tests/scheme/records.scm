;;; SPDX-License-Identifier: LGPL-3.0-or-later
(use-modules (ice-9 exceptions)
             (ice-9 match)
             (srfi srfi-1)
             (srfi srfi-64)
             (tutti errors)
             (tutti records))

(define text (make-type string? "a string"))

(define-declaration (thing <thing> thing?) (const #t)
  (name thing-name text)
  (version thing-version text)
  (parts thing-parts (list-of text) '())
  (start thing-start (maybe text) #f))

(define (sentence form)
  "Return the error that expanding or evaluating FORM raises, as a sentence without its place."
  (with-exception-handler
      (lambda (exception)
        (let ((text (describe exception)))
          (match-place text)))
    (lambda ()
      (eval form (current-module))
      'no-error)
    #:unwind? #t))

(define (match-place text)
  (let ((start (string-contains text "thing")))
    (if start (substring text start) text)))

(test-begin "records")

(define a (thing (name "a") (version "1")))
(test-equal "fields and defaults" '("a" "1" () #f)
  (list (thing-name a) (thing-version a) (thing-parts a) (thing-start a)))
(test-equal "inherit copies, and fields are replaced" '("a" "2")
  (let ((b (thing (inherit a) (version "2"))))
    (list (thing-name b) (thing-version b))))
(test-equal "a record knows the line where it is written"
  (+ 2 (assq-ref (current-source-location) 'line))
  (second (declaration-location (thing (name "a") (version "1")))))
(test-equal "names of fields are no bindings: a value may use a variable of the same name"
  "outer" (let ((start "outer")) (thing-start (thing (name "a") (version "1") (start start)))))
(test-assert "the value of one field does not see another field"
  (let ((name "outer"))
    (string=? "outer" (thing-version (thing (name "a") (version name))))))

(test-equal "a misspelt field" "thing: no field 'verson'. Did you mean 'version'?"
  (sentence '(thing (name "x") (verson "1"))))
(test-equal "an unknown field that is near nothing"
  "thing: no field 'colour'. Known: name, version, parts, start."
  (sentence '(thing (name "x") (colour "1"))))
(test-equal "a missing field" "thing: field 'version' is missing" (sentence '(thing (name "x"))))
(test-equal "missing fields" "thing: fields 'name' and 'version' are missing" (sentence '(thing)))
(test-equal "a field given twice" "thing: field 'name' is given twice"
  (sentence '(thing (name "x") (name "y") (version "1"))))
(test-equal "two values" "thing: field 'name' takes one value: (name VALUE)"
  (sentence '(thing (name "x" "y") (version "1"))))
(test-equal "no field at all" "thing: a field is written (FIELD VALUE), not 5" (sentence '(thing 5)))
(test-equal "a wrong type" "thing 'x': field 'version' must be a string, not 2"
  (sentence '(thing (name "x") (version 2))))
(test-equal "a wrong element"
  "thing 'x': field 'parts' must be a list, each element of which is a string, not (1)"
  (sentence '(thing (name "x") (version "1") (parts '(1)))))
(test-equal "inherit from something else"
  "thing 'x': 'inherit' must be given a thing, not 5"
  (sentence '(thing (inherit 5) (name "x"))))
(test-equal "the name alone" "thing: it is written (thing (FIELD VALUE) ...)" (sentence 'thing))

;; For Geiser and guild, which know nothing of us.
(test-equal "a mistake in a declaration is a syntax error of its form and of the field"
  '(syntax-error "thing" "no field 'verson'. Did you mean 'version'?" (thing (name "x") (verson "1")) (verson "1"))
  (with-exception-handler
      (lambda (exception)
        (match (exception-args exception)
          ((who message source form subform) (list (exception-kind exception) who message form subform))))
    (lambda () (eval '(thing (name "x") (verson "1")) (current-module)))
    #:unwind? #t))

(test-end)
