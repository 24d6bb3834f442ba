;;; effects.scm [ROUNDS] --- the coordinator's time for an effect.
;;;
;;; Commentary:
;;;
;;; 10,000 hosts, each with one transition of ten effects, all suspended at once, against hosts that answer at
;;; once: by the C++ driver, and by that of Scheme as `execute-plan' has it; beside a bare switch among 10,000
;;; suspended prompts.  The time is the processor's, of the best round: what else the machine does counts
;;; little.  The site, its plan and the three ways share one process, and their rounds take turns.
;;;
;;; Code:

(use-modules (ice-9 format)
             (ice-9 ftw)
             (ice-9 match)
             (srfi srfi-1)
             (tutti)
             (tutti private bindings)
             (tutti site))

(define elaborate (@@ (tutti site) elaborate))
(define site-handle (@@ (tutti site) site-handle))

(define hosts 10000)
(define effects 10)                         ; of each transition
(define bounds '((c++ . 4) (scheme . 12)))  ; times a bare switch

(define (seconds clock thunk)
  "Return how long THUNK takes by CLOCK, for each effect of a transition."
  (gc)
  (let ((start (clock)))
    (thunk)
    (/ (- (clock) start) (exact->inexact internal-time-units-per-second) (* hosts effects))))


;;;
;;; The bare switch.
;;;

(define tag (make-prompt-tag "bare"))

(define (start-body)
  (call-with-prompt tag
    (lambda ()
      (let loop ((i effects))
        (when (positive? i)
          (abort-to-prompt tag i)
          (loop (- i 1)))))
    (lambda (continuation i) continuation)))

(define (resume continuation)
  (call-with-prompt tag
    (lambda () (continuation #f))
    (lambda (continuation i) continuation)))

(define (bare-switch)
  "Return the time of one switch."
  (let ((bodies (make-vector hosts #f)))
    (do ((i 0 (+ i 1))) ((= i hosts))
      (vector-set! bodies i (start-body)))
    (seconds get-internal-run-time
             (lambda ()
               (do ((round 0 (+ round 1))) ((= round effects))
                 (do ((i 0 (+ i 1))) ((= i hosts))
                   (vector-set! bodies i (resume (vector-ref bodies i)))))))))


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

(define (desired site)
  (%elaboration-finish! (elaborate site (site-handle site))))

(define site (site-at "2"))
(define plan
  (%bench-plan (site-handle site) (desired site) (desired (site-at "1"))))
(define sent 0)                             ; effects of an execution, the library's own with them

(define (execution way clock journal)
  "Return the time for each effect by WAY and CLOCK, with the journal in the file JOURNAL, or none for \"\"."
  (let ((report #f))
    (%bench-prepare! plan journal)
    (let ((time (seconds clock
                         (lambda ()
                           (set! report (match way
                                          ('c++ (%bench-c++ plan))
                                          ('scheme (execute-plan site plan))))))))
      (set! sent (%bench-sent report effects))
      time)))

(define (microseconds time)
  (* 1e6 time))

(define (print-way way time bare)
  "Print the figures of WAY; return true if they are within its bound."
  (let* ((ratio (/ time bare))
         (bound (assq-ref bounds way))
         (held? (<= ratio bound)))
    (format #t "~20a ~10,2f ~10,2f ~10,1f ~8d  ~a~%" way (microseconds time)
            (microseconds (* time (/ (* hosts effects) sent))) ratio bound
            (if held? "held" "MISSED"))
    held?))

(define (print-journal way file)
  (format #t "~20a ~10,2f~%" way (microseconds (execution way get-internal-real-time file))))

(define (main rounds)
  (let loop ((i 0) (bare +inf.0) (c++ +inf.0) (scheme +inf.0))
    (if (< i rounds)
        (loop (+ i 1)
              (min bare (bare-switch))
              (min c++ (execution 'c++ get-internal-run-time ""))
              (min scheme (execution 'scheme get-internal-run-time "")))
        (begin
          (format #t "~:d transitions of ~a effects (~:d sent, with begin and end); processor time, best of ~a rounds~%~%"
                  hosts effects sent rounds)
          (format #t "~20@t us/effect    us/sent   x switch    bound~%")
          (format #t "~20a ~10,2f~%" "bare prompt switch" (microseconds bare))
          (let ((held (map (lambda (way time) (print-way way time bare))
                           '(c++ scheme) (list c++ scheme))))
            (format #t "~%Counted: all from the plan to the report, for each effect of the transitions; the hashes and
texts of the journal's records too, but not their keeping: these runs keep no journal.
With the journal in SQLite, elapsed time:~%~%")
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
       (() (main 5))
       (((= string->number (? exact-integer? rounds))) (main rounds))))
   (lambda ()
     (close-site! site)
     (remove-scratch))))
