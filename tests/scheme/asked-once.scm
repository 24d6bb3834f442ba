;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; How often the functions of a site program are called by one command: its inventory once for each class, the
;;; settings of a service once for each host.  A file that is an inventory is read when the site is opened, and
;;; then no more.

(use-modules (ice-9 match)
             (ice-9 textual-ports)
             (srfi srfi-64)
             (tutti)
             (tutti private bindings)
             (tutti private command)
             (tutti site))
(eval-when (expand load eval)
  (add-to-load-path (string-append (dirname (current-filename)) "/../support")))
(use-modules (local-site))

(define folder (fresh-folder))
(mkdir folder)
(define (in-folder name)
  (string-append folder "/" name))
(define (write-file name text)
  (call-with-output-file (in-folder name)
    (lambda (port) (display text port)))
  (in-folder name))

(define asked (in-folder "asked"))      ; a line for each call
(define (program version)
  (write-file "site.scm" (format #f "(use-modules (tutti))
(define (note text)
  (let ((port (open-file ~s \"a\")))
    (display text port)
    (newline port)
    (close-port port)))
(define web
  (service (name \"web\") (version ~s)
           (settings (lambda (site host) (note (string-append \"settings \" (host-name host))) '((a . 1))))
           (environment `((\"A\" . ,(setting 'a))))
           (start (program \"true\")) (stop (program \"true\")) (validate (program \"true\"))))
(site-configuration
 (name \"shop\") (platform (local-platform \"hosts\"))
 (host-classes (list (host-class (name \"front\") (services (list web))) (host-class (name \"data\"))))
 (host-class->hosts
  (inventory-append
   (lambda (class)
     (note (string-append \"class \" (host-class-name class)))
     (if (string=? (host-class-name class) \"front\") (list (host (name \"w1\"))) '()))
   (inventory-file \"hosts.json\"))))
" asked version)))
(write-file "hosts.json" "{\"format_version\": 1, \"hosts\": [{\"name\": \"w2\", \"class\": \"front\"}]}")

(define (lines-of . arguments)
  "Return what the command with ARGUMENTS called, in alphabetical order, after its exit status."
  (when (file-exists? asked)
    (delete-file asked))
  (let* ((status #f)
         (output (with-output-to-string (lambda () (set! status (main (cons "tutti" arguments)))))))
    (cons status
          (sort (string-split (string-trim-right (call-with-input-file asked get-string-all)) #\newline)
                string<?))))

(test-begin "asked-once")

(define once '(0 "class data" "class front" "settings w1" "settings w2"))
(define site (program "1"))
(test-equal "check" once (lines-of "check" site))
(test-equal "plan" once (lines-of "plan" site))
(test-equal "deploy, of what is new" once (lines-of "deploy" "--yes" site))
(test-equal "deploy, with nothing to do" once (lines-of "deploy" "--yes" site))
(test-equal "deploy, of an upgrade" once (lines-of "deploy" "--yes" (program "2")))

(define in-use (open-site site))
(delete-file (in-folder "hosts.json"))
(test-equal "a file is not read after the site was opened" '(2 0)
  (list (site-host-count in-use) (length (%plan-steps (make-plan in-use)))))
(close-site! in-use)

(remove-scratch)
(test-end)
