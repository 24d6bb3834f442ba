;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; Two daemons on each of BENCH_HOSTS local hosts below BENCH_FOLDER, at version BENCH_VERSION; none of them at
;;; version 0.
(use-modules (srfi srfi-1) (tutti))

(define version* (getenv "BENCH_VERSION"))

(define (one service-name)
  (service (name service-name)
           (version version*)
           (start (daemon "sleep" "infinity"))
           (validate (program "true" #:limit 60))))

(site-configuration
 (name "bench-stop")
 (platform (local-platform (string-append (getenv "BENCH_FOLDER") "/hosts")))
 (host-class->hosts
  (inventory-list
   (cons "all"
         (map (lambda (n) (host (name (string-append "h" (number->string n)))))
              (iota (string->number (getenv "BENCH_HOSTS")) 1)))))
 (policy (at-most "20%"))
 (host-classes
  (list (host-class
         (name "all")
         (services (if (string=? version* "0") '() (map one '("front" "back"))))))))
