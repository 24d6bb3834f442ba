;; Nothing any more: deploying this removes both.
(load "hello.scm")
(hello '() '())
