// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// A site as data: what the bindings hand over, and what inventories hold.

#include <string>

#include "support/json.hpp"
#include <tutti/site.hpp>

namespace tutti {

/// {"name", "class", "address", "port", "user", "become", "labels"}; name and class are required.
[[nodiscard]] Host host_from_json(const Json&, const std::string& where);

}  // namespace tutti
