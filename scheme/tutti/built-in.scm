;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; (tutti built-in) --- the transitions that are built in.
;;;
;;; Commentary:
;;;
;;; The library has the same ones for programs in C++: the same effects in the same order.  Procedures that
;;; compare versions are here too.
;;;
;;; Code:

(define-module (tutti built-in)
  #:use-module (ice-9 match)
  #:use-module (tutti errors)
  #:use-module (tutti private bindings)
  #:use-module (tutti transitions)
  #:export (replace-service
            reload-service
            remove-service
            built-in-transition

            downgrade?
            version<?))

(define* (replace-service #:key (old #f) new)
  "Drain and stop OLD, start NEW, validate and undrain it; when there is no OLD, run the 'prepare' program
of NEW first."
  (if old
      (begin (drain new) (stop old))
      (when (has-hook? new 'prepare)
        (run (hook new 'prepare))))
  (start new)
  (validate new)
  (when old (undrain new)))

(define* (reload-service #:key (old #f) new)
  "Let the running service read its files, which are those of NEW, again."
  (when old
    (on-roll-back (reload old)))
  (reload new)
  (validate new))

(define* (remove-service #:key old)
  "Stop OLD.  Its data stays."
  (stop old))

(define (built-in-transition name)
  "Return the built-in transition that plans call NAME."
  (match name
    ("replace-service" replace-service)
    ("reload-service" reload-service)
    ("remove-service" remove-service)))


;;;
;;; Versions.
;;;

(define (version<? a b)
  "Return true if the version A, a string, comes before B: \"9.1\" before \"10\"."
  (%version<? a b))

(define (downgrade? old new)
  "Return true if the version of the service NEW comes before that of OLD."
  (check-service "downgrade?" old)
  (check-service "downgrade?" new)
  (version<? (%definition-version new) (%definition-version old)))
