;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; (tutti inventory) --- which hosts are in a host class.
;;;
;;; Commentary:
;;;
;;; An inventory is a procedure from a host class to a list of hosts.
;;;
;;; Code:

(define-module (tutti inventory)
  #:use-module (ice-9 format)
  #:use-module (ice-9 match)
  #:use-module (srfi srfi-1)
  #:use-module (tutti errors)
  #:use-module (tutti private bindings)
  #:use-module (tutti private host)
  #:use-module (tutti private syntax)
  #:export (inventory-list
            inventory-file
            inventory-append
            file-inventory
            call-with-one-answer
            inventory-parts
            class-name))

;; What files held when they were read, by name: a hash table while the hosts of a site are asked for, else #f.
(define %answers (make-parameter #f))

(define (call-with-one-answer thunk)
  "Call THUNK, which asks an inventory class by class.  Each file is read once meanwhile: a fleet is one answer."
  (parameterize ((%answers (make-hash-table)))
    (thunk)))

(define (once file read)
  "Return what the thunk READ returns for FILE, which is not called again while a fleet is asked for."
  (match (and (%answers) (hash-ref (%answers) file))
    ((answer) answer)
    (#f (let ((answer (read)))
          (when (%answers)
            (hash-set! (%answers) file (list answer)))
          answer))))

(define (class-name class)
  "Return the name of CLASS, a host class or a string."
  (if (string? class)
      class
      ((record-accessor (record-type-descriptor class) 'name) class)))

(define (inventory-list . classes)
  "Return the inventory that CLASSES are, lists of the name of a class and its hosts."
  (for-each (match-lambda
              (((? string?) (? host?) ...) #t)
              (other (fail "inventory-list: a class is written (CLASS HOST ...), a name and hosts, not ~s"
                           other)))
            classes)
  (lambda (class)
    (append-map (match-lambda
                  ((name . hosts)
                   (if (string=? name (class-name class)) hosts '())))
                classes)))

(define (call-with-file-named file thunk)
  "Call THUNK.  An error that it raises begins with FILE."
  (with-exception-handler
      (lambda (exception)
        (fail "~a: ~a" file (tutti-error-message exception)))
    thunk
    #:unwind? #t
    #:unwind-for-type &tutti-error))

(define (read-scheme-file file)
  "Return the hosts of FILE, which holds a list of association lists with the keys of hosts.json."
  (define known '(name class address port user become labels))
  (define (parse entry)
    (match entry
      ((((? symbol? keys) . values) ...)
       (for-each (lambda (key)
                   (unless (memq key known)
                     (fail "~a: no key '~a' of a host.~a" file key
                           (suggestion (symbol->string key) (map symbol->string known)))))
                 keys)
       (let ((ref (lambda (key) (assq-ref entry key))))
         (for-each (lambda (key)
                     (unless (string? (ref key))
                       (fail "~a: a host has no '~a', a string: ~s" file key entry)))
                   '(name class))
         (unless (= (length keys) (length (delete-duplicates keys)))
           (fail "~a: host '~a': a key stands there twice: ~s" file (ref 'name) keys))
         (call-with-file-named file
           (lambda () (fields->host (map cons keys values))))))
      (_ (fail "~a: a host is written ((name . \"h1\") (class . \"front\") ...), not ~s" file entry))))
  (define (read-all)
    (catch #t
      (lambda ()
        (call-with-input-file file
          (lambda (port)
            (let ((value (read port)))
              (unless (eof-object? (read port))
                (scm-error 'misc-error #f "there is more after the list of hosts" '() #f))
              value))
          #:encoding "UTF-8"))
      (lambda arguments
        (fail "~a: the inventory can't be read: ~a" file
              (match arguments
                (('system-error . _) (strerror (system-error-errno arguments)))
                ((_ _ format-string values . _) (apply format #f format-string (or values '())))
                (_ "it is no Scheme data"))))))
  (match (read-all)
    ((entries ...)
     (let ((hosts (map parse entries))
           (seen (make-hash-table)))
       (for-each (lambda (name)
                   (when (hash-ref seen name)
                     (fail "~a: host '~a' is there twice: a host is named once, and has one class" file name))
                   (hash-set! seen name #t))
                 (map host-name hosts))
       hosts))
    (_ (fail "~a: a list of hosts is wanted: (((name . \"h1\") (class . \"front\")) ...)" file))))

(define (file-inventory file)
  "Return the inventory that the file called FILE holds, as JSON or, named *.scm, as Scheme data."
  (define scheme? (string-suffix? ".scm" file))
  (define (all)
    (once file
          (lambda ()
            (if scheme?
                (read-scheme-file file)
                (map vector->host (%inventory-file file))))))
  (let ((inventory (lambda (class)
                     (filter (lambda (host) (equal? (host-class-of host) (class-name class)))
                             (all)))))
    (set-procedure-property! inventory 'parts (list (if scheme? (cons file all) (list file))))
    inventory))

(define (inventory-parts inventory)
  "Return what INVENTORY consists of, in order.  A part is (FILE), the name of a hosts.json; or (FILE . READ), of
another one, whose hosts the thunk READ returns; or a procedure, which must be asked for each class."
  (or (procedure-property inventory 'parts)
      (list inventory)))

(define (%inventory-file-at location file)
  (unless (string? file)
    (fail-at location "inventory-file: the name of a file is wanted, not ~s" file))
  (file-inventory (resolve-file file location)))

;; (inventory-file FILE): the hosts in FILE, relative to the file in which this is written.
(define-located inventory-file %inventory-file-at)

(define (inventory-append . inventories)
  "Return the inventory that answers with the hosts of all INVENTORIES, in order."
  (for-each (lambda (inventory)
              (unless (procedure? inventory)
                (fail "inventory-append: an inventory is wanted, not ~s" inventory)))
            inventories)
  (let ((inventory (lambda (class)
                     (append-map (lambda (inventory) (inventory class)) inventories))))
    (set-procedure-property! inventory 'parts (append-map inventory-parts inventories))
    inventory))

