;;; SPDX-License-Identifier: LGPL-3.0-or-later
;; This application never becomes well: its upgrade is rolled back.
(load "hello.scm")
(hello (list (app "3" #:sick? #t)) (list (front "3")))
