;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; (tutti later) --- words of the vocabulary that are not built yet.
;;;
;;; Commentary:
;;;
;;; Each raises one sentence that says what to do instead.  The library has the table of them; declarations and
;;; fields that are not built yet are refused by it, too.
;;;
;;; Code:

(define-module (tutti later)
  #:use-module (ice-9 match)
  #:use-module (tutti errors)
  #:export (in-parallel
            later-transition?))

(define-syntax-rule (define-later name ...)
  ;; Define and export each NAME as a procedure of any arguments.
  (begin
    (define (name . arguments)
      "Not built yet."
      (not-built (symbol->string 'name)))
    ...
    (export name ...)))

;; Of fields.
(define-later secret by-slot guix-service guix-package nix-package git-source blue-green
  guix-store nix-store etcd-state)

;; Platforms and inventories.
(define-later container-platform vm-platform command-platform
  inventory-command inventory-ansible inventory-ec2)

;; Policies.
(define-later one-group-at-a-time canary waves only-between never-between failure-budget)

;; Transitions and their operations.
(define-later start-before-stop backup-and-restore migrate-while-running
  switch-over checkpoint in-parallel-map)

(define-syntax-rule (in-parallel expression ...)
  (begin
    (lambda () expression ...)              ; for the names in it
    (not-built "in-parallel")))

(define (later-transition? procedure)
  "Return true if PROCEDURE is a transition of the vocabulary that is not built yet."
  (and (memq procedure (list start-before-stop backup-and-restore migrate-while-running)) #t))
