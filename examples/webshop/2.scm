;; Another schema, and the application that uses it.
(load "shop.scm")
(shop (list (db "2")) (list (app "2")) (list front))
