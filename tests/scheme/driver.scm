;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; What may be written in a transition, odd things included.  Each deploys on a directory of this machine.

(use-modules (ice-9 control)
             (ice-9 exceptions)
             (ice-9 match)
             (srfi srfi-1)
             (srfi srfi-64)
             ((ice-9 threads) #:select (call-with-new-thread join-thread))
             ((srfi srfi-34) #:prefix s34:)
             ((srfi srfi-43) #:select (vector-for-each))
             (tutti)
             (tutti private answers)
             (tutti site))
(eval-when (expand load eval)
  (add-to-load-path (string-append (dirname (current-filename)) "/../support")))
(use-modules (local-site))

(define effects '())                        ; what programs ran, newest first
(define (note-effect event)
  (when (eq? 'effect (progress-kind event))
    (set! effects (cons (progress-text event) effects))))
(define (ran)
  (reverse effects))

(define (echo text)
  (run (program "echo" text)))
(define (fails)
  (run (program "false")))

(define* (outcome-of thunk #:key (old? #f))
  "Return what comes of an install whose transition calls THUNK, or of an upgrade when OLD? is true: a pair of
outcome and message."
  (let* ((folder (fresh-folder))
         (service-of (lambda (the-version transition)
                       (service (name "s") (version the-version)
                                (start (program "true")) (stop (program "true"))
                                (validate (program "true" #:limit 1))
                                (switch-to-service transition)))))
    (when old?
      (let ((site (make-local-site (list (service-of "1" replace-service)) #:folder folder)))
        (deploy-site site)
        (close-site! site)))
    (let ((site (make-local-site (list (service-of "2" (lambda* (#:key (old #f) new) (thunk))))
                                 #:folder folder)))
      (set! effects '())
      (match (deploy-site site #:on-progress note-effect)
        ((result)
         (close-site! site)
         result)))))

(define-syntax-rule (test-upgraded name body ...)
  (test-equal name '(upgraded . "") (outcome-of (lambda () body ...))))

(define-syntax-rule (test-failed name part body ...)
  ;; The transition fails, is rolled back, and the message has PART in it.
  (test-equal name '(#t #t)
    (match (outcome-of (lambda () body ...))
      ((outcome . message)
       (list (and (memq outcome '(rolled-back unchanged)) #t)
             (if (string-contains message part) #t message))))))

(test-begin "driver")

(test-upgraded "effects in map and for-each"
  (let ((l (map (lambda (x) (output-text (echo x))) '("a" "b"))))
    (for-each (lambda (x) (echo x)) l)
    (unless (equal? l '("a\n" "b\n")) (error "wrong" l))))
(test-upgraded "effects in vector-for-each; a sort without effects"
  (vector-for-each (lambda (i x) (echo "a")) #(1 2))
  (sort (map (lambda (x) (output-text (echo x))) '("b" "a")) string<?))
(test-failed "effects in sort" "inside a procedure implemented in C"
  (sort '(3 1 2) (lambda (a b) (echo "x") (< a b))))
(test-failed "effects in sort, swallowed: the task is poisoned" "inside a procedure implemented in C"
  (s34:guard (e (#t #f)) (sort '(3 1 2) (lambda (a b) (echo "x") (< a b))))
  (echo "after"))
(test-equal "nothing ran after it" '() (filter (lambda (text) (string-prefix? "run" text)) (ran)))
(test-failed "effects in filter" "inside a procedure implemented in C"
  (filter (lambda (a) (echo "x")) '(1 2)))
(test-failed "effects in force" "inside a procedure implemented in C"
  (force (delay (echo "x"))))
(test-failed "effects on another thread" "on another thread"
  (join-thread (call-with-new-thread
                (lambda () (catch #t (lambda () (echo "a")) (const #f)))))
  (echo "b"))

(test-failed "raise of what is no exception" "no exception was raised: 42" (echo "a") (raise-exception 42))
(test-failed "an odd throw" "my-key" (echo "a") (throw 'my-key "sub" 1 2))
(test-failed "a recursion without end" "the stack overflowed: does a procedure call itself without end?"
  (echo "a")
  (let deeper ((n 1)) (+ n (deeper n))))
(test-upgraded "one that is guarded"
  (s34:guard (e (#t #f)) (let deeper ((n 1)) (+ n (deeper n))))
  (echo "after"))
(test-failed "a wrong argument"
  "Wrong type argument in position 1 (expecting pair): x"
  (echo "a") (car (string->symbol "x")))
(test-failed "exit" "it called (exit 7)" (echo "a") (exit 7))
(test-equal "exit does not end the process" 'unchanged (match (outcome-of (lambda () (exit 7))) ((o . _) o)))

(test-upgraded "an effect that fails, guarded: SRFI 34"
  (s34:guard (e (#t (echo "in clause"))) (fails))
  (echo "after"))
(test-upgraded "an effect that fails, guarded"
  (guard (e ((effect-failed? e) (echo "in clause"))) (fails))
  (echo "after"))
(test-failed "no clause matches" "run false failed"
  (guard (e ((string? e) (echo "in clause"))) (fails))
  (echo "after"))
(test-upgraded "catch #t around an effect that fails"
  (catch #t (lambda () (fails)) (lambda _ (echo "handler")))
  (echo "after"))
(test-upgraded "an effect in a handler that does not unwind"
  (with-exception-handler (lambda (e) (echo "in handler") 'v)
    (lambda () (raise-continuable 'c))))

(define winds 0)
(test-equal "guards of dynamic-wind run at every effect" '((upgraded . "") #t)
  (let ((outcome (outcome-of (lambda ()
                               (dynamic-wind
                                 (lambda () (set! winds (+ winds 1)))
                                 (lambda () (echo "a") (echo "b"))
                                 (const #f))))))
    (list outcome (> winds 2))))
(test-failed "an effect in a guard that leaves" "by a guard of 'dynamic-wind'"
  (dynamic-wind (const #t) (lambda () (echo "a") (echo "b")) (lambda () (echo "unlock"))))
(test-failed "an effect in a guard that enters" "by a guard of 'dynamic-wind'"
  (dynamic-wind (lambda () (echo "lock")) (lambda () (echo "a") (echo "b")) (const #f)))
(test-failed "swallowed: the task is poisoned" "by a guard of 'dynamic-wind'"
  (s34:guard (e (#t #f))
    (dynamic-wind (const #t) (lambda () (echo "a") (echo "b")) (lambda () (echo "unlock"))))
  (echo "after"))

(define p (make-parameter 'outer))
(test-upgraded "parameterize around effects"
  (parameterize ((p 'inner)) (echo "a") (unless (eq? (p) 'inner) (error "lost")))
  (echo "b")
  (unless (eq? (p) 'outer) (error "leaked")))
(test-upgraded "primitive-eval" (primitive-eval `(,echo "a")))
(test-upgraded "call/ec out of effects" (let/ec k (echo "a") (k 1)) (echo "b"))
(test-failed "call/cc entered again after an effect" "call/cc"
  (let ((n 0) (k #f))
    (call/cc (lambda (c) (set! k c)))
    (echo "a")
    (set! n (+ n 1))
    (when (< n 3) (k #f))))
(test-upgraded "an effect 10,000 frames deep"
  (let loop ((n 10000))
    (if (= n 0)
        (begin (echo "a") 0)
        (+ 1 (loop (- n 1))))))

(test-failed "compensations run in reverse order" "run false failed"
  (on-roll-back (echo "first"))
  (on-roll-back (echo "second"))
  (fails))
(test-equal "as they were registered" '("run echo second" "run echo first")
  (filter (lambda (text) (string-prefix? "run echo" text)) (ran)))
(test-equal "a compensation that raises: the rollback failed, and says why" '(roll-back-failed #t)
  (match (outcome-of (lambda () (on-roll-back (error "bad thing")) (fails)) #:old? #t)
    ((outcome . message) (list outcome (and (string-contains message "bad thing") #t)))))
;; The library asks whether the new one lives only when the transition has ended.
(test-equal "a transition that leaves the service down is rolled back, though it ended well" '(rolled-back #t)
  (let* ((folder (fresh-folder))
         (deploy (lambda (the-version transition)
                   (let* ((site (make-local-site
                                 (list (service (name "s") (version the-version)
                                                (start (daemon "sleep" "1003"))
                                                (switch-to-service transition)))
                                 #:folder folder))
                          (result (deploy-site site)))
                     (close-site! site)
                     result))))
    (deploy "1" replace-service)
    (match (deploy "2" (lambda* (#:key (old #f) new) (stop old)))
      (((outcome . message))
       (let ((site (make-local-site '() #:folder folder)))
         (deploy-site site)
         (close-site! site))
       (list outcome (and (string-contains message "does not live") #t))))))
(test-equal "on an upgrade the old service is validated after the rollback" '(rolled-back #t)
  (match (outcome-of (lambda () (echo "a") (fails)) #:old? #t)
    ((outcome . message) (list outcome (and (member "validate s 1" (ran)) #t)))))
(test-failed "put-file is undone" "run false failed"
  (put-file "a.txt" "hello")
  (fails))
(test-assert "by restore-file" (find (lambda (text) (string-contains text "a.txt")) (cdr (ran))))
(test-failed "put-file with a mode in decimal" "put-file 'a.txt': #:mode 600 is decimal, which is #o1130 in octal"
  (put-file "a.txt" "hello" #:mode 600))
(test-upgraded "put-file and get-file" 
  (put-file "a.txt" "héllo\n")
  (unless (string=? "héllo\n" (get-file "a.txt")) (error "wrong" (get-file "a.txt"))))
(test-failed "on-host with an unknown host" "no host 'h9'. Did you mean 'h1'?" (on-host "h9" (echo "a")))

(test-upgraded "output that is not UTF-8 is shown with replacements, and kept as it is"
  (let* ((output (run (program "printf" "\\377ok")))
         (bytes (output-text (run (program "od" "-An" "-tx1") #:input output))))
    (unless (string-suffix? "ok" (output-text output)) (error "text" (output-text output)))
    (unless (string-contains bytes "ff 6f 6b") (error "bytes" bytes))))
(test-upgraded "a string is an input"
  (unless (string=? "é" (output-text (run (program "cat") #:input "é"))) (error "wrong")))
(test-upgraded "an environment"
  (unless (string=? "5\n" (output-text (run (program "printenv" "X") #:environment '((X . 5))))) (error "wrong")))
(test-upgraded "a script" 
  (unless (string=? "a b\n" (output-text (run (script "echo \"$1\" \"$2\"" "a" "b")))) (error "wrong")))
(test-failed "a cut output as a string" "more than come back"
  (output-text (run (program "head" "-c" "100000" "/dev/zero"))))
(test-upgraded "now, wait-seconds and wait-until"
  (let ((before (now)))
    (wait-seconds 0.01)
    (wait-until (program "true"))
    (unless (<= before (now)) (error "time"))))
(test-upgraded "current-host and current-site"
  (unless (string=? "h1" (host-name (current-host))) (error "host"))
  (unless (string=? "h1" (host-name (host-of (current-site) "s"))) (error "site")))
(test-failed "a hook that is not there" "no hook 'migrat'" (run (hook (deployed "s") 'migrat)))

(remove-scratch)
(test-end)
