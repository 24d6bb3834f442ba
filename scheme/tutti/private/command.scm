;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; (tutti private command) --- the command `tutti'.
;;;
;;; Commentary:
;;;
;;; `main' takes the command line and returns the exit status.  Whatever is wrong is told in one sentence.
;;;
;;; Code:

(define-module (tutti private command)
  #:use-module (ice-9 binary-ports)
  #:use-module (ice-9 exceptions)
  #:use-module (ice-9 format)
  #:use-module (ice-9 iconv)
  #:use-module (ice-9 match)
  #:use-module (ice-9 rdelim)
  #:use-module (rnrs bytevectors)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (system vm frame)
  #:use-module (tutti config)
  #:use-module (tutti errors)
  #:use-module (tutti private answers)
  #:use-module (tutti private bindings)
  #:use-module ((tutti private context) #:select (effect-failed? effect-failed-how effect-failed-status))
  #:use-module (tutti on-host)
  #:use-module (tutti private options)
  #:use-module (tutti private progress)
  #:use-module (tutti private repl)
  #:use-module (tutti private site-view)
  #:use-module (tutti repl)
  #:use-module (tutti site)
  #:use-module ((tutti transitions) #:select (run))
  #:use-module ((tutti texts) #:select (program))
  #:export (main))

(define %done 0)
(define %wrong-use 1)
(define %changes 2)
(define %failed 3)
(define %left-open 4)
(define %unreachable 5)
(define %locked 6)

(define %usual-file "site.scm")

(define (one-file command arguments)
  (match arguments
    ((file) file)
    (()
     (unless (file-exists? %usual-file)
       (fail "tutti ~a: the file of a site program is missing: tutti ~a FILE; without FILE it is ~a, which is not here"
             command command %usual-file))
     %usual-file)
    ((_ other . _) (fail "tutti ~a: one site program is wanted; what is '~a'?" command other))))

(define (open-from command options arguments)
  "Return the site that OPTIONS and ARGUMENTS of COMMAND name."
  (open-site (one-file command arguments)
             #:name (option-ref options "site")
             #:inventory (option-ref options "inventory")
             #:state (option-ref options "state")))

(define (unreachable-hosts plan)
  (plan-summary-unreachable (plan-summary plan)))

(define (unchanged? plan)
  (null? (plan-steps plan)))

(define %lost-output #f)                    ; why what was printed could not be written, or #f

(define (lose-output! errno)
  (set! %lost-output errno))

(define (output-error exception)
  "Return the error number when EXCEPTION is that what was printed could not be written, else #f."
  (and (eq? (exception-kind exception) 'system-error)
       (match (exception-args exception)
         (("fport_write" _ _ (errno) . _) errno)
         (_ #f))))

(define (call-printing thunk)
  (unless %lost-output                      ; a character may have been cut
    (with-exception-handler
        (lambda (exception)
          (match (output-error exception)
            (#f (raise-exception exception))
            (errno (lose-output! errno))))
      thunk
      #:unwind? #t
      #:unwind-for-type 'system-error)))

(define-syntax-rule (printing body ...)
  ;; BODY prints.  That it can't be written changes nothing about what is done and what came of it.
  (call-printing (lambda () body ...)))

;; Where JSON goes, while all else that is displayed goes to standard error; else #f.
(define %json-port (make-parameter #f))

(define (print-json text)
  (let ((port (or (%json-port) (current-output-port))))
    (format port "~a~%" text)
    (force-output port)))

(define (call-with-json-apart thunk)
  "Call THUNK such that standard output gets what `print-json' prints and nothing else: what the site program and
the programs that it runs display goes to standard error."
  (define (set-aside port)                  ; programs that are run write to descriptor 1
    (let ((aside (duplicate-port port "w")))
      (fcntl aside F_SETFD FD_CLOEXEC)
      (set-port-encoding! aside (port-encoding port))
      (set-port-conversion-strategy! aside (port-conversion-strategy port))
      (force-output port)
      (dup2 2 1)
      aside))
  (let* ((port (current-output-port))
         (aside (and (file-port? port) (eqv? (fileno port) 1)
                     (false-if-exception (set-aside port)))))
    (dynamic-wind
      (const #f)
      (lambda ()
        (parameterize ((%json-port (or aside port))
                       (current-output-port (current-error-port)))
          (thunk)))
      (lambda ()
        (when aside
          (dup2 (fileno aside) 1)
          (false-if-exception (close-port aside)))))))

(define (print-nothing-to-do site plan)
  "Say that PLAN has no step, and what it took to know that."
  (let ((hosts (site-host-count site))
        (frames (frames-sent site)))
    (for-each (lambda (note) (format #t "~a~%" note)) (plan-summary-notes (plan-summary plan)))
    (match (unreachable-hosts plan)
      (() #f)
      (unreachable (format #t "unreachable:~{ ~a~}~%" unreachable)))
    (format #t "nothing to do (~a host~:p asked, ~a request frame~:p)~%" hosts frames)))

(define (check options arguments)
  (let ((file (one-file "check" arguments)))
    (for-each
     (lambda (name)
       (let* ((site (open-site file
                               #:name name
                               #:inventory (option-ref options "inventory")))
              (plan (check-site site))
              (summary (plan-summary plan)))
         (format #t "site ~a: ~a host~:p, ~a instance~:p: no mistake found~%~{  ~a~%~}"
                 (plan-summary-site summary) (plan-summary-hosts summary)
                 (count (lambda (step) (not (eq? (step-action step) 'join))) (plan-steps plan))
                 (plan-summary-notes summary))))
     (match (option-ref options "site")
       (#f (site-names file))
       (name (list name))))
    %done))

(define (plan-command options arguments)
  (let* ((site (open-from "plan" options arguments))
         (plan (make-plan site #:accept-names? (option-ref options "accept-name"))))
    (printing
     (cond
      ((option-ref options "json") (print-json (%plan-json plan)))
      ((unchanged? plan) (print-nothing-to-do site plan))
      (else (display (%plan-text plan)))))
    (close-site! site)
    (if (and (option-ref options "detailed-exitcode") (not (unchanged? plan)))
        %changes
        %done)))

(define (confirmed? question)
  "Ask QUESTION at the terminal and return true if the answer is yes."
  (unless (isatty? (current-input-port))
    (fail "nobody can be asked, since standard input is no terminal: give --yes to act without asking"))
  (printing
   (format #t "~a [y/N] " question)
   (force-output))
  (when %lost-output
    (fail "nobody can be asked, since what is printed can't be written: give --yes to act without asking"))
  (match (read-line)
    ((? eof-object?) #f)
    (answer (and (member (string-downcase (string-trim-both answer)) '("y" "yes")) #t))))

(define (print-dry-run report)
  "Print what REPORT, of a dry run, says that would be done."
  (for-each
   (lambda (step)
     (let ((old (step-report-old step))
           (new (step-report-new step))
           (message (step-report-message step))
           (outcome (step-report-outcome step)))
       (format #t "~a@~a  ~a~@[ ~a~]~a~@[ ~a~]~%"
               (step-report-service step) (step-report-host step) (step-report-action step)
               (and (not (string-null? old)) old)
               (if (or (string-null? old) (string-null? new)) "" " →")
               (and (not (string-null? new)) new))
       (for-each (lambda (effect) (format #t "  ~a~%" (escape-controls effect))) (step-report-effects step))
       (unless (eq? outcome 'upgraded)
         (format #t "  here it stops: ~a~%"
                 (escape-controls (if (string-null? message) (symbol->string outcome) message))))))
   (report-steps report))
  (format #t "a dry run: every effect was taken to succeed and to print nothing; nothing was done~%"))

(define (host-count plan)
  "Return how many hosts the steps of PLAN are on."
  (length (delete-duplicates
           (filter (lambda (host) (not (string-null? host)))
                   (map step-host (plan-steps plan))))))

;; What a shell takes as it stands.
(define char-set:plain
  (char-set-union char-set:letter+digit (string->char-set "_./=+:,@%-")))

(define (shell-word text)
  (if (and (not (string-null? text)) (string-every char-set:plain text))
      text
      (string-append "'" (string-join (string-split text #\') "'\\''") "'")))

(define (again name options arguments . more)
  "Return what to type for the command NAME about the site that OPTIONS and ARGUMENTS name, with the words MORE."
  (string-join
   (map shell-word
        (append (list "tutti" name)
                (if (equal? arguments (list %usual-file)) '() arguments)
                (map object->display more)
                (append-map (lambda (option)
                              (match (option-ref options option)
                                (#f '())
                                (value (list (string-append "--" option) value))))
                            '("site" "inventory" "state"))))))

(define (object->display object)
  (if (string? object) object (object->string object display)))

(define (advice report options arguments)
  "Return what to type after the run that REPORT is of, as a line, or #f when all of it succeeded."
  (define steps (report-steps report))
  (define (host-of . outcomes)              ; of the first step with one of OUTCOMES, or #f
    (any (lambda (step)
           (and (memq (step-report-outcome step) outcomes) (step-report-host step)))
         steps))
  (define summary (report-summary report))
  (define unreachable (report-summary-unreachable summary))
  (define deploy (again "deploy" options arguments))
  (define (log host)
    (again "log" options arguments (report-summary-run summary) host))
  (cond
   ((zero? (%report-exit-status report)) #f)
   ((host-of 'unknown 'none)
    => (lambda (host)
         (format #f "next: `~a` tells how far it came; `~a` ends the run, then `~a` repairs"
                 (log host) (again "abandon" options arguments) deploy)))
   ((host-of 'failed 'roll-back-failed)
    => (lambda (host)
         (format #f "next: `~a` tells what failed and what its programs printed; `~a` repairs" (log host) deploy)))
   ((host-of 'rolled-back 'unchanged)
    => (lambda (host)
         (format #f "next: `~a` tells what its programs printed; mend what failed, then `~a`"
                 (log host) deploy)))
   ((= (%report-exit-status report) %left-open)
    (format #f "next: `~a` ends the run, then `~a`" (again "abandon" options arguments) deploy))
   ((pair? unreachable)
    (format #f "next: when ~a answer~a, `~a`" (string-join unreachable ", ")
            (if (= 1 (length unreachable)) "s" "") deploy))
   (else (format #f "next: `~a` does the rest" deploy))))

(define (print-advice report options arguments)
  (match (advice report options arguments)
    (#f #f)
    (line (format #t "~a~%" line))))

(define (deploy-command options arguments)
  (let* ((site (open-from "deploy" options arguments))
         (plan (make-plan site #:accept-names? (option-ref options "accept-name")))
         (take-over? (option-ref options "take-over"))
         (keep (number-option options "keep" 1))
         (json? (option-ref options "json")))
    (define (finish status)
      (close-site! site)
      status)
    (cond
     ((unchanged? plan)
      (unless (option-ref options "dry-run")
        (take-names! site plan #:take-over? take-over?))
      (printing
       (if json?
           (print-json (%plan-json plan))
           (print-nothing-to-do site plan)))
      (finish (if (null? (unreachable-hosts plan)) %done %unreachable)))
     (else
      (printing
       (unless json?
         (display (%plan-text plan))
         (newline))
       (when take-over?
         (for-each (lambda (line) (format #t "displaces: ~a~%" line))
                   (%deployment-foreign (site-deployment site) plan))))
      (cond
       ((option-ref options "dry-run")
        (let ((report (execute-plan site plan #:take-over? take-over? #:dry-run? #t)))
          (printing
           (if json?
               (print-json (%report-json report))
               (print-dry-run report)))
          (finish (%report-exit-status report))))
       ((or (option-ref options "yes")
            (confirmed? (format #f "Execute this plan on ~a host~:p?" (host-count plan))))
        (let ((report (execute-plan site plan
                                    #:take-over? take-over?
                                    #:keep keep
                                    #:on-progress (if json? #f (make-progress)))))
          (printing
           (if json?
               (print-json (%report-json report))
               (begin
                 (format #t "~%~a" (%report-text report))
                 (print-advice report options arguments))))
          (finish (%report-exit-status report))))
       (else
        (format #t "nothing was done~%")
        (finish %wrong-use)))))))

(define (abandon-command options arguments)
  (let* ((site (open-from "abandon" options arguments))
         (open (abandon site)))
    (match open
      (() (format #t "there is no unfinished run to abandon~%"))
      ((run . steps)
       (format #t "abandoned ~a~%~{  ~a~%~}The next plan repairs what it left.~%" run steps)))
    (close-site! site)
    %done))

(define (status-command options arguments)
  (let ((site (open-from "status" options arguments))
        (json? (option-ref options "json")))
    (match ((if json? %deployment-status-json %deployment-status) (site-deployment site))
      ((text . exit-status)
       (printing (if json? (print-json text) (display text)))
       (close-site! site)
       exit-status))))

(define (forget-command options arguments)
  (call-with-values
      (lambda ()
        (match arguments
          ((file host) (values (list file) host))
          ((host) (values '() host))
          (_ (fail "tutti forget: which host? tutti forget [FILE] HOST"))))
    (lambda (files host)
      (let* ((site (open-from "forget" options files))
             (held (%deployment-forget! (site-deployment site) host)))
        (format #t "forgot ~a; when last seen it held ~{~a~^, ~}~%" host held)
        (close-site! site)
        %done))))

(define (call-if-deployed site thunk)
  "Call THUNK if SITE has a history, else say that it has none.  No state file is made."
  (catch 'system-error
    (lambda () (close-port (open-input-file (site-state-file site))))
    (lambda arguments
      (when (= EACCES (system-error-errno arguments))
        (fail "the state file ~a can't be read: ~a" (site-state-file site) (strerror EACCES)))))
  (if (and (file-exists? (site-state-file site))
           (pair? (generations (site-deployment site))))
      (thunk)
      (format #t "nothing was deployed with the state file ~a~%" (site-state-file site))))

(define (history-command options arguments)
  (let ((site (open-from "history" options arguments)))
    (call-if-deployed site (lambda () (history site)))
    (close-site! site)
    %done))

(define (log-command options arguments)
  (define (number-of-run text)
    (match (string->number text 10)
      ((? (lambda (number) (and (exact-integer? number) (< 0 number 4294967296))) number) number)
      (_ (fail "tutti log: '~a' is no number of a run; 'tutti history' has them" text))))
  (call-with-values
      (lambda ()
        (match arguments
          (((and (? string->number) (? (negate file-exists?))) . _) (values '() arguments))
          (() (values '() '()))
          ((file . rest) (values (list file) rest))))
    (lambda (files rest)
      (let-values (((run host)
                    (match rest
                      (() (values #f #f))
                      ((run) (values (number-of-run run) #f))
                      ((run host) (values (number-of-run run) host))
                      ((_ _ other . _) (fail "tutti log: what is '~a'? tutti log [FILE] [RUN [HOST]]" other))))
                   ((site) (open-from "log" options files)))
        (call-if-deployed site
          (lambda ()
            (let ((log (%open-log (site-deployment site) run host
                                  (number-option options "bytes" 0) (option-ref options "daemons"))))
              (let loop ()
                (match (%log-next log)
                  (#f (%close-log! log))
                  (text (display text) (loop)))))))
        (close-site! site)
        %done))))

(define %piece 1048576)                     ; bytes of output at once

(define (copy-output deployment host token error? port)
  "Print what the effect TOKEN on HOST printed, to standard error if ERROR? is true, to PORT: as it is, or
escaped if PORT is a terminal."
  (let loop ((offset 0))
    (let* ((piece (%deployment-fetch deployment host token error? offset %piece))
           (size (bytevector-length piece)))
      (unless (zero? size)
        (if (isatty? port)
            (display (string-join (map escape-controls
                                       (string-split (bytevector->string piece "UTF-8" 'substitute) #\tab))
                                  "\t")
                     port)
            (put-bytevector port piece))
        (loop (+ offset size)))))
  (force-output port))

(define (file-and-program arguments)
  "Return ARGUMENTS of 'tutti run' as a pair of lists: of the file, if it is there, and of the program's words."
  (match (member "--" arguments)
    ((and tail (_ . words)) (cons (drop-right arguments (length tail)) words))
    (#f (match arguments
          (() '(()))
          ((file . words) (cons (list file) words))))))

(define (run-command options arguments)
  (match (file-and-program arguments)
    ((files words ..1)
     (let* ((host (or (option-ref options "host")
                      (fail "tutti run: on which host? tutti run [FILE] --host NAME -- PROGRAM [ARGUMENT]...")))
            (limit (or (number-option options "limit" 1) 600))
            (site (open-from "run" options files))
            (deployment (site-deployment site))
            (failure (parameterize ((%current-site site))
                       (call-on-host host
                         (lambda ()
                           (guard (exception ((effect-failed? exception)
                                   (match (effect-failed-how exception)
                                     ('exit (format #f "exit status ~a" (effect-failed-status exception)))
                                     (how (describe exception)))))
                             (run (apply program words) #:limit limit)
                             #f))))))
       (let ((token (%immediate-token deployment)))
         (printing (copy-output deployment host token #f (current-output-port)))
         (copy-output deployment host token #t (current-error-port)))
       (close-site! site)
       (cond
        (failure
         (print-error (format #f "~a: ~a" host (escape-controls (%one-line failure))))
         %failed)
        (else %done))))
    (_ (fail "tutti run: which program? tutti run [FILE] --host NAME -- PROGRAM [ARGUMENT]..."))))

(define (repl-command options arguments)
  (match arguments
    (() (run-repl #f))
    (_ (run-repl (lambda ()
                   (use-site (one-file "repl" arguments)
                             #:name (option-ref options "site")
                             #:inventory (option-ref options "inventory")
                             #:state (option-ref options "state"))))))
  %done)

(define %commands
  (let ((common '("site" "inventory" "state")))
    (list (make-command "check" "[FILE]" "Is the program right?  Touches no host."
                        '("site" "inventory") check)
          (make-command "plan" "[FILE]" "What would change, in which waves, and why."
                        (append common '("json" "detailed-exitcode" "accept-name")) plan-command)
          (make-command "deploy" "[FILE]" "Plan, confirm, execute, and record a generation."
                        (append common '("yes" "dry-run" "take-over" "accept-name" "json" "keep")) deploy-command)
          (make-command "abandon" "[FILE]" "End an unfinished run without touching hosts."
                        common abandon-command)
          (make-command "status" "[FILE]" "What runs where, and whether it lives."
                        (append common '("json")) status-command)
          (make-command "forget" "[FILE] HOST" "Forget a host that has left: plans tell of it no longer."
                        common forget-command)
          (make-command "history" "[FILE]" "The generations, newest first."
                        common history-command)
          (make-command "log" "[FILE] [RUN [HOST]]" "What a run did and printed; without RUN the last one."
                        (append common '("bytes" "daemons")) log-command)
          (make-command "run" "[FILE] --host NAME -- PROGRAM [ARGUMENT]..." "Run a program on a host, without input."
                        (append common '("host" "limit")) run-command)
          (make-command "repl" "[FILE]" "Look at a site and deploy it from a Guile REPL."
                        common repl-command))))

(define (not-built-command? name)
  "Return true if NAME is a command of the vocabulary that is not built yet."
  (member (string-append "tutti " name) (%not-built-names)))

(define (status-when-printed status)
  "Return STATUS if all that was printed was written.  Else say so, and return 1 if STATUS claims success.  A
reader who left, such as `head', has seen what he wanted."
  (printing (force-output (current-output-port)))
  (cond
   ((memv %lost-output (list #f EPIPE)) status)
   (else
    (format (current-error-port) "tutti: what was to be printed could not be written: ~a~%"
            (strerror %lost-output))
    (if (= status %done) %wrong-use status))))

(define (print-error text)
  (false-if-exception (force-output (current-output-port)))
  (format (current-error-port) "~a~a~%"
          (if (or (string-prefix? "tutti " text) (string-prefix? "tutti: " text)) "" "tutti: ")
          text))

(define (print-backtrace stack port)
  "Print the frames of STACK that have a place to PORT, the innermost first."
  (do ((index 0 (+ index 1)))
      ((= index (stack-length stack)))
    (let ((frame (stack-ref stack index)))
      (match (frame-source frame)
        ((_ (? string? file) line . column)
         (format port "  ~a:~a:~a~@[  ~a~]~%" file (+ 1 line) (+ 1 column)
                 (frame-procedure-name frame)))
        (_ #f)))))

(define (error-status exception)
  (match (and (tutti-error? exception) (tutti-error-code exception))
    ('locked %locked)
    ((or 'left-open 'lost) %left-open)
    ('unreachable %unreachable)
    (_ %wrong-use)))

(define (call-with-errors-told verbose? thunk)
  "Call THUNK, which returns an exit status.  Tell what it raises as one sentence, and return its status."
  (with-exception-handler
      (lambda (exception)
        (cond
         ((quit-exception? exception)
          (match (exception-args exception)
            (((? exact-integer? status) . _) status)
            ((#f . _) 1)
            (_ 0)))
         ((output-error exception)
          => (lambda (errno) (lose-output! errno) %done))
         (else
          (print-error (describe exception))
          (error-status exception))))
    (lambda ()
      (with-exception-handler
          (lambda (exception)
            (when verbose?
              (print-backtrace (make-stack #t) (current-error-port)))
            (raise-continuable exception))
        thunk))
    #:unwind? #t))

(define (dispatch arguments)
  (match arguments
    (() (print-help %commands (current-error-port)) %wrong-use)
    (((or "--help" "-h" "help")) (print-help %commands (current-output-port)) %done)
    (("--version") (format #t "tutti ~a~%" %version) %done)
    (("help" name)
     (print-command-help (find-command name %commands) (current-output-port))
     %done)
    (((? not-built-command? name) . _)
     (not-built (string-append "tutti " name)))
    ((name . rest)
     (let ((command (find-command name %commands)))
       (call-with-values (lambda () (parse-options command rest))
         (lambda (options arguments)
           (if (option-ref options "help")
               (begin (print-command-help command (current-output-port)) %done)
               ((if (option-ref options "json") call-with-json-apart (lambda (thunk) (thunk)))
                (lambda ()
                  ((command-procedure command)
                   options
                   (if (string=? name "run") arguments (delete "--" arguments))))))))))))

(define (main arguments)
  "Do what the command line ARGUMENTS, a list whose first member is the program, asks for, and return the
exit status."
  (false-if-exception (setlocale LC_ALL ""))
  (sigaction SIGPIPE SIG_IGN)               ; a closed pipe must not end a run
  (for-each (lambda (port)
              (set-port-encoding! port "UTF-8")
              (set-port-conversion-strategy! port 'substitute))
            (list (current-input-port) (current-output-port) (current-error-port)))
  (let ((arguments (match arguments ((_ . rest) rest))))
    (let ((status (call-with-errors-told (member "--verbose" arguments)
                    (lambda () (dispatch arguments)))))
      (status-when-printed status))))
