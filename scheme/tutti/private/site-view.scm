;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; (tutti private site-view) --- a site, as a reader of it may see it.
;;;
;;; Commentary:
;;;
;;; What settings and transitions get as the site; and which site is in use.
;;;
;;; Code:

(define-module (tutti private site-view)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (tutti errors)
  #:export (make-site-view
            site-view?
            site-view-name
            site-view-elaboration
            site-view-service
            site-view-host
            site-view-settle

            %current-site
            site-in-use))

(define-record-type <site-view>
  (make-site-view name elaboration service host settle)
  site-view?
  (name        site-view-name)
  (elaboration site-view-elaboration)       ; handle
  (service     site-view-service)           ; the reader: the name of a service, or ""
  (host        site-view-host)              ; and of its host, or #f
  (settle      site-view-settle))           ; called with the names of a service and a host, or #f

(set-record-type-printer! <site-view>
  (lambda (record port)
    (display "#<site " port)
    (display (site-view-name record) port)
    (display ">" port)))

;; The site in use at the REPL, or #f.
(define %current-site (make-parameter #f))

(define (site-in-use)
  "Return the site in use at the REPL; it is an error if there is none."
  (or (%current-site)
      (fail "no site is in use: (use-site \"FILE\") first")))
