;;; SPDX-License-Identifier: LGPL-3.0-or-later
(load "hello.scm")
(hello (list (app "2")) (list (front "2")))
