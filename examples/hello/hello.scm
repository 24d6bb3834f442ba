;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; A front and the application behind it.  1.scm, 2.scm, 3.scm and 0.scm say which version.
;;
;; On this machine by default: two applications and a front, each host a folder of .hello (or of $HELLO_DIR),
;; at 127.0.1.1 to .3 (or in $HELLO_NETWORK, as in 127.8.9).
;; On real hosts with HELLO_FLEET=DIR, a folder with hosts.json (classes "app" and "front") and
;; ssh_config, as tests/fleet/fleet makes it.
(use-modules (tutti))

(define fleet (getenv "HELLO_FLEET"))
(define network (getenv "HELLO_NETWORK"))
(define (numbered n host*)                ; as host N of $HELLO_NETWORK
  (if network
      (host (inherit host*) (address (format #f "~a.~a" network n)))
      host*))
(define nginx (and (or fleet (search-path (string-split (getenv "PATH") #\:) "nginx")
                       (search-path '("/usr/sbin" "/sbin") "nginx"))
                   "nginx"))

(define* (app version #:key (sick? #f))
  (service
   (name "app")
   (version version)
   (endpoints '((http . 8000)))
   (settings (lambda (site host) `((address . ,(host-address host)))))
   (start (apply daemon (local-file "app.py") (setting 'address) "8000" version
                 (if sick? '("--sick") '())))
   (validate (program "curl" "-fsS" "--max-time" "2"
                      (list "http://" (setting 'address) ":8000/health")
                      #:limit 5))))

(define conf (data-directory "conf"))
(define nginx.conf
  (mixed-text-file "nginx.conf"
    "worker_processes 1;\n"
    "pid " conf "/nginx.pid;\n"
    "events { worker_connections 512; }\n"
    "http {\n"
    "  access_log off;\n"
    "  client_body_temp_path " conf "/body; proxy_temp_path " conf "/proxy;\n"
    "  fastcgi_temp_path " conf "/fastcgi; uwsgi_temp_path " conf "/uwsgi; scgi_temp_path " conf "/scgi;\n"
    "  upstream app {\n" (setting 'servers) "  }\n"
    "  server {\n"
    "    listen " (setting 'address) ":8080;\n"
    "    add_header X-Front " (setting 'version) ";\n"
    "    location / { proxy_pass http://app; proxy_connect_timeout 2s; }\n"
    "  }\n"
    "}\n"))

(define (front version)
  (define settings*
    (lambda (site host)
      (let ((apps (endpoints-of site "app" 'http)))
        `((address . ,(host-address host))
          (version . ,version)
          (upstreams . ,(string-join apps " "))
          (servers . ,(string-concatenate
                       (map (lambda (app) (string-append "    server " app ";\n")) apps)))))))
  (define through-the-front
    (program "curl" "-fsS" "--max-time" "2" (list "http://" (setting 'address) ":8080/") #:limit 10))
  (define (run-nginx . arguments)
    (apply list "nginx" "-e" "stderr" "-p" conf "-c" (list conf "/nginx.conf") arguments))
  (if nginx
      (service
       (name "front")
       (version version)
       (requirements '("app"))
       (endpoints '((http . 8080)))
       (settings settings*)
       (files (list (file (list conf "/nginx.conf") nginx.conf)))
       (start (apply daemon (run-nginx "-g" "daemon off;")))
       (reload (apply program (run-nginx "-s" "reload")))
       (validate through-the-front))
      (service
       (name "front")
       (version version)
       (requirements '("app"))
       (endpoints '((http . 8080)))
       (settings settings*)
       (start (daemon "/bin/sh" "-c" "exec \"$0\" \"$1\" 8080 \"$2\" $3" (local-file "front.py")
                      (setting 'address) version (setting 'upstreams)))
       (validate through-the-front))))

(define (hello apps fronts)
  "The site with the services APPS on its class \"app\" and FRONTS on \"front\"."
  (site-configuration
   (name "hello")
   (host-classes (list (host-class (name "app") (services apps))
                       (host-class (name "front") (services fronts))))
   (platform (if fleet
                 (ssh-platform #:config (string-append fleet "/ssh_config"))
                 (local-platform (or (getenv "HELLO_DIR") ".hello"))))
   (host-class->hosts
    (if fleet
        (inventory-file (string-append fleet "/hosts.json"))
        (inventory-list `("app" ,(numbered 1 (host (name "app1") (labels '((datacenter . "a")))))
                                ,(numbered 2 (host (name "app2") (labels '((datacenter . "b"))))))
                        `("front" ,(numbered 3 (host (name "front1") (labels '((datacenter . "a")))))))))))
