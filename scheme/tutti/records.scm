;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; (tutti records) --- declarations with named fields.
;;;
;;; Commentary:
;;;
;;; `define-declaration' defines a record that people write as (record (field value) ...), with defaults,
;;; required fields and (inherit record).  A field that is misspelt, given twice or missing is an error at
;;; expansion, and a value of the wrong type one when the record is made; both name the place, the record
;;; and the field.  Each record knows where it was written.
;;;
;;; Code:

(define-module (tutti records)
  #:use-module (ice-9 format)
  #:use-module (ice-9 match)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (tutti errors)
  #:use-module ((system vm program) #:select (program? program-arguments-alists))
  #:use-module (tutti private syntax)
  #:export (define-declaration
            declaration-location
            make-declaration                  ; for the expansion of declarations

            make-type
            is-of?
            list-of
            maybe
            one-of
            procedure-of))

;; What the values of a field must be: a predicate, and the words for it.
(define-record-type <type>
  (make-type predicate description)
  type?
  (predicate   type-predicate)
  (description type-description))

(define (is-of? type value)
  "Return true if VALUE is of TYPE."
  ((type-predicate type) value))

(define (list-of type)
  "Return the type of lists of TYPE."
  (make-type (lambda (value)
               (and (list? value) (every (type-predicate type) value)))
             (string-append "a list, each element of which is " (type-description type))))

(define (maybe type)
  "Return the type of #f and what is of TYPE."
  (make-type (lambda (value)
               (or (not value) ((type-predicate type) value)))
             (string-append (type-description type) " or #f")))

(define (one-of . types)
  "Return the type of what is of any of TYPES."
  (make-type (lambda (value)
               (any (lambda (type) ((type-predicate type) value)) types))
             (string-join (map type-description types) " or ")))

(define (accepts? count keywords)
  "Return a predicate: can a procedure be called with COUNT arguments and KEYWORDS?  It is believed to where
that is not known."
  (lambda (procedure)
    (define (ref shape key)
      (or (assq-ref shape key) '()))
    (define (fits? shape)
      (let ((required (length (ref shape 'required)))
            (optional (length (ref shape 'optional))))
        (and (<= required count)
             (or (pair? (ref shape 'rest)) (symbol? (assq-ref shape 'rest))
                 (and (<= count (+ required optional))
                      (or (assq-ref shape 'allow-other-keys?)
                          (every (lambda (keyword) (assq keyword (ref shape 'keyword))) keywords)))))))
    (or (not (program? procedure))
        (let ((shapes (program-arguments-alists procedure)))
          (or (not (pair? shapes)) (any fits? shapes))))))

(define* (procedure-of count description #:optional (keywords '()))
  "Return the type of procedures that can be called with COUNT arguments and KEYWORDS, as DESCRIPTION says."
  (let ((fits? (accepts? count keywords)))
    (make-type (lambda (value) (and (procedure? value) (fits? value)))
               description)))

;; What is known about a declaration at run time.
(define-record-type <declaration-type>
  (make-declaration-type name record-type fields finish)
  declaration-type?
  (name        declaration-type-name)          ; a symbol
  (record-type declaration-type-record-type)
  (fields      declaration-type-fields)        ; list of (name type default-thunk)
  (finish      declaration-type-finish))       ; called with the new record

(define (declaration-location record)
  "Return where RECORD was written, as a list of file, line and column, or #f."
  ((record-accessor (record-type-descriptor record) 'location) record))

(define (short value)
  "Return VALUE as text of one line that is not long."
  (let ((text (if (procedure? value)
                  (format #f "~a" (procedure-phrase value))
                  (call-with-output-string (lambda (port) (write value port))))))
    (if (> (string-length text) 60)
        (string-append (string-take text 57) "...")
        text)))

(define (checked type location title field value)
  "Return VALUE if it is of TYPE; else raise an error that names LOCATION, TITLE and FIELD."
  (unless ((type-predicate type) value)
    (fail-at location "~a: field '~a' must be ~a, not ~a"
             title field (type-description type) (short value)))
  value)

(define (make-declaration type location inherited given)
  "Make a record of the declaration TYPE.  GIVEN is a list of (FIELD LOCATION VALUE); what it lacks comes from
the record INHERITED, or if that is #f from the defaults."
  (let* ((record-type (declaration-type-record-type type))
         (name (declaration-type-name type))
         (title (match (or (assq 'name given)
                           (and inherited
                                ((record-predicate record-type) inherited)
                                (memq 'name (record-type-fields record-type))
                                (list 'name #f ((record-accessor record-type 'name) inherited))))
                  ((_ _ (? string? title)) (format #f "~a '~a'" name title))
                  (_ (symbol->string name)))))
    (when (and inherited (not ((record-predicate record-type) inherited)))
      (fail-at location "~a: 'inherit' must be given a ~a, not ~a" title name (short inherited)))
    (let ((record (apply (record-constructor record-type)
                         location
                         (map (match-lambda
                                ((field field-type default)
                                 (match (assq field given)
                                   ((_ field-location value)
                                    (checked field-type field-location title field value))
                                   (#f (if inherited
                                           ((record-accessor record-type field) inherited)
                                           (default))))))
                              (declaration-type-fields type)))))
      ((declaration-type-finish type) record)
      record)))

(define (check-fields form name known required)
  "Check the clauses of FORM, which declares a NAME with the KNOWN fields.  Return three values: the syntax
of what is inherited or #f, the names of the given fields, and their clauses."
  (define names (map symbol->string known))
  (define (mistake subform format-string . arguments)
    (apply syntax-mistake (symbol->string name) form subform format-string arguments))
  (define (parse clause)
    (syntax-case clause ()
      ((field value)
       (identifier? #'field)
       (syntax->datum #'field))
      ((field . rest)
       (identifier? #'field)
       (mistake clause "field '~a' takes one value: (~a VALUE)"
                (syntax->datum #'field) (syntax->datum #'field)))
      (_
       (mistake clause "a field is written (FIELD VALUE), not ~a" (short (syntax->datum clause))))))
  (let loop ((clauses (syntax-case form () ((_ clause ...) #'(clause ...))
                        (_ (mistake #f "it is written (~a (FIELD VALUE) ...)" name))))
             (inherited #f)
             (fields '())
             (kept '()))
    (match clauses
      (()
       (unless inherited
         (match (lset-difference eq? required fields)
           (() #f)
           (missing (mistake #f "field~p ~{'~a'~^ and ~} ~:[are~;is~] missing"
                             (length missing) missing (= 1 (length missing))))))
       (values inherited (reverse fields) (reverse kept)))
      ((clause . rest)
       (let ((field (parse clause)))
         (when (memq field (if inherited (cons 'inherit fields) fields))
           (mistake clause "field '~a' is given twice" field))
         (cond
          ((eq? field 'inherit)
           (loop rest (syntax-case clause () ((_ value) #'value)) fields kept))
          ((memq field known)
           (loop rest inherited (cons field fields) (cons clause kept)))
          (else
           (mistake clause "no field '~a'.~a" field
                    (suggestion (symbol->string field) names)))))))))

(define-syntax define-declaration
  (lambda (form)
    (syntax-case form ()
      ((_ (keyword record-type predicate) finish
          (field accessor type default ...) ...)
       (with-syntax ((declaration (datum->syntax #'keyword
                                                 (symbol-append '% (syntax->datum #'keyword)
                                                                '-declaration)))
                     ((required ...)
                      (filter-map (lambda (field default)
                                    (and (null? default) field))
                                  #'(field ...)
                                  #'((default ...) ...)))
                     ((default-value ...)
                      (map (lambda (default)
                             (syntax-case default ()
                               (() #'#f)
                               ((value) #'value)))
                           #'((default ...) ...))))
         #'(begin
             (define record-type
               (make-record-type 'record-type '(location field ...)))
             (define predicate (record-predicate record-type))
             (define accessor (record-accessor record-type 'field)) ...
             (define declaration
               (make-declaration-type 'keyword record-type
                                      (list (list 'field type (lambda () default-value)) ...)
                                      finish))
             (define-syntax keyword
               (lambda (use)
                 (call-with-values
                     (lambda ()
                       (check-fields use 'keyword '(field ...) '(required ...)))
                   (lambda (inherited fields clauses)
                     (with-syntax ((location (datum->syntax use (syntax-location use)))
                                   (inherited (or inherited #'#f))
                                   ((name (... ...)) (datum->syntax use fields))
                                   ((place (... ...))
                                    (map (lambda (clause)
                                           (datum->syntax use (or (syntax-location clause)
                                                                  (syntax-location use))))
                                         clauses))
                                   ((value (... ...))
                                    (map (lambda (clause)
                                           (syntax-case clause () ((_ value) #'value)))
                                         clauses)))
                       #'(make-declaration declaration 'location inherited
                                           (list (list 'name 'place value) (... ...))))))))))))))
