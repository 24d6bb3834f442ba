// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// The hooks that are fields of a service: the one table that reading, checking and rendering go by. How to
// add one: .github/CONTRIBUTING.md.

#include <algorithm>
#include <string>

#include <tutti/service.hpp>

namespace tutti {

struct HookField {
  const char* name;  ///< as definitions and transitions have it; of the JSON member with `_` for `-`
  Program Service::*program;
};

inline constexpr HookField hook_fields[] = {
    {"prepare", &Service::prepare}, {"start", &Service::start},     {"stop", &Service::stop},
    {"reload", &Service::reload},   {"alive", &Service::alive},     {"validate", &Service::validate},
    {"drain", &Service::drain},     {"undrain", &Service::undrain}, {"backup", &Service::backup},
    {"restore", &Service::restore}, {"migrate", &Service::migrate}, {"migrate-back", &Service::migrate_back},
};

/// The member of a site in JSON.
[[nodiscard]] inline std::string json_member(const HookField& hook) {
  std::string name = hook.name;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

}  // namespace tutti
