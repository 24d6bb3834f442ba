;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; effects.scm [ROUNDS] --- the coordinator's time for an effect.
;;;
;;; Commentary:
;;;
;;; 10,000 hosts, each with one transition of ten effects, against hosts that answer at once: by the C++ driver,
;;; and by that of Scheme as `execute-plan' has it; beside a switch of Guile's among 10,000 suspended prompts.
;;; The time is the processor's.  The site, its plan and the ways share one process, and their rounds take turns;
;;; a ratio is the median of the rounds' ratios.
;;;
;;; An effect is one that is sent: the ten, and the two that write the host's manifest before and after them.
;;; The runs keep no journal, so no record is made.
;;;
;;; The switch that the bounds are of suspends a body that an exception handler guards, and resumes it with its
;;; context bound: what every program must do whose bodies may fail.  One of a body that nothing guards is shown
;;; too.
;;;
;;; Code:

(use-modules (ice-9 format)
             (ice-9 ftw)
             (ice-9 match)
             (srfi srfi-1)
             (tutti)
             (tutti private bindings)
             (tutti site))

(define desired (@@ (tutti site) desired))

(define hosts 10000)
(define effects 10)                         ; of each transition
(define bounds '((c++ . 4) (scheme . 12)))  ; times the switch

(define (seconds clock thunk)
  "Return how long THUNK takes by CLOCK."
  (gc)
  (let ((start (clock)))
    (thunk)
    (/ (- (clock) start) (exact->inexact internal-time-units-per-second))))


;;;
;;; The bare switch.
;;;

(define tag (make-prompt-tag "bare"))
(define context (make-parameter #f))

(define (body)
  (let loop ((i effects))
    (when (positive? i)
      (abort-to-prompt tag i)
      (loop (- i 1)))))

(define (guarded-body)
  (with-exception-handler (const #f) body #:unwind? #t))

(define (enter thunk)
  (call-with-prompt tag thunk (lambda (continuation i) continuation)))

(define (resume continuation)
  (enter (lambda () (continuation #f))))

(define (resume-in-context continuation)
  (parameterize ((context continuation))
    (resume continuation)))

(define (bare-switch body resume)
  "Return the time of one switch of RESUME, of 10,000 BODYs that are suspended."
  (let ((bodies (make-vector hosts #f)))
    (do ((i 0 (+ i 1))) ((= i hosts))
      (vector-set! bodies i (enter body)))
    (/ (seconds get-internal-run-time
                (lambda ()
                  (do ((round 0 (+ round 1))) ((= round effects))
                    (do ((i 0 (+ i 1))) ((= i hosts))
                      (vector-set! bodies i (resume (vector-ref bodies i)))))))
       (* hosts effects))))


;;;
;;; The ways of Tutti.
;;;

(define* (switch-app #:key (old #f) new)
  (run (program "/opt/app/bin/check" "--disk"))
  (run (hook old 'backup))
  (stop old)
  (put-file "/etc/app.conf" "mode = production\n")
  (run (hook new 'migrate))
  (start new)
  (validate new)
  (run (program "/opt/app/bin/warm-up"))
  (run (program "/opt/app/bin/report" "--new"))
  (run (program "/opt/app/bin/tidy")))

(define (app version)
  (service
   (name "app")
   (version version)
   (endpoints '((http . 8080)))
   (start    (daemon "/opt/app/bin/app" "--port" "8080" "--version" version))
   (validate (program "curl" "-fsS" "http://localhost:8080/health" #:limit 5))
   (backup   (program "/opt/app/bin/backup" version))
   (migrate  (program "/opt/app/bin/migrate" version))
   (switch-to-service switch-app)))

(define scratch (mkdtemp (string-append (or (getenv "TMPDIR") "/tmp") "/tutti-bench-XXXXXX")))

(define (site-at version)
  (open-site (site-configuration
              (name "bench")
              (platform (local-platform (string-append scratch "/hosts")))
              (policy (at-most "100%"))
              (host-classes (list (host-class (name "all") (services (list (app version))))))
              (host-class->hosts
               (inventory-list (cons "all"
                                     (map (lambda (i) (host (name (format #f "h~a" i))))
                                          (iota hosts))))))
             #:state (string-append scratch "/bench.db")))

(define site (site-at "2"))
(define plan
  (%bench-plan (site-deployment site) (desired site) (desired (site-at "1"))))

(define (execution way clock journal)
  "Return the time for each effect sent by WAY and CLOCK, with the journal in the file JOURNAL, or none for \"\"."
  (let ((report #f))
    (%bench-prepare! plan journal)
    (let ((time (seconds clock
                         (lambda ()
                           (set! report (match way
                                          ('c++ (%bench-c++ plan))
                                          ('scheme (execute-plan site plan))))))))
      (/ time (%bench-sent report effects)))))

(define (microseconds time)
  (* 1e6 time))

(define (median numbers)
  (list-ref (sort numbers <) (quotient (length numbers) 2)))

(define (times of switches)
  "Return how many of SWITCHES each OF takes, the median of the rounds."
  (median (map / of switches)))

(define (print-way way rounds switches unguarded)
  "Print the figures of WAY; return true if they are within its bound."
  (let* ((bound (assq-ref bounds way))
         (ratio (times rounds switches))
         (held? (<= ratio bound)))
    (format #t "~26a ~6,2f ~8,1f ~11,1f   ~:[MISSED~;held~]: at most ~a x the switch~%" way
            (microseconds (median rounds)) ratio (times rounds unguarded) held? bound)
    held?))

(define (print-switch name rounds)
  (format #t "~26a ~6,2f~%" name (microseconds (median rounds))))

(define (print-journal way file)
  (format #t "~26a ~6,2f~%" way (microseconds (execution way get-internal-real-time file))))

(define (main rounds)
  (format #t "~:d transitions of ~a effects: processor time of an effect sent, from the plan to the report,
beside a prompt switch among as many suspended; medians of ~a rounds~%~%" hosts effects rounds)
  (let loop ((i 0) (switches '()) (unguarded '()) (c++ '()) (scheme '()))
    (if (< i rounds)
        (loop (+ i 1)
              (cons (bare-switch guarded-body resume-in-context) switches)
              (cons (bare-switch body resume) unguarded)
              (cons (execution 'c++ get-internal-run-time "") c++)
              (cons (execution 'scheme get-internal-run-time "") scheme))
        (begin
          (format #t "~30@tus x switch x unguarded~%")
          (print-switch "prompt switch" switches)
          (print-switch "prompt switch, unguarded" unguarded)
          (let ((held (map (lambda (way rounds) (print-way way rounds switches unguarded))
                           '(c++ scheme) (list c++ scheme))))
            (format #t "~%With the journal in SQLite, elapsed time:~%~%")
            (print-journal 'c++ (string-append scratch "/c++.db"))
            (print-journal 'scheme (string-append scratch "/scheme.db"))
            (every identity held))))))

(define (remove-scratch)
  (for-each (lambda (name) (delete-file (string-append scratch "/" name)))
            (scandir scratch (lambda (name) (not (member name '("." ".."))))))
  (rmdir scratch))

(exit
 (dynamic-wind
   (const #t)
   (lambda ()
     (match (cdr (command-line))
       (() (main 7))
       (((= string->number (? exact-integer? rounds))) (main rounds))))
   (lambda ()
     (close-site! site)
     (remove-scratch))))
