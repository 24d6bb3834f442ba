;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; compile.scm [--werror] MODULE.scm OUTPUT.go [DEPFILE]
;;;
;;; Commentary:
;;;
;;; Compiles one module, given by its file name relative to the load path, as `guild compile' does; and
;;; writes to DEPFILE, as make has it, which files of ours were loaded for that, since a macro of theirs is
;;; part of what is compiled here.
;;;
;;; Code:

(use-modules (ice-9 format)
             (ice-9 match)
             (srfi srfi-1)
             (system base compile)
             (system base message))

(define warnings
  '(unbound-variable arity-mismatch duplicate-case-datum bad-case-datum format))

(define (loaded-files)
  "Return the files of the Tutti modules that this process has loaded."
  (let walk ((module (resolve-module '(tutti) #f #:ensure #f)))
    (if module
        (append (let ((file (and=> (module-filename module) %search-load-path)))
                  (if file (list file) '()))
                (hash-fold (lambda (name submodule files)
                             (append (walk submodule) files))
                           '()
                           (module-submodules module)))
        '())))

(define (make-directories directory)
  (unless (file-exists? directory)
    (make-directories (dirname directory))
    (catch 'system-error
      (lambda () (mkdir directory))
      (lambda arguments
        (unless (file-exists? directory)
          (apply throw arguments))))))

(define (compile-module module output)
  "Compile the file MODULE to OUTPUT, and return the warnings as text."
  (let ((source (or (%search-load-path module)
                    (error "no such module on the load path:" module)))
        (port (open-output-string)))
    (make-directories (dirname output))
    (parameterize ((current-warning-port port))
      (with-fluids ((*current-warning-prefix* ""))
        (compile-file source
                      #:output-file output
                      #:opts `(#:warnings ,warnings))))
    (get-output-string port)))

(define (escaped file)
  "Return FILE as make reads it."
  (string-join (string-split file #\space) "\\ "))

(define (write-depfile file output)
  (call-with-output-file file
    (lambda (port)
      (format port "~a:~{ \\~%  ~a~}~%" (escaped output)
              (map escaped (sort (delete-duplicates (loaded-files)) string<?))))))

(define (main werror? module output depfile)
  (let ((text (compile-module module output)))
    (display text (current-error-port))
    (when depfile
      (write-depfile depfile output))
    (when (and werror? (string-contains text "warning:"))
      (delete-file output)
      (exit 1))))

(match (cdr (command-line))
  (("--werror" module output) (main #t module output #f))
  (("--werror" module output depfile) (main #t module output depfile))
  ((module output) (main #f module output #f))
  ((module output depfile) (main #f module output depfile)))
