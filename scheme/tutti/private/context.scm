;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; (tutti private context) --- what an effect means where it is asked for.
;;;
;;; Commentary:
;;;
;;; In a transition an effect is given to the executor, and the transition is suspended by an abort to the
;;; driver's prompt.  At the REPL, in `on-host', it is performed at once.  Elsewhere it is an error.
;;;
;;; A misplaced effect poisons its task, so that a catch-all in the transition can't hide the mistake.
;;;
;;; Code:

(define-module (tutti private context)
  #:use-module (ice-9 control)
  #:use-module (ice-9 exceptions)
  #:use-module (ice-9 format)
  #:use-module (ice-9 match)
  #:use-module ((ice-9 threads) #:select (current-thread))
  #:use-module (srfi srfi-9)
  #:use-module (tutti private answers)
  #:use-module (tutti private bindings)
  #:export (%context
            %host
            %tag

            make-execution
            execution?
            execution-run
            execution-plan
            execution-hosts
            execution-site
            execution-steps
            execution-compensations

            make-task
            task?
            task-execution
            task-run
            task-id
            task-step
            task-kind
            task-state
            set-task-state!
            task-continuation
            set-task-continuation!
            task-misuse

            make-immediate
            immediate?
            immediate-deployment
            immediate-host
            immediate-hosts
            immediate-site

            misplaced
            misplaced-effect?
            effect-failed?
            effect-failed-status
            effect-failed-how

            perform
            register-compensation))

(define-exception-type &effect-failed &error
  make-effect-failed effect-failed?
  (status effect-failed-status)
  (how effect-failed-how))

(define-exception-type &misplaced-effect &programming-error
  make-misplaced-effect misplaced-effect?)

;; One execution of a plan.
(define-record-type <execution>
  (make-execution run plan hosts site steps compensations)
  execution?
  (run           execution-run)             ; handle
  (plan          execution-plan)            ; handle
  (hosts         execution-hosts)           ; hash table from names to hosts
  (site          execution-site)            ; what (current-site) is
  (steps         execution-steps)           ; vector of steps
  (compensations execution-compensations))  ; vector, by step: alist from serials to thunks

;; One running body: a transition or a compensation.
(define-record-type <task>
  (make-task execution run id step kind state continuation misuse thread)
  task?
  (execution    task-execution)
  (run          task-run)
  (id           task-id)
  (step         task-step)                  ; number
  (kind         task-kind)                  ; transition or compensation
  (state        task-state set-task-state!) ; running, suspended, resumed or dropped
  (continuation task-continuation set-task-continuation!)
  (misuse       task-misuse set-task-misuse!)
  (thread       task-thread))

;; A host that is acted on outside of a run.
(define-record-type <immediate>
  (make-immediate deployment host hosts site)
  immediate?
  (deployment immediate-deployment)         ; handle
  (host       immediate-host)               ; name
  (hosts      immediate-hosts)              ; hash table from names to hosts
  (site       immediate-site))

;; What an effect means here: #f outside, a task, an immediate, or a string where effects are forbidden.
(define %context (make-parameter #f))

;; The name of the host that effects act on, or #f for the instance's own.
(define %host (make-parameter #f))

(define %tag (make-prompt-tag "effect"))

(define (misplaced format-string . arguments)
  "Raise the error that FORMAT-STRING and ARGUMENTS say, and poison the task it happened in."
  (let ((message (apply format #f format-string arguments)))
    (match (%context)
      ((? task? task) (set-task-misuse! task message))
      (_ #f))
    (raise-exception
     (make-exception (make-misplaced-effect)
                     (make-exception-with-message message)))))

(define (answer result operation subject a b c host)
  "Return the output or #f that RESULT has, or raise that the effect has failed."
  (if (result-succeeded? result)
      (result-output result)
      (raise-exception
       (make-exception
        (make-effect-failed (result-status result) (result-how result))
        (make-exception-with-message
         (%failure-message (%describe-request operation subject a b c host)
                           (result-status result) (result-how result) (result-error result)))))))

(define (suspend task operation subject a b c host)
  (when (task-misuse task)
    (misplaced "~a" (task-misuse task)))
  (unless (eq? (task-state task) 'running)
    (misplaced "an effect was asked for by a guard of 'dynamic-wind' while the transition is being ~a; \
guards run at every effect: use 'on-roll-back' or 'guard' instead"
               (task-state task)))
  (unless (suspendable-continuation? %tag)
    (misplaced "an effect was asked for inside a procedure implemented in C (sort, filter, hash-for-each, force, \
...) or on another thread: collect the values first, then use 'map' or 'for-each'"))
  (set-task-state! task 'suspended)
  ;; The driver gives the effect to the executor once this has got out: a guard of dynamic-wind may yet raise.
  (let ((result (abort-to-prompt %tag operation subject a b c host)))
    (set-task-state! task 'running)
    (answer result operation subject a b c host)))

(define (perform operation subject a b c)
  "Perform the effect OPERATION on SUBJECT with the arguments A, B and C, and return its output or #f."
  (let ((context (%context)))
    (cond
     ((task? context)
      (suspend context operation subject a b c (%host)))
     ((immediate? context)
      (answer (perform-at-once (immediate-deployment context) (immediate-host context)
                               operation subject a b c)
              operation subject a b c #f))
     ((string? context)
      (misplaced "an effect (~a) was asked for in ~a, where nothing may act"
                 operation context))
     (else
      (misplaced "no host to act on: use (on-host HOST ...), or call '~a' from a transition"
                 operation)))))

(define (register-compensation thunk)
  "Let THUNK be called if the transition that this is called from fails.  Return true if it may be."
  (let ((context (%context)))
    (cond
     ((task? context)
      (unless (eq? (current-thread) (task-thread context))
        (misplaced "on-roll-back was called on another thread"))
      (when (task-misuse context)
        (misplaced "~a" (task-misuse context)))
      (if (eq? (task-kind context) 'transition)
          (register-in-task context thunk)
          #t))                              ; what undoes is not undone itself
     ((immediate? context) #f)
     (else (misplaced "on-roll-back belongs in a transition")))))

(define (register-in-task task thunk)
  (let ((serial (%on-roll-back! (task-run task) (task-id task)))
        (host (%host))
        (compensations (execution-compensations (task-execution task)))
        (step (task-step task)))
    (unless serial
      (set-task-state! task 'dropped)
      (abort-to-prompt %tag #f #f #f #f #f #f))
    (vector-set! compensations step
                 (acons serial
                        (if host            ; it acts where it was registered
                            (lambda () (parameterize ((%host host)) (thunk)))
                            thunk)
                        (vector-ref compensations step)))
    #t))
