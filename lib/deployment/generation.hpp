// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// What a site is at after a run, to be kept with its generation.

#include <map>
#include <vector>

#include <tutti/engine/state.hpp>
#include <tutti/report.hpp>

namespace tutti {

/// What the manifests say of the plan's fleet: those that the run wrote, else those that it was planned on,
/// else (of a host that did not answer) what was known last. An entry that is not `deployed` leaves it open
/// what is there. An instance that was to be there and is not stands there with its outcome and no
/// definition.
[[nodiscard]] std::map<Instance, InstanceAt>
instances_after(const Plan& plan, const std::vector<HostReading>& written,
                const std::map<Instance, ManifestEntry>& last_known, const Report& report);

}  // namespace tutti
