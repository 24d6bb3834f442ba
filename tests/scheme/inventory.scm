;;; SPDX-License-Identifier: LGPL-3.0-or-later
(use-modules (ice-9 ftw)
             (srfi srfi-64)
             (tutti)
             (tutti errors)
             (tutti inventory))

(define (sentence thunk)
  (with-exception-handler describe (lambda () (thunk) 'no-error) #:unwind? #t))
(define folder (mkdtemp (string-append (or (getenv "TMPDIR") "/tmp") "/tutti-inventory-XXXXXX")))
(define (write-file name text)
  (let ((file (string-append folder "/" name)))
    (call-with-output-file file (lambda (port) (display text port)))
    file))
(define front (host-class (name "front")))

(test-begin "inventory")

(define listed (inventory-list `("front" ,(host (name "w1")) ,(host (name "w2"))) `("data" ,(host (name "d1")))))
(test-equal "a list, asked with a class" '("w1" "w2") (map host-name (listed front)))
(test-equal "asked with a name" '("d1") (map host-name (listed "data")))
(test-equal "a class that is not there" '() (listed "other"))
(test-equal "appended" '("w1" "w2" "x")
  (map host-name ((inventory-append listed (inventory-list `("front" ,(host (name "x"))))) front)))
(test-assert "a list that is malformed"
  (string-prefix? "inventory-list: a class is written (CLASS HOST ...)"
                  (sentence (lambda () (inventory-list '("front" "w1"))))))

(define json
  (write-file "hosts.json"
              "{\"format_version\": 1, \"hosts\": [
  {\"name\": \"w1\", \"class\": \"front\", \"address\": \"10.0.0.1\", \"port\": 2222, \"become\": \"sudo\",
   \"labels\": {\"datacenter\": \"a\"}},
  {\"name\": \"d1\", \"class\": \"data\"}]}"))
(test-equal "hosts.json" '(("w1" "10.0.0.1" 2222 sudo "a" "front"))
  (map (lambda (host)
         (list (host-name host) (host-address host) (host-port host) (host-become host)
               (host-label host 'datacenter) (host-label host 'class)))
       ((inventory-file json) front)))
(test-assert "hosts.json with an unknown key names the file and the key"
  (let ((file (write-file "bad.json" "{\"format_version\": 1, \"hosts\": [{\"name\": \"w1\", \"clas\": \"front\"}]}")))
    (let ((text (sentence (lambda () ((inventory-file file) front)))))
      (and (string-contains text "bad.json") (string-contains text "clas")))))
(test-assert "no such file"
  (string-contains (sentence (lambda () ((inventory-file "no-such.json") front))) "no-such.json"))

(define scheme
  (write-file "hosts.scm" "(((name . \"w1\") (class . \"front\") (labels . ((rack . \"1\"))))
 ((name . \"d1\") (class . \"data\")))"))
(test-equal "a Scheme file" '(("w1" "1"))
  (map (lambda (host) (list (host-name host) (host-label host 'rack))) ((inventory-file scheme) front)))
(test-assert "a Scheme file with an unknown key"
  (string-contains (sentence (lambda ()
                               ((inventory-file (write-file "bad.scm" "(((name . \"w1\") (clas . \"front\")))"))
                                front)))
                   "no key 'clas' of a host. Did you mean 'class'?"))
(test-assert "a Scheme file with a host twice"
  (string-suffix? "bad.scm: host 'w1' is there twice: a host is named once, and has one class"
                  (sentence (lambda ()
                              ((inventory-file (write-file "bad.scm" "(((name . \"w1\") (class . \"front\"))
 ((name . \"w1\") (class . \"data\")))"))
                               front)))))
(test-equal "a file is a part that the library reads itself; another one must be asked" `(,listed (,json))
  (inventory-parts (inventory-append listed (inventory-file json))))

(for-each (lambda (name) (delete-file (string-append folder "/" name)))
          '("hosts.json" "bad.json" "hosts.scm" "bad.scm"))
(rmdir folder)
(test-end)
