;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; The manual: its examples run, and it tells of all that there is.

(use-modules (ice-9 match)
             (ice-9 regex)
             (ice-9 textual-ports)
             (srfi srfi-1)
             (srfi srfi-64)
             (tutti errors)
             (tutti private command)
             (tutti private options))
(eval-when (expand load eval)
  (add-to-load-path (string-append (dirname (current-filename)) "/../support")))
(use-modules (local-site))

(define manual
  (call-with-input-file (string-append (dirname (current-filename)) "/../../scheme/doc/manual.md")
    get-string-all #:encoding "UTF-8"))


;;;
;;; Blocks: ```INFO, lines, ```.
;;;

(define blocks                              ; list of (INFO LINE ...), in order
  (let loop ((lines (string-split manual #\newline)) (open #f) (closed '()))
    (match lines
      (() (reverse closed))
      (((? (lambda (line) (string-prefix? "```" line)) line) . rest)
       (if open
           (loop rest #f (cons (reverse open) closed))
           (loop rest (list (string-drop line 3)) closed)))
      ((line . rest) (loop rest (and open (cons line open)) closed)))))

(define (blocks-of kind)
  "Return the blocks whose info is KIND, as texts."
  (filter-map (match-lambda
                ((info lines ...) (and (string=? info kind) (string-join lines "\n"))))
              blocks))

(define folder (fresh-folder))
(mkdir folder)
(define (write-file name text)
  (call-with-output-file (string-append folder "/" name)
    (lambda (port) (display text port) (newline port))
    #:encoding "UTF-8"))

;; A block whose info is a language and the name of a file is that file.
(for-each (match-lambda
            ((info lines ...)
             (match (string-split info #\space)
               ((_ (? (lambda (name) (string-index name #\.)) name)) (write-file name (string-join lines "\n")))
               (_ #f))))
          blocks)

(define (tutti input . arguments)
  "Call the command with ARGUMENTS in the folder, where INPUT is typed.  Return its exit status and all that it
printed."
  (let ((status #f)
        (before (getcwd)))
    (chdir folder)
    (let ((output (call-with-output-string
                    (lambda (port)
                      (with-output-to-port port
                        (lambda ()
                          (with-error-to-port port
                            (lambda ()
                              (with-input-from-string input
                                (lambda () (set! status (main (cons "tutti" arguments)))))))))))))
      (chdir before)
      (cons status output))))

;; What makes a site of a fragment: all services that it defines, its policy and its inventory.
(define site-of-fragment "
(define (%defined name default)
  (match (module-variable (current-module) name) (#f default) (variable (variable-ref variable))))
(site-configuration
 (name \"fragment\")
 (host-classes
  (list (host-class (name \"front\")
                    (services (filter service?
                                      (module-map (lambda (name variable)
                                                    (and (variable-bound? variable) (variable-ref variable)))
                                                  (current-module)))))
        (host-class (name \"data\"))))
 (policy (%defined 'careful %default-policy))
 (host-class->hosts
  (%defined 'fleet
            (inventory-list (list \"front\" (host (name \"web1\") (labels '((datacenter . \"a\")))))))))
")

(test-begin "manual")

(test-equal "the first deployment: check" '(0 . "site shop: 3 hosts, 3 instances: no mistake found\n")
  (tutti "" "check"))
(test-equal "the first deployment: plan" '(0 #t)
  (match (tutti "" "plan")
    ((status . output) (list status (and (string-contains output "web@web2") #t)))))

(for-each
 (lambda (fragment)
   (let ((title (match (string-split (string-trim-both fragment) #\newline) ((line . _) line))))
     (write-file "fragment.scm"
                 (string-append "(use-modules (tutti) (ice-9 match) (srfi srfi-1))\n" fragment site-of-fragment))
     (test-equal (string-append "the fragment that begins with " title) '(0 #t)
       (match (tutti "" "check" "fragment.scm")
         ((status . output)
          (list status (or (and (string-contains output "no mistake found") #t) output)))))))
 (blocks-of "scheme fragment"))

;;; The session: what is typed stands after the prompt; each line below it is printed.
(define session (append-map (lambda (text) (string-split text #\newline)) (blocks-of "repl")))
(define prompt "tutti> ")
(define-values (typed printed)
  (partition (lambda (line) (string-prefix? prompt line)) session))
(define session-output
  (match (tutti (string-append (string-join (map (lambda (line) (string-drop line (string-length prompt)))
                                                         typed)
                                                    "\n")
                                       "\n")
                "repl")
    ((_ . output) output)))
(let loop ((printed printed) (from 0))
  (match printed
    (() #t)
    ((line . rest)
     (let ((start (string-contains session-output line from)))
       (test-equal (string-append "the session prints " line) 'printed
         (if start 'printed session-output))
       (loop rest (if start (+ start (string-length line)) from))))))


;;;
;;; All that there is.
;;;

(define (told? word)
  "Does WORD stand in the manual, as a whole?"
  (regexp-exec (make-regexp (string-append "(^|[^a-z0-9&%!?<>*-])" (regexp-quote word) "($|[^a-z0-9&%!?<>*-])")
                            regexp/newline)
               manual))
(define (accessor? name)
  (any (lambda (record) (string-prefix? (string-append record "-") name))
       '("service" "host-class" "site-configuration")))
(define (untold words)
  (remove told? words))

(test-equal "every word of site programs is told" '()
  (untold (remove (lambda (name)
                    (or (accessor? name) (member name '("service?" "host?" "host-class?" "site-configuration?"))
                        (member name '("host-user" "host-become"))))
                  (map symbol->string (module-map (lambda (name variable) name) (resolve-interface '(tutti)))))))
(test-equal "every word of the REPL is told" '()
  (untold (map symbol->string (module-map (lambda (name variable) name) (resolve-interface '(tutti repl))))))
(test-equal "every option is told" '()
  (untold (filter-map (match-lambda
                        ((name . _)
                         (and (not (member name '("verbose" "help"))) (string-append "--" name))))
                      %options)))
(test-equal "every field of a service is told" '()
  (untold (filter-map (lambda (name)
                        (and (string-prefix? "service-" name) (string-drop name (string-length "service-"))))
                      (map symbol->string
                           (module-map (lambda (name variable) name) (resolve-interface '(tutti)))))))

(remove-scratch)
(test-end)
