// SPDX-License-Identifier: LGPL-3.0-or-later
#include "deployment/generation.hpp"

#include <algorithm>

namespace tutti {

std::map<Instance, InstanceAt> instances_after(const Plan& plan, const std::vector<HostReading>& written,
                                               const std::map<Instance, ManifestEntry>& last_known,
                                               const Report& report) {
  std::map<Instance, InstanceAt> all;
  const auto take = [&](const std::string& host, const ManifestEntry& entry) {
    const bool is_known = entry.state == ManifestEntry::State::deployed;
    all[{entry.service, host}].definition = is_known ? entry.new_definition : nullptr;
  };
  const auto take_all = [&](const HostReading& reading) {
    for (const HostReading::Entry& one : reading.entries) take(reading.host, one.entry);
  };
  for (const Host& host : plan.fleet.hosts) {
    const auto now = std::find_if(written.begin(), written.end(),
                                  [&](const HostReading& reading) { return reading.host == host.name; });
    const HostReading& planned = plan.readings.at(host.name);
    if (now != written.end())
      take_all(*now);
    else if (planned.reached)
      take_all(planned);
    else
      for (const auto& [instance, entry] : last_known)
        if (instance.host == host.name) take(host.name, entry);
  }
  for (const StepReport& step : report.steps) {
    const Instance instance{step.service, step.host};
    if (step.action == Action::remove && step.outcome == Outcome::upgraded) continue;  // it is gone
    InstanceAt& at = all[instance];
    if (!at.outcome || *at.outcome == Outcome::upgraded) at.outcome = step.outcome;
  }
  return all;
}

}  // namespace tutti
