;;; SPDX-License-Identifier: LGPL-3.0-or-later
;; Another schema, and the application that uses it.
(load "shop.scm")
(shop (list (db "2")) (list (app "2")) (list front))
