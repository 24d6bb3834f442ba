// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// What hosts are called. A host keeps, for each site on it, the name that it has there: under another one
// it would lose what it holds to whoever is called so now.

#include <string>
#include <vector>

#include <tutti/engine/transport.hpp>
#include <tutti/site.hpp>

namespace tutti {

[[nodiscard]] bool has_other_name(const HostReading&) noexcept;
/// Throws Error when a host has another name in this site, unless that is accepted, and when two are one
/// machine.
void check_names(const Site&, const Fleet&, const std::vector<HostReading>&, bool accept_names);
/// The same as sentences, for who only looks.
[[nodiscard]] std::vector<std::string> notes_on_names(const Fleet&, const std::vector<HostReading>&);

}  // namespace tutti
