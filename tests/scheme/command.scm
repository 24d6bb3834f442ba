;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; The command: its options, what it prints, and its exit status.

(use-modules (ice-9 match)
             (ice-9 popen)
             (ice-9 textual-ports)
             (srfi srfi-1)
             (srfi srfi-64)
             (tutti private command))
(eval-when (expand load eval)
  (add-to-load-path (string-append (dirname (current-filename)) "/../support")))
(use-modules (local-site))

(define folder (fresh-folder))
(mkdir folder)
(define (write-file name . lines)
  (let ((file (string-append folder "/" name)))
    (call-with-output-file file
      (lambda (port)
        (for-each (lambda (line) (display line port) (newline port)) lines)))
    file))

(define (tutti . arguments)
  "Call the command with ARGUMENTS.  Return its exit status, what it printed, and what it printed of errors."
  (let* ((errors (open-output-string))
         (status #f)
         (output (with-output-to-string
                   (lambda ()
                     (with-error-to-port errors
                       (lambda ()
                         (with-input-from-string ""
                           (lambda () (set! status (main (cons "tutti" arguments)))))))))))
    (list status output (get-output-string errors))))

(define (has? part)
  (lambda (text) (and (string-contains text part) #t)))
(define-syntax-rule (test-command name status output error argument ...)
  ;; The exit status, part of what is printed, and part of the error.
  (test-equal name '(status #t #t)
    (match (tutti argument ...)
      ((s o e) (list s
                     (or ((has? output) o) o)
                     (or (if (string-null? error) (string-null? e) ((has? error) e)) e))))))

(define (program the-version . lines)
  (apply write-file "site.scm"
         "(use-modules (tutti))"
         "(define* (switch #:key (old #f) new)"
         "  (when old (stop old))"
         "  (start new)"
         "  (validate new))"
         "(define web (service (name \"web\")"
         (string-append "  (version \"" the-version "\")")
         "  (start (program \"sleep\" (or (getenv \"TUTTI_TEST_SLEEP\") \"0\"))) (stop (program \"true\"))"
         (string-append "  (validate (program " (if (string=? the-version "3") "\"false\" #:limit 0.2" "\"true\"") "))")
         "  (switch-to-service switch)))"
         (if (null? lines)
             '("(site-configuration (name \"shop\") (platform (local-platform \"hosts\"))"
               "  (host-classes (list (host-class (name \"front\") (services (list web)))))"
               "  (host-class->hosts (inventory-list `(\"front\" ,(host (name \"w1\")) ,(host (name \"w2\"))))))")
             lines)))
(define site (program "1"))

(test-begin "command")

(test-command "help" 0 "usage: tutti COMMAND" "" "--help")
(test-command "no command" 1 "" "usage: tutti COMMAND")
(test-command "the version" 0 "tutti " "" "--version")
(for-each (lambda (command)
            (test-equal (string-append "help for " command) 0
              (match (tutti command "--help")
                ((status output "") (and (string-contains output (string-append "usage: tutti " command)) status)))))
          '("check" "plan" "deploy" "abandon" "status" "history" "log" "run" "repl"))
(test-command "a misspelt command" 1 "" "tutti: no command 'dploy'. Did you mean 'deploy'?" "dploy" site)
(test-command "a misspelt option" 1 "" "tutti deploy: no option '--ye'. Did you mean '--yes'?" "deploy" "--ye" site)
(test-command "an option of another command" 1 "" "no option '--take-over'" "plan" "--take-over" site)
(test-command "an option without its value" 1 "" "'--state' needs a value: --state FILE" "plan" site "--state")
(test-command "a value for an option that takes none" 1 "" "'--yes' takes no value" "deploy" "--yes=1" site)
(test-command "an option twice" 1 "" "'--state' was given twice" "plan" "--state" "a" "--state=b" site)
(test-command "no file" 1 "" "the file of a site program is missing: tutti plan FILE" "plan")
(test-command "two files" 1 "" "one site program is wanted; what is 'b'?" "plan" site "b")
(test-command "a file that is not there" 1 "" "there is no site program 'nowhere.scm'" "plan" "nowhere.scm")
(test-command "what comes later" 1 "" "tutti resume is not built yet: 'tutti abandon' ends" "resume" site)

(test-command "check" 0 "site shop: 2 hosts, 2 instances: no mistake found" "" "check" site)
(test-assert "check touches no host" (not (file-exists? (string-append folder "/hosts"))))
(test-assert "and makes no state" (not (file-exists? (string-append folder "/.tutti"))))
(test-command "history before there is any" 0 "nothing was deployed" "" "history" site)
(test-command "plan" 0 "web@w1" "" "plan" site)
(test-command "plan --detailed-exitcode" 2 "web@w1" "" "plan" "--detailed-exitcode" site)
(test-command "plan --json" 0 "\"format_version\":1" "" "plan" "--json" site)
(test-command "deploy without a terminal and --yes" 1 "web@w1" "give --yes to act without asking" "deploy" site)
(test-command "a dry run tells the effects" 0 "web@w2  install 1\n  start web 1\n  validate web 1\n" ""
  "deploy" "--dry-run" site)
(test-command "and did nothing" 0 "nothing was deployed" "" "history" site)
(test-command "no log yet" 0 "nothing was deployed" "" "log" site)
(test-command "deploy" 0 "shop: run 1: 2 upgraded" "" "deploy" "--yes" site)
(test-command "each event is a line in a plain log" 0 "w1  web: start web 2\n" "" "deploy" "--yes" (program "2"))
(test-command "nothing to do: what it took to know" 0 "nothing to do (2 hosts asked, 2 request frames)" ""
              "deploy" "--yes" site)
(test-command "nothing to do, with a detailed exit code" 0 "nothing to do" "" "plan" "--detailed-exitcode" site)
(test-command "the log of the last run" 0 "web@w1  upgrade  upgraded\n  " "" "log" site)
(test-command "of one run and host" 0 "run 1 of " "" "log" site "1" "w2")
(test-equal "and no other host" #f
  (match (tutti "log" site "1" "w2") ((_ output _) (string-contains output "w1"))))
(test-command "of a run that is none" 1 "" "there is no run 9: the last is 2" "log" site "9")
(test-command "of what is no number" 1 "" "'two' is no number of a run" "log" site "two")
(test-command "of a host where nothing was done" 1 "" "run 1 did nothing on 'w3'. Did you mean 'w" "log" site "1" "w3")
(test-command "too much of it" 1 "" "what is 'x'?" "log" site "1" "w1" "x")
(test-command "--bytes that are no number" 1 "" "'--bytes' takes a whole number from 0 on, not 'all'"
              "log" "--bytes" "all" site)
(test-command "run" 0 "said\n" "" "run" site "--host" "w1" "--" "sh" "-c" "echo said")
(test-command "what it prints is all there" 0 "\n20000\n" "" "run" site "--host" "w1" "--" "seq" "1" "20000")
(test-command "run that fails" 3 "out\n" "tutti: w1: exit status 7"
              "run" site "--host" "w1" "--" "sh" "-c" "echo out; exit 7")
(test-command "its standard error" 3 "" "no\ntutti: w1: exit status 1"
              "run" site "--host" "w1" "--" "sh" "-c" "echo no >&2; exit 1")
(test-command "a program that is not there" 3 "" "nonesuch" "run" site "--host" "w1" "--" "nonesuch")
(test-command "one that takes too long" 3 "" "did not end within 1 s"
              "run" site "--host" "w1" "--limit" "1" "sleep" "9")
(test-command "run on no host" 1 "" "on which host?" "run" site "--" "true")
(test-command "run on a host that is none" 1 "" "no host 'w9' in site 'shop'. Did you mean"
              "run" site "--host" "w9" "true")
(test-command "run nothing" 1 "" "which program?" "run" site "--host" "w1")
(define here (getcwd))
(chdir folder)
(test-command "without a file it is site.scm" 0 "site shop: 2 hosts" "" "check")
(test-command "so for log, with a run" 0 "run 1 of " "" "log" "1" "w2")
(test-command "and for run" 0 "said\n" "" "run" "--host" "w1" "--" "echo" "said")
(chdir here)
(test-command "run: two files" 1 "" "one site program is wanted; what is 'b'?" "run" site "b" "--host" "w1" "--" "true")
(test-command "status" 0 "web      2" "" "status" site)
(test-command "status as JSON" 0 "\"state\": \"deployed\"" "" "status" "--json" site)
(test-command "history" 0 "web 1→2" "" "history" site)
(test-command "nothing to abandon" 0 "there is no unfinished run" "" "abandon" site)
(test-command "a failure that is rolled back exits with 3" 3 "rolled-back" "" "deploy" "--yes" (program "3"))
(test-command "the state in another file: the hosts are held by the first one" 6 "" "take-over"
              "deploy" "--yes" "--state" (string-append folder "/other.db") (program "4"))
(test-command "which may be taken over" 0 "displaces: w1 is held by lineage" ""
              "deploy" "--yes" "--take-over" "--state" (string-append folder "/other.db") (program "4"))

(write-file "hosts.json" "{\"format_version\":1, \"hosts\": [{\"name\": \"x1\", \"class\": \"front\"}]}")
(test-command "--inventory takes the place of the site's own" 0 "1 host, 1 instance" ""
              "check" "--inventory" (string-append folder "/hosts.json") site)
(test-command "an inventory that is not there" 1 "" "there is no inventory" "check" "--inventory" "no.json" site)

(define (wrong . lines)
  (apply program "1" lines))
(test-command "a program that gives nothing" 1 "" "its last line gives nothing: write the name of the site there"
              "check" (wrong "(define x 1)"))
(test-command "a program that gives something else" 1 "" "not 5" "check" (wrong "5"))
(test-command "a misspelt field" 1 "" "site.scm:11:21: site-configuration: no field 'nme'. Did you mean 'name'?"
              "check" (wrong "(site-configuration (nme \"x\"))"))
(define several
  (wrong "(define (town n) (site-configuration (name n) (host-classes '()) (host-class->hosts (const '()))))"
         "(map town '(\"lyon\" \"oslo\"))"))
(test-command "several sites: which?" 1 "" "has 2 sites; say which by --site NAME. They are: lyon, oslo."
              "plan" several)
(test-command "a site that is not there" 1 "" "there is no site 'oslso'. Did you mean 'oslo'?"
              "plan" "--site" "oslso" several)
(test-command "check checks all of them" 0 "site oslo: 0 hosts" "" "check" several)
(test-command "--verbose prints where in Tutti" 1 "" "command.scm" "check" "--verbose" (wrong "5"))

;; Interrupted, as by Ctrl-C.
(set! site (program "9"))
(define interrupted
  (begin
    (setenv "TUTTI_TEST_SLEEP" "2")
    (let* ((port (open-input-pipe
                  (string-append "exec timeout --foreground -s INT 1 tutti deploy --yes --state "
                                 folder "/other.db " site " 2>&1")))
           (text (get-string-all port)))
      (close-pipe port)
      (unsetenv "TUTTI_TEST_SLEEP")
      text)))
(test-assert "Ctrl-C: says that it drains" (string-contains interrupted "interrupted: nothing new starts"))
(test-assert "and what is half-done" (string-contains interrupted "unknown"))
(test-command "then the site is locked" 6 "" "was not finished"
              "deploy" "--yes" "--state" (string-append folder "/other.db") site)
(test-command "until the run is abandoned" 0 "abandoned run" ""
              "abandon" "--state" (string-append folder "/other.db") site)
(test-command "and a deploy repairs" 0 "repair" "" "deploy" "--yes" "--state" (string-append folder "/other.db") site)

(remove-scratch)
(test-end)
