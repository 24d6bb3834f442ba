;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; The service of the benches: a small web server that serves one file, which says its version.
;;
;; BENCH_FLEET is a folder as tests/fleet/fleet makes it, BENCH_HOSTS says which of its hosts, BENCH_PORT the
;; server's port, BENCH_VERSION the version. The programs are those that the others run, too.
(use-modules (ice-9 textual-ports) (tutti))

(define fleet (getenv "BENCH_FLEET"))
(define port (getenv "BENCH_PORT"))
(define version* (getenv "BENCH_VERSION"))
(define folder (string-append "/srv/bench-" port))
(define here (dirname (current-filename)))
(define (script name)
  (call-with-input-file (string-append here "/" name) get-string-all))

(site-configuration
 (name (string-append "bench-" port))
 (platform (ssh-platform #:config (string-append fleet "/ssh_config")))
 (host-class->hosts (inventory-file (getenv "BENCH_HOSTS")))
 (policy (at-most 6))
 (host-classes
  (list (host-class
         (name "web")
         (services
          (list (service
                 (name "web")
                 (version version*)
                 (files (list (file (string-append folder "/version")
                                    (plain-file "version" (string-append version* "\n")))))
                 (start (daemon "sh" "-c" (script "serve.sh") "serve" port))
                 (validate (program "sh" "-c" (script "validate.sh") "validate" port version* #:limit 30)))))))))
