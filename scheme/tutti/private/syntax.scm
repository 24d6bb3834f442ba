;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; (tutti private syntax) --- where forms were written.
;;;
;;; Commentary:
;;;
;;; For macros: the place of a form in its file.
;;;
;;; Code:

(define-module (tutti private syntax)
  #:use-module (ice-9 match)
  #:export (syntax-location
            location-folder
            resolve-file
            define-located))

(define (syntax-location form)
  "Return the place of the syntax object FORM as a list of file, line and column from 1, or #f."
  (match (syntax-source form)
    ((and source ((_ . _) ...))
     (let ((file (assq-ref source 'filename)))
       (and (string? file)
            (list file
                  (+ 1 (assq-ref source 'line))
                  (+ 1 (assq-ref source 'column))))))
    (_ #f)))

(define (location-folder location)
  "Return the absolute name of the folder of the file in LOCATION, or the working directory for #f."
  (match location
    ((file _ _)
     (let ((folder (dirname file)))
       (cond ((absolute-file-name? folder) folder)
             ((string=? folder ".") (getcwd))
             (else (in-vicinity (getcwd) folder)))))
    (_ (getcwd))))

(define (resolve-file file location)
  "Return FILE as an absolute name; it is relative to the folder of the file in LOCATION."
  (if (absolute-file-name? file)
      file
      (in-vicinity (location-folder location) file)))

(define-syntax-rule (define-located name procedure)
  "Define NAME as a macro that calls PROCEDURE with the place of the form before its arguments.  The name
alone is a procedure."
  (define-syntax name
    (lambda (form)
      (let ((location (datum->syntax form (syntax-location form))))
        (syntax-case form ()
          ((_ argument (... ...))
           #`(procedure '#,location argument (... ...)))
          (_
           #`(lambda arguments (apply procedure '#,location arguments))))))))
