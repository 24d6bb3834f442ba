;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; (tutti) --- what site programs use.
;;;
;;; Commentary:
;;;
;;; Deploys services to many machines in a coordinated way.  This module re-exports the words of site
;;; programs, of transitions and of policies.  It replaces nothing of Guile's.  The words that a person types at the
;;; REPL are in (tutti repl).
;;;
;;; Code:

(define-module (tutti)
  #:use-module (ice-9 match)
  #:use-module (tutti built-in)
  #:use-module (tutti errors)
  #:use-module (tutti inventory)
  #:use-module (tutti late-binding)
  #:use-module (tutti later)
  #:use-module (tutti model)
  #:use-module (tutti on-host)
  #:use-module (tutti platform)
  #:use-module (tutti policy)
  #:use-module (tutti private context)
  #:use-module (tutti private host)
  #:use-module (tutti texts)
  #:use-module (tutti transitions)
  #:re-export (;; Records.
               site-configuration site-configuration? site-configuration-name
               site-configuration-host-classes site-configuration-services
               site-configuration-host-class->hosts site-configuration-platform site-configuration-policy
               site-configuration-store site-configuration-state
               host-class host-class? host-class-name host-class-services host-class-requirements
               host-class-size host-class-platform host-class-image host-class-operating-system
               host-class-labels host-class-capacity host-class-change
               host host? host-name host-address host-port host-user host-become host-labels host-label
               service service? service-name service-version service-payload service-files service-settings
               service-environment service-user service-endpoints service-slots service-one-shot?
               service-hooks service-requirements service-connections service-placement
               service-switch-to-service service-switch-back service-remove-service service-before-rollout
               service-after-rollout service-limit
               service-restart service-ready service-log service-stop-signal service-grace service-settle
               service-limits service-working-directory service-umask service-nice
               placement image platform agent-configuration
               built-in-store guix-store nix-store sqlite-state etcd-state

               ;; Values.
               requirement connection port
               program script daemon systemd-unit guix-service
               setting data-directory by-slot secret file
               local-file plain-file mixed-text-file file-append guix-package nix-package git-source
               in-place blue-green

               ;; Late binding.
               hosts-of host-of endpoint endpoints-of current-site

               ;; Transitions.
               run start stop reload validate drain undrain hook has-hook? deployed switch-over checkpoint
               put-file get-file wait-until wait-seconds now current-host
               on-roll-back on-host in-parallel in-parallel-map
               output? output-text output-size
               downgrade? version<?
               replace-service reload-service remove-service start-before-stop backup-and-restore
               migrate-while-running

               ;; Policies.
               at-most all-of for-class not-before %default-policy
               one-group-at-a-time canary waves only-between never-between failure-budget
               view-hosts view-state view-time view-simulated? between-hours?

               ;; Inventories and platforms.
               inventory-list inventory-file inventory-append inventory-command inventory-ansible
               inventory-ec2
               local-platform ssh-platform container-platform vm-platform command-platform

               ;; Conditions.
               &tutti-error tutti-error? tutti-error-code tutti-error-message
               effect-failed? effect-failed-status effect-failed-how))


;; The accessor of each hook.
(module-re-export! (current-module)
                   (map (match-lambda ((hook . _) (symbol-append 'service- hook)))
                        %service-hook-fields))
