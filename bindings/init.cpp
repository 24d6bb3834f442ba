// SPDX-License-Identifier: LGPL-3.0-or-later
#include "data.hpp"

/// What `load-extension` calls; the current module is then (tutti private bindings).
extern "C" __attribute__((visibility("default"))) void tutti_init_guile() {
  using namespace tutti::guile;
  define_site();
  define_definitions();
  define_deployment();
  define_plans();
  define_requests();
  define_runs();
  define_policies();
  define_immediate();
  define_log();
  define_terminal();
  define_text();
}
