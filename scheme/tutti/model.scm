;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; (tutti model) --- services, hosts, host classes and sites, as people declare them.
;;;
;;; Commentary:
;;;
;;; The records of a site program.  What the vocabulary has and is not built yet is refused with a sentence
;;; where it is used: here, or by the library when the site is handed over to it.
;;;
;;; Code:

(define-module (tutti model)
  #:use-module (ice-9 format)
  #:use-module (ice-9 match)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (tutti built-in)
  #:use-module (tutti errors)
  #:use-module (tutti platform)
  #:use-module (tutti policy)
  #:use-module (tutti private host)
  #:use-module (tutti private syntax)
  #:use-module (tutti records)
  #:use-module (tutti texts)
  #:export (site-configuration site-configuration? site-configuration-name site-configuration-host-classes
            site-configuration-services site-configuration-host-class->hosts site-configuration-platform
            site-configuration-policy site-configuration-store site-configuration-state
            site-services

            host-class host-class? host-class-name host-class-services host-class-requirements
            host-class-size host-class-platform host-class-image host-class-operating-system
            host-class-labels host-class-capacity host-class-change

            service service? service-name service-version service-payload service-files service-settings
            service-environment service-user service-endpoints service-slots service-one-shot?
            service-hooks %service-hook-fields service-requirements service-connections service-placement
            service-switch-to-service service-switch-back service-remove-service service-before-rollout
            service-after-rollout service-limit
            service-restart service-ready service-log service-stop-signal service-grace service-settle
            service-limits service-working-directory service-umask service-nice

            port ready-port? ready-port-endpoint

            requirement connection relation?
            relation-service relation-versions relation-on-change relation-scope relation-label
            relation-location

            placement placement? image image? platform agent-configuration agent-configuration?
            built-in-store sqlite-state))

;; What a service that is ready listens on.
(define-record-type <port>
  (port endpoint)
  ready-port?
  (endpoint ready-port-endpoint))

;; A requirement or a connection.
(define-record-type <relation>
  (make-relation kind service versions on-change scope label location)
  relation?
  (kind      relation-kind)                 ; a symbol
  (service   relation-service)
  (versions  relation-versions)
  (on-change relation-on-change)
  (scope     relation-scope)
  (label     relation-label)
  (location  relation-location))

(define (check-relation kind location service versions on-change scope)
  (unless (string? service)
    (fail-at location "~a: the name of a service is wanted, not ~s" kind service))
  (unless (string? versions)
    (fail-at location "~a of '~a': #:versions must be a string such as \">=15 <17\", not ~s"
             kind service versions))
  (unless (memq on-change '(nothing reload restart stop))
    (fail-at location "~a of '~a': #:on-change must be 'nothing, 'reload, 'restart or 'stop, not ~s"
             kind service on-change))
  (unless (memq scope '(site same-host same-label))
    (fail-at location "~a of '~a': #:scope must be 'site, 'same-host or 'same-label, not ~s"
             kind service scope)))

(define* (%requirement location service
                       #:key (versions "*") (on-change 'nothing) (scope 'site) (label #f))
  (check-relation 'requirement location service versions on-change scope)
  (make-relation 'requirement service versions on-change scope label location))

(define* (%connection location service
                      #:key (versions "*") (on-change 'nothing) (scope 'site) (label #f))
  (check-relation 'connection location service versions on-change scope)
  (make-relation 'connection service versions on-change scope label location))

;; (requirement NAME #:versions #:on-change #:scope #:label): the service needs NAME running.
(define-located requirement %requirement)
;; (connection NAME ...): the service talks to NAME.
(define-located connection %connection)


;;;
;;; Types of fields.
;;;

(define any-value (make-type (const #t) "anything"))
(define a-string (make-type string? "a string"))
(define a-name
  (make-type (lambda (value) (and (string? value) (not (string-null? value)))) "a name, a string"))
(define a-boolean (make-type boolean? "#t or #f"))
(define a-number
  (make-type (lambda (value) (and (real? value) (positive? value) (finite? value))) "a positive number"))
(define a-count
  (make-type (lambda (value) (and (exact-integer? value) (positive? value))) "a whole number above 0"))
(define a-port
  (make-type (lambda (value) (and (exact-integer? value) (< 0 value 65536))) "a port number"))
(define seconds
  (make-type (lambda (value) (and (real? value) (not (negative? value)) (finite? value))) "seconds"))
(define a-whole-number (make-type exact-integer? "a whole number"))
(define (symbol-of . symbols)
  (make-type (lambda (value) (memq value symbols))
             (string-join (map (lambda (symbol) (format #f "'~a" symbol)) symbols) " or ")))
(define a-readiness
  (make-type (lambda (value)
               (or (memq value '(validate notify))
                   (and (ready-port? value) (key? (ready-port-endpoint value)))))
             "'validate, 'notify or (port ENDPOINT)"))
(define a-procedure (make-type procedure? "a procedure"))
(define a-transition
  (procedure-of 0 "a procedure of #:old and #:new: (define* (switch #:key (old #f) new) ...)" '(#:old #:new)))
(define a-removal
  (procedure-of 0 "a procedure of #:old: (define* (remove #:key old) ...)" '(#:old)))
(define a-symbol (make-type symbol? "a symbol"))
(define a-program
  (make-type program? "a program: (program FILE ...), (script FILE ...) or (daemon FILE ...)"))
(define an-item (make-type item? "an item"))
(define a-file (make-type file? "a (file PATH CONTENT)"))
(define a-service-name (make-type string? "the name of a service"))
(define a-requirement
  (make-type (lambda (value)
               (and (relation? value) (eq? (relation-kind value) 'requirement)))
             "(requirement NAME)"))
(define a-connection
  (make-type (lambda (value)
               (and (relation? value) (eq? (relation-kind value) 'connection)))
             "(connection NAME)"))

(define (key? value)
  (or (string? value) (symbol? value)))

(define (alist-of predicate description)
  (make-type (lambda (value)
               (and (list? value)
                    (every (match-lambda
                             (((? key?) . datum) (predicate datum))
                             (_ #f))
                           value)
                    (let ((names (map (match-lambda ((key . _) (key->string key))) value)))
                      (= (length names) (length (delete-duplicates names))))))
             (string-append "an association list of names and " description ", each name once")))

(define labels-type
  (alist-of (lambda (value) (or (string? value) (symbol? value) (exact-integer? value))) "strings"))
(define limits-type
  (alist-of (lambda (value) (or (string? value) (exact-integer? value))) "numbers"))
(define texts-type (alist-of text? "texts"))
(define settings-type
  (one-of (procedure-of 2 "a procedure of the site and the host")
          (alist-of (lambda (value)
                      (or (string? value) (symbol? value) (real? value)))
                    "strings")))
(define endpoints-type (alist-of text? "ports"))
(define hooks-type (alist-of program? "programs"))


;;;
;;; Records.
;;;

(define (check-service service)
  (let ((location (declaration-location service))
        (name (service-name service)))
    (define (check-only-program field program)
      (when (and program (or (program-daemon? program) (program-unit? program)))
        (fail-at location "service '~a': field '~a' must be a program that ends; only 'start' may be a daemon or a unit"
                 name field)))
    (for-each (match-lambda
                ((field . accessor)
                 (unless (eq? field 'start)
                   (check-only-program field (accessor service)))))
              %service-hook-fields)
    (when (and (symbol? (service-switch-back service))
               (not (memq (service-switch-back service) '(same irreversible))))
      (fail-at location "service '~a': field 'switch-back' must be 'same, 'irreversible or a procedure, not '~a"
               name (service-switch-back service)))))

;; A service has a field, and an accessor service-HOOK, for each HOOK: %service-hook-fields has them as pairs.
(define-syntax define-service
  (lambda (form)
    (syntax-case form ()
      ((_ declaration finish (hook ...) field ...)
       (with-syntax (((accessor ...)
                      (map (lambda (hook)
                             (datum->syntax hook (symbol-append 'service- (syntax->datum hook))))
                           #'(hook ...)))
                     (all (datum->syntax form '%service-hook-fields)))
         #'(begin
             (define-declaration declaration finish
               field ...
               (hook accessor (maybe a-program) #f) ...)
             (define all (list (cons 'hook accessor) ...))
             (export accessor ...)))))))

(define-service (service <service> service?) check-service
  (prepare start stop reload alive? validate drain undrain backup restore migrate migrate-back)
  (name service-name a-name)
  (version service-version a-string)
  (payload service-payload (list-of an-item) '())
  (files service-files (list-of a-file) '())
  (settings service-settings settings-type '())
  (environment service-environment texts-type '())
  (user service-user (maybe a-string) #f)
  (endpoints service-endpoints endpoints-type '())
  (slots service-slots a-count 1)
  (one-shot? service-one-shot? a-boolean #f)
  (hooks service-hooks hooks-type '())
  (requirements service-requirements (list-of (one-of a-service-name a-requirement)) '())
  (connections service-connections (list-of (one-of a-service-name a-connection)) '())
  (placement service-placement any-value #f)
  (switch-to-service service-switch-to-service a-transition replace-service)
  (switch-back service-switch-back (one-of a-transition a-symbol) 'same)
  (remove-service service-remove-service a-removal remove-service)
  (before-rollout service-before-rollout (maybe a-procedure) #f)
  (after-rollout service-after-rollout (maybe a-procedure) #f)
  (limit service-limit a-number 600)
  (restart service-restart (symbol-of 'always 'on-failure 'never) 'always)
  (ready service-ready a-readiness 'validate)
  (log service-log (symbol-of 'file 'journal) 'file)
  (stop-signal service-stop-signal a-symbol 'TERM)
  (grace service-grace seconds 10)
  (settle service-settle (maybe seconds) #f)
  (limits service-limits limits-type '())
  (working-directory service-working-directory (maybe (make-type text? "a text")) #f)
  (umask service-umask (maybe a-whole-number) #f)
  (nice service-nice (maybe a-whole-number) #f))

(define-declaration (host-class <host-class> host-class?) (const #t)
  (name host-class-name a-name)
  (services host-class-services (list-of (make-type service? "a service")) '())
  (requirements host-class-requirements (list-of (make-type string? "the name of a host class")) '())
  (size host-class-size (maybe a-count) #f)
  (platform host-class-platform (maybe (make-type platform-description? "a platform")) #f)
  (image host-class-image (maybe (make-type image? "an image")) #f)
  (operating-system host-class-operating-system (maybe a-string) #f)
  (labels host-class-labels labels-type '())
  (capacity host-class-capacity any-value '())
  (change host-class-change (make-type in-place? "(in-place)") (in-place)))

(define-record-type <store> (built-in-store) store?)
(define-record-type <state> (sqlite-state) state?)

(define-declaration (site-configuration <site-configuration> site-configuration?) (const #t)
  (name site-configuration-name a-name)
  (host-classes site-configuration-host-classes (list-of (make-type host-class? "a host class")) '())
  (services site-configuration-services (list-of (make-type service? "a service")) '())
  (host-class->hosts site-configuration-host-class->hosts
                     (maybe (procedure-of 1 "an inventory: a procedure from a host class to hosts")) #f)
  (platform site-configuration-platform (make-type platform-description? "a platform") (ssh-platform))
  (policy site-configuration-policy
          (make-type policy-description? "a policy, or a procedure of a view and a host") %default-policy)
  (store site-configuration-store (make-type store? "a store") (built-in-store))
  (state site-configuration-state (make-type state? "a state") (sqlite-state)))

(define (site-services site)
  "Return all services of SITE, those of its host classes first; each name once."
  (delete-duplicates
   (append (append-map host-class-services (site-configuration-host-classes site))
           (site-configuration-services site))
   (lambda (a b) (string=? (service-name a) (service-name b)))))


;;;
;;; What comes later, but for its names and fields.
;;;

(define (later name)
  (lambda (record)
    (not-built name #:location (declaration-location record))))

(define-declaration (placement <placement> placement?)
    (later "placement")
  (count placement-count a-count 1)
  (labels placement-labels labels-type '())
  (needs placement-needs any-value '())
  (apart-from placement-apart-from any-value '()))

(define-declaration (image <image> image?)
    (later "image")
  (name image-name a-name)
  (contents image-contents any-value '())
  (files image-files any-value '())
  (entry-point image-entry-point any-value #f)
  (user image-user (maybe a-string) #f)
  (environment image-environment texts-type '()))

(define-declaration (platform <platform-record> platform-record?)
    (later "platform")
  (name platform-name a-name)
  (lookup platform-lookup a-procedure)
  (provision platform-provision (maybe a-procedure) #f)
  (retire platform-retire (maybe a-procedure) #f)
  (transport platform-transport a-symbol 'ssh))

(define-declaration (agent-configuration <agent-configuration> agent-configuration?)
    (later "agent-configuration")
  (site agent-configuration-site any-value)
  (source agent-configuration-source any-value)
  (poll-every agent-configuration-poll-every a-number 300)
  (jitter agent-configuration-jitter a-number 60)
  (back-off-at-most agent-configuration-back-off-at-most a-number 3600)
  (signed-by agent-configuration-signed-by any-value '()))


;;;
;;; Printing.
;;;

(set-record-type-printer! <service>
  (lambda (record port)
    (format port "#<service ~a ~a>" (service-name record) (service-version record))))
(set-record-type-printer! <host-class>
  (lambda (record port)
    (format port "#<host-class ~a:~{ ~a~}>" (host-class-name record)
            (map service-name (host-class-services record)))))
(set-record-type-printer! <site-configuration>
  (lambda (record port)
    (let ((classes (length (site-configuration-host-classes record)))
          (services (length (site-services record))))
      (format port "#<site-configuration ~a: ~a class~:[es~;~], ~a service~p>"
              (site-configuration-name record) classes (= classes 1) services services))))
(set-record-type-printer! <relation>
  (lambda (record port)
    (format port "#<~a ~a ~a~@[ ~a~]>" (relation-kind record) (relation-service record)
            (relation-versions record)
            (and=> (relation-location record) location->string))))
