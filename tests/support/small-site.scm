;;; SPDX-License-Identifier: LGPL-3.0-or-later
;;; One service on one host of the local platform.
(use-modules (tutti))
(site-configuration
 (name "small")
 (platform (local-platform "hosts"))
 (host-classes (list (host-class (name "app")
                                 (services (list (service (name "app") (version "1")
                                                          (start (daemon "sleep" "1000"))))))))
 (host-class->hosts (inventory-list `("app" ,(host (name "h1"))))))
