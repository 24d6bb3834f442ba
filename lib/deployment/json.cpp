// SPDX-License-Identifier: LGPL-3.0-or-later
// What a deployment says of itself, for programs.
#include "support/json.hpp"
#include "support/text.hpp"
#include <tutti/deployment.hpp>

namespace tutti {
namespace {

/// Text from hosts need not be UTF-8: what is not is replaced.
std::string dump(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

const char* name(ManifestEntry::State state) noexcept {
  switch (state) {
    case ManifestEntry::State::deployed: return "deployed";
    case ManifestEntry::State::changing: return "changing";
    case ManifestEntry::State::failed: return "failed";
  }
  return "?";
}

const char* name(HostReading::Life life) noexcept {
  switch (life) {
    case HostReading::Life::alive: return "alive";
    case HostReading::Life::dead: return "dead";
    case HostReading::Life::unknown: return "unknown";
  }
  return "?";
}

const char* name(Progress::Kind kind) noexcept {
  switch (kind) {
    case Progress::Kind::effect: return "effect";
    case Progress::Kind::outcome: return "outcome";
    case Progress::Kind::host: return "host";
    case Progress::Kind::run: return "run";
  }
  return "?";
}

Json version_of(const DefinitionPtr& definition) {
  return definition ? Json(definition->version) : Json(nullptr);
}

Json as_json(const HostReading::Entry& one) {
  const ManifestEntry& entry = one.entry;
  return {{"service", entry.service},
          {"state", name(entry.state)},
          {"life", name(one.life)},
          {"old_version", version_of(entry.old_definition)},
          {"new_version", version_of(entry.new_definition)},
          {"run", entry.run},
          {"generation", entry.generation},
          {"since", entry.time},
          {"drained", entry.drained},
          {"keeper", one.upkeep.keeper ? Json(*one.upkeep.keeper) : Json(nullptr)},
          {"restarts", one.upkeep.restarts},
          {"recent_restarts", one.upkeep.recent},
          {"last_restart", one.upkeep.last ? Json(*one.upkeep.last) : Json(nullptr)},
          {"boot", one.upkeep.boot ? Json(*one.upkeep.boot) : Json(nullptr)},
          {"failing", one.upkeep.is_failing()},
          {"note", one.upkeep.note}};
}

Json as_json(const Generation& one) {
  return {{"number", one.number},
          {"started", one.started},
          {"ended", one.ended},
          {"by", one.by},
          {"status", one.status},
          {"summary", one.summary},
          {"source_hash", one.source_hash},
          {"epoch", one.epoch}};
}

}  // namespace

std::string Status::to_json() const {
  Json json{{"format_version", 1},
            {"site", site},
            {"time", time},
            {"hosts", Json::array()},
            {"unfinished", unfinished ? as_json(*unfinished) : Json(nullptr)},
            {"holder", holder},
            {"notes", notes}};
  for (const HostReading& reading : hosts) {
    const Host* host = fleet.find(reading.host);
    Json one{{"host", reading.host},
             {"class", host ? host->host_class : ""},
             {"reached", reading.reached},
             {"why", reading.why},
             {"entries", Json::array()}};
    for (const HostReading::Entry& entry : reading.entries) one["entries"].push_back(as_json(entry));
    json["hosts"].push_back(std::move(one));
  }
  return dump(json, 2);
}

std::string to_json(const Generation& generation) { return dump(as_json(generation), -1); }

std::string to_json(const Progress& progress) {
  return dump({{"kind", name(progress.kind)},
               {"host", progress.host},
               {"service", progress.service},
               {"text", progress.text},
               {"outcome", to_string(progress.outcome)}},
              -1);
}

}  // namespace tutti
