// SPDX-License-Identifier: LGPL-3.0-or-later
#include <algorithm>

#include <fmt/format.h>

#include "support/table.hpp"
#include "support/text.hpp"
#include <tutti/deployment.hpp>

namespace tutti {
namespace {

std::string span(double seconds) {
  if (seconds < 120) return fmt::format("{:.0f} s", std::max(0.0, seconds));
  if (seconds < 2 * 3600) return fmt::format("{:.0f} min", seconds / 60);
  if (seconds < 2 * 86400) return fmt::format("{:.0f} h", seconds / 3600);
  return fmt::format("{:.0f} days", seconds / 86400);
}

std::string ago(double time, double now) {
  if (time <= 0) return "";
  if (now - time < -60) return "the future: which clock is wrong?";  // ours now, or that of who deployed
  return span(now - time);
}

std::string state(const HostReading::Entry& one) {
  switch (one.entry.state) {
    case ManifestEntry::State::changing: return fmt::format("changing (run {})", one.entry.run);
    case ManifestEntry::State::failed: return fmt::format("failed (run {})", one.entry.run);
    case ManifestEntry::State::deployed: break;
  }
  if (one.upkeep.is_failing()) return "failing";
  return one.life == HostReading::Life::alive  ? "deployed"
         : one.life == HostReading::Life::dead ? "dead"
                                               : "unknown";
}

/// Lines about what its keeper did, and will not do.
std::string upkeep(const std::string& instance, const Upkeep& one) {
  std::string text;
  if (one.restarts > 0)
    text += fmt::format("{} was restarted {}{}\n", instance,
                        one.restarts == 1 ? "once" : fmt::format("{} times", one.restarts),
                        one.last ? fmt::format(", last {} ago", span(static_cast<double>(*one.last))) : "");
  if (one.boot == false) text += fmt::format("{} will not come back after a reboot\n", instance);
  if (!one.note.empty()) text += fmt::format("{}: {}\n", instance, escaped(one.note));
  return text;
}

}  // namespace

std::string Status::to_text() const {
  Table table({"class", "host", "service", "version", "state", "since"});
  for (const HostReading& reading : hosts) {
    const Host* host = fleet.find(reading.host);
    const std::string host_class = host ? host->host_class : "";
    if (!reading.reached)
      table.row({host_class, reading.host, "", "", "unreachable", reading.why});
    else if (reading.entries.empty())
      table.row({host_class, reading.host, "", "", "nothing deployed"});
    for (const HostReading::Entry& one : reading.entries) {
      const DefinitionPtr d = one.entry.new_definition ? one.entry.new_definition : one.entry.old_definition;
      table.row({host_class, reading.host, one.entry.service, d ? d->version : "?", state(one),
                 ago(one.entry.time, time)});
    }
  }
  std::string text = table.to_text();
  for (const HostReading& reading : hosts)
    for (const HostReading::Entry& one : reading.entries)
      for (const auto& [about, address] : one.entry.drained)
        text += fmt::format("{}@{} holds back for {} ({})\n", one.entry.service, reading.host, escaped(about),
                            escaped(address));
  for (const HostReading& reading : hosts)
    for (const HostReading::Entry& one : reading.entries)
      text += upkeep(fmt::format("{}@{}", one.entry.service, reading.host), one.upkeep);
  for (const std::string& note : notes) text += fmt::format("note: {}\n", escaped(note));
  if (unfinished && !holder.empty())
    text += fmt::format("run {} is under way: {}\n", unfinished->number, holder);
  else if (unfinished)
    text += fmt::format("run {} of {} was not finished: abandon it, which touches no host\n",
                        unfinished->number, escaped(unfinished->by));
  return text;
}

int Status::exit_status() const noexcept {
  const auto is_failing = [](const HostReading::Entry& one) { return one.upkeep.is_failing(); };
  bool fails = false;
  for (const HostReading& reading : hosts) {
    if (!reading.reached) return 5;
    fails = fails || std::any_of(reading.entries.begin(), reading.entries.end(), is_failing);
  }
  return fails ? 3 : 0;
}

}  // namespace tutti
