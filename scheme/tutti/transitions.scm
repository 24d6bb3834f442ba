;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; (tutti transitions) --- what takes an instance from an old service to a new one.
;;;
;;; Commentary:
;;;
;;; The operations of transitions.  A transition is straight-line code that holds the old and the new service
;;; at once; each operation suspends it until its effect on the host has come back.  `start', `stop', `put-file' and
;;; `drain' are undone when the transition fails: the library decides how, and in which order.
;;;
;;; Code:

(define-module (tutti transitions)
  #:use-module (ice-9 format)
  #:use-module (ice-9 iconv)
  #:use-module (ice-9 match)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (tutti errors)
  #:use-module (tutti private answers)
  #:use-module (tutti private bindings)
  #:use-module (tutti private context)
  #:use-module (tutti private host)
  #:use-module (tutti texts)
  #:export (run
            start
            stop
            reload
            validate
            put-file
            get-file
            wait-until
            wait-seconds
            now

            hook
            has-hook?
            deployed
            current-host

            on-roll-back
            call-with-roll-back

            output-text

            drain
            undrain

            check-service)
  #:re-export (effect-failed?
               effect-failed-how
               effect-failed-status
               output?
               output-size))


;;;
;;; Outputs.
;;;

(define (preview output)
  (bytevector->string (output-bytes output) "UTF-8" 'substitute))

(define (output-text output)
  "Return OUTPUT as a string.  It is an error if there is more of it on the host."
  (when (output-cut? output)
    (fail "output-text: ~a bytes of output are on host '~a', more than come back; let a program there read it"
          (output-size output) (output-host output)))
  (preview output))

(set-record-type-printer! <output>
  (lambda (record port)
    (let* ((text (preview record))
           (line (match (string-index text #\newline)
                   (#f text)
                   (end (string-append (string-take text end) " …")))))
      (format port "#<output ~a byte~:p ~s>" (output-size record)
              (if (> (string-length line) 40)
                  (string-append (string-take line 39) "…")
                  line)))))


;;;
;;; Operations.
;;;

(define (check-service who value)
  (unless (definition? value)
    (fail "~a: a service that is deployed is wanted ('old', 'new' or (deployed NAME)), not ~s" who value)))

(define (definition? value)
  (and (struct? value) (eq? (struct-vtable value) <definition>)))

(define (command? value)
  (and (struct? value) (eq? (struct-vtable value) <command>)))

(define (plain-word who)
  (match-lambda
    ((? string? word) word)
    ((? exact-integer? number) (number->string number))
    (other
     (fail "~a: a program made in a transition is of strings only, not ~s; declare it as a hook of the service"
           who other))))

(define (program->command who value)
  "Return VALUE, a command or a program of strings, as the library takes it."
  (cond
   ((command? value) value)
   ((program? value)
    (when (program-daemon? value)
      (fail "~a: a daemon does not end; use 'start' with the service whose 'start' it is" who))
    (let ((words (map (plain-word who) (program-words value))))
      (match (program-script value)
        (#f words)
        ((? text-file? item)
         (match (text-file-content item)
           ((? string? text) (cons* "/bin/sh" "-c" text "script" words))
           (_ (fail "~a: a script made in a transition is a string; declare it as a hook of the service"
                    who))))
        (_ (fail "~a: a script made in a transition is a string, no file; declare it as a hook of the service"
                 who)))))
   (else
    (fail "~a: a program is wanted, (hook SERVICE NAME) or (program FILE ...), not ~s" who value))))

(define (environment->alist who environment)
  (match environment
    (() #f)
    ((((or (? string?) (? symbol?)) . (or (? string?) (? exact-integer?))) ...)
     (map (match-lambda ((key . value) (cons (key->string key) (label->string value))))
          environment))
    (_ (fail "~a: #:environment must be an association list of strings, not ~s" who environment))))

(define (input->data input)
  (match input
    (#f #f)
    ((? string?) input)
    ((? output?) (output->vector input))
    (_ (fail "run: #:input must be a string or the output of another 'run', not ~s" input))))

(define (check-seconds who keyword value)
  (unless (and (real? value) (>= value 0))
    (fail "~a: ~a must be a number of seconds, not ~s" who keyword value)))

(define (limit-of who program limit)
  (let ((limit (or limit (and (program? program) (program-limit program)))))
    (when limit (check-seconds who "#:limit" limit))
    limit))

(define* (run program #:key (input #f) (environment '()) (limit #f))
  "Run PROGRAM on the host and return its output.  It fails when the program does, or after LIMIT seconds.
INPUT is a string or an output."
  (or (perform 'run (program->command "run" program) (input->data input) (limit-of "run" program limit)
               (environment->alist "run" environment))
      no-output))

(define* (wait-until program #:key (every 1) (limit 60) (environment '()))
  "Run PROGRAM EVERY so many seconds until it succeeds.  It fails when that takes more than LIMIT seconds."
  (check-seconds "wait-until" "#:every" every)
  (perform 'wait-until (program->command "wait-until" program) every (limit-of "wait-until" program limit)
           (environment->alist "wait-until" environment))
  #t)

(define (start service)
  "Start SERVICE on the host.  If the transition fails it is stopped."
  (check-service "start" service)
  (perform 'start service #f #f #f)
  *unspecified*)

(define (stop service)
  "Stop SERVICE on the host.  If the transition fails it is started again, unless it is a one-shot: that ran to
its end."
  (check-service "stop" service)
  (perform 'stop service #f #f #f)
  *unspecified*)

(define (reload service)
  "Let SERVICE read its files again."
  (check-service "reload" service)
  (perform 'reload service #f #f #f)
  *unspecified*)

(define (on-consumers operation name service)
  (check-service name service)
  (when (immediate? (%context))
    (misplaced "~a is an effect of a run: at the REPL run the hook itself" name))
  (perform operation service #f #f #f)
  *unspecified*)

(define (drain service)
  "Let all that require or connect to SERVICE hold back from it here: run their 'drain' programs, on their
hosts.  If the transition fails they are undrained."
  (on-consumers 'drain "drain" service))

(define (undrain service)
  "Let go all that hold back from SERVICE here: run their 'undrain' programs, on their hosts."
  (on-consumers 'undrain "undrain" service))

(define (validate service)
  "Run the 'validate' program of SERVICE until it succeeds.  It fails after the program's limit."
  (check-service "validate" service)
  (perform 'validate service #f #f #f)
  #t)

(define* (put-file path text #:key (mode #o644))
  "Write TEXT to the file PATH on the host.  If the transition fails the file is as it was."
  (unless (and (string? path) (string? text))
    (fail "put-file: a path and a text are wanted, two strings, not ~s and ~s" path text))
  (check-mode (format #f "put-file '~a'" path) mode)
  (perform 'put-file path text mode #f)
  *unspecified*)

(define (get-file path)
  "Return the content of the file PATH on the host, a string."
  (unless (string? path)
    (fail "get-file: a path is wanted, a string, not ~s" path))
  (match (perform 'get-file path #f #f #f)
    (#f "")
    (output (output-text output))))

;; It is not called `sleep': that is Guile's, and would hold up the whole run.
(define (wait-seconds seconds)
  "Do nothing here for SECONDS.  Other hosts go on meanwhile."
  (check-seconds "wait-seconds" "the time" seconds)
  (perform 'sleep seconds #f #f #f)
  *unspecified*)

(define (now)
  "Return the time in seconds since the epoch; the same when a run is resumed."
  (match (perform 'now #f #f #f #f)
    (#f (misplaced "the time is not known"))
    (output (string->number (preview output)))))


;;;
;;; What there is.
;;;

(define (hook service name)
  "Return the program NAME, a symbol, of SERVICE."
  (check-service "hook" service)
  (unless (symbol? name)
    (fail "hook: the name of a hook is a symbol, such as 'backup, not ~s" name))
  (%definition-hook service name))

(define (has-hook? service name)
  "Return true if SERVICE has the program NAME, a symbol."
  (check-service "has-hook?" service)
  (%definition-has-hook? service name))

(define (current-host)
  "Return the host that effects act on here."
  (match (%context)
    ((? task? task)
     (let ((execution (task-execution task)))
       (hash-ref (execution-hosts execution)
                 (or (%host)
                     (step-host (vector-ref (execution-steps execution) (task-step task)))))))
    ((? immediate? now)
     (hash-ref (immediate-hosts now) (immediate-host now)))
    (_ (misplaced "no current host: this is neither a transition nor (on-host HOST ...)"))))

(define (deployed name)
  "Return the service called NAME as it is deployed on the host."
  (unless (string? name)
    (fail "deployed: the name of a service is wanted, a string, not ~s" name))
  (match (%context)
    ((? task? task)
     (let ((host (host-name (current-host))))
       (or (%plan-deployed (execution-plan (task-execution task)) host name)
           (fail "deployed: no service '~a' is deployed on host '~a'" name host))))
    ((? immediate? now)
     (let ((entries (host-entries (immediate-deployment now) (immediate-host now))))
       (match (find (lambda (entry) (string=? name (entry-service entry))) entries)
         (#f (fail "deployed: no service '~a' is deployed on host '~a'.~a" name (immediate-host now)
                   (suggestion name (map entry-service entries))))
         (entry (or (entry-new entry) (entry-old entry))))))
    (_ (misplaced "no current host: this is neither a transition nor (on-host HOST ...)"))))

(define (call-with-roll-back thunk)
  (unless (register-compensation thunk)
    (format (current-error-port) "(on-roll-back: outside of a run nothing is rolled back)~%"))
  *unspecified*)

(define-syntax-rule (on-roll-back expression ...)
  ;; Evaluate the EXPRESSIONs if the transition fails.
  (call-with-roll-back (lambda () expression ...)))

