;;; SPDX-License-Identifier: LGPL-3.0-or-later
;; 2 with a new application that never becomes well: its upgrade is rolled back.
(load "shop.scm")
(shop (list (db "2")) (list (app "3" #:sick? #t)) (list front))
