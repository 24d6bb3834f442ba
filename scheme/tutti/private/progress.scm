;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; (tutti private progress) --- tells how a run goes on.
;;;
;;; Commentary:
;;;
;;; For a terminal: one line for each host that is in transition, updated in place, and a line for good for
;;; each instance that has ended.  For anything else: a line for each event.
;;;
;;; Code:

(define-module (tutti private progress)
  #:use-module (ice-9 format)
  #:use-module (ice-9 match)
  #:use-module (srfi srfi-1)
  #:use-module (tutti errors)
  #:use-module (tutti private answers)
  #:use-module (tutti private bindings)
  #:export (make-progress
            terminal?
            colour?
            paint))

(define (terminal?)
  "Return true if what is printed goes to a terminal that can move its cursor."
  (and (isatty? (current-output-port))
       (not (member (getenv "TERM") '(#f "" "dumb")))))

(define (colour?)
  "Return true if what is printed may have colours."
  (and (terminal?)
       (member (getenv "NO_COLOR") '(#f ""))
       #t))

(define %colours
  '((upgraded . "32") (unchanged . "33") (rolled-back . "33") (skipped . "2") (unreachable . "35")
    (unknown . "35") (failed . "31") (roll-back-failed . "31")))

(define (paint text outcome)
  "Return TEXT in the colour of OUTCOME, a symbol, where colours may be."
  (match (and (colour?) (assq-ref %colours outcome))
    (#f text)
    (code (string-append "\x1b[" code "m" text "\x1b[0m"))))

(define (one-line text)
  "Return TEXT without controls, in one line.  The report has all of them."
  (escape-controls (%one-line text)))

(define (event-line event)
  "Return what EVENT says about its host."
  (let ((text (one-line (progress-text event)))
        (service (progress-service event)))
    (match (progress-kind event)
      ('outcome
       (string-append service " " (symbol->string (progress-outcome event))
                      (if (string-null? text) "" (string-append ": " text))))
      (_ (if (string-null? service)
             text
             (string-append service ": " text))))))

(define (host-line event)
  "Return what EVENT says, after the name of its host."
  (match (progress-host event)
    ("" (event-line event))
    (host (string-append host "  " (event-line event)))))

(define (make-log)
  "Return a procedure that prints each event as a line."
  (lambda (event)
    (format #t "~a~%" (host-line event))
    (force-output)))

(define (fit text width)
  (if (<= (string-length text) width)
      text
      (string-append (string-take text (max 0 (- width 1))) "…")))

(define (make-display)
  "Return a procedure that keeps a line for each host in transition at the end of the terminal."
  (define lines '())                        ; (HOST . TEXT), in order of their beginning
  (define shown 0)                          ; how many lines the block has now

  (define (erase!)
    (when (positive? shown)
      (format #t "\x1b[~aA\x1b[J" shown)
      (set! shown 0)))

  (define (draw!)
    (match (%terminal-size)
      ((columns . rows)
       (let* ((most (max 1 (- rows 2)))
              (visible (if (> (length lines) most) (take lines (- most 1)) lines))
              (hidden (- (length lines) (length visible))))
         (for-each (match-lambda
                     ((host . text)
                      (display (fit (format #f "  ~a  ~a" host text) (- columns 1)))
                      (newline)))
                   visible)
         (when (positive? hidden)
           (format #t "  … and ~a more~%" hidden))
         (set! shown (+ (length visible) (if (positive? hidden) 1 0)))
         (force-output)))))

  (define (keep! text)
    (display text)
    (newline))

  (lambda (event)
    (let ((host (progress-host event))
          (text (progress-text event))
          (outcome (progress-outcome event)))
      (erase!)
      (match (progress-kind event)
        ('effect
         (let ((line (event-line event)))
           (if (assoc host lines)
               (set! lines (map (match-lambda
                                  ((name . old) (cons name (if (string=? name host) line old))))
                                lines))
               (set! lines (append lines (list (cons host line)))))))
        ('outcome
         (set! lines (remove (match-lambda ((name . _) (string=? name host))) lines))
         (keep! (string-append (paint (format #f "~a@~a  ~a" (progress-service event) host outcome)
                                      outcome)
                               (if (string-null? text) "" (string-append "  " (one-line text))))))
        (_ (keep! (host-line event))))
      (draw!))))

(define (make-progress)
  "Return a procedure that tells about each event of progress that it is called with."
  (if (terminal?)
      (make-display)
      (make-log)))
