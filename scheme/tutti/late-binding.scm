;;; SPDX-License-Identifier: LGPL-3.0-or-later
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
  #:use-module (tutti errors)
  #:use-module (tutti private bindings)
  #:use-module (tutti private context)
  #:use-module (tutti private host)
  #:use-module (tutti private site-view)
  #:use-module (tutti site)
  #:export (hosts-of
            host-of
            endpoint
            endpoints-of
            current-site))

(define (->view who site)
  (cond ((site-view? site) site)
        ((site-view-of site))
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
