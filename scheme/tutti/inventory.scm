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
            inventory-command
            inventory-ansible
            inventory-ec2
            file-inventory
            class-name))

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
         (host (name (ref 'name)) (class (ref 'class)) (address (ref 'address)) (port (ref 'port))
               (user (ref 'user)) (become (ref 'become)) (labels (or (ref 'labels) '())))))
      (_ (fail "~a: a host is written ((name . \"h1\") (class . \"front\") ...), not ~s" file entry))))
  (match (call-with-input-file file read #:encoding "UTF-8")
    ((entries ...) (map parse entries))
    (_ (fail "~a: a list of hosts is wanted: (((name . \"h1\") (class . \"front\")) ...)" file))))

(define (file-inventory file)
  "Return the inventory that the file called FILE holds, as JSON or, named *.scm, as Scheme data."
  (if (string-suffix? ".scm" file)
      (lambda (class)
        (unless (file-exists? file)
          (fail "inventory '~a': there is no such file" file))
        (filter (lambda (host) (equal? (host-class-of host) (class-name class)))
                (read-scheme-file file)))
      (lambda (class)
        (map vector->host (%inventory-file file (class-name class))))))

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
  (lambda (class)
    (append-map (lambda (inventory) (inventory class)) inventories)))

(define (inventory-command command)
  "Not built yet."
  (not-built-yet "inventory-command" "use (inventory-file FILE)"))

(define (inventory-ansible file)
  "Not built yet."
  (not-built-yet "inventory-ansible" "use (inventory-file FILE)"))

(define* (inventory-ec2 #:key tag region (labels '()))
  "Not built yet."
  (not-built-yet "inventory-ec2" "use (inventory-file FILE)"))
