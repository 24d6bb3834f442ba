;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; (tutti policy) --- which hosts may be in transition now.
;;;
;;; Commentary:
;;;
;;; A policy is a conjunction of terms, which the library decides: here they are only built.  A term that is a
;;; procedure of a view of the rollout and a host is asked here, host by host, and answers #t, #f, 'wait or
;;; (not-before TIME).
;;;
;;; Code:

(define-module (tutti policy)
  #:use-module (ice-9 format)
  #:use-module (ice-9 match)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (tutti errors)
  #:use-module (tutti private bindings)
  #:use-module (tutti private host)
  #:use-module (tutti private json)
  #:use-module (tutti records)
  #:export (at-most
            all-of
            for-class
            not-before
            %default-policy

            make-view
            view-hosts
            view-state
            view-time
            view-simulated?
            between-hours?

            policy-description?
            policy->datum
            policy-predicates
            policy-answer))

(define-record-type <policy>
  (make-policy terms)
  policy?
  (terms policy-terms))

(define-record-type <at-most>
  (make-at-most bound percent? of)
  at-most?
  (bound    at-most-bound)
  (percent? at-most-percent?)
  (of       at-most-of))                    ; "class", "site" or a label

;; A procedure with the name that plans call it by.
(define-record-type <ask>
  (make-ask name predicate)
  ask?
  (name      ask-name)
  (predicate ask-predicate))

;; TERMS for the hosts of one class; all others may start.
(define-record-type <for-class>
  (make-for-class name terms)
  for-class?
  (name  for-class-name)
  (terms for-class-terms))

(define-record-type <not-before>
  (make-not-before time)
  not-before?
  (time not-before-time))                   ; seconds since the epoch

;; The live state of a rollout.  HOSTS is a hash table from names to hosts.
(define-record-type <view>
  (make-view rollout hosts)
  view?
  (rollout view-rollout)
  (hosts   view-host-table))

(define (not-before time)
  "Return the answer of a policy that the host may start at TIME, in seconds since the epoch."
  (unless (and (real? time) (finite? time))
    (fail "not-before: seconds since the epoch are wanted, as (view-time view) gives, not ~s" time))
  (make-not-before time))

(define %of-view-and-host (procedure-of 2 "a procedure of a view and a host"))

(define (policy-description? value)
  "Return true if VALUE can be the policy of a site."
  (or (policy? value) (is-of? %of-view-and-host value)))

(define (procedure-title procedure)
  (match (procedure-name procedure)
    (#f "predicate")
    (name (symbol->string name))))

(define (terms-of value)
  (match value
    ((? policy?) (policy-terms value))
    ((? policy-description?) (list (make-ask (procedure-title value) value)))
    (_ (fail "all-of: a policy or a procedure (lambda (view host) ...) is wanted, not ~s" value))))

(define* (at-most bound #:key (of 'class))
  "Return the policy: at most BOUND hosts, a number or a string such as \"30%\", that share the label OF are
unavailable at once.  OF is 'class, 'site for all hosts, or any label."
  (define percent
    (and (string? bound)
         (string-suffix? "%" bound)
         (string->number (string-drop-right bound 1))))
  (unless (if (string? bound)
              (and percent (real? percent) (< 0 percent) (<= percent 100))
              (and (exact-integer? bound) (positive? bound)))
    (fail "at-most: a number of hosts above 0, or a percentage such as \"30%\", is wanted, not ~s" bound))
  (unless (or (symbol? of) (string? of))
    (fail "at-most: #:of must be 'class, 'site or the name of a label, not ~s" of))
  (make-policy (list (make-at-most (or percent bound) (and percent #t) (key->string of)))))

(define (all-of . policies)
  "Return the policy by which a host may start only if all POLICIES let it."
  (make-policy (append-map terms-of policies)))

(define (for-class name policy)
  "Return the policy that is POLICY for hosts of the class NAME, and lets all others start."
  (unless (string? name)
    (fail "for-class: the name of a host class is wanted, not ~s" name))
  (make-policy (list (make-for-class name (terms-of policy)))))

(define %default-policy
  (at-most "30%"))


;;;
;;; Views.
;;;

(define %states '(pending in-transition done failed unreachable))

(define (check-state state)
  (unless (memq state %states)
    (fail "view-hosts: no state '~a'.~a" state
          (suggestion (if (symbol? state) (symbol->string state) "") (map symbol->string %states)))))

(define (view-hosts view . states)
  "Return the hosts that are in one of STATES: pending, in-transition, done, failed or unreachable."
  (for-each check-state states)
  (map (lambda (name) (hash-ref (view-host-table view) name))
       (%rollout-hosts-in (view-rollout view) states)))

(define (view-state view host)
  "Return the state of HOST, a symbol."
  (%rollout-state (view-rollout view) (if (host? host) (host-name host) host)))

(define (view-time view)
  "Return the time, in seconds since the epoch."
  (%rollout-time (view-rollout view)))

(define (view-simulated? view)
  "Return true while a plan is made: nothing happens then."
  (%rollout-simulated? (view-rollout view)))

(define (parse-hour text)
  "Return the minutes since midnight that TEXT, such as \"22:30\", says."
  (match (and (string? text) (map string->number (string-split text #\:)))
    (((? exact-integer? hours) (? exact-integer? minutes))
     (if (and (<= 0 hours 24) (<= 0 minutes 59))
         (+ (* 60 hours) minutes)
         (fail "between-hours?: '~a' is no time of the day" text)))
    (_ (fail "between-hours?: a time of the day is written \"22:30\", not ~s" text))))

(define* (between-hours? time from to #:key (time-zone 'local))
  "Return true if TIME, in seconds since the epoch, is between the times of the day FROM and TO, two strings
such as \"22:30\".  When TO is before FROM, midnight is in between."
  (let* ((whole (inexact->exact (floor time)))
         (parts (if (eq? time-zone 'local)
                    (localtime whole)
                    (localtime whole time-zone)))
         (minute (+ (* 60 (tm:hour parts)) (tm:min parts)))
         (start (parse-hour from))
         (end (parse-hour to)))
    (if (<= start end)
        (and (<= start minute) (< minute end))
        (or (<= start minute) (< minute end)))))


;;;
;;; Answers.
;;;

(define (policy-predicates policy)
  "Return a vector of what of POLICY is decided in Scheme, procedures of a view and a host: each at the number
that `policy->datum' gives it."
  (define (asks terms)
    (append-map (lambda (term)
                  (cond ((ask? term) (list term))
                        ((for-class? term) (asks (for-class-terms term)))
                        (else '())))
                terms))
  (list->vector (map ask->predicate (asks (terms-of policy)))))

(define (ask->predicate ask)
  (lambda (view host)
    (match ((ask-predicate ask) view host)
      ((and answer (or #t #f 'wait (? not-before?))) answer)
      (other
       (fail "policy '~a' answered ~s for host ~a; it must answer #t, #f, 'wait or (not-before TIME)"
             (ask-name ask) other (host-name host))))))

(define (policy-answer answer)
  "Return two values, ANSWER's kind as a symbol and its time."
  (match answer
    (#t (values 'yes 0))
    (#f (values 'no 0))
    ('wait (values 'wait 0))
    ((? not-before?) (values 'not-before (not-before-time answer)))))

(define (policy->datum policy)
  "Return POLICY as data for JSON.  What is decided in Scheme is a term with a number, by which the library asks
for it."
  (define number -1)
  (define (term->datum term)
    (match term
      ((? at-most?)
       `(("at_most" . ,(at-most-bound term))
         ,@(if (at-most-percent? term) '(("percent" . #t)) '())
         ("of" . ,(at-most-of term))))
      ((? for-class?)
       `(("for_class" . ,(for-class-name term)) ("policy" . ,(terms->datum (for-class-terms term)))))
      ((? ask?)
       (set! number (+ number 1))
       `(("ask" . ,(ask-name term)) ("number" . ,number)))))
  (define (terms->datum terms)
    (list->vector (fold (lambda (term data) (append data (list (term->datum term)))) '() terms)))
  (terms->datum (terms-of policy)))

(set-record-type-printer! <policy>
  (lambda (record port)
    (format port "#<policy ~a>" (%policy-title (datum->json (policy->datum record))))))
(set-record-type-printer! <view>
  (lambda (record port) (format port "#<view~:[~; simulated~]>" (view-simulated? record))))
