;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; (tutti private json) --- Scheme data as JSON text.
;;;
;;; Commentary:
;;;
;;; The site goes to the library as text.  An object is an association list with string keys, an array a
;;; vector; numbers, strings and booleans are themselves.
;;;
;;; Code:

(define-module (tutti private json)
  #:use-module (ice-9 match)
  #:export (datum->json))

(define (write-json-string text port)
  (write-char #\" port)
  (string-for-each
   (lambda (char)
     (case char
       ((#\" #\\) (write-char #\\ port) (write-char char port))
       ((#\newline) (display "\\n" port))
       (else
        (if (< (char->integer char) 32)
            (begin
              (display "\\u" port)
              (display (string-pad (number->string (char->integer char) 16) 4 #\0) port))
            (write-char char port)))))
   text)
  (write-char #\" port))

(define (write-separated write-one list port)
  (match list
    (() #f)
    ((first . rest)
     (write-one first)
     (for-each (lambda (element)
                 (write-char #\, port)
                 (write-one element))
               rest))))

(define (write-json datum port)
  (match datum
    (#t (display "true" port))
    (#f (display "false" port))
    ((? string?) (write-json-string datum port))
    ((? exact-integer?) (display datum port))
    ((? real?) (display (exact->inexact datum) port))
    ((? vector?)
     (write-char #\[ port)
     (write-separated (lambda (element) (write-json element port))
                      (vector->list datum)
                      port)
     (write-char #\] port))
    ((((? string? _) . _) ...)
     (write-char #\{ port)
     (write-separated (match-lambda
                        ((key . value)
                         (write-json-string key port)
                         (write-char #\: port)
                         (write-json value port)))
                      datum
                      port)
     (write-char #\} port))))

(define (datum->json datum)
  "Return DATUM as JSON text."
  (call-with-output-string
    (lambda (port)
      (write-json datum port))))
