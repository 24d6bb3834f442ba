;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; (tutti texts) --- programs, texts, files and items.
;;;
;;; Commentary:
;;;
;;; What fields hold.  All are data with late-bound places: none is a closure, and none is rendered here.
;;; A text is a string, a number, a setting, a data directory, an item, or a list of these.
;;;
;;; Code:

(define-module (tutti texts)
  #:use-module (ice-9 format)
  #:use-module (ice-9 match)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (tutti errors)
  #:use-module (tutti private bindings)
  #:use-module (tutti private syntax)
  #:export (program
            script
            daemon
            program?
            program-words
            program-script
            program-daemon?
            program-unit?
            systemd-unit
            program-limit

            setting
            setting?
            setting-key
            data-directory
            data-directory?
            data-directory-name
            text?

            local-file
            local-file?
            local-file-path
            plain-file
            mixed-text-file
            text-file?
            text-file-name
            text-file-content
            text-file-executable?
            file-append
            item?

            file
            file?
            file-path
            file-content
            file-mode
            check-mode
            file-owner

            in-place
            in-place?))

(define-record-type <setting>
  (make-setting key)
  setting?
  (key setting-key))

(define-record-type <data-directory>
  (make-data-directory name)
  data-directory?
  (name data-directory-name))

(define-record-type <local-file>
  (%make-local-file path)
  local-file?
  (path local-file-path))                 ; absolute

(define-record-type <text-file>
  (make-text-file name content executable?)
  text-file?
  (name        text-file-name)
  (content     text-file-content)         ; a text
  (executable? text-file-executable?))

(define-record-type <program>
  (make-program script arguments kind limit)
  program?
  (script    program-script)              ; an item that is run, or #f
  (arguments program-words)           ; texts; without a script the first is the file
  (kind      program-kind)            ; program, daemon or unit
  (limit     program-limit))              ; seconds, or #f

(define-record-type <file>
  (make-file path content mode owner)
  file?
  (path    file-path)
  (content file-content)
  (mode    file-mode)
  (owner   file-owner))

(define-record-type <in-place>
  (in-place)
  in-place?)

(define (check-key who key)
  (unless (or (symbol? key) (string? key))
    (fail "~a: a name is wanted, a symbol or a string, not ~s" who key)))

(define (setting key)
  "Return a text: what the settings of the service give for KEY, where it is used."
  (check-key "setting" key)
  (make-setting key))

(define (data-directory name)
  "Return a text: the path of the data directory NAME of the service."
  (check-key "data-directory" name)
  (make-data-directory name))

(define (item? value)
  "Return true if VALUE is an item: a file that is put on hosts by its hash."
  (or (local-file? value) (text-file? value)))

(define (text? value)
  "Return true if VALUE is a text: a string, possibly with late-bound places."
  (or (string? value)
      (exact-integer? value)
      (setting? value)
      (data-directory? value)
      (item? value)
      (and (list? value) (every text? value))))

(define (check-text who value)
  (unless (text? value)
    (fail "~a: a string, a setting, a data directory, an item or a list of these is wanted, not ~s"
          who value)))


;;;
;;; Programs.
;;;

(define (split-limit who arguments)
  "Return two values: ARGUMENTS without keywords, and the value of #:limit or #f."
  (let loop ((rest arguments) (kept '()) (limit #f))
    (match rest
      (() (values (reverse kept) limit))
      ((#:limit (? (lambda (value) (and (real? value) (finite? value) (positive? value))) seconds) . rest)
       (loop rest kept seconds))
      ((#:limit . rest)
       (fail "~a: #:limit must be a number of seconds above 0~a" who
             (match rest
               ((value . _) (format #f ", not ~s" value))
               (() ", and nothing follows it"))))
      (((? keyword? other) . _)
       (fail "~a: no keyword ~s.~a" who other
             (suggestion (symbol->string (keyword->symbol other)) '("limit"))))
      ((argument . rest)
       (check-text who argument)
       (loop rest (cons argument kept) limit)))))

(define (program . arguments)
  "Return the program that runs a file of the host: (program FILE ARGUMENT ... #:limit SECONDS)."
  (call-with-values (lambda () (split-limit "program" arguments))
    (lambda (arguments limit)
      (when (null? arguments)
        (fail "program: the file to run is missing"))
      (make-program #f arguments 'program limit))))

(define (program-daemon? program)
  "Is PROGRAM a daemon?"
  (eq? (program-kind program) 'daemon))

(define (program-unit? program)
  "Is PROGRAM a unit of systemd?"
  (eq? (program-kind program) 'unit))

(define (systemd-unit name)
  "Return the unit NAME of systemd, which the host has: (systemd-unit \"nginx.service\")."
  (check-text "systemd-unit" name)
  (make-program #f (list name) 'unit #f))

(define (daemon . arguments)
  "Return a program that does not end by itself and is kept in the background: (daemon FILE ARGUMENT ...)."
  (call-with-values (lambda () (split-limit "daemon" arguments))
    (lambda (arguments limit)
      (when (null? arguments)
        (fail "daemon: the file to run is missing"))
      (make-program #f arguments 'daemon limit))))

(define (script . arguments)
  "Return the program that runs a text or a file of ours: (script TEXT-OR-FILE ARGUMENT ... #:limit SECONDS)."
  (call-with-values (lambda () (split-limit "script" arguments))
    (lambda (arguments limit)
      (match arguments
        (() (fail "script: its text, or a local-file, is missing"))
        (((? item? item) . arguments)
         (make-program item arguments 'program limit))
        (((? exact-integer? number) . _)
         (fail "script: its text, or a local-file, is wanted, not ~s" number))
        ((text . arguments)
         (make-program (make-text-file "script" text #t) arguments 'program limit))))))


;;;
;;; Items and files.
;;;

(define* (%local-file location path #:key (recursive? #f))
  (unless (string? path)
    (fail-at location "local-file: the name of a file is wanted, not ~s" path))
  (when recursive?
    (not-built "an item that is a folder" #:of (format #f "local-file '~a'" path) #:location location))
  (let ((file (resolve-file path location)))
    (unless (file-exists? file)
      (fail-at location "local-file: there is no file '~a'~a" path
               (if (absolute-file-name? path)
                   ""
                   (format #f " in the folder '~a'" (location-folder location)))))
    (when (file-is-directory? file)
      (fail-at location "local-file: '~a' is a directory; items are single files so far" path))
    (%make-local-file file)))

;; (local-file PATH): the item that is the file PATH, relative to the file in which this is written.
(define-located local-file %local-file)

(define (plain-file name text)
  "Return an item called NAME that holds the string TEXT."
  (unless (and (string? name) (string? text))
    (fail "plain-file: two strings are wanted, a name and a text, not ~s and ~s" name text))
  (make-text-file name text #f))

(define (mixed-text-file name . text)
  "Return an item called NAME that holds the pieces of TEXT, rendered for each host."
  (unless (string? name)
    (fail "mixed-text-file: the name must be a string, not ~s" name))
  (for-each (lambda (piece) (check-text "mixed-text-file" piece)) text)
  (make-text-file name text #f))

(define (file-append item . suffix)
  "Return a text: the path of ITEM on the host, then the strings of SUFFIX."
  (unless (item? item)
    (fail "file-append: an item is wanted, not ~s" item))
  (for-each (lambda (piece) (check-text "file-append" piece)) suffix)
  (cons item suffix))

(define (check-mode who mode)
  "Raise an error that begins with WHO unless MODE is one of a file."
  (when (and (exact-integer? mode) (<= 0 mode 7777) (%decimal-mode? mode))
    (fail "~a: #:mode ~a is decimal, which is #o~a in octal: write #o~a" who mode (number->string mode 8) mode))
  (unless (and (exact-integer? mode) (<= 0 mode #o7777))
    (fail "~a: #:mode must be a number such as #o644, not ~s" who mode)))

(define* (file path content #:key (mode #o644) (owner #f))
  "Return a file of the service: CONTENT, a text, at PATH, a text, on the host, written before the service
starts."
  (check-text "file" path)
  (when (exact-integer? path)
    (fail "file: a path is wanted, not ~s" path))
  (let ((title (text->display path)))
    (unless (text? content)
      (fail "file '~a': the content must be a string, a setting, an item or a list of these, not ~s"
            title content))
    (check-mode (format #f "file '~a'" title) mode)
    (unless (or (not owner) (string? owner))
      (fail "file '~a': #:owner must be the name of a user or #f, not ~s" title owner)))
  (make-file path content mode owner))


;;;
;;; Printing.
;;;

(define (text->display text)
  "Return TEXT as people read it."
  (match text
    ((? string?) text)
    ((? exact-integer?) (number->string text))
    ((? setting?) (format #f "{setting ~a}" (setting-key text)))
    ((? data-directory?) (format #f "{data-directory ~a}" (data-directory-name text)))
    ((? local-file?) (basename (local-file-path text)))
    ((? text-file?) (text-file-name text))
    ((pieces ...) (string-concatenate (map text->display pieces)))))

(set-record-type-printer! <setting>
  (lambda (record port) (format port "#<setting ~a>" (setting-key record))))
(set-record-type-printer! <data-directory>
  (lambda (record port) (format port "#<data-directory ~a>" (data-directory-name record))))
(set-record-type-printer! <local-file>
  (lambda (record port) (format port "#<local-file ~a>" (local-file-path record))))
(set-record-type-printer! <text-file>
  (lambda (record port) (format port "#<text-file ~a>" (text-file-name record))))
(set-record-type-printer! <file>
  (lambda (record port) (format port "#<file ~a ~4,'0o>" (text->display (file-path record)) (file-mode record))))
(set-record-type-printer! <program>
  (lambda (record port)
    (format port "#<~a~@[ ~a~]~{ ~a~}>"
            (cond ((program-unit? record) "systemd-unit")
                  ((program-daemon? record) "daemon")
                  ((program-script record) "script")
                  (else "program"))
            (and=> (program-script record) text->display)
            (map text->display (program-words record)))))
