;;; SPDX-License-Identifier: LGPL-3.0-or-later
(load "shop.scm")
(shop (list (db "1")) (list (app "1")) (list front))
