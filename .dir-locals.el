;; Indentation of the macros and procedures that Emacs does not know.

((nil
  (fill-column . 110)
  (indent-tabs-mode))
 (c++-mode
  (c-basic-offset . 2))
 (scheme-mode
  (eval . (put 'call-with-prompt 'scheme-indent-function 1))
  (eval . (put 'in-parallel 'scheme-indent-function 0))
  (eval . (put 'lambda* 'scheme-indent-function 1))
  (eval . (put 'match 'scheme-indent-function 1))
  (eval . (put 'on-host 'scheme-indent-function 1))
  (eval . (put 'on-roll-back 'scheme-indent-function 0))
  (eval . (put 'test-group 'scheme-indent-function 1))
  (eval . (put 'with-exception-handler 'scheme-indent-function 1))))
