;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; (tutti repl) --- what a person types at the REPL.
;;;
;;; Commentary:
;;;
;;; These act on the site in use, (current-site).  Nothing changes a host but `execute', `deploy', and an
;;; effect inside `on-host'.  A site program has no use for them: they are not part of (tutti).
;;;
;;; Code:

(define-module (tutti repl)
  #:use-module (ice-9 format)
  #:use-module (ice-9 match)
  #:use-module (tutti errors)
  #:use-module (tutti model)
  #:use-module (tutti private answers)
  #:use-module (tutti private bindings)
  #:use-module (tutti private printing)
  #:use-module (tutti private site-view)
  #:use-module (tutti site)
  #:export (use-site
            plan
            execute
            deploy
            abandon
            status
            history
            explain
            resume
            roll-back
            requisites))

(define (in-use site)
  (match site
    ((? site?) site)
    ((? site-configuration?) (open-site site))
    (#f (site-in-use))
    (_ (fail "a site is wanted, not ~s" site))))

(define* (use-site file #:key (name #f) (inventory #f) (state #f))
  "Load the site program FILE, check it, and let it be the site in use.  NAME says which of several sites."
  (let ((site (open-site file #:name name #:inventory inventory #:state state)))
    (site-view-of site)
    (and=> (%current-site) (lambda (before) (when (site? before) (close-site! before))))
    (%current-site site)
    site))

(define* (plan #:optional (site #f) #:key (accept-names? #f)
               (upgrade #f) (do-not-upgrade #f) (limit #f) (to #f))
  "Return the plan for SITE: what would change, in which order, and why.  A host that has another name in the site
is refused unless ACCEPT-NAMES? is true."
  (for-each (lambda (keyword value)
              (when value
                (not-built (format #f "plan #:~a" keyword))))
            '("upgrade" "do-not-upgrade" "limit" "to")
            (list upgrade do-not-upgrade limit to))
  (make-plan (in-use site) #:accept-names? accept-names?))

(define (print-event event)
  "Print EVENT, of progress, as a line."
  (let ((service (progress-service event))
        (host (progress-host event)))
    (format #t "~a~a~a~a~%"
            (if (string-null? service) "" (string-append service "@"))
            host
            (if (string-null? host) "" "  ")
            (string-join (filter (lambda (part) (not (string-null? part)))
                                 (list (if (eq? (progress-kind event) 'outcome)
                                           (symbol->string (progress-outcome event))
                                           "")
                                       (escape-controls (progress-text event))))
                         ": "))))

(define* (execute plan #:optional (site #f) #:key (take-over? #f))
  "Execute PLAN, record a generation, and return the report."
  (execute-plan (in-use site) plan #:take-over? take-over? #:on-progress print-event))

(define* (deploy #:optional (site #f) #:key (take-over? #f) (accept-names? #f))
  "Plan for SITE and execute the plan.  TAKE-OVER? displaces another state file; ACCEPT-NAMES? lets hosts that have
other names in the site have those of the inventory."
  (let* ((site (in-use site))
         (plan (make-plan site #:accept-names? accept-names?)))
    (if (null? (plan-steps plan))
        (begin
          (take-names! site plan #:take-over? take-over?)
          plan)
        (execute-plan site plan #:take-over? take-over? #:on-progress print-event))))

(define* (abandon #:optional (site #f))
  "End an unfinished run of SITE without touching hosts, and return what it left open."
  (%deployment-abandon! (site-deployment (in-use site))))

(define* (status #:optional (site #f))
  "Print what runs where."
  (match (%deployment-status (site-deployment (in-use site)))
    ((text . _)
     (display text)
     *unspecified*)))

(define* (history #:optional (site #f))
  "Print the generations of SITE, newest first."
  (for-each (lambda (generation)
              (let ((status (generation-status generation)))
                (format #t "~3d  ~16a ~10a  ~a~@[  ~a~]~%" (generation-number generation)
                        (generation-time (generation-started generation))
                        (if (string=? status "complete") "" status)
                        (generation-summary generation) (generation-by generation))))
            (generations (site-deployment (in-use site)))))

(define (explain plan service)
  "Print why PLAN has each step of SERVICE, a name, and what it comes after."
  (display (%plan-explain plan (if (symbol? service) (symbol->string service) service)))
  *unspecified*)

(define (resume)
  "Not built yet."
  (not-built "resume"))

(define* (roll-back #:key to)
  "Not built yet."
  (not-built "roll-back"))

(define* (requisites name #:key (across-services? #t))
  "Not built yet."
  (not-built "requisites"))
