;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; (tutti private driver) --- runs the transitions of a plan.
;;;
;;; Commentary:
;;;
;;; Pulls events from the executor and answers them.  Each body runs inside a prompt; an effect aborts to it,
;;; and the body goes on when its result has come.  All that a body may do ends here as data.
;;;
;;; Code:

(define-module (tutti private driver)
  #:use-module (ice-9 control)
  #:use-module (ice-9 exceptions)
  #:use-module (ice-9 format)
  #:use-module (ice-9 match)
  #:use-module ((ice-9 threads) #:select (current-thread))
  #:use-module ((system vm vm) #:select (call-with-stack-overflow-handler))
  #:use-module (tutti errors)
  #:use-module (tutti policy)
  #:use-module (tutti private answers)
  #:use-module (tutti private bindings)
  #:use-module (tutti private context)
  #:use-module (tutti private program)
  #:use-module (tutti transitions)
  #:export (drive
            preview-waves))

(define %batch 256)                         ; events per call

(define (describe-failure exception location)
  "Return what EXCEPTION, which ended a body at LOCATION or #f, says."
  (let ((message (describe exception)))
    (if (and location
             (not (effect-failed? exception))
             (not (string-prefix? (match location ((file . _) (string-append file ":"))) message)))
        (string-append (location->string location) ": " message)
        message)))

(define (call-with-failures failed files thunk)
  "Return what THUNK returns, or if it raises what FAILED returns for a sentence that says why, placed in one of
FILES."
  (let ((location #f))
    (with-exception-handler
        (lambda (exception)
          (failed (describe-failure exception location)))
      (lambda ()
        (with-exception-handler
            (lambda (exception)
              (unless (effect-failed? exception)
                (set! location (false-if-exception (raise-location files))))
              (raise-continuable exception))
          thunk))
      #:unwind? #t)))

(define (call-with-bodies files thunk)
  "Call THUNK, in which bodies run.  What one raises and does not handle itself ends it: by an abort to its
prompt with the operation raised and a sentence.  One handler serves all, so that none is part of what is kept
of a body while it is suspended."
  (with-exception-handler
      (lambda (exception)
        (match (%context)
          ((? task? task)
           (let ((location (and (not (effect-failed? exception))
                                (false-if-exception (raise-location files)))))
             (end-body 'raised (or (task-misuse task) (describe-failure exception location)))))
          (_ (raise-continuable exception))))
    thunk))

(define (end-body operation message)
  (abort-to-prompt %tag operation message #f #f #f #f))

(define %most-stack (* 16 1024 1024))       ; words, of a body and what is around it

(define (call-with-overflow files thunk)
  "Return what THUNK returns, or if the stack overflows (overflow . MESSAGE), placed in FILES.  That can only be
unwound, and memory is not eaten up before."
  (let ((location #f))
    (with-exception-handler
        (lambda (exception) (cons 'overflow (describe-failure exception location)))
      (lambda ()
        (call-with-stack-overflow-handler %most-stack thunk
          (lambda ()
            (set! location (false-if-exception (raise-location files)))
            (throw 'stack-overflow))))
      #:unwind? #t
      #:unwind-for-type 'stack-overflow)))

(define (body task thunk)
  "Return a thunk that runs THUNK, the body of TASK, to its end: the operation done, or raised."
  (lambda ()
    (thunk)
    (match (task-misuse task)               ; it may have been swallowed
      (#f (end-body 'done #f))
      (message (end-body 'raised message)))))

;; Counts how often a body was entered: a full continuation that is entered again returns to an old count.
(define entered 0)

(define (enter task thunk)
  "Run THUNK for TASK until its next effect.  Return six values: operation, subject, three arguments and host.
The operation is done or raised at its end, #f when the task was dropped."
  (set! entered (+ entered 1))
  (let ((mine entered))
    (parameterize ((%context task))
      (call-with-prompt %tag thunk
        (lambda (continuation operation subject a b c host)
          (set-task-continuation! task continuation)
          (if (= mine entered)
              (values operation subject a b c host)
              (values 'raised
                      "a full continuation (call/cc) was entered again after an effect; use let/ec or a loop"
                      #f #f #f #f)))))))

(define (task-thunk task serial transition-of)
  (let* ((execution (task-execution task))
         (number (task-step task)))
    (match (task-kind task)
      ('transition (transition-of (vector-ref (execution-steps execution) number)))
      ('compensation (assv-ref (vector-ref (execution-compensations execution) number) serial)))))

(define (ask-policy predicate view host files)
  "Ask PREDICATE about HOST, and return its answer as a pair of kind and time, or (failed . MESSAGE)."
  (call-with-failures (lambda (message) (cons 'failed message))
                      files
    (lambda ()
      (parameterize ((%context "a policy"))
        (call-with-values (lambda () (policy-answer (predicate view host)))
          cons)))))

(define* (drive execution #:key transition-of (predicates #()) (on-progress #f) (files '()))
  "Pull the run of EXECUTION until it is finished, and return true if it was interrupted.  TRANSITION-OF takes
a step and returns the body of its transition.  PREDICATES is a vector of what of the policy is decided in
Scheme, procedures of a view and a host.  ON-PROGRESS, unless it is #f, is called with each event of progress.
Errors are placed in FILES, those of the site program."
  (define run (execution-run execution))
  (define tasks (make-hash-table))
  (define view (make-view (%rollout run) (execution-hosts execution)))
  (define queue '())
  (define running #f)                       ; id of the task whose body runs

  (define (step! id task thunk)
    (set! running id)
    (call-with-values (lambda () (enter task thunk))
      (lambda (operation subject a b c host)
        (set! running #f)
        (case operation
          ((done)
           (hashv-remove! tasks id)
           (%done! run id))
          ((raised)
           (hashv-remove! tasks id)
           (%raised! run id subject))
          ((#f) (hashv-remove! tasks id))   ; it was dropped
          (else (%perform! run id operation subject a b c host))))))

  (define (start! event)
    (let* ((id (start-task event))
           (task (make-task execution run id (start-step event) (start-kind event)
                            'running #f #f (current-thread)))
           (thunk (lambda () ((task-thunk task (start-serial event) transition-of)))))
      (hashv-set! tasks id task)
      (step! id task (body task thunk))))

  (define (resume! result)
    (let* ((id (result-task result))
           (task (hashv-ref tasks id))
           (continuation (task-continuation task)))
      (set-task-continuation! task #f)
      (set-task-state! task 'resumed)
      (step! id task (lambda () (continuation result)))))

  (define (ask! name number)
    (match (ask-policy (vector-ref predicates number) view (hash-ref (execution-hosts execution) name) files)
      (('failed . message) (%policy-failed! run message))
      ((kind . time) (%answer! run kind time))))

  (define (handle! event)
    (cond
     ((result? event) (resume! event))
     ((start? event) (start! event))
     ((progress? event) (on-progress event))
     ((drop? event) (hashv-remove! tasks (drop-task event)))
     ((ask? event) (ask! (ask-host event) (ask-number event)))))

  (define (pull)
    (match queue
      (()
       (set! queue (next-events run %batch (->bool on-progress)))
       (pull))
      ((event . rest)
       (set! queue rest)
       (cond
        ((finished? event) (finished-interrupted? event))
        (else (handle! event) (pull))))))

  (define (pull-on)
    (match (call-with-overflow files pull)
      (('overflow . message)
       (let ((id running))
         (unless id                         ; it was no body's
           (fail "~a" message))
         (set! running #f)
         (hashv-remove! tasks id)
         (%raised! run id message)
         (pull-on)))
      (interrupted? interrupted?)))

  (call-with-bodies files pull-on))

(define %most-questions 200)                ; in a preview, per host

(define (preview-waves owner plan predicates hosts files)
  "Give PLAN the waves that the policy of OWNER is expected to admit, and a note if it does not admit all.
PREDICATES is what of it is decided in Scheme; errors are placed in FILES."
  (let* ((preview (%make-preview owner plan))
         (view (make-view (%rollout preview) hosts))
         (most (* %most-questions (+ 1 (hash-count (const #t) hosts)))))
    (let loop ((questions 0))
      (match (%preview-next preview)
        (#f (%preview-finish! preview))
        ((name . number)
         (if (> questions most)
             (%plan-add-note! plan
                              "the policy gives no waves in advance: it is decided while the plan is executed")
             (match (ask-policy (vector-ref predicates number) view (hash-ref hosts name) files)
               (('failed . message)
                (raise-error 'callback
                             (format #f "the policy can't say whether host '~a' may start: ~a" name message)))
               ((kind . time)
                (%answer! preview kind time)
                (loop (+ questions 1))))))))))
