;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; (tutti private site-json) --- a site as data for the library.
;;;
;;; Commentary:
;;;
;;; An inventory that is a procedure is asked here, once for each class; the library reads one that is a file.
;;; Settings that are procedures, and transitions, stay behind: the library knows them by name.  Fields with
;;; nothing in them are left out.
;;;
;;; Code:

(define-module (tutti private site-json)
  #:use-module (ice-9 format)
  #:use-module (ice-9 match)
  #:use-module (srfi srfi-1)
  #:use-module (tutti built-in)
  #:use-module (tutti errors)
  #:use-module ((tutti inventory) #:select (call-with-one-answer inventory-parts))
  #:use-module (tutti later)
  #:use-module (tutti model)
  #:use-module (tutti platform)
  #:use-module (tutti policy)
  #:use-module (tutti private host)
  #:use-module (tutti private json)
  #:use-module (tutti private syntax)
  #:use-module (tutti records)
  #:use-module (tutti texts)
  #:export (site->json
            site->datum))

(define (declared location)
  "Return LOCATION as the library keeps it: the name of the file, without its folders, and the line."
  (match location
    ((file line _) `(("declared" . ,(format #f "~a:~a" (basename file) line))))
    (_ '())))

(define (member-unless empty? key value convert)
  "Return the member KEY with VALUE converted by CONVERT as a list, or the empty list when VALUE is EMPTY?."
  (if (empty? value)
      '()
      (list (cons key (convert value)))))

(define (array convert)
  (lambda (list)
    (list->vector (map convert list))))

(define (text->datum text)
  (match text
    ((? string?) text)
    ((? exact-integer?) (number->string text))
    ((? setting?) `(("setting" . ,(key->string (setting-key text)))))
    ((? data-directory?) `(("data_directory" . ,(key->string (data-directory-name text)))))
    ((? item?) `(("item" . ,(item->datum text))))
    ((pieces ...) (list->vector (map text->datum pieces)))))

(define (item->datum item)
  (match item
    ((? local-file?) `(("local_file" . ,(local-file-path item))))
    ((? text-file?)
     `(("name" . ,(text-file-name item))
       ("content" . ,(text->datum (text-file-content item)))
       ,@(if (text-file-executable? item) '(("executable" . #t)) '())))))

(define (program->datum program)
  `(,@(member-unless not "script" (program-script program) item->datum)
    ("argv" . ,((array text->datum) (program-words program)))
    ,@(if (program-daemon? program) '(("daemon" . #t)) '())
    ,@(if (program-unit? program) '(("unit" . #t)) '())
    ,@(member-unless not "limit" (program-limit program) identity)))

(define (file->datum file)
  `(("path" . ,(text->datum (file-path file)))
    ("content" . ,(text->datum (file-content file)))
    ("mode" . ,(file-mode file))
    ,@(member-unless not "owner" (file-owner file) identity)))

(define (texts->datum alist)
  (map (match-lambda ((key . text) (cons (key->string key) (text->datum text)))) alist))

(define (strings->datum alist)
  (map (match-lambda ((key . value) (cons (key->string key) (label->string value)))) alist))

(define (relation->datum service)
  "Return a procedure from a requirement or connection of SERVICE, or a name, to data."
  (match-lambda
    ((? string? name)
     `(("service" . ,name) ,@(declared (declaration-location service))))
    (relation
     `(("service" . ,(relation-service relation))
       ,@(member-unless (lambda (versions) (string=? versions "*"))
                        "versions" (relation-versions relation) identity)
       ,@(member-unless (lambda (value) (eq? value 'nothing))
                        "on_change" (relation-on-change relation) symbol->string)
       ,@(member-unless (lambda (value) (eq? value 'site))
                        "scope" (relation-scope relation) symbol->string)
       ,@(member-unless not "label" (relation-label relation) key->string)
       ,@(declared (or (relation-location relation) (declaration-location service)))))))

(define (transition-name service)
  "Return a procedure from a transition of SERVICE to its name."
  (lambda (procedure)
    (when (later-transition? procedure)
      (not-built (symbol->string (procedure-name procedure))
                 #:of (format #f "service '~a'" (service-name service))
                 #:location (declaration-location service)))
    (match procedure
      ((? symbol?) (symbol->string procedure))
      (_ (match (procedure-name procedure)
           (#f "anonymous")
           (name (symbol->string name)))))))

(define (own-transitions service)
  "Return the fields of SERVICE whose transition is no built-in one, whatever its name."
  (filter-map (match-lambda
                ((field . procedure)
                 (and (procedure? procedure)
                      (not (memq procedure (list replace-service reload-service remove-service)))
                      field)))
              `(("switch_to_service" . ,(service-switch-to-service service))
                ("switch_back" . ,(service-switch-back service))
                ("remove_service" . ,(service-remove-service service)))))

(define (hook->key hook)
  "Return the member that HOOK, a symbol, is in JSON: \"migrate_back\", \"alive\"."
  (string-map (lambda (char) (if (char=? char #\-) #\_ char))
              (string-trim-right (symbol->string hook) #\?)))

(define (keeping->datum service)
  "Return the members of SERVICE that say how its host keeps it."
  (define (symbol-unless usual key value)
    (member-unless (lambda (value) (eq? value usual)) key value symbol->string))
  `(,@(symbol-unless 'always "restart" (service-restart service))
    ,@(match (service-ready service)
        ('validate '())
        ('notify '(("ready" . "notify")))
        ((= ready-port-endpoint endpoint) `(("ready" . (("port" . ,(key->string endpoint)))))))
    ,@(symbol-unless 'file "log" (service-log service))
    ,@(symbol-unless 'TERM "stop_signal" (service-stop-signal service))
    ,@(member-unless (lambda (grace) (= grace 10)) "grace" (service-grace service) identity)
    ,@(member-unless not "settle" (service-settle service) identity)
    ,@(member-unless null? "limits" (service-limits service)
                     (lambda (limits)
                       (map (match-lambda ((name . value) (cons (key->string name) value))) limits)))
    ,@(member-unless not "working_directory" (service-working-directory service) text->datum)
    ,@(member-unless not "umask" (service-umask service) identity)
    ,@(member-unless not "nice" (service-nice service) identity)))

(define (service->datum service)
  (let ((name-of (transition-name service))
        (settings (service-settings service)))
    `(("name" . ,(service-name service))
      ("version" . ,(service-version service))
      ,@(member-unless null? "payload" (service-payload service) (array item->datum))
      ,@(member-unless null? "files" (service-files service) (array file->datum))
      ,@(if (procedure? settings)
            '(("late_settings" . #t))
            (member-unless null? "settings" settings strings->datum))
      ,@(member-unless null? "environment" (service-environment service) texts->datum)
      ,@(member-unless not "user" (service-user service) identity)
      ,@(member-unless null? "endpoints" (service-endpoints service)
                       (array (match-lambda
                                ((name . port) `(("name" . ,(key->string name))
                                                 ("port" . ,(text->datum port)))))))
      ("slots" . ,(service-slots service))
      ,@(append-map (match-lambda
                      ((hook . accessor)
                       (member-unless not (hook->key hook) (accessor service) program->datum)))
                    %service-hook-fields)
      ,@(if (service-one-shot? service) '(("one_shot" . #t)) '())
      ,@(member-unless null? "hooks" (service-hooks service)
                       (lambda (hooks)
                         (map (match-lambda
                                ((name . program) (cons (key->string name) (program->datum program))))
                              hooks)))
      ,@(member-unless null? "requirements" (service-requirements service)
                       (array (relation->datum service)))
      ,@(member-unless null? "connections" (service-connections service)
                       (array (relation->datum service)))
      ,@(match (own-transitions service)
          (() '())
          (fields `(("own_transitions" . ,(list->vector fields)))))
      ("switch_to_service" . ,(name-of (service-switch-to-service service)))
      ("switch_back" . ,(name-of (service-switch-back service)))
      ("remove_service" . ,(name-of (service-remove-service service)))
      ,@(member-unless not "before_rollout" (service-before-rollout service) name-of)
      ,@(member-unless not "after_rollout" (service-after-rollout service) name-of)
      ,@(member-unless not "placement" (service-placement service) (const #t))
      ("limit" . ,(service-limit service))
      ,@(keeping->datum service)
      ,@(declared (declaration-location service)))))

(define (host-class->datum class)
  `(("name" . ,(host-class-name class))
    ("services" . ,((array service->datum) (host-class-services class)))
    ,@(member-unless null? "requirements" (host-class-requirements class) list->vector)
    ,@(member-unless null? "labels" (host-class-labels class) strings->datum)
    ,@(member-unless not "size" (host-class-size class) identity)
    ,@(member-unless not "platform" (host-class-platform class) platform->datum)
    ,@(member-unless not "operating_system" (host-class-operating-system class) identity)
    ,@(member-unless null? "capacity" (host-class-capacity class) (const #t))
    ,@(declared (declaration-location class))))

(define (host->datum host class)
  `(("name" . ,(host-name host))
    ("class" . ,class)
    ,@(member-unless (lambda (address) (string=? address (host-name host)))
                     "address" (host-address host) identity)
    ,@(member-unless not "port" (host-port host) identity)
    ,@(member-unless not "user" (host-user host) identity)
    ,@(member-unless not "become" (host-become host) symbol->string)
    ,@(member-unless null? "labels" (host-labels host) strings->datum)))

(define (ask-procedure site procedure)
  "Return the hosts, as data, that PROCEDURE, an inventory of SITE, answers for the classes of SITE."
  (define (ask class)
    (with-exception-handler
        (lambda (exception)
          (if (tutti-error? exception)
              (raise-exception exception)
              (callback-failed exception (declaration-location site)
                               "site '~a': host-class->hosts, asked for class '~a': ~a"
                               (site-configuration-name site) (host-class-name class) (describe exception))))
      (lambda () (procedure class))
      #:unwind? #t))
  (define (hosts-of class)
    (match (ask class)
      (((? host? hosts) ...)
       (map (lambda (host) (host->datum host (host-class-name class))) hosts))
      (other
       (fail-at (declaration-location site)
                "site '~a': host-class->hosts must return a list of hosts; for class '~a' it returned ~s"
                (site-configuration-name site) (host-class-name class) other))))
  (append-map hosts-of (site-configuration-host-classes site)))

(define (inventory->datum site inventory)
  "Return what INVENTORY, of SITE, answers, as data: hosts, and files that have hosts, in order."
  (call-with-one-answer
   (lambda ()
     (append-map (match-lambda
                   ((? procedure? procedure) (ask-procedure site procedure))
                   ((file) `((("file" . ,file))))
                   ((file . read)           ; one that the library can't read
                    `((("file" . ,file)
                       ("hosts" . ,((array (lambda (host) (host->datum host (host-class-of host))))
                                    (read)))))))
                 (inventory-parts inventory)))))

(define* (site->datum site #:key (source '()) (inventory #f))
  "Return SITE as data.  SOURCE is an alist of the files of the program that it came from: name and text.
INVENTORY takes the place of the one that SITE has."
  (let ((inventory (or inventory
                       (site-configuration-host-class->hosts site)
                       (fail-at (declaration-location site)
                                "site '~a' has no inventory: give it the field 'host-class->hosts', such as (inventory-file \"hosts.json\")"
                                (site-configuration-name site)))))
    `(("name" . ,(site-configuration-name site))
      ("host_classes" . ,((array host-class->datum) (site-configuration-host-classes site)))
      ,@(member-unless null? "services" (site-configuration-services site) (array service->datum))
      ("hosts" . ,(list->vector (inventory->datum site inventory)))
      ("platform" . ,(platform->datum (site-configuration-platform site)))
      ("policy" . ,(policy->datum (site-configuration-policy site)))
      ("source" . ,source))))

(define* (site->json site #:key (source '()) (inventory #f))
  "Return SITE as JSON text."
  (datum->json (site->datum site #:source source #:inventory inventory)))
