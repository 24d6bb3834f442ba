;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; A web shop: a database, the application that writes orders to it, and the front before that.
;;; 1.scm to 4.scm and 0.scm say which versions.
;;
;; On this machine by default: a database, two applications and a front, each host a folder of .webshop
;; (or of $WEBSHOP_DIR), at 127.0.1.1 to .4 (or in $WEBSHOP_NETWORK, as in 127.8.9).  On real hosts with
;; WEBSHOP_FLEET=DIR, a folder with hosts.json (classes "db", "app" and "front") and ssh_config, as
;; tests/fleet/fleet makes it.  Those need Debian's packages postgresql, python3-psycopg2, nginx and procps.
(use-modules (tutti))

(define fleet (getenv "WEBSHOP_FLEET"))
(define network (getenv "WEBSHOP_NETWORK"))
(define (numbered n host*)                ; as host N of $WEBSHOP_NETWORK
  (if network
      (host (inherit host*) (address (format #f "~a.~a" network n)))
      host*))
(define address (setting 'address))
(define* (address-of host #:rest settings)
  `((address . ,(host-address host)) ,@settings))


;;;
;;; The database, a cluster of its own.
;;;

(define cluster (data-directory "cluster"))
(define (postgres command . arguments)
  (apply script (local-file "postgres.sh") cluster command arguments))

(define* (switch-db #:key (old #f) new)
  (drain new)                               ; who connects here holds its writes; undone on failure
  (when old
    (stop old)                              ; on failure it is started again
    (let ((copy (run (hook old 'backup))))  ; a cold copy; it stays on the host
      (on-roll-back (run (hook old 'restore) #:input copy))))
  (run (hook new 'prepare))                 ; makes the cluster, if there is none
  (start new)
  (run (hook new 'migrate))
  (validate new)
  (undrain new))                            ; only now may anybody write

(define postgresql.conf
  (mixed-text-file "postgresql.conf"
    "listen_addresses = '" address "'\n"
    "port = 5433\n"
    "unix_socket_directories = ''\n"        ; a folder's path may be too long for one
    "hba_file = 'pg_hba.conf'\n"
    "shared_buffers = 16MB\n"
    "min_wal_size = 2MB\n"                  ; little to copy
    "max_wal_size = 8MB\n"))

;; Who is in the same network is trusted: good enough for an example.
(define pg_hba.conf
  (plain-file "pg_hba.conf" "host shop shop samehost trust\nhost shop shop samenet trust\n"))

(define (db version)
  (define (psql . arguments)
    (apply postgres "psql" "-q" "-v" "ON_ERROR_STOP=1" arguments))
  (define columns
    (assoc-ref '(("1" . "id, placed") ("2" . "id, placed, channel") ("4" . "number, placed, customer"))
               version))
  (service
   (name "db")
   (version version)
   (user (and (or fleet (zero? (geteuid))) "postgres"))     ; PostgreSQL refuses to be root
   (endpoints '((sql . 5433)))
   (settings (lambda (site host) (address-of host)))
   (environment `(("PGHOST" . ,address) ("PGPORT" . "5433") ("PGUSER" . "shop") ("PGDATABASE" . "shop")))
   (files (list (file (list cluster "/postgresql.conf") postgresql.conf)
                (file (list cluster "/pg_hba.conf") pg_hba.conf)))
   (prepare  (postgres "prepare"))
   (start    (postgres "start"))
   (stop     (postgres "stop"))
   (alive?   (postgres "alive"))
   (backup   (postgres "backup"))           ; cold: old is stopped
   (restore  (postgres "restore"))
   (migrate  (psql "-1" "-f" (local-file (string-append "up-" version ".sql"))))
   (validate (psql "-c" (string-append "SELECT " columns " FROM orders LIMIT 1") #:limit 3))
   (switch-to-service switch-db)))


;;;
;;; The application.  While its database changes, it keeps every request that needs it waiting.
;;;

(define gate (data-directory "gate"))

(define* (app version #:key (sick? #f))
  (service
   (name "app")
   (version version)
   (requirements '("db"))
   (endpoints '((http . 8001)))
   (settings (lambda (site host) (address-of host `(database . ,(endpoint site "db" 'sql)))))
   (start (apply daemon (local-file "app.py") address "8001" version (setting 'database) gate
                 (if sick? '("--sick") '())))
   (validate (program "curl" "-fsS" "--max-time" "5" (list "http://" address ":8001/health") #:limit 5))
   (drain   (script (local-file "gate.sh") "hold" gate #:limit 60))
   (undrain (script (local-file "gate.sh") "let-go" gate #:limit 60))))


;;;
;;; The front.  Before an application changes, it is taken out of the upstreams.
;;;

(define conf (data-directory "conf"))
(define (nginx command . arguments)
  (apply script (local-file "nginx.sh") conf command arguments))

(define nginx.conf
  (mixed-text-file "nginx.conf"
    "worker_processes 1;\n"
    "worker_rlimit_nofile 8192;\n"
    "daemon off;\n"
    "pid nginx.pid;\n"
    "error_log stderr;\n"
    "events { worker_connections 4096; }\n"
    "http {\n"
    "  access_log off;\n"
    "  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;\n"
    "  uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n"
    "  keepalive_timeout 0;\n"                      ; a connection is one request: a reload cuts none
    "  upstream app { include upstreams.conf; }\n"  ; made by nginx.sh
    "  server {\n"
    "    listen " address ":8081 deferred;\n"       ; accepted when the request is there
    "    location / {\n"
    "      proxy_pass http://app;\n"
    "      proxy_connect_timeout 5s;\n"
    "      proxy_read_timeout 120s;\n"              ; the application may hold it back
    "    }\n"
    "  }\n"
    "}\n"))

(define front
  (service
   (name "front")
   (version "1")
   (requirements '("app"))
   (endpoints '((http . 8081)))
   (settings (lambda (site host)
               (address-of host `(servers . ,(string-join (endpoints-of site "app" 'http) "\n" 'suffix)))))
   (files (list (file (list conf "/nginx.conf") nginx.conf)
                (file (list conf "/servers") (setting 'servers))))
   (start   (daemon (local-file "nginx.sh") conf "run"))
   (reload  (nginx "reload"))
   (drain   (nginx "drain" (setting 'drained)))
   (undrain (nginx "undrain" (setting 'drained)))
   (validate (program "curl" "-fsS" "--max-time" "5" (list "http://" address ":8081/health") #:limit 10))))


(define (shop dbs apps fronts)
  "The site with these services on its classes."
  (site-configuration
   (name "webshop")
   (host-classes (list (host-class (name "db") (services dbs))
                       (host-class (name "app") (services apps))
                       (host-class (name "front") (services fronts))))
   (policy (at-most 1))
   (platform (if fleet
                 (ssh-platform #:config (string-append fleet "/ssh_config"))
                 (local-platform (or (getenv "WEBSHOP_DIR") ".webshop"))))
   (host-class->hosts
    (if fleet
        (inventory-file (string-append fleet "/hosts.json"))
        (inventory-list `("db" ,(numbered 1 (host (name "db1"))))
                        `("app" ,(numbered 2 (host (name "app1"))) ,(numbered 3 (host (name "app2"))))
                        `("front" ,(numbered 4 (host (name "front1")))))))))
