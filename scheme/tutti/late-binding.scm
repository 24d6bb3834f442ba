;;; (tutti late-binding) --- what settings and transitions may ask of their site.
;;;
;;; Commentary:
;;;
;;; Settings are pulled: before the settings of a service read an endpoint, those of the services that the
;;; endpoint depends on are computed.  The library says which these are, and finds loops.
;;;
;;; Code:

(define-module (tutti late-binding)
  #:use-module (ice-9 match)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (tutti errors)
  #:use-module (tutti private bindings)
  #:use-module (tutti private context)
  #:use-module (tutti private host)
  #:export (hosts-of
            host-of
            endpoint
            endpoints-of
            current-site

            make-site-view
            site-view?
            site-view-name
            %current-site
            site-in-use
            %site-view))

;; A site, as a reader of it may see it.
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

;; Procedures that make a site view of other objects than site views.
(define %site-view (make-parameter (const #f)))

(define (->view who site)
  (cond ((site-view? site) site)
        (((%site-view) site))
        (else
         (fail "~a: the first argument is the site, as settings get it or as (current-site) gives it, not ~s"
               who site))))

(define (service-title who service)
  (cond ((string? service) service)
        ((symbol? service) (symbol->string service))
        ((and (record? service) (memq 'name (record-type-fields (record-type-descriptor service))))
         ((record-accessor (record-type-descriptor service) 'name) service))
        (else (fail "~a: the name of a service is wanted, not ~s" who service))))

(define (settle-first view service)
  "Compute the settings that reading an endpoint of SERVICE needs."
  (when (site-view-host view)
    (for-each (match-lambda
                ((needed . host) ((site-view-settle view) needed host)))
              (%elaboration-unsettled (site-view-elaboration view) (site-view-service view)
                                      (site-view-host view) service))))

(define (hosts-of site service)
  "Return the hosts of SERVICE, a name, in SITE."
  (let ((view (->view "hosts-of" site)))
    (map vector->host
         (%hosts-of (site-view-elaboration view) (site-view-service view)
                    (service-title "hosts-of" service)))))

(define (host-of site service)
  "Return the host of SERVICE, a name, in SITE.  It is an error unless there is exactly one."
  (let ((view (->view "host-of" site)))
    (vector->host
     (%host-of (site-view-elaboration view) (site-view-service view)
               (service-title "host-of" service)))))

(define (endpoint site service name)
  "Return \"ADDRESS:PORT\" of the endpoint NAME of SERVICE in SITE.  It is an error unless SERVICE is on
exactly one host."
  (let ((view (->view "endpoint" site))
        (service (service-title "endpoint" service)))
    (settle-first view service)
    (%endpoint (site-view-elaboration view) (site-view-service view) service (key->string name))))

(define (endpoints-of site service name)
  "Return \"ADDRESS:PORT\" of the endpoint NAME on each host of SERVICE in SITE, as a list."
  (let ((view (->view "endpoints-of" site))
        (service (service-title "endpoints-of" service)))
    (settle-first view service)
    (%endpoints-of (site-view-elaboration view) (site-view-service view) service (key->string name))))

(define (current-site)
  "Return the site: in a transition, the one that the run's plan was made for; else the one in use."
  (match (%context)
    ((? task? task) (execution-site (task-execution task)))
    ((? immediate? now) (immediate-site now))
    (_ (site-in-use))))
