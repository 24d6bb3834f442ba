// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// Rendering: a service, its host and its settings in, a definition out.

#include <tutti/engine/elaborate.hpp>

namespace tutti {

/// Throws Error that names service, host and field. Items that are met are added to `items`.
[[nodiscard]] Definition render(const Site&, const Service&, const Host&, const Settings&, Items& items);

/// The text of one endpoint's port, "53" or, of UDP, "53/udp"; throws Error unless it is 1 to 65535.
[[nodiscard]] std::string render_port(const Service&, const Endpoint&, const Host&, const Settings&);
/// Of such a text the number, as it stands in an address.
[[nodiscard]] std::string number_of(const std::string& port);

}  // namespace tutti
