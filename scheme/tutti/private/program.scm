;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; (tutti private program) --- loads site programs.
;;;
;;; Commentary:
;;;
;;; A site program is compiled in memory, in a module of its own, so that mistakes are found before anything
;;; of it runs and so that errors can be placed.  Whatever is wrong with it becomes one sentence that begins
;;; with file, line and column.  A name that is bound nowhere is an error even if it is in a procedure that
;;; was not called: a transition must not fail by a misspelt name in the middle of the night.
;;;
;;; Code:

(define-module (tutti private program)
  #:use-module (ice-9 exceptions)
  #:use-module (ice-9 format)
  #:use-module (ice-9 match)
  #:use-module (ice-9 regex)
  #:use-module (ice-9 textual-ports)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (system base compile)
  #:use-module ((system syntax internal) #:select (syntax?))
  #:use-module (system vm frame)
  #:use-module ((system vm loader) #:select (load-thunk-from-memory))
  #:use-module (tutti errors)
  #:use-module (tutti private context)
  #:use-module (tutti private syntax)
  #:export (load-program
            loaded-value
            loaded-source
            loaded-files
            raise-location))

;; A program that was loaded.
(define-record-type <loaded>
  (make-loaded value source files)
  loaded?
  (value  loaded-value)
  (source loaded-source)                    ; an alist of its files: name and text
  (files  loaded-files))                    ; as they were named, in order

;; While a program is loaded: its files so far, newest first.
(define %files (make-parameter #f))
(define %names (make-parameter #f))         ; list of names that may be unbound, in a box
(define %folder (make-parameter #f))        ; of the file that is loaded now
(define %loading (make-parameter '()))      ; the files that are being loaded, each by the next, innermost first

(define (note-file! file)
  (let ((files (%files)))
    (unless (member file (variable-ref files))
      (variable-set! files (cons file (variable-ref files))))))


;;;
;;; Places.
;;;

(define (frame-location frame files)
  "Return the place of FRAME if it is in one of FILES, else #f."
  (match (frame-source frame)
    ((_ file line . column)
     (and (string? file)
          (member file files)
          (list file (+ 1 line) (+ 1 column))))
    (_ #f)))

(define %most-frames 500)                   ; that are looked at: each takes as long as it is deep

(define (raise-location files)
  "Return the innermost place of the running program that is in FILES, as a list of file, line and column, or
#f."
  (let* ((stack (make-stack #t))
         (length (if stack (min %most-frames (stack-length stack)) 0)))
    (let loop ((index 0))
      (if (= index length)
          #f
          (or (frame-location (stack-ref stack index) files)
              (loop (+ index 1)))))))

(define (find-name name file)
  "Return where the symbol NAME first stands in FILE, or #f."
  (define (search form)
    (let ((datum (and (syntax? form) (syntax->datum form))))
      (if (eq? datum name)
          (let ((source (syntax-source form)))
            (list file
                  (+ 1 (or (assq-ref source 'line) 0))
                  (+ 1 (or (assq-ref source 'column) 0))))
          (syntax-case form ()
            ((first . rest) (or (search #'first) (search #'rest)))
            (_ #f)))))
  (catch #t
    (lambda ()
      (call-with-input-file file
        (lambda (port)
          (let loop ()
            (let ((form (read-syntax port)))
              (if (eof-object? form)
                  #f
                  (or (search form) (loop))))))))
    (const #f)))


;;;
;;; Errors as sentences.
;;;

(define (starts-with-place? message files)
  (any (lambda (file) (string-prefix? (string-append file ":") message)) files))

(define (names-near module)
  "Return the names that a program in MODULE may have meant."
  (map symbol->string
       (append (module-map (lambda (name variable) name) module)
               (append-map (lambda (interface)
                             (module-map (lambda (name variable) name) interface))
                           (module-uses module)))))

(define (sentence exception location module files)
  "Return what is wrong with the program, as EXCEPTION tells, in one sentence that begins with a place."
  (define (at place text)
    (cond ((starts-with-place? text files) text)
          (place (string-append (location->string place) ": " text))
          ((pair? files) (string-append (last files) ": " text))   ; the program itself
          (else text)))
  (match (and (exception? exception)
              (cons (exception-kind exception) (exception-args exception)))
    (('unbound-variable _ _ (name) . _)
     (at (or (any (lambda (file) (find-name name file)) (reverse files)) location)
         (unbound-sentence name module)))
    (('misc-error _ _ ((? (lambda (name) (and (pair? name) (every symbol? name))) name)) . _)
     (at (any (lambda (file) (find-name (last name) file)) (reverse files))   ; a module that is not there
         (format #f "~a: is it installed, or beside the program?" (describe exception))))
    (_ (at location (describe exception)))))

(define (unbound-sentence name module)
  (format #f "'~a' is defined nowhere.~a" name
          (match (nearest (symbol->string name) (names-near module))
            (#f (if (module-variable (resolve-interface '(tutti)) name)
                    " Begin the program with (use-modules (tutti))."
                    ""))
            (near (format #f " Did you mean '~a'?" near)))))

(define (call-with-sentences module thunk)
  "Call THUNK; whatever it raises is raised again as one sentence."
  (let* ((location #f)
         (result
          (with-exception-handler
              (lambda (exception)
                (let ((files (variable-ref (%files))))
                  (lambda ()
                    (if (and (tutti-error? exception)
                             (starts-with-place? (tutti-error-message exception) files))
                        (raise-exception exception)
                        (raise-error (if (tutti-error? exception)
                                         (tutti-error-code exception)
                                         'misuse)
                                     (sentence exception location module files))))))
            (lambda ()
              (with-exception-handler
                  (lambda (exception)
                    (set! location (raise-location (variable-ref (%files))))
                    (raise-continuable exception))
                (lambda ()
                  (let ((value (thunk)))
                    (lambda () value)))))
            #:unwind? #t)))
    (result)))


;;;
;;; Loading.
;;;

(define unbound-rx
  (make-regexp "possibly unbound variable `(.*)'$"))

(define (note-unbound! text)
  "Remember the names that the warnings in TEXT say may be unbound."
  (for-each (lambda (line)
              (match (regexp-exec unbound-rx line)
                (#f #f)
                (found
                 (variable-set! (%names)
                                (cons (string->symbol (match:substring found 1))
                                      (variable-ref (%names)))))))
            (string-split text #\newline)))

(define (call-with-decoding-placed file port thunk)
  "Call THUNK, which reads FILE from PORT; bytes that are no text are an error with their place."
  (catch 'decoding-error thunk
    (lambda _
      (fail-at (list file (+ 1 (port-line port)) (+ 1 (port-column port)))
               "bytes that are no text in ~a stand here: save the file in that encoding"
               (port-encoding port)))))

(define (load-file file module)
  "Compile and run FILE in MODULE and return the value of its last expression."
  (when (file-is-directory? file)
    (fail "~a is a directory; the file of a site program is wanted" file))
  (note-file! file)
  (let ((warnings (open-output-string)))
    (define bytecode
      (parameterize ((current-warning-port warnings))
        (call-with-input-file file
          (lambda (port)
            (set-port-encoding! port (or (file-encoding port) "UTF-8"))
            (set-port-conversion-strategy! port 'error)
            (call-with-decoding-placed file port
              (lambda ()
                (read-and-compile port
                                  #:from 'scheme
                                  #:to 'bytecode
                                  #:env module
                                  #:optimization-level 1
                                  #:opts '(#:warnings (unbound-variable)))))))))
    (note-unbound! (get-output-string warnings))
    (parameterize ((%folder (dirname file))
                   (%loading (cons (canonicalize-path file) (%loading))))
      (save-module-excursion
       (lambda ()
         (set-current-module module)
         ((load-thunk-from-memory bytecode)))))))

(define (load-beside location module file)
  "Load FILE, named relative to the file that is loaded now, in MODULE.  LOCATION is where that is asked for."
  (unless (string? file)
    (fail-at location "load: the name of a file is wanted, not ~s" file))
  (let ((name (match (%folder)
                ((? (lambda (folder) (or (absolute-file-name? file) (string=? folder ".")))) file)
                (folder (in-vicinity folder file)))))
    (unless (file-exists? name)
      (fail-at location "load: there is no file '~a'" name))
    (when (member (canonicalize-path name) (%loading))
      (fail-at location "load: '~a' is being loaded already: a file can't load itself" name))
    (load-file name module)))

;; (load FILE) in a program: what it defines is the program's own.
(define-located program-load
  (lambda (location file)
    (load-beside location (current-module) file)))

(define (make-program-module)
  "Return a fresh module, in which `load' names files relative to the one that is loaded."
  (let ((module (make-fresh-user-module)))
    (module-define! module 'load (module-ref (resolve-module '(tutti private program)) 'program-load))
    module))

(define (check-names module)
  "Raise an error if a name of the program is still bound nowhere."
  (for-each (lambda (name)
              (unless (module-variable module name)
                (let ((place (any (lambda (file) (find-name name file))
                                  (reverse (variable-ref (%files))))))
                  (fail-at place "~a" (unbound-sentence name module)))))
            (reverse (variable-ref (%names)))))

(define (below? file folder)
  (string-prefix? (string-append (canonicalize-path folder) "/") (canonicalize-path file)))

(define (source-texts files folder)
  "Return an alist: the name below FOLDER of each of FILES that is there, and its text."
  (map (lambda (file)
         (cons (string-drop (canonicalize-path file)
                            (+ 1 (string-length (canonicalize-path folder))))
               (call-with-input-file file get-string-all #:encoding "UTF-8")))
       (delete-duplicates (filter (lambda (file) (below? file folder)) files)
                          (lambda (a b) (string=? (canonicalize-path a) (canonicalize-path b))))))

(define (load-program file)
  "Load the site program FILE and return what it came to."
  (unless (file-exists? file)
    (fail "there is no site program '~a'" file))
  (unless (access? file R_OK)
    (fail "the site program '~a' can't be read: permission denied" file))
  (let ((module (make-program-module))
        (folder (dirname file))
        (hook %load-hook))
    (parameterize ((%files (make-variable '()))
                   (%names (make-variable '()))
                   (%context "a site program that is being loaded"))
     ;; Places name files as they were given, whoever calls this.
     (with-fluids ((%file-port-name-canonicalization #f))
      (dynamic-wind
        (lambda ()
          (set! %load-hook (lambda (name)
                             (when (string? name) (note-file! name))))
          (set! %load-path (append %load-path (list folder))))
        (lambda ()
          (let ((value (call-with-sentences module
                         (lambda ()
                           (let ((value (load-file file module)))
                             (check-names module)
                             value))))
                (files (filter file-exists? (reverse (variable-ref (%files))))))
            (make-loaded value (source-texts files folder) files)))
        (lambda ()
          (set! %load-hook hook)
          (set! %load-path (delete folder %load-path))))))))
