(load "hello.scm")
(hello (list (app "1")) (list (front "1")))
