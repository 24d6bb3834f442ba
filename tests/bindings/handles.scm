;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; Handles: closed twice, used after, collected; what outlives what.

(use-modules (ice-9 exceptions)
             (ice-9 match)
             (srfi srfi-1)
             (srfi srfi-64)
             (tutti)
             (tutti errors)
             (tutti private bindings)
             (tutti private site-json))
(eval-when (expand load eval)
  (add-to-load-path (string-append (dirname (current-filename)) "/../support")))
(use-modules (local-site))

(define (caught thunk)
  (with-exception-handler identity (lambda () (thunk) #f) #:unwind? #t))
(define (misuse? thunk part)
  (let ((e (caught thunk)))
    (and (tutti-error? e) (string-contains (describe e) part) #t)))

(define web
  (service (name "web") (version "1") (settings (lambda (site host) '()))
           (endpoints `((http . ,(setting 'port))))
           (start (program "true")) (stop (program "true"))))
(define (site-text folder)
  (site->json (site-configuration
               (name "test") (platform (local-platform folder))
               (host-classes (list (host-class (name "all") (services (list web)))))
               (host-class->hosts (inventory-list `("all" ,(host (name "h1"))))))))
(define folder (fresh-folder))
(define json (site-text (string-append folder "/hosts")))

(define (desired-of owner)
  (let ((elaboration (%elaborate owner)))
    (for-each (match-lambda
                ((service . host)
                 (%elaboration-begin! elaboration service host)
                 (%elaboration-settle! elaboration service host '(("port" . "80")))))
              (%elaboration-elsewhere elaboration))
    (%elaboration-finish! elaboration)))

(test-begin "handles")

(define state-file (string-append folder "/state/test.db"))
(define site (%open-site json state-file))
(test-equal "the fleet" '("h1") (map (lambda (host) (vector-ref host 0)) (%fleet site)))
(test-equal "instances whose settings are computed here" '(("web" . "h1"))
  (%elaboration-elsewhere (%elaborate site)))
(test-assert "a handle of another type is refused"
  (eq? 'wrong-type-arg (exception-kind (caught (lambda () (%plan-text site))))))

(define desired (desired-of site))
(test-equal "checking needs no state" '(#f 1)
  (let ((plan (%deployment-check site desired)))
    (list (file-exists? state-file) (length (%plan-steps plan)))))
(set! site #f)
(gc) (gc)
(test-assert "what is desired outlives the handle on its site"
  (%desired-definition desired "web" "h1"))
(define definition (%desired-definition desired "web" "h1"))
(test-equal "a definition" '("web 1" "web" "1" #t #f (("http" . "80")))
  (list (%definition-title definition) (%definition-service definition) (%definition-version definition)
        (%definition-has-hook? definition 'start) (%definition-has-hook? definition 'migrate)
        (%definition-endpoints definition)))
(test-equal "prints readably" "#<service web 1>"
  (begin
    (resolve-interface '(tutti private printing))
    (object->string definition)))
(test-equal "its canonical form is read again" (%definition->json definition)
  (%definition->json (%json->definition (%definition->json definition))))
(test-assert "no such instance" (not (%desired-definition desired "web" "h2")))
(test-assert "a hook that is not there names those that are"
  (misuse? (lambda () (%definition-hook definition 'strat)) "Did you mean 'start'?"))
(define command (%definition-hook definition 'start))
(%close-definition! definition)
(test-assert "closed twice" (unspecified? (%close-definition! definition)))
(test-assert "used when closed" (misuse? (lambda () (%definition-title definition)) "this definition is closed"))
(test-equal "a command outlives its definition" '("true") (%command-arguments command))

(test-assert "definitions that die are freed at gates, not by the finalizer's thread"
  (begin
    (do ((i 0 (+ i 1))) ((= i 2000)) (%desired-definition desired "web" "h1"))
    (gc) (gc)
    (%terminal-size)
    #t))

(define deployment (%open-site json state-file))
(gc)
(define plan (%deployment-plan deployment (desired-of deployment) #f))
(test-equal "a plan's steps" '((install "web" "h1"))
  (map (lambda (step) (list-head (vector->list step) 3)) (%plan-steps plan)))
(test-equal "its waves" '((0)) (%plan-waves plan))
(test-assert "as JSON" (string-prefix? "{" (%plan-json plan)))
(test-assert "a name that is not in it" (misuse? (lambda () (%plan-explain plan "wbe")) "Did you mean 'web'?"))
(define old-definition (vector-ref (first (%plan-steps plan)) 4))

(test-assert "no run to finish"
  (misuse? (lambda () (%deployment-finish! deployment)) "no run of this deployment is under way"))

;; A driver by hand: start, validate, done.
(define run (%deployment-begin! deployment plan #f #f #f))
(test-assert "a second run" (misuse? (lambda () (%deployment-begin! deployment plan #f #f #f)) "under way"))
(test-assert "on-host during a run"
  (misuse? (lambda () (%immediate-open! deployment "h1")) "a run is under way"))
(define view (%rollout run))
(define seen
  (let pull ((seen '()))
    (let each ((events (%next-events run 256 #t)) (seen seen))
      (match events
        (() (pull seen))
        ((#('finished interrupted?) . _) (cons (list 'finished interrupted?) seen))
        ((event . rest)
         (each rest
               (match event
                 (#('start task 0 'transition 0)
                  (%on-roll-back! run task)
                  (%perform! run task 'start old-definition #f #f #f #f)
                  (cons (list 'started (%rollout-state view "h1")) seen))
                 (#('resume task #t 0 'exit output #f)
                  (%done! run task)
                  (cons (list 'resumed output) seen))
                 (_ seen))))))))
(test-equal "the events of a run" '((finished #f) (resumed #f) (started in-transition)) seen)
(define report (%deployment-finish! deployment))
(test-equal "its report" 0 (%report-exit-status report))
(test-assert "the run can't be used any more"
  (misuse? (lambda () (%next-events run 1 #t)) "this run has finished"))
(test-assert "nor its view" (misuse? (lambda () (%rollout-state view "h1")) "a run that has finished"))
(%close-run! run)
(test-assert "a run closed twice" (unspecified? (%close-run! run)))

(test-equal "the manifest of the host" '(("web" deployed))
  (map (lambda (entry) (list (vector-ref entry 0) (vector-ref entry 1))) (%deployment-read deployment "h1")))
(test-assert "an unknown host" (misuse? (lambda () (%deployment-read deployment "h9")) "h9"))
(test-equal "the history" '(1)
  (map (lambda (generation) (vector-ref generation 0)) (%deployment-history deployment)))
(test-assert "nothing is unfinished" (not (%deployment-unfinished deployment)))

(test-assert "an effect without on-host"
  (misuse? (lambda () (%immediate-perform! deployment "h1" 'run '("true") #f #f #f)) "on-host"))
(%immediate-open! deployment "h1")
(test-equal "an effect at once; its output is bytes, whatever they are" #vu8(255 111 107)
  (match (%immediate-perform! deployment "h1" 'run '("printf" "\\377ok") #f #f #f)
    (#('resume #f #t 0 'exit #(bytes #f 3 _ _ _) _) bytes)))
(test-assert "what a program says of its failure need not be UTF-8"
  (match (%immediate-perform! deployment "h1" 'run '("sh" "-c" "printf '\\377no\\n' >&2; exit 3") #f #f #f)
    (#('resume #f #f 3 'exit _ (? string? error)) (string-contains error "no"))))
(%immediate-close! deployment)
(test-assert "closed once too often does nothing" (unspecified? (%immediate-close! deployment)))

(%catch-signals! deployment)
(test-assert "signals are caught once" (misuse? (lambda () (%catch-signals! deployment)) "caught already"))
(kill (getpid) SIGINT)
(test-equal "a signal was counted" 1 (%times-interrupted))
(%release-signals!)

(%close-deployment! deployment)
(test-assert "a deployment closed twice" (unspecified? (%close-deployment! deployment)))
(test-assert "used when closed"
  (misuse? (lambda () (%deployment-history deployment)) "this deployment is closed"))
(test-equal "its plan is still there" 1 (length (%plan-steps plan)))
(test-equal "and its report" 0 (%report-exit-status report))

(remove-scratch)
(test-end)
