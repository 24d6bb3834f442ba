;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; Sites in use, on directories of this machine: planned, deployed, upgraded, rolled back, looked at.

(use-modules (ice-9 exceptions)
             (ice-9 match)
             (srfi srfi-1)
             (srfi srfi-64)
             (tutti)
             (tutti errors)
             (tutti private answers)
             (tutti private bindings)
             (tutti repl)
             (tutti site))
(eval-when (expand load eval)
  (add-to-load-path (string-append (dirname (current-filename)) "/../support")))
(use-modules (local-site))

(define (web the-version . fields)
  (service (name "web") (version the-version)
           (files (list (file "web.conf" (string-append "version " the-version "\n"))))
           (start (program "true")) (stop (program "true"))
           (validate (if (string=? the-version "3")
                         (program "false" #:limit 0.2)
                         (program "true")))))
(define (outcomes results)
  (map (match-lambda ((outcome . _) outcome)) results))

(define folder (fresh-folder))
(define* (with-site services procedure #:key (hosts '("h1" "h2")) (policy (at-most "100%")))
  "Open a site in the folder with SERVICES, return what PROCEDURE returns for it."
  (let* ((site (make-local-site services #:folder folder #:hosts hosts #:policy policy))
         (result (procedure site)))
    (close-site! site)
    result))
(define (actions plan)
  (map step-action (plan-steps plan)))

(test-begin "site")

(test-equal "install" '(upgraded upgraded) (outcomes (with-site (list (web "1")) deploy-site)))
(test-equal "nothing to do" '() (with-site (list (web "1")) (lambda (site) (actions (make-plan site)))))
(test-equal "nothing to do prints so" "#<plan test: nothing to do>"
  (with-site (list (web "1")) (lambda (site) (object->string (make-plan site)))))
(test-equal "an upgrade prints so" "#<plan test 1→2: 2 upgrades, 1 wave>"
  (with-site (list (web "2")) (lambda (site) (object->string (make-plan site)))))
(test-equal "upgrade" '(upgraded upgraded) (outcomes (with-site (list (web "2")) deploy-site)))
(test-equal "a validation that fails is rolled back, and the run halts" '(rolled-back skipped)
  (outcomes (with-site (list (web "3")) deploy-site #:policy (at-most 1))))
(test-equal "the report prints readably" "#<report test generation 4: 1 rolled-back, 1 skipped>"
  (with-site (list (web "3"))
    (lambda (site) (object->string (execute-plan site (make-plan site))))
    #:policy (at-most 1)))
(test-equal "a policy in Scheme sees the rollout" '((h1 . ()) (h2 . (h1)))
  (let ((asked '()))
    (define (look view host)
      (unless (view-simulated? view)
        (set! asked (acons (string->symbol (host-name host))
                           (map (lambda (h) (string->symbol (host-name h)))
                                (view-hosts view 'in-transition))
                           asked)))
      #t)
    (with-site (list (web "4")) deploy-site #:policy look)
    (reverse asked)))
(test-equal "the waves of a policy in Scheme" '((0) (1))
  (with-site (list (web "5"))
    (lambda (site) (%plan-waves (make-plan site)))
    #:policy (lambda (view host) (null? (view-hosts view 'in-transition)))))
(test-assert "a policy that can never finish says so in the plan"
  (with-site (list (web "5"))
    (lambda (site)
      (pair? (plan-summary-notes (plan-summary (make-plan site)))))
    #:policy (lambda (view host) #f)))
(test-assert "a policy that fails while planning is an error that names the host"
  (string-prefix? "the policy can't say whether host 'h1' may start: "
                  (sentence (lambda ()
                              (with-site (list (web "5")) make-plan
                                         #:policy (lambda (view host) (car 5)))))))
(test-equal "its code is that of a procedure of the program" 'callback
  (guard (e ((tutti-error? e) (tutti-error-code e)))
    (with-site (list (web "5")) make-plan #:policy (lambda (view host) (car 5)))))
(test-equal "a policy that fails while deploying halts the run" '(skipped skipped)
  (outcomes (with-site (list (web "5")) deploy-site
                       #:policy (lambda (view host) (or (view-simulated? view) (car 5))))))
;; A site program may go by what went wrong.
(test-equal "who deploys while another deploys gets an error with the code locked" 'locked
  (let* ((folder (fresh-folder))
         (site (make-local-site (list (web "1")) #:folder folder))
         (other (make-local-site (list (web "1")) #:folder folder))
         (plan-of-other (make-plan other))
         (code #f))
    (define (try-too event)
      (unless code
        (set! code (guard (e ((tutti-error? e) (tutti-error-code e)))
                     (execute-plan other plan-of-other)
                     'it-was-executed))))
    (deploy-site site #:on-progress try-too)
    (close-site! site)
    (close-site! other)
    code))
(test-equal "a service that is in the site no more is removed" '(upgraded upgraded)
  (outcomes (with-site '() deploy-site)))
(test-equal "and then there is nothing" '() (with-site '() (lambda (site) (actions (make-plan site)))))

(define removals '())
(test-equal "a removal calls remove-service with the old service" '(("web 1" #f))
  (let ((folder (fresh-folder)))
    (define* (note-removal #:key old)
      (set! removals (cons (list (%definition-title old) (has-hook? old 'migrate)) removals))
      (stop old))
    (define (site . services)
      (make-local-site services #:folder folder))
    (define kept (service (inherit (web "1")) (remove-service note-removal)))
    (let ((first (site kept)))
      (deploy-site first)
      (close-site! first))
    ;; Still in the site, but no more on a host: its procedure is known.
    (let ((second (open-site (site-configuration
                              (name "test") (platform (local-platform (string-append folder "/hosts")))
                              (host-classes (list (host-class (name "all"))
                                                  (host-class (name "none") (services (list kept)))))
                              (host-class->hosts (inventory-list `("all" ,(host (name "h1"))))))
                             #:state (string-append folder "/state/test.db"))))
      (deploy-site second)
      (close-site! second))
    removals))
(test-equal "a change of files alone is a reload, where the service can" '(reload)
  (let ((folder (fresh-folder)))
    (define (site text)
      (make-local-site (list (service (inherit (web "1"))
                                      (files (list (file "web.conf" text)))
                                      (reload (program "true"))))
                       #:folder folder))
    (let ((first (site "a")))
      (deploy-site first)
      (close-site! first))
    (let* ((second (site "b"))
           (plan (make-plan second))
           (actions (actions plan)))
      (unless (equal? '(upgraded) (outcomes (deploy-site second)))
        (error "the reload failed"))
      (close-site! second)
      actions)))

;; Settings, bound late.
(define (site-of . classes)
  (open-site (site-configuration
              (name "test") (platform (local-platform (fresh-folder)))
              (host-classes classes)
              (host-class->hosts (inventory-list `("front" ,(host (name "w1"))) `("data" ,(host (name "d1"))))))))
(define (simple the-name needs settings-of)
  (service (name the-name) (version "1") (connections needs)
           (settings settings-of)
           (endpoints `((sql . ,(setting 'port))))
           (environment `(("X" . ,(setting 'port))))
           (start (program "true")) (stop (program "true"))))
(define (class the-name . services-of)
  (host-class (name the-name) (services services-of)))

(test-assert "settings that read each other's endpoints are computed in their order"
  (let* ((site (site-of (class "front"
                               (service (inherit (simple "a" (list (connection "b"))
                                                         (lambda (site host)
                                                           `((port . ,(endpoint site "b" 'sql))))))
                                        (endpoints '())))
                        (class "data" (simple "b" '() (lambda (site host) '((port . 9001)))))))
         (plan (check-site site)))
    (find (lambda (step)
            (string-contains (%definition->json (step-new step)) "\"X\":\"127.0.1.2:9001\""))
          (plan-steps plan))))
(test-assert "settings that wait for each other are an error that names them"
  (let ((text (sentence
               (lambda ()
                 (check-site
                  (site-of (class "front" (simple "a" (list (connection "b"))
                                                  (lambda (site host) `((port . ,(endpoint site "b" 'sql))))))
                           (class "data" (simple "b" (list (connection "a"))
                                                 (lambda (site host) `((port . ,(endpoint site "a" 'sql))))))))))))
    (and (string-contains text "'a'") (string-contains text "'b'"))))
(test-assert "reading what is declared neither way is an error"
  (let ((text (sentence
               (lambda ()
                 (check-site
                  (site-of (class "front" (simple "a" '() (lambda (site host)
                                                            `((port . ,(endpoint site "b" 'sql))))))
                           (class "data" (simple "b" '() (lambda (site host) '((port . 1)))))))))))
    (and (string-contains text "settings of 'a' on w1") (string-contains text "'b'"))))
(test-assert "settings that raise are placed"
  (let ((text (sentence (lambda ()
                          (check-site (site-of (class "front" (simple "a" '() (lambda (site host) (car 5))))
                                               (class "data")))))))
    (string-contains text "settings of 'a' on w1: Wrong type")))
(test-equal "their code is that of a procedure of the program" 'callback
  (guard (e ((tutti-error? e) (tutti-error-code e)))
    (check-site (site-of (class "front" (simple "a" '() (lambda (site host) (car 5))))
                         (class "data")))))
(test-assert "settings that are no settings"
  (string-contains (sentence (lambda ()
                               (check-site (site-of (class "front" (simple "a" '() (lambda (site host) 5)))
                                                    (class "data")))))
                   "must return an association list of names and strings, not 5"))
(test-assert "an effect in settings"
  (string-contains (sentence (lambda ()
                               (check-site (site-of (class "front" (simple "a" '() (lambda (site host)
                                                                                     (run (program "true")))))
                                                    (class "data")))))
                   "an effect (run) was asked for in the settings of a service"))
(test-assert "a requirement that is nowhere"
  (string-contains (sentence (lambda ()
                               (check-site (make-local-site (list (service (inherit (web "1"))
                                                                           (requirements '("dbb")))
                                                                  (service (inherit (web "1")) (name "db")))))))
                   "Did you mean 'db'?"))
(test-assert "a loop of requirements names both edges"
  (let ((text (sentence (lambda ()
                          (check-site
                           (make-local-site
                            (list (service (inherit (web "1")) (name "a") (requirements '("b")))
                                  (service (inherit (web "1")) (name "b") (requirements '("a"))))))))))
    (and (string-contains text "'a'") (string-contains text "'b'"))))

;; As at the REPL.
(define program-file (string-append (fresh-folder) ".scm"))
(call-with-output-file program-file
  (lambda (port)
    (write '(use-modules (tutti)) port)
    (write `(define web (service (name "web") (version "1") (start (program "true")) (stop (program "true"))
                                 (validate (program "true"))))
           port)
    (write `(site-configuration (name "repl") (platform (local-platform "repl-hosts"))
                                (host-classes (list (host-class (name "all") (services (list web)))))
                                (host-class->hosts (inventory-list (list "all" (host (name "h1"))))))
           port)))
(define state (string-append scratch "/repl.db"))
(test-equal "use-site" "#<site repl: 1 class, 1 service>" (object->string (use-site program-file #:state state)))
(define p (plan))
(test-equal "a plan displays as the command prints it" (%plan-text p)
  (call-with-output-string (lambda (port) (display p port))))
(define output (with-output-to-string (lambda () (execute p))))
(test-assert "execute tells what happens" (string-contains output "web@h1  upgraded"))
(test-equal "then there is a generation" "#<site repl: 1 class, 1 service, generation 1>"
  (object->string (current-site)))
(test-equal "hosts-of" "(#<host h1 127.0.1.1 all>)" (object->string (hosts-of (current-site) "web")))
(test-assert "hosts-of what is not there"
  (string-contains (sentence (lambda () (hosts-of (current-site) "wbe"))) "Did you mean 'web'?"))
(test-assert "status" (string-contains (with-output-to-string status) "web"))
(test-assert "history" (string-contains (with-output-to-string history) "web 1"))
(test-assert "explain" (string-contains (with-output-to-string (lambda () (explain p "web"))) "web@h1"))
(test-equal "an effect on a host" "hello\n" (output-text (on-host "h1" (run (program "echo" "hello")))))
(test-equal "an output prints readably" "#<output 6 bytes \"hello …\">"
  (object->string (on-host "h1" (run (program "echo" "hello")))))
(test-equal "the service that is deployed there" "#<service web 1>"
  (object->string (on-host "h1" (deployed "web"))))
(test-equal "and validated" #t (on-host "h1" (validate (deployed "web"))))
(test-assert "an effect that fails"
  (string-contains (sentence (lambda () (on-host "h1" (run (program "false"))))) "run false failed"))
(test-assert "a host that is not there"
  (string-contains (sentence (lambda () (on-host "h2" (run (program "true"))))) "no host 'h2' in site 'repl'"))
(test-equal "after effects of one's own a deploy still works" "#<plan repl: nothing to do>"
  (object->string (deploy)))
(close-site! (current-site))

(remove-scratch)
(test-end)
