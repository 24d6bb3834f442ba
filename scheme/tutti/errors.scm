;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; (tutti errors) --- the errors that a person reads.
;;;
;;; Commentary:
;;;
;;; Every error of Tutti's own is a &tutti-error: one sentence that names the thing and the remedy, and a code,
;;; which a program can go by.  The bindings raise the same errors for those of the library.  `describe' turns
;;; whatever else may be raised into one sentence, and never fails itself.
;;;
;;; Code:

(define-module (tutti errors)
  #:use-module (ice-9 exceptions)
  #:use-module (ice-9 format)
  #:use-module (ice-9 match)
  #:use-module (ice-9 regex)
  #:export (fail
            fail-at
            callback-failed
            syntax-mistake
            not-built

            &tutti-error
            tutti-error?
            tutti-error-code
            tutti-error-message

            describe
            procedure-phrase
            raise-error
            escape-controls
            location->string

            nearest
            suggestion))

;; The code is one of:
;;   misuse       something is wrong with the program, an argument or an option
;;   not-built    the vocabulary has it, but it is not built yet
;;   locked       another process deploys the site
;;   moved        the plan is of another site, fleet, program or manifest than there is now
;;   unreachable  a host does not answer
;;   lost         a host went away during an effect: nobody knows what became of it
;;   callback     a procedure of the program raised something
;;   left-open    a run was left unfinished
;;   system       the system refused something
(define-exception-type &tutti-error &error
  make-tutti-error tutti-error?
  (code tutti-error-code))

(define (tutti-error-message exception)
  "Return the sentence of EXCEPTION, a &tutti-error."
  (exception-message exception))

;; The bindings call this too.
(define (raise-error code message)
  "Raise the error that has CODE, a symbol, and MESSAGE, a sentence."
  (raise-exception
   (make-exception (make-tutti-error code)
                   (make-exception-with-message message))))

(define (fail format-string . arguments)
  "Raise the error (a wrong use) that FORMAT-STRING and ARGUMENTS say."
  (raise-error 'misuse (apply format #f format-string arguments)))

(define (location->string location)
  "Return LOCATION, a list of file, line and column or #f, as people write it: \"site.scm:12:3\"."
  (match location
    ((file line column) (format #f "~a:~a:~a" file line column))
    (_ "(unknown place)")))

(define (source->string source)
  "Return SOURCE, the properties of a syntax object, as a place, or #f."
  (match (assq-ref source 'filename)
    (#f #f)
    (file (location->string (list file
                                  (+ 1 (or (assq-ref source 'line) 0))
                                  (+ 1 (or (assq-ref source 'column) 0)))))))

(define (syntax-mistake who form subform format-string . arguments)
  "Raise the syntax error that FORMAT-STRING and ARGUMENTS say of SUBFORM, a part of FORM or #f.  WHO is the name of
the form, a string: that the who of a syntax error is one says that its message needs no form beside it."
  (syntax-violation who (apply format #f format-string arguments) form subform))

(define (syntax-error-sentence who message place form)
  "Return what a syntax error says that has WHO and MESSAGE, at PLACE or #f, about FORM."
  (define (short text)
    (if (> (string-length text) 70)
        (string-append (string-take text 67) "...")
        text))
  (format #f "~@[~a: ~]~a" place
          (if (string? who)                 ; of `syntax-mistake'
              (format #f "~a: ~a" who message)
              (format #f "~a in ~a" message (short (format #f "~s" form))))))

(define (placed location message)
  (if location
      (string-append (location->string location) ": " message)
      message))

(define (fail-at location format-string . arguments)
  "Raise the error that FORMAT-STRING and ARGUMENTS say, after the LOCATION if it is known."
  (raise-error 'misuse (placed location (apply format #f format-string arguments))))

(define (callback-failed exception location format-string . arguments)
  "Raise that a procedure of the program raised EXCEPTION, as FORMAT-STRING and ARGUMENTS say, after the LOCATION if it
is known.  An error of Tutti's own keeps its code."
  (raise-error (if (tutti-error? exception) (tutti-error-code exception) 'callback)
               (placed location (apply format #f format-string arguments))))

(define (primitive name)
  "Return the library's primitive NAME.  Not before it is called for: the bindings use this module."
  (module-ref (resolve-interface '(tutti private bindings)) name))

(define* (not-built name #:key (of #f) (location #f))
  "Raise the error that NAME, a word of the vocabulary, is not built yet.  OF names what has it; LOCATION is where
that was written."
  ((primitive '%not-built) name
   (string-join (filter identity (list (and location (location->string location)) of)) ": ")))

(define (escape-controls text)
  "Return TEXT with control characters but newlines escaped: it may have come from a host."
  ((primitive '%escape-controls) text))

(define (keyword-sentence message keywords)
  "Return what is wrong with KEYWORDS, as MESSAGE of Guile's says."
  (match keywords
    (((? keyword? keyword) . _)
     (if (string=? message "Unrecognized keyword")
         (format #f "there is no keyword ~s here: is it misspelt?" keyword)
         (format #f "the keyword ~s has no value" keyword)))
    ((value . _) (format #f "a keyword is wanted where ~s stands" value))
    (_ message)))

(define anonymous-rx (make-regexp "#<procedure [0-9a-f]+ at (.+) (\\(.*\\))>"))
(define named-rx (make-regexp "#<procedure ([^ ]+) (\\(.*\\))>"))

(define (procedure-phrase procedure)
  "Return PROCEDURE as people call it, without its address."
  (let ((text (format #f "~s" procedure)))
    (cond
     ((regexp-exec anonymous-rx text)
      => (lambda (found)
           (format #f "the procedure ~a at ~a" (match:substring found 2) (match:substring found 1))))
     ((regexp-exec named-rx text)
      => (lambda (found)
           (format #f "~a, whose arguments are ~a" (match:substring found 1) (match:substring found 2))))
     (else text))))

(define (describe-exception exception)
  (cond
   ((quit-exception? exception)
    (format #f "it called (exit ~a)"
            (match (exception-args exception) ((code . _) code) (_ 0))))
   ((tutti-error? exception)
    (tutti-error-message exception))
   ((and (eq? (exception-kind exception) 'syntax-error)
         (match (exception-args exception)
           ((who (? string? message) source form subform . _)
            (syntax-error-sentence who message (and=> source source->string) (or subform form)))
           (_ #f))))
   ((eq? (exception-kind exception) 'unbound-variable)
    (match (exception-args exception)
      ((_ _ (name) . _) (format #f "unbound variable '~a'" name))
      (_ "unbound variable")))
   ((eq? (exception-kind exception) 'stack-overflow)
    "the stack overflowed: does a procedure call itself without end?")
   ((eq? (exception-kind exception) 'decoding-error)
    "there are bytes in it that are no UTF-8")
   ((and (eq? (exception-kind exception) 'keyword-argument-error)
         (match (exception-args exception)
           ((_ message _ keywords) (keyword-sentence message keywords))
           (_ #f))))
   ((and (eq? (exception-kind exception) 'wrong-number-of-args)
         (match (exception-args exception)
           ((_ _ ((? procedure? procedure)) . _)
            (string-append "wrong number of arguments to " (procedure-phrase procedure)))
           (_ "wrong number of arguments"))))          ; Guile knows not always of what
   ((and (exception-with-message? exception)
         (or (string? (exception-message exception))
             (eq? (exception-kind exception) '%exception)))
    (let ((message (exception-message exception))
          (irritants (if (exception-with-irritants? exception)
                         (exception-irritants exception)
                         '())))
      (cond
       ((not (string? message)) (format #f "~s ~s" message irritants))
       ((null? irritants) message)
       ((string-index message #\~)
        (catch #t
          (lambda () (apply format #f message irritants))
          (lambda _ (format #f "~a ~s" message irritants))))
       ((list? irritants) (format #f "~a~{ ~s~}" message irritants))
       (else (format #f "~a ~s" message irritants)))))
   ((not (eq? (exception-kind exception) '%exception))
    (format #f "~a~{ ~s~}" (exception-kind exception)
            (let ((arguments (exception-args exception)))
              (if (list? arguments) arguments (list arguments)))))
   (else (format #f "~s" exception))))

(define (describe object)
  "Return what OBJECT, which was raised, says: one sentence.  This never raises."
  (catch #t
    (lambda ()
      (let ((sentence (if (exception? object)
                          (describe-exception object)
                          (format #f "an object that is no exception was raised: ~s" object))))
        (catch #t
          (lambda () (escape-controls sentence))
          (lambda _ (format #f "~s" sentence)))))       ; the library itself can't be loaded
    (lambda _ "an error that can't be described")))


;;;
;;; Nearest names.
;;;

(define (nearest name known)
  "Return the string of the list KNOWN that is nearest to NAME, or #f when none is near."
  ((primitive '%nearest) name known))

(define (suggestion name known)
  "Return \" Did you mean 'X'?\", X being the member of KNOWN near NAME, or a list of KNOWN, or \"\"."
  ((primitive '%suggestion) name known))
