;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; (local-site) --- sites on the local platform, for tests.
;;;
;;; Commentary:
;;;
;;; What tests share to deploy on directories of this machine.
;;;
;;; Code:

(define-module (local-site)
  #:use-module (ice-9 ftw)
  #:use-module (ice-9 match)
  #:use-module (srfi srfi-1)
  #:use-module (tutti)
  #:use-module (tutti errors)
  #:use-module (tutti private answers)
  #:use-module (tutti site)
  #:export (scratch
            remove-scratch
            fresh-folder
            make-local-site
            deploy-site
            sentence))

(define scratch (mkdtemp (string-append (or (getenv "TMPDIR") "/tmp") "/tutti-test-XXXXXX")))
(define sites 0)

(define (remove-tree file)
  (if (and (file-exists? file) (eq? 'directory (stat:type (lstat file))))
      (begin
        (for-each (lambda (name) (remove-tree (string-append file "/" name)))
                  (scandir file (lambda (name) (not (member name '("." ".."))))))
        (rmdir file))
      (false-if-exception (delete-file file))))

(define (remove-scratch)
  "Stop what the sites of this test left running, and remove their folders."
  (define (ours? pid)                   ; services run in the folder of their host
    (false-if-exception
     (string-prefix? (string-append scratch "/") (readlink (string-append "/proc/" pid "/cwd")))))
  (for-each (lambda (pid)
              (when (ours? pid)
                (false-if-exception (kill (string->number pid) SIGKILL))))
            (scandir "/proc" string->number))
  (remove-tree scratch))

(define (fresh-folder)
  (set! sites (+ sites 1))
  (string-append scratch "/" (number->string sites)))

(define* (make-local-site services #:key (folder (fresh-folder)) (hosts '("h1")) (policy (at-most "100%"))
                          (labels (const '())))
  "Return the site in use with SERVICES on each of HOSTS, names, all of them in FOLDER."
  (open-site (site-configuration
              (name "test")
              (platform (local-platform (string-append folder "/hosts")))
              (policy policy)
              (host-classes (list (host-class (name "all") (services services))))
              (host-class->hosts
               (inventory-list (cons "all"
                                     (map (lambda (h) (host (name h) (labels (labels h)))) hosts)))))
             #:state (string-append folder "/state/test.db")))

(define* (deploy-site site #:key (on-progress #f))
  "Plan for SITE and execute the plan.  Return the outcome and message of each step: ((OUTCOME . MESSAGE) ...)."
  (let ((report (execute-plan site (make-plan site) #:on-progress on-progress)))
    (map (lambda (step) (cons (step-report-outcome step) (step-report-message step)))
         (report-steps report))))

(define (sentence thunk)
  "Return what THUNK raises, as a sentence."
  (with-exception-handler describe (lambda () (thunk) 'no-error) #:unwind? #t))
