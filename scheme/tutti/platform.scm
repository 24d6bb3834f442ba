;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; (tutti platform) --- how hosts come to exist and are reached.
;;;
;;; Commentary:
;;;
;;; So far: this machine, where each host is a directory, and machines that exist, over OpenSSH.
;;;
;;; Code:

(define-module (tutti platform)
  #:use-module (ice-9 format)
  #:use-module (ice-9 match)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-9 gnu)
  #:use-module (tutti errors)
  #:use-module (tutti private syntax)
  #:export (local-platform
            ssh-platform
            platform-description?
            platform->datum))

(define-record-type <platform-description>
  (make-platform kind directory user config)
  platform-description?
  (kind      platform-kind)                 ; "local" or "ssh"
  (directory platform-directory)            ; absolute, or #f
  (user      platform-user)
  (config    platform-config))              ; absolute, or #f

(define (%local-platform location directory)
  (unless (string? directory)
    (fail-at location "local-platform: the name of a folder is wanted, not ~s" directory))
  (make-platform "local" (resolve-file directory location) #f #f))

(define* (%ssh-platform location #:key (user #f) (config #f))
  (unless (or (not user) (string? user))
    (fail-at location "ssh-platform: #:user must be a string, not ~s" user))
  (unless (or (not config) (string? config))
    (fail-at location "ssh-platform: #:config must be the name of an ssh_config file, not ~s" config))
  (let ((file (and config (resolve-file config location))))
    (when (and file (not (file-exists? file)))
      (fail-at location "ssh-platform: #:config: there is no file '~a'" file))
    (make-platform "ssh" #f user file)))

;; (local-platform FOLDER): each host is a directory in FOLDER, relative to the site program.
(define-located local-platform %local-platform)
;; (ssh-platform #:user #:config): machines that exist, reached by the OpenSSH client.
(define-located ssh-platform %ssh-platform)

(define (platform->datum platform)
  "Return PLATFORM as data for JSON."
  `(("kind" . ,(platform-kind platform))
    ,@(match (platform-directory platform)
        (#f '())
        (directory `(("directory" . ,directory))))
    ,@(match (platform-user platform)
        (#f '())
        (user `(("user" . ,user))))
    ,@(match (platform-config platform)
        (#f '())
        (config `(("config" . ,config))))))

(set-record-type-printer! <platform-description>
  (lambda (record port)
    (format port "#<platform ~a~@[ ~a~]>" (platform-kind record) (platform-directory record))))
