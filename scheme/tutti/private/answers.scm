;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; (tutti private answers) --- what the library answers with, as records.
;;;
;;; Commentary:
;;;
;;; The primitives answer with vectors.  The docstring of each primitive says what its vector holds, and this
;;; module is the only one that goes by it.  All others use the records that are made here.
;;;
;;; Code:

(define-module (tutti private answers)
  #:use-module (ice-9 match)
  #:use-module (rnrs bytevectors)
  #:use-module (srfi srfi-9)
  #:use-module (tutti private bindings)
  #:export (plan-summary
            plan-summary-site
            plan-summary-generation
            plan-summary-waves
            plan-summary-notes
            plan-summary-unreachable
            plan-summary-hosts

            plan-steps
            step-action
            step-service
            step-host
            step-old
            step-new
            step-transition
            step-transition-from

            report-summary
            report-summary-site
            report-summary-run
            report-summary-generation
            report-summary-unreachable

            report-steps
            step-report-action
            step-report-service
            step-report-host
            step-report-old
            step-report-new
            step-report-outcome
            step-report-message
            step-report-effects

            generations
            generation-number
            generation-started
            generation-by
            generation-status
            generation-summary

            host-entries
            entry-service
            entry-old
            entry-new

            next-events
            start?
            start-task
            start-step
            start-kind
            start-serial
            drop?
            drop-task
            ask?
            ask-host
            ask-number
            progress?
            progress-kind
            progress-host
            progress-service
            progress-text
            progress-outcome
            finished?
            finished-interrupted?

            perform-at-once
            result?
            result-task
            result-succeeded?
            result-status
            result-how
            result-output
            result-error

            <output>                          ; for its printer
            output?
            no-output
            output-bytes
            output-cut?
            output-size
            output-host
            output->vector))

(define-syntax-rule (define-answer type predicate vector->record (field accessor) ...)
  ;; Define the record TYPE, and VECTOR->RECORD, which makes it of a vector that has the FIELDs in that order.
  (begin
    (define-record-type type
      (make field ...)
      predicate
      (field accessor) ...)
    (define vector->record
      (match-lambda (#(field ...) (make field ...))))))


;;;
;;; Plans.
;;;

(define-answer <plan-summary> plan-summary? vector->plan-summary
  (site        plan-summary-site)           ; its name
  (generation  plan-summary-generation)     ; number of the last one
  (waves       plan-summary-waves)          ; how many
  (notes       plan-summary-notes)          ; sentences
  (unreachable plan-summary-unreachable)    ; names of hosts
  (policy      plan-summary-policy)         ; as a sentence
  (hosts       plan-summary-hosts))         ; how many

(define (plan-summary plan)
  "Return what is said of PLAN as a whole."
  (vector->plan-summary (%plan-summary plan)))

(define-answer <step> step? vector->step
  (action          step-action)             ; symbol; join has neither service nor host
  (service         step-service)            ; name
  (host            step-host)               ; name
  (old             step-old)                ; definition or #f
  (new             step-new)                ; definition or #f
  (transition      step-transition)         ; its name, for people
  (transition-from step-transition-from)    ; built-in or site
  (phase           step-phase)              ; number
  (why             step-why)                ; sentence
  (unreachable?    step-unreachable?))

(define (plan-steps plan)
  "Return the steps of PLAN, in its order."
  (map vector->step (%plan-steps plan)))


;;;
;;; Reports and generations.
;;;

(define-answer <report-summary> report-summary? vector->report-summary
  (site         report-summary-site)
  (run          report-summary-run)         ; number
  (generation   report-summary-generation)  ; number
  (interrupted? report-summary-interrupted?)
  (halted       report-summary-halted)      ; why, or ""
  (frames       report-summary-frames)
  (unreachable  report-summary-unreachable)) ; names of hosts

(define (report-summary report)
  "Return what is said of REPORT as a whole."
  (vector->report-summary (%report-summary report)))

(define-answer <step-report> step-report? vector->step-report
  (action  step-report-action)              ; symbol
  (service step-report-service)             ; name
  (host    step-report-host)                ; name
  (old     step-report-old)                 ; version or ""
  (new     step-report-new)                 ; version or ""
  (outcome step-report-outcome)             ; symbol
  (message step-report-message)             ; why, or ""
  (effects step-report-effects))            ; sentences, of a dry run

(define (report-steps report)
  "Return what came of each step, as REPORT says."
  (map vector->step-report (%report-steps report)))

(define-answer <generation> generation? vector->generation
  (number  generation-number)
  (started generation-started)              ; seconds since the epoch
  (ended   generation-ended)
  (by      generation-by)                   ; who
  (status  generation-status)               ; string
  (summary generation-summary)
  (source  generation-source))              ; hash

(define (generations deployment)
  "Return the generations of DEPLOYMENT, newest first."
  (map vector->generation (%deployment-history deployment)))

(define-answer <entry> entry? vector->entry
  (service entry-service)                   ; name
  (state   entry-state)                     ; deployed, changing or failed
  (old     entry-old)                       ; definition or #f
  (new     entry-new))                      ; definition or #f

(define (host-entries deployment host)
  "Return the entries of the manifest of HOST, a name in DEPLOYMENT."
  (map vector->entry (%deployment-read deployment host)))


;;;
;;; Effects.
;;;

;; What a program printed, or what is in a file.
(define-answer <output> output? vector->output
  (bytes  output-bytes)                     ; bytevector: all, or its beginning
  (cut?   output-cut?)                      ; is there more on the host?
  (size   output-size)                      ; in bytes
  (sha256 output-sha256)
  (host   output-host)                      ; name
  (token  output-token))

(define no-output (vector->output (vector (make-bytevector 0) #f 0 "" "" "")))

(define (output->vector output)
  "Return OUTPUT as the library takes it as an input."
  (vector (output-bytes output) (output-cut? output) (output-size output) (output-sha256 output)
          (output-host output) (output-token output)))

;; What came of an effect: the event that resumes a task.
(define-record-type <result>
  (make-result task succeeded? status how output error)
  result?
  (task       result-task)                  ; its id
  (succeeded? result-succeeded?)
  (status     result-status)                ; exit status
  (how        result-how)                   ; symbol
  (output     result-output)                ; output or #f
  (error      result-error))                ; text or #f

(define (perform-at-once deployment host operation subject a b c)
  "Perform OPERATION on SUBJECT with A, B and C on HOST, outside of a run, and return the result."
  (vector->event (%immediate-perform! deployment host operation subject a b c)))


;;;
;;; Events of a run.
;;;

;; The body of a task is to begin.
(define-record-type <start>
  (make-start task step kind serial)
  start?
  (task   start-task)                       ; its id
  (step   start-step)                       ; number
  (kind   start-kind)                       ; transition or compensation
  (serial start-serial))                    ; of the compensation

;; A task does not go on.
(define-record-type <drop>
  (make-drop task reason)
  drop?
  (task   drop-task)
  (reason drop-reason))

;; May a host start?
(define-record-type <ask>
  (make-ask host number)
  ask?
  (host   ask-host)                         ; name
  (number ask-number))                      ; of the predicate

(define-record-type <progress>
  (make-progress kind host service text outcome)
  progress?
  (kind    progress-kind)                   ; effect, outcome, host or run
  (host    progress-host)                   ; name or ""
  (service progress-service)                ; name or ""
  (text    progress-text)
  (outcome progress-outcome))               ; symbol

(define-record-type <finished>
  (make-finished interrupted?)
  finished?
  (interrupted? finished-interrupted?))

(define (vector->event data)
  (match data
    (#('resume task succeeded? status how output error)
     (make-result task succeeded? status how (and output (vector->output output)) error))
    (#('start task step kind serial) (make-start task step kind serial))
    (#('progress kind host service text outcome) (make-progress kind host service text outcome))
    (#('drop task reason) (make-drop task reason))
    (#('ask host number) (make-ask host number))
    (#('finished interrupted?) (make-finished interrupted?))))

(define (next-events run most progress?)
  "Wait for events of RUN and return at most MOST of them, those of progress only if PROGRESS? is true."
  (map vector->event (%next-events run most progress?)))
