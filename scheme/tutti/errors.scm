;;; (tutti errors) --- the errors that a person reads.
;;;
;;; Commentary:
;;;
;;; Every error of Tutti's own is one sentence that names the thing and the remedy, with a code that decides
;;; the exit status of the command.  The bindings raise the same errors for those of the library.  `describe'
;;; turns whatever else may be raised into one sentence, and never fails itself.
;;;
;;; Code:

(define-module (tutti errors)
  #:use-module (ice-9 exceptions)
  #:use-module (ice-9 format)
  #:use-module (ice-9 match)
  #:use-module (ice-9 regex)
  #:export (fail
            fail-at
            not-built-yet

            tutti-error?
            tutti-error-code
            error-sentence

            describe
            procedure-phrase
            raise-error
            escape-controls
            location->string

            nearest
            suggestion))

(define (raise-error code message)
  (throw 'tutti-error #f "~a" (list message) (list code)))

(define (fail format-string . arguments)
  "Raise the error (a wrong use) that FORMAT-STRING and ARGUMENTS say."
  (raise-error 'misuse (apply format #f format-string arguments)))

(define (location->string location)
  "Return LOCATION, a list of file, line and column or #f, as people write it: \"site.scm:12:3\"."
  (match location
    ((file line column) (format #f "~a:~a:~a" file line column))
    (_ "(unknown place)")))

(define (fail-at location format-string . arguments)
  "Raise the error that FORMAT-STRING and ARGUMENTS say, after the LOCATION if it is known."
  (let ((message (apply format #f format-string arguments)))
    (raise-error 'misuse
                 (if location
                     (string-append (location->string location) ": " message)
                     message))))

(define* (not-built-yet what #:optional remedy #:key location)
  "Raise the error that WHAT, which the vocabulary has, is not built yet.  REMEDY is a sentence or #f."
  (raise-error 'not-built
               (format #f "~@[~a: ~]~a is not built yet~@[: ~a~]."
                       (and location (location->string location)) what remedy)))

(define (tutti-error? object)
  "Return true if OBJECT is an error of Tutti's own or of the library."
  (and (exception? object)
       (eq? (exception-kind object) 'tutti-error)))

(define (tutti-error-code exception)
  "Return the code of EXCEPTION: misuse, not-built, locked, moved, unreachable, lost,
callback or system."
  (match (exception-args exception)
    ((_ _ _ (code . _)) code)
    (_ 'misuse)))

(define (error-sentence exception)
  "Return the message of EXCEPTION, an error of Tutti's own."
  (match (exception-args exception)
    ((_ "~a" ((? string? message)) . _) message)
    (_ "an error without a message")))

(define (primitive name)
  "Return the library's primitive NAME.  Not before it is called for: the bindings use this module."
  (module-ref (resolve-interface '(tutti private bindings)) name))

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
    (error-sentence exception))
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

(set-exception-printer! 'tutti-error
  (lambda (port key arguments default)
    (match arguments
      ((_ "~a" ((? string? message)) . _) (display message port))
      (_ (default)))))
