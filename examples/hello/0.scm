;;; SPDX-License-Identifier: LGPL-3.0-or-later
;; Nothing any more: deploying this removes both.
(load "hello.scm")
(hello '() '())
