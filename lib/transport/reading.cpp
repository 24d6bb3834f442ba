// SPDX-License-Identifier: LGPL-3.0-or-later
// From the runner's answer to READ to what the planner sees of a host.
#include <algorithm>

#include <fmt/format.h>

#include "support/text.hpp"
#include "transport/link.hpp"
#include <tutti/error.hpp>

namespace tutti {
namespace {

HostReading::Life life(frames::Life life) {
  switch (life) {
    case frames::Life::alive: return HostReading::Life::alive;
    case frames::Life::dead: return HostReading::Life::dead;
    case frames::Life::unknown:
    case frames::Life::torn: break;
  }
  return HostReading::Life::unknown;
}

Found::What what(frames::Stands stands) {
  using Stands = frames::Stands;
  switch (stands) {
    case Stands::file: return Found::What::file;
    case Stands::link: return Found::What::link;
    case Stands::directory: return Found::What::directory;
    case Stands::other: return Found::What::other;
    case Stands::unreachable: break;
    case Stands::service: return Found::What::service;
    case Stands::site: return Found::What::site;
  }
  return Found::What::unreachable;
}

ManifestEntry entry(const frames::ManifestEntry& raw) {
  if (raw.life != frames::Life::torn) {
    try {
      ManifestEntry entry = ManifestEntry::from_json(raw.bytes);
      if (entry.service == raw.service) return entry;
    } catch (const Error&) {
      // Something is there, and nobody knows what: below.
    }
  }
  return {.state = ManifestEntry::State::failed, .service = raw.service};
}

Upkeep upkeep(const frames::ManifestEntry& raw) {
  return {.keeper = raw.keeper == frames::Keeper::none ? "" : std::string(frames::name(raw.keeper)),
          .restarts = raw.restarts,
          .recent = raw.recent_restarts,
          .last = raw.last_restart,
          .boot = raw.boot,
          .note = to_utf8(raw.note)};
}

}  // namespace

HostReading to_reading(const std::string& host, const frames::Manifest& manifest,
                       const std::vector<frames::WantedPath>& asked) {
  HostReading reading{.host = host, .reached = true};
  if (manifest.fence)
    reading.fence = {.lineage = manifest.fence->lineage,
                     .epoch = manifest.fence->epoch,
                     .holder = to_utf8(manifest.holder)};
  reading.nonce = manifest.nonce;
  reading.name = manifest.name;
  std::vector<const frames::ManifestEntry*> sorted;
  for (const frames::ManifestEntry& one : manifest.entries) sorted.push_back(&one);
  std::sort(sorted.begin(), sorted.end(),
            [](const auto* a, const auto* b) { return a->service < b->service; });
  std::string all;
  for (const frames::ManifestEntry* one : sorted) {
    reading.entries.push_back({.entry = entry(*one), .life = life(one->life), .upkeep = upkeep(*one)});
    all += fmt::format("{} {}\n", one->service, one->bytes.size());
    all += one->bytes;
  }
  reading.digest = sha256(all);
  for (const frames::FoundPath& found : manifest.paths)
    if (found.index < asked.size())
      reading.paths[asked[found.index].path] = {
          .what = what(found.what), .service = found.service, .site = found.site};
  return reading;
}

}  // namespace tutti
