;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; (tutti on-host) --- effects on a host that is named.
;;;
;;; Commentary:
;;;
;;; In a transition `on-host' lets effects act on another host of the site.  Outside of a run they act at once, on a
;;; host of the site in use.
;;;
;;; Code:

(define-module (tutti on-host)
  #:use-module (ice-9 match)
  #:use-module (tutti errors)
  #:use-module (tutti private bindings)
  #:use-module (tutti private context)
  #:use-module (tutti private host)
  #:use-module (tutti private site-view)
  #:use-module (tutti site)
  #:export (on-host
            call-on-host))

(define (call-on-host host thunk)
  "Call THUNK with effects acting on HOST, a host or its name."
  (let ((name (cond ((host? host) (host-name host))
                    ((string? host) host)
                    (else (fail "on-host: a host or its name is wanted, not ~s" host)))))
    (match (%context)
      ((? task? task)
       (unless (hash-ref (execution-hosts (task-execution task)) name)
         (fail "on-host: no host '~a'.~a" name
               (suggestion name (hash-map->list (lambda (name host) name)
                                                (execution-hosts (task-execution task))))))
       (parameterize ((%host name)) (thunk)))
      ((? string? where)
       (misplaced "on-host was asked for in ~a, where nothing may act" where))
      (_
       (let* ((site (site-in-use))
              (deployment (site-deployment site)))
         (unless (hash-ref (site-hosts site) name)
           (fail "no host '~a' in site '~a'.~a" name (site-name site)
                 (suggestion name (hash-map->list (lambda (name host) name) (site-hosts site)))))
         (dynamic-wind
           (lambda () (%immediate-open! deployment name))
           (lambda ()
             (parameterize ((%context (make-immediate deployment name (site-hosts site) site)))
               (thunk)))
           (lambda () (%immediate-close! deployment))))))))

(define-syntax-rule (on-host host expression ...)
  ;; Evaluate the EXPRESSIONs with effects acting on HOST.
  (call-on-host host (lambda () expression ...)))
