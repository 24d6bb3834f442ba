;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; (tutti private printing) --- how what the library gives prints.
;;;
;;; Commentary:
;;;
;;; `write' gives one line, as at the REPL; `display' of plans and reports gives what the command prints.
;;;
;;; Code:

(define-module (tutti private printing)
  #:use-module (ice-9 format)
  #:use-module (ice-9 match)
  #:use-module (oop goops)
  #:use-module (srfi srfi-1)
  #:use-module (tutti private answers)
  #:use-module (tutti private bindings)
  #:export (count-phrase
            generation-time))

(define %action-words
  '((install . ("install" . "installs")) (upgrade . ("upgrade" . "upgrades"))
    (reload . ("reload" . "reloads")) (remove . ("removal" . "removals"))
    (repair . ("repair" . "repairs")) (record . ("record" . "records"))))

(define (count-phrase actions)
  "Return how often each of ACTIONS, symbols, is there: \"2 upgrades, 1 repair\"."
  (string-join
   (filter-map (match-lambda
                 ((action singular . plural)
                  (match (count (lambda (candidate) (eq? candidate action)) actions)
                    (0 #f)
                    (1 (string-append "1 " singular))
                    (n (format #f "~a ~a" n plural)))))
               %action-words)
   ", "))

(define (plan-phrase plan)
  (let* ((summary (plan-summary plan))
         (generation (plan-summary-generation summary))
         (actions (map step-action (plan-steps plan))))
    (string-append
     (plan-summary-site summary)
     (if (null? actions)
         ": nothing to do"
         (format #f " ~a→~a: ~a"
                 (if (zero? generation) "" generation) (+ generation 1) (count-phrase actions)))
     (plural (plan-summary-waves summary) ", ~a wave" ", ~a waves")
     (plural (length (plan-summary-unreachable summary))
             ", ~a host unreachable" ", ~a hosts unreachable"))))

(define (plural number one many)
  "Return the format ONE or MANY with NUMBER, or nothing for 0."
  (case number
    ((0) "")
    ((1) (format #f one 1))
    (else (format #f many number))))

(define (report-phrase report)
  (let ((summary (report-summary report))
        (outcomes (map step-report-outcome (report-steps report))))
    (format #f "~a generation ~a: ~a"
            (report-summary-site summary) (report-summary-generation summary)
            (if (null? outcomes)
                "nothing to do"
                (string-join
                 (map (lambda (outcome)
                        (format #f "~a ~a"
                                (count (lambda (candidate) (eq? candidate outcome)) outcomes)
                                outcome))
                      (delete-duplicates outcomes))
                 ", ")))))

(define-method (write (plan <plan>) port)
  (format port "#<plan ~a>" (plan-phrase plan)))
(define-method (display (plan <plan>) port)
  (display (%plan-text plan) port))
(define-method (write (report <report>) port)
  (format port "#<report ~a>" (report-phrase report)))
(define-method (display (report <report>) port)
  (display (%report-text report) port))
(define-method (write (definition <definition>) port)
  (format port "#<service ~a>" (%definition-title definition)))
(define-method (write (command <command>) port)
  (format port "#<command ~a:~{ ~a~}>" (%command-service command) (%command-arguments command)))

(define (generation-time seconds)
  "Return SECONDS since the epoch as people say it: \"today 10:32\", \"2 days ago\"."
  (let* ((now (current-time))
         (then (inexact->exact (floor seconds)))
         (parts (localtime then))
         (days (- (quotient (day-number now) 1) (day-number then))))
    (match days
      (0 (string-append "today " (strftime "%H:%M" parts)))
      (1 (string-append "yesterday " (strftime "%H:%M" parts)))
      (_ (if (< 1 days 30)
             (format #f "~a days ago" days)
             (strftime "%Y-%m-%d" parts))))))

(define (day-number seconds)
  "Return the number of the local day that SECONDS since the epoch are in."
  (let ((parts (localtime seconds)))
    (quotient (- seconds (tm:gmtoff parts)) 86400)))
