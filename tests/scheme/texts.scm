;;; SPDX-License-Identifier: LGPL-3.0-or-later
(use-modules (srfi srfi-64)
             (tutti errors)
             (tutti texts))

(define (sentence thunk)
  (with-exception-handler describe (lambda () (thunk) 'no-error) #:unwind? #t))

(define (ends? suffix text)
  (string-suffix? suffix text))

(test-begin "values")

(test-equal "a program prints readably" "#<program curl -fsS {setting url}>"
  (object->string (program "curl" "-fsS" (setting 'url))))
(test-equal "a daemon" "#<daemon /bin/web 8080>" (object->string (daemon "/bin/web" 8080)))
(test-equal "a script" "#<script script {data-directory cluster}>"
  (object->string (script "echo hi" (data-directory "cluster"))))
(test-equal "#:limit is no argument" '(("a" "b") 5)
  (let ((p (program "a" "b" #:limit 5)))
    (list (program-words p) (program-limit p))))
(test-equal "a misspelt keyword" "program: no keyword #:limt. Did you mean 'limit'?"
  (sentence (lambda () (program "a" #:limt 5))))
(test-equal "a limit that is no number" "program: #:limit must be a number of seconds above 0, not \"5\""
  (sentence (lambda () (program "a" #:limit "5"))))
(test-equal "nothing to run" "program: the file to run is missing" (sentence (lambda () (program))))
(test-assert "an argument that is no text"
  (string-prefix? "program: a string, a setting" (sentence (lambda () (program "a" 'b)))))
(test-assert "a list of texts is a text" (text? (list "a" (setting 'b) 5 (list "c"))))
(test-assert "a symbol is none" (not (text? 'a)))
(test-assert "a file that is not there"
  (string-contains (sentence (lambda () (local-file "no-such-file"))) "there is no file 'no-such-file'"))
(test-assert "local-file may be used as a procedure, and is relative to this file"
  (local-file? (car (map local-file (list (basename (current-filename)))))))
(test-assert "a tree of files is not built yet"
  (string-contains (sentence (lambda () (local-file "." #:recursive? #t))) "not built yet"))
(test-equal "a file prints readably" "#<file web.conf 0400>"
  (object->string (file "web.conf" (setting 'x) #:mode #o400)))
(test-equal "a mode in decimal that reads like one in octal"
  "file 'x': #:mode 644 is decimal, which is #o1204 in octal: write #o644"
  (sentence (lambda () (file "x" "y" #:mode 644))))
(test-equal "modes that are as they read" '(#o644 #o600 #o755 #o1777 #o777)
  (map (lambda (mode) (file-mode (file "x" "y" #:mode mode))) '(#o644 #o600 #o755 #o1777 #o777)))
(test-equal "a mode that is none" "file 'x': #:mode must be a number such as #o644, not \"644\""
  (sentence (lambda () (file "x" "y" #:mode "644"))))
(test-assert "a file's content must be a text"
  (string-prefix? "file 'x': the content must be" (sentence (lambda () (file "x" 'y)))))
(test-assert "file-append is the item's path and a suffix"
  (text? (file-append (plain-file "a" "b") "/bin")))

(test-end)
