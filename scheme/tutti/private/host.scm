;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; (tutti private host) --- hosts.
;;;
;;; Commentary:
;;;
;;; The record of a host, as people declare it and as the library answers with it.
;;;
;;; Code:

(define-module (tutti private host)
  #:use-module (ice-9 format)
  #:use-module (ice-9 match)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (tutti errors)
  #:use-module (tutti records)
  #:export (host
            host?
            host-name
            host-address
            host-port
            host-user
            host-become
            host-labels
            host-label
            host-class-of
            key->string
            label->string
            fields->host
            vector->host))

(define (key->string key)
  "Return KEY, a string or a symbol, as a string."
  (match key
    ((? symbol?) (symbol->string key))
    ((? string?) key)
    (_ (fail "a name is wanted, a symbol or a string, not ~s" key))))

(define (label->string value)
  "Return VALUE, what labels and settings hold, as a string."
  (match value
    ((? string?) value)
    ((? symbol?) (symbol->string value))
    ((? number?) (number->string value))
    (_ (fail "a string is wanted, not ~s" value))))

(define a-string (make-type string? "a string"))

(define labels-type
  (make-type (lambda (value)
               (match value
                 ((((and keys (or (? string?) (? symbol?))) . (or (? string?) (? symbol?) (? exact-integer?))) ...)
                  (let ((names (map key->string keys)))
                    (= (length names) (length (delete-duplicates names)))))
                 (_ #f)))
             "an association list of names and strings, each name once"))

(define-declaration (host <host> host?) (const #t)
  (name host-name (make-type (lambda (value) (and (string? value) (not (string-null? value))))
                             "a name, a string"))
  (address host-address* (maybe a-string) #f)
  (port host-port (maybe (make-type (lambda (value) (and (exact-integer? value) (< 0 value 65536)))
                                    "a port number"))
        #f)
  (user host-user (maybe a-string) #f)
  (become host-become (maybe (make-type (lambda (value) (memq value '(sudo doas))) "'sudo or 'doas")) #f)
  (labels host-labels labels-type '())
  (class host-class-of (maybe a-string) #f))         ; filled in by who asked the inventory

(define (host-address host)
  "Return the address of HOST: its name when it has no other."
  (or (host-address* host) (host-name host)))

(define (host-label host key)
  "Return the label KEY of HOST, a string, or #f.  The key 'class gives the name of its class."
  (match (key->string key)
    ("class" (host-class-of host))
    (name
     (let loop ((labels (host-labels host)))
       (match labels
         (() #f)
         (((candidate . value) . rest)
          (if (string=? name (key->string candidate))
              (label->string value)
              (loop rest))))))))

(define (fields->host fields)
  "Return the host with FIELDS, an association list of names and values."
  (make-declaration %host-declaration #f #f
                    (map (match-lambda ((name . value) (list name #f value))) fields)))

(define (vector->host data)
  "Return the host that the library answered with as the vector DATA."
  (define (text string)
    (and (not (string-null? string)) string))
  (match data
    (#(name address port user become labels class)
     (fields->host `((name . ,name)
                     (address . ,(text address))
                     (port . ,(and (positive? port) port))
                     (user . ,(text user))
                     (become . ,(and=> (text become) string->symbol))
                     (labels . ,(map (match-lambda
                                       ((key . value) (cons (string->symbol key) value)))
                                     labels))
                     (class . ,(text class)))))))

(set-record-type-printer! <host>
  (lambda (record port)
    (format port "#<host ~a~@[ ~a~]~@[ ~a~]>" (host-name record)
            (and (not (equal? (host-address record) (host-name record))) (host-address record))
            (host-class-of record))))
