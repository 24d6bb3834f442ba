;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; (tutti private bindings) --- the library's primitives.
;;;
;;; Commentary:
;;;
;;; Loads the extension, which defines and exports the primitives here.  Their names start with %, they are
;;; positional, and none of them calls Scheme.
;;;
;;; Code:

(define-module (tutti private bindings)
  #:use-module (tutti config)
  #:use-module (tutti errors))

(eval-when (expand load eval)
  (load-extension %extension "tutti_init_guile"))
