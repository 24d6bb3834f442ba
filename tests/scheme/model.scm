;;; SPDX-License-Identifier: LGPL-3.0-or-later
(use-modules (srfi srfi-64)
             (tutti)
             (tutti errors)
             (tutti model)
             (tutti private json)
             (tutti private site-json))

(define (sentence thunk)
  (with-exception-handler describe (lambda () (thunk) 'no-error) #:unwind? #t))

(define db
  (service (name "db") (version "1") (endpoints '((sql . 5432))) (start (daemon "db"))))
(define web
  (service (name "web") (version "7")
           (requirements (list "db"))
           (connections (list (connection "cache" #:on-change 'reload)))
           (settings (lambda (site host) '()))
           (environment `(("DATABASE" . ,(setting 'db)) (PORT . 8080)))
           (start (daemon "web"))))
(define shop
  (site-configuration
   (name "shop")
   (host-classes (list (host-class (name "front") (services (list web)))
                       (host-class (name "data") (services (list db)))))
   (host-class->hosts (inventory-list `("front" ,(host (name "w1") (labels '((datacenter . "a")))))
                                      `("data" ,(host (name "d1") (address "10.0.0.5")))))))

(define (datum-ref datum . keys)
  "Return what is in DATUM below KEYS: names of members and indices of elements."
  (if (null? keys)
      datum
      (apply datum-ref
             (if (vector? datum)
                 (vector-ref datum (car keys))
                 (assoc-ref datum (car keys)))
             (cdr keys))))

(define datum (site->datum shop #:source '(("shop.scm" . "text"))))
(define web-datum (datum-ref datum "host_classes" 0 "services" 0))

(test-begin "model")

(test-equal "a site prints readably" "#<site-configuration shop: 2 classes, 2 services>" (object->string shop))
(test-equal "a service" "#<service web 7>" (object->string web))
(test-equal "a host" "#<host db1 10.0.0.5>" (object->string (host (name "db1") (address "10.0.0.5"))))
(test-equal "the address of a host is its name, if it has no other" "db1" (host-address (host (name "db1"))))
(test-equal "a label" "a" (host-label (host (name "h") (labels '((rack . a)))) 'rack))
(test-equal "no label" #f (host-label (host (name "h")) 'rack))
(test-assert "a requirement may be used as a procedure" (relation? (car (map requirement '("db")))))
(test-assert "a requirement that is misspelt"
  (string-contains (sentence (lambda () (requirement "db" #:on-change 'explode)))
                   "#:on-change must be 'nothing, 'reload, 'restart or 'stop"))
(test-assert "a daemon can only be 'start'"
  (string-contains (sentence (lambda () (service (name "x") (version "1") (stop (daemon "x")))))
                   "service 'x': field 'stop' must be a program that ends"))
(test-assert "switch-back must be known"
  (string-contains (sentence (lambda () (service (name "x") (version "1") (switch-back 'sometimes))))
                   "'switch-back' must be 'same, 'irreversible or a procedure"))
(test-assert "a site's policy must be one"
  (string-contains (sentence (lambda () (site-configuration (name "x") (policy 5)))) "field 'policy'"))

(test-equal "JSON: strings are escaped" "{\"a\":[\"\\\"\\\\\\n\\u001b\",1,true]}"
  (datum->json '(("a" . #("\"\\\n\x1b" 1 #t)))))
(test-equal "JSON: late settings stay behind" #t (datum-ref web-datum "late_settings"))
(test-equal "JSON: settings in a text" '(("setting" . "db")) (datum-ref web-datum "environment" "DATABASE"))
(test-equal "JSON: numbers in a text are strings" "8080" (datum-ref web-datum "environment" "PORT"))
(test-equal "JSON: a name is a requirement" "db" (datum-ref web-datum "requirements" 0 "service"))
(test-assert "JSON: a requirement says where it was declared"
  (string-prefix? "model.scm:" (datum-ref web-datum "requirements" 0 "declared")))
(test-equal "JSON: a connection's on-change" "reload" (datum-ref web-datum "connections" 0 "on_change"))
(test-equal "JSON: transitions by name" "replace-service" (datum-ref web-datum "switch_to_service"))
(test-equal "JSON: hosts with their class"
  '(("name" . "w1") ("class" . "front") ("labels" . (("datacenter" . "a"))))
  (datum-ref datum "hosts" 0))
(test-equal "JSON: the default policy" '(("at_most" . 30) ("percent" . #t) ("of" . "class"))
  (datum-ref datum "policy" 0))
(test-assert "a site without an inventory says what is missing"
  (string-contains (sentence (lambda () (site->json (site-configuration
                                                     (inherit shop) (host-class->hosts #f)))))
                   "site 'shop' has no inventory"))
(test-assert "an inventory that returns something else"
  (string-contains (sentence (lambda () (site->json (site-configuration
                                                     (inherit shop) (host-class->hosts (const 5))))))
                   "host-class->hosts must return a list of hosts; for class 'front' it returned 5"))
(test-assert "a transition that is not built yet is refused before anything runs"
  (string-contains (sentence (lambda ()
                               (site->json
                                (site-configuration
                                 (name "x")
                                 (host-classes (list (host-class (name "c")
                                                                 (services
                                                                  (list (service (inherit db)
                                                                                 (switch-to-service
                                                                                  start-before-stop)))))))
                                 (host-class->hosts (const '()))))))
                   "start-before-stop is not built yet"))
(define (kept . fields)
  "Return the first service, as data, of a site whose web is kept as FIELDS say."
  (datum-ref (site->datum (site-configuration
                           (name "x")
                           (host-classes (list (host-class (name "c") (services fields))))
                           (host-class->hosts (const '()))))
             "host_classes" 0 "services" 0))
(define kept-datum
  (kept (service (name "web")
                 (version "1")
                 (start (daemon "/bin/web"))
                 (endpoints '((http . 80)))
                 (restart 'on-failure)
                 (ready (port 'http))
                 (log 'journal)
                 (stop-signal 'INT)
                 (grace 30)
                 (settle 5/2)
                 (limits '((open-files . 4096) (memory . "1G")))
                 (working-directory (data-directory "home"))
                 (umask #o027)
                 (nice 5))))
(test-equal "JSON: how a service is kept"
  '("on-failure" (("port" . "http")) "journal" "INT" 30 (("open-files" . 4096) ("memory" . "1G"))
    (("data_directory" . "home")) 23 5)
  (map (lambda (member) (datum-ref kept-datum member))
       '("restart" "ready" "log" "stop_signal" "grace" "limits" "working_directory" "umask" "nice")))
(test-equal "JSON: what is not said of how it is kept stays out" '()
  (filter (lambda (member) (assoc member web-datum))
          '("restart" "ready" "log" "stop_signal" "grace" "settle" "limits" "working_directory" "umask" "nice")))
(test-assert "a restart that is none"
  (string-contains (sentence (lambda () (service (name "web") (version "1") (restart 'sometimes))))
                   "'always or 'on-failure or 'never"))
(test-end)
