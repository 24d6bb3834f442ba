// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// Diff: what has to happen to each instance, before anything is said of order.

#include <map>
#include <vector>

#include <tutti/plan.hpp>

namespace tutti {

/// One step for each instance that is not kept, in the order of fleet and name; notes on what is left alone.
[[nodiscard]] std::vector<Step> diff(const Desired&, const std::map<std::string, HostReading>& readings,
                                     const std::map<Instance, ManifestEntry>& last_known,
                                     std::vector<std::string>& notes);

}  // namespace tutti
