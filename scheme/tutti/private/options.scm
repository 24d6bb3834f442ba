;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; (tutti private options) --- the command line.
;;;
;;; Commentary:
;;;
;;; Commands, their options and their help, as data.
;;;
;;; Code:

(define-module (tutti private options)
  #:use-module (ice-9 format)
  #:use-module (ice-9 match)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (tutti errors)
  #:export (make-command
            command-name
            command-summary
            command-procedure
            find-command
            parse-options
            option-ref
            number-option
            print-help
            print-command-help
            %options))

(define-record-type <command>
  (make-command name arguments summary options procedure)
  command?
  (name      command-name)
  (arguments command-arguments)             ; as help says them
  (summary   command-summary)
  (options   command-options)               ; names of options
  (procedure command-procedure))            ; takes options and arguments, returns an exit status

;; Name, what its value is called or #f, and what it does.
(define %options
  '(("site" "NAME" "of several sites of the program, the one called NAME")
    ("inventory" "FILE" "take the hosts from FILE, not from the site's own inventory")
    ("state" "FILE" "keep the state in FILE, not in .tutti/SITE.db beside the program")
    ("yes" #f "do not ask before acting")
    ("dry-run" #f "tell the effects of each transition, as if all succeeded, and do nothing")
    ("keep" "N" "keep the last N runs whole, here and on the hosts (20); the history keeps a line of all")
    ("host" "NAME" "the host to act on")
    ("limit" "SECONDS" "end the program after so long (600)")
    ("bytes" "N" "print the last N bytes of each output (65536; 0: all of it)")
    ("daemons" #f "print the end of the daemons' logs too, as they are now")
    ("take-over" #f "displace another state file, which must be lost, as the holder of the hosts")
    ("accept-name" #f "let hosts that have other names in this site have those of the inventory")
    ("json" #f "print JSON")
    ("detailed-exitcode" #f "exit with 2 when there are changes")
    ("verbose" #f "after an error, print where in Tutti it was raised")
    ("help" #f "print this help")))

(define (option-known? name command)
  (or (member name '("help" "verbose"))
      (member name (command-options command))))

(define (option-names command)
  (filter (lambda (name) (option-known? name command))
          (map (match-lambda ((name . _) name)) %options)))

(define (find-command name commands)
  "Return the command called NAME of COMMANDS."
  (or (find (lambda (command) (string=? name (command-name command))) commands)
      (fail "tutti: no command '~a'.~a See 'tutti --help'." name
            (suggestion name (map command-name commands)))))

(define (parse-options command arguments)
  "Return two values: the options in ARGUMENTS, an association list of names and values, and the other
arguments: also \"--\", which ends the options, for a command that tells what comes before it from the rest."
  (define (value-name name)
    (match (assoc name %options)
      ((_ value _) value)))
  (let loop ((arguments arguments) (options '()) (others '()))
    (match arguments
      (() (values (reverse options) (reverse others)))
      (("--" . rest) (values (reverse options) (append (reverse others) (cons "--" rest))))
      (("-h" . rest) (loop rest (acons "help" #t options) others))
      (((? (lambda (argument) (string-prefix? "-" argument)) argument) . rest)
       (let* ((equals (string-index argument #\=))
              (name (string-trim (substring argument 0 (or equals (string-length argument))) #\-)))
         (unless (and (string-prefix? "--" argument) (option-known? name command))
           (fail "tutti ~a: no option '~a'.~a" (command-name command)
                 (substring argument 0 (or equals (string-length argument)))
                 (match (nearest name (option-names command))
                   (#f (format #f " See 'tutti ~a --help'." (command-name command)))
                   (near (format #f " Did you mean '--~a'?" near)))))
         (match (cons (value-name name) rest)
           ((#f . _)
            (when equals
              (fail "tutti ~a: '--~a' takes no value" (command-name command) name))
            (loop rest (acons name #t options) others))
           ((_ . _)
            (match (if equals
                       (cons (substring argument (+ 1 equals)) rest)
                       rest)
              ((value . rest)
               (when (assoc name options)
                 (fail "tutti ~a: '--~a' was given twice" (command-name command) name))
               (loop rest (acons name value options) others))
              (()
               (fail "tutti ~a: '--~a' needs a value: --~a ~a" (command-name command) name name
                     (value-name name))))))))
      ((argument . rest) (loop rest options (cons argument others))))))

(define (option-ref options name)
  "Return the value of the option NAME in OPTIONS, or #f."
  (assoc-ref options name))

(define (number-option options name least)
  "Return the value of the option NAME in OPTIONS, a whole number from LEAST on, or #f."
  (let ((value (option-ref options name)))
    (and value
         (match (string->number value 10)
           ((? (lambda (number) (and (exact-integer? number) (<= least number 4294967295))) number) number)
           (_ (fail "'--~a' takes a whole number from ~a on, not '~a'" name least value))))))

(define (print-help commands port)
  "Print what the command is for to PORT."
  (format port "usage: tutti COMMAND [OPTION]... [FILE]

Deploys services to many machines in a coordinated way.  FILE is a site program, site.scm if it is left out.

")
  (for-each (lambda (command)
              (format port "  ~10a ~a~%" (command-name command) (command-summary command)))
            commands)
  (format port "
'tutti COMMAND --help' tells the options of each.

Exit status: 0 done, or nothing to do; 1 wrong use, or an error in the program; 2 'plan
--detailed-exitcode' found changes; 3 something failed, and all that failed is verified at its old
version; 4 something is left unknown or not rolled back; 5 some hosts were unreachable; 6 the site is
locked.  Of several, 4 goes before 5 before 3.
"))

(define (print-command-help command port)
  "Print how COMMAND is used to PORT."
  (format port "usage: tutti ~a [OPTION]...~a~%~%~a~%~%" (command-name command)
          (if (string-null? (command-arguments command))
              ""
              (string-append " " (command-arguments command)))
          (command-summary command))
  (for-each (lambda (name)
              (match (assoc name %options)
                ((_ value text)
                 (format port "  ~22a ~a~%"
                         (if value
                             (format #f "--~a ~a" name value)
                             (format #f "--~a" name))
                         text))))
            (option-names command)))
