;;; SPDX-License-Identifier: LGPL-3.0-or-later
(use-modules (ice-9 match)
             (srfi srfi-1)
             (srfi srfi-64)
             (tutti)
             (tutti errors)
             (tutti private program))

(define folder (mkdtemp (string-append (or (getenv "TMPDIR") "/tmp") "/tutti-program-XXXXXX")))
(define written '())
(define (write-file name . lines)
  (let ((file (string-append folder "/" name)))
    (call-with-output-file file
      (lambda (port)
        (for-each (lambda (line) (display line port) (newline port)) lines)))
    (set! written (lset-adjoin string=? written file))
    file))

(define (sentence . lines)
  "Return what is wrong with the program that LINES are, without the name of the folder."
  (let ((file (apply write-file "site.scm" "(use-modules (tutti))" lines)))
    (with-exception-handler
        (lambda (exception)
          (let ((text (describe exception)))
            (if (string-prefix? folder text)
                (string-drop text (+ 1 (string-length folder)))
                text)))
      (lambda () (load-program file) 'no-error)
      #:unwind? #t)))

(test-begin "program")

(test-equal "the last value is what the program comes to" 5
  (loaded-value (load-program (write-file "five.scm" "(define x 2)" "(+ x 3)"))))
(test-equal "a misspelt field" "site.scm:3:3: service: no field 'verson'. Did you mean 'version'?"
  (sentence "(define s (service (name \"x\")" "  (verson \"1\")))"))
(test-equal "a wrong type" "site.scm:2:21: service 'x': field 'version' must be a string, not 1"
  (sentence "(service (name \"x\") (version 1))"))
(test-equal "a name that is defined nowhere" "site.scm:3:11: 'servce' is defined nowhere. Did you mean 'service'?"
  (sentence "" "(define x servce)"))
(test-equal "even in a procedure that is not called"
  "site.scm:3:6: 'validat' is defined nowhere. Did you mean 'validate'?"
  (sentence "(define (f new)" "    (validat new))" "5"))
(test-equal "in a procedure that is called before that is known"
  "site.scm:2:18: 'undefined-thing' is defined nowhere."
  (sentence "(define (f) (+ 1 undefined-thing))" "(f)"))
(test-equal "a raise" "site.scm:3:2: no good \"x\""
  (sentence "(define (f x)" " (error \"no good\" x)" " x)" "(list (f \"x\"))"))
(test-equal "a wrong argument" "site.scm:2:4: Wrong type (expecting pair): 5"
  (sentence "(+ (car 5) 1)"))
(test-assert "a syntax error"
  (string-prefix? "site.scm:2:" (sentence "(let ((x)) x)")))
(test-assert "a parenthesis that is missing"
  (string-contains (sentence "(list 1 2") "site.scm:"))
(test-equal "exit" "site.scm:2:7: it called (exit 3)" (sentence "(list (exit 3))"))
(test-equal "an effect at top level is placed and refused"
  "site.scm:2:7: an effect (run) was asked for in a site program that is being loaded, where nothing may act"
  (sentence "(list (run (program \"true\")))"))
(test-equal "what is not built yet is placed"
  "site.scm:2:7: guix-package is not built yet: name a file that the host has, or use a local file"
  (sentence "(list (guix-package \"nginx\"))"))
(test-equal "a module that is not there: a sentence" #t
  (string? (sentence "(use-modules (no such module))")))
(test-assert "no such file"
  (string-contains (with-exception-handler describe
                     (lambda () (load-program "no-such-program.scm"))
                     #:unwind? #t)
                   "there is no site program 'no-such-program.scm'"))

(write-file "common.scm" "(define version \"7\")" "(define (f) no-such-name-here)")
(test-equal "a name in a file that is loaded" "common.scm:2:13: 'no-such-name-here' is defined nowhere."
  (sentence "(load \"common.scm\")" "version"))
(write-file "common.scm" "(define version \"7\")")
(test-equal "files are loaded relative to the program, and may define names for it" "7"
  (loaded-value (load-program (write-file "loads.scm" "(load \"common.scm\")" "version"))))
(test-equal "the source is every file below the program's folder"
  '(("loads.scm" . "(load \"common.scm\")\nversion\n") ("common.scm" . "(define version \"7\")\n"))
  (loaded-source (load-program (string-append folder "/loads.scm"))))
(write-file "helper.scm" "(define-module (helper) #:export (answer))" "(define answer 42)")
(let ((loaded (load-program (write-file "uses.scm" "(use-modules (helper))" "answer"))))
  (test-equal "modules are found beside the program" 42 (loaded-value loaded))
  (test-equal "and are part of its source" '("uses.scm" "helper.scm")
    (map basename (loaded-files loaded))))
(test-equal "two programs do not share names" 'no-error
  (begin
    (load-program (write-file "a.scm" "(define shared-name 1)"))
    (match (with-exception-handler describe
             (lambda () (load-program (write-file "b.scm" "(list shared-name)")))
             #:unwind? #t)
      ((? string?) 'no-error)
      (_ 'error))))
(test-equal "a local-file is relative to the program" "note.txt"
  (begin
    (write-file "note.txt" "hello")
    (basename ((@ (tutti texts) local-file-path)
               (loaded-value (load-program
                              (write-file "local.scm" "(use-modules (tutti))" "(local-file \"note.txt\")")))))))

(for-each delete-file written)
(rmdir folder)
(test-end)
