;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; (tutti site) --- a site in use: looked at, planned, deployed.
;;;
;;; Commentary:
;;;
;;; What the command and the words of the REPL are made of.  A site in use is a site program that was loaded,
;;; the handles on it, and, once something needs them, its state and the connections to its hosts.
;;;
;;; Code:

(define-module (tutti site)
  #:use-module (ice-9 exceptions)
  #:use-module (ice-9 format)
  #:use-module (ice-9 match)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-26)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (tutti built-in)
  #:use-module (tutti errors)
  #:use-module (tutti inventory)
  #:use-module (tutti model)
  #:use-module (tutti policy)
  #:use-module (tutti private answers)
  #:use-module (tutti private bindings)
  #:use-module (tutti private context)
  #:use-module (tutti private driver)
  #:use-module (tutti private host)
  #:use-module (tutti private printing)
  #:use-module (tutti private program)
  #:use-module (tutti private site-json)
  #:use-module (tutti private site-view)
  #:use-module (tutti records)
  #:export (open-site
            site?
            site-names
            close-site!
            site-name
            site-file
            site-hosts
            site-state-file
            site-deployment
            site-host-count
            site-view-of
            check-site
            make-plan
            take-names!
            execute-plan
            frames-sent))

;; A site in use.
(define-record-type <site>
  (make-site-in-use configuration file files state-file json hosts deployment view)
  site?
  (configuration site-configuration-of)
  (file          site-file)                 ; of the program, or #f
  (files         site-files)                ; of the program, for placing errors
  (state-file    site-state-file)
  (json          site-json)                 ; all of it, with the answers of its inventory
  (hosts         site-hosts)                ; hash table from names to hosts
  (deployment    %site-deployment set-site-deployment!)  ; handle, or #f when it is closed
  (view          %site-site-view set-site-site-view!))    ; site view, once elaborated

(define (site-name site)
  "Return the name of SITE."
  (site-configuration-name (site-configuration-of site)))

(define (site-host-count site)
  "Return how many hosts SITE has."
  (hash-count (const #t) (site-hosts site)))


;;;
;;; Opening.
;;;

(define (choose-site value name file)
  "Return the site that VALUE, of the program FILE, is, or the one called NAME of those that it is."
  (define what "the last value of a site program is a site-configuration, or a list of these")
  (match value
    ((? site-configuration? site)
     (when (and name (not (string=? name (site-configuration-name site))))
       (fail "~a: there is no site '~a': it is of the site '~a'" file name (site-configuration-name site)))
     site)
    (((? site-configuration? sites) ..1)
     (let ((names (names-of sites file)))
       (match (and name (find (lambda (site) (string=? name (site-configuration-name site))) sites))
         (#f (if name
                 (fail "~a: there is no site '~a'.~a" file name (suggestion name names))
                 (match sites
                   ((site) site)
                   (_ (fail "~a has ~a sites; say which by --site NAME. They are: ~{~a~^, ~}."
                            file (length sites) names)))))
         (site site))))
    (_ (if (unspecified? value)
           (fail "~a: ~a; its last line gives nothing: write the name of the site there" file what)
           (fail "~a: ~a, not ~s" file what value)))))

(define (names-of sites file)
  "Return the names of SITES, which are all that the program FILE has."
  (let* ((names (map site-configuration-name sites))
         (again (find (lambda (name) (< 1 (count (cut equal? name <>) names))) names)))
    (when again
      (fail "~a has two sites called '~a': a site is known by its name" file again))
    names))

(define (site-names program)
  "Return the names of the sites that the site program called PROGRAM has."
  (match (loaded-value (load-program program))
    (((? site-configuration? sites) ..1) (names-of sites program))
    (site (list (site-configuration-name (choose-site site #f program))))))

(define (call-with-program-named program files thunk)
  "Call THUNK.  An error in the program that it raises begins with PROGRAM, unless that is #f or the error
names one of FILES already."
  (with-exception-handler
      (lambda (exception)
        (let ((text (and (tutti-error? exception) (tutti-error-message exception))))
          (if (and text program
                   (memq (tutti-error-code exception) '(misuse not-built callback))
                   (not (string-prefix? "/" text))           ; an inventory
                   (not (any (lambda (file) (string-contains text (basename file))) files)))
              (raise-error (tutti-error-code exception) (string-append program ": " text))
              (raise-exception exception))))
    thunk
    #:unwind? #t))

(define (host-table handle)
  (let ((table (make-hash-table)))
    (for-each (lambda (data)
                (let ((host (vector->host data)))
                  (hash-set! table (host-name host) host)))
              (%fleet handle))
    table))

(define* (open-site program #:key (name #f) (inventory #f) (state #f))
  "Return the site in use that PROGRAM is: the name of a site program, or a site-configuration.  NAME says
which one of several; INVENTORY is the name of a file that takes the place of the site's own inventory; STATE
is the name of the file in which its state is kept."
  (let* ((loaded (and (string? program) (load-program program)))
         (configuration (if loaded
                            (choose-site (loaded-value loaded) name program)
                            program))
         (files (if loaded (loaded-files loaded) '()))
         (folder (if loaded (dirname program) "."))
         (site-name (site-configuration-name configuration)))
    (when (and inventory (not (file-exists? inventory)))
      (fail "there is no inventory '~a'" inventory))
    (call-with-program-named (and loaded program) (if inventory (cons inventory files) files)
      (lambda ()
        (let* ((json (site->json configuration
                                 #:source (if loaded (loaded-source loaded) '())
                                 #:inventory (and inventory (file-inventory inventory))))
               (state-file (or state (string-append folder "/.tutti/" site-name ".db")))
               (deployment (%open-site json state-file)))
          (make-site-in-use configuration (and loaded program) files state-file json
                            (host-table deployment) deployment #f))))))

(define (site-deployment site)
  "Return the handle on the deployment of SITE, which is opened again if it was closed."
  (or (%site-deployment site)
      (let ((deployment (%open-site (site-json site) (site-state-file site))))
        (set-site-deployment! site deployment)
        deployment)))

(define (close-site! site)
  "Close the connections and the state of SITE.  It may be used again, which opens them again."
  (match (%site-deployment site)
    (#f #f)
    (deployment
     (set-site-deployment! site #f)
     (set-site-site-view! site #f)
     (%close-deployment! deployment))))


;;;
;;; Elaboration: late-bound settings.
;;;

(define (find-service site name)
  (find (lambda (service) (string=? name (service-name service)))
        (site-services (site-configuration-of site))))

(define (compute-settings service host view)
  "Return the settings that the procedure of SERVICE gives for HOST, as an association list of strings."
  (define (raise-placed exception)
    (callback-failed exception (declaration-location service) "settings of '~a' on ~a: ~a"
                     (service-name service) (host-name host) (describe exception)))
  (match (with-exception-handler raise-placed
           (lambda ()
             (parameterize ((%context "the settings of a service"))
               ((service-settings service) view host)))
           #:unwind? #t)
    ((((and keys (or (? symbol?) (? string?))) . (and values (or (? string?) (? symbol?) (? number?)))) ...)
     (let ((names (map key->string keys)))
       (unless (= (length names) (length (delete-duplicates names)))
         (fail-at (declaration-location service)
                  "settings of '~a' on ~a: each name is given once, not as in ~s"
                  (service-name service) (host-name host) names))
       (map (lambda (name value) (cons name (label->string value))) names values)))
    (other
     (fail-at (declaration-location service)
              "settings of '~a' on ~a: the procedure must return an association list of names and strings, not ~s"
              (service-name service) (host-name host) other))))

(define (elaborate site)
  "Return the elaboration of SITE, with all settings computed."
  (define elaboration (%elaborate (site-deployment site)))
  (define settled (make-hash-table))
  (define (settle service-name host-name)
    (unless (hash-ref settled (cons service-name host-name))
      (%elaboration-begin! elaboration service-name host-name)
      (let ((settings (compute-settings (find-service site service-name)
                                        (hash-ref (site-hosts site) host-name)
                                        (make-site-view (site-name site) elaboration
                                                        service-name host-name settle))))
        (hash-set! settled (cons service-name host-name) #t)
        (%elaboration-settle! elaboration service-name host-name settings))))
  (for-each (match-lambda ((service . host) (settle service host)))
            (%elaboration-elsewhere elaboration))
  elaboration)

(define (desired site)
  "Return the handle on what SITE desires.  Its site view is the one that the settings were computed by."
  (call-with-program-named (site-file site) (site-files site)
    (lambda ()
      (let ((elaboration (elaborate site)))
        (set-site-site-view! site (site-view site elaboration))
        (%elaboration-finish! elaboration)))))

(define (site-view site elaboration)
  (make-site-view (site-name site) elaboration "" #f #f))

(define (site-view-of site)
  "Return the site view of SITE, a site in use, or #f."
  (and (site? site)
       (or (%site-site-view site)
           (let ((view (site-view site (elaborate site))))
             (set-site-site-view! site view)
             view))))


;;;
;;; Planning and executing.
;;;

(define (with-waves plan site)
  "Return PLAN, with its waves if the policy of SITE must be asked here for them: else it has them."
  (let ((predicates (policy-predicates (site-configuration-policy (site-configuration-of site)))))
    (unless (zero? (vector-length predicates))
      (call-with-program-named (site-file site) (site-files site)
        (lambda () (preview-waves (site-deployment site) plan predicates (site-hosts site) (site-files site)))))
    plan))

(define (check-site site)
  "Check SITE without touching a host, and return a plan as though nothing were deployed."
  (let ((desired (desired site)))
    (with-waves (call-with-program-named (site-file site) (site-files site)
                  (lambda () (%deployment-check (site-deployment site) desired)))
                site)))

(define* (make-plan site #:key (accept-names? #f))
  "Return a plan for SITE: the manifests of its hosts are read, and nothing is changed.  A host that has another
name in the site is refused unless ACCEPT-NAMES? is true."
  (with-waves (%deployment-plan (site-deployment site) (desired site) accept-names?) site))

(define (transition-body site)
  "Return a procedure from a step to the thunk that is its transition: the one that the plan says."
  (define (procedure-of step)
    (let ((service (find-service site (step-service step))))
      (match (step-transition-from step)
        ('built-in (built-in-transition (step-transition step)))
        ('site (if (eq? (step-action step) 'remove)
                   (service-remove-service service)
                   (service-switch-to-service service))))))
  (lambda (step)
    (let ((procedure (procedure-of step))
          (old (step-old step))
          (new (step-new step)))
      (if (eq? (step-action step) 'remove)
          (lambda () (procedure #:old old))
          (lambda () (procedure #:old old #:new new))))))

(define (quiet-progress on-progress)
  "Return ON-PROGRESS, or #f, such that it never raises: a run does not end because nobody listens any more."
  (let ((broken? #f))
    (and on-progress
         (lambda (event)
           (unless broken?
             (catch #t
               (lambda () (on-progress event))
               (lambda _ (set! broken? #t))))))))

(define* (execute-plan site plan #:key (take-over? #f) (dry-run? #f) (keep #f) (on-progress #f))
  "Execute PLAN on the hosts of SITE and return the report.  Signals interrupt the run meanwhile.  If DRY-RUN?
is true, every effect is taken to succeed, and nothing is touched or recorded.  KEEP is how many runs are kept
whole, here and on the hosts."
  (let* ((deployment (site-deployment site))
         (steps (list->vector (plan-steps plan)))
         (run (%deployment-begin! deployment plan take-over? dry-run? keep))
         (execution (make-execution run plan (site-hosts site) (site-view-of site)
                                    steps (make-vector (vector-length steps) '())))
         (finished? #f))
    (dynamic-wind
      (lambda () (%catch-signals! deployment))
      (lambda ()
        (with-exception-handler
            (lambda (exception)
              (if (or dry-run? (quit-exception? exception))
                  (raise-exception exception)
                  (raise-error 'left-open
                               (format #f "~a.  The run stays open, and what was under way is unknown: \
'tutti abandon' ends it without touching hosts; the next deploy repairs." (describe exception)))))
          (lambda ()
            (drive execution
                   #:transition-of (transition-body site)
                   #:predicates (policy-predicates
                                 (site-configuration-policy (site-configuration-of site)))
                   #:on-progress (quiet-progress on-progress)
                   #:files (site-files site)))
          #:unwind? #t)
        (set! finished? #t))
      (lambda ()
        (%release-signals!)
        (unless finished?                   ; the run stays open; the next plan says how to go on
          (false-if-exception (%deployment-finish! deployment)))))
    (%deployment-finish! deployment)))

(define* (take-names! site plan #:key (take-over? #f))
  "Give the hosts of PLAN that have other names in SITE those of the inventory.  Executing PLAN does this too."
  (%deployment-take-names! (site-deployment site) plan take-over?))

(define (frames-sent site)
  "Return how many request frames were sent to the hosts of SITE so far."
  (%deployment-frames (site-deployment site)))


;;;
;;; Printing.
;;;

(define (generation-phrase site)
  "Return \", generation N\" when SITE has been deployed from here."
  (or (false-if-exception
       (and (file-exists? (site-state-file site))
            (match (generations (site-deployment site))
              ((newest . _) (format #f ", generation ~a" (generation-number newest)))
              (() #f))))
      ""))

(set-record-type-printer! <site>
  (lambda (record port)
    (let* ((configuration (site-configuration-of record))
           (classes (length (site-configuration-host-classes configuration)))
           (services (length (site-services configuration))))
      (format port "#<site ~a: ~a class~:[es~;~], ~a service~:p~a>" (site-name record)
              classes (= classes 1) services (generation-phrase record)))))
