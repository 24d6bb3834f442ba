(load "hello.scm")
(hello (list (app "2")) (list (front "2")))
