// SPDX-License-Identifier: LGPL-3.0-or-later
#include "planner/diff.hpp"

#include <tuple>

#include <fmt/format.h>

#include "support/json.hpp"

namespace tutti {
namespace {

struct Have {
  ManifestEntry entry;
  HostReading::Life life = HostReading::Life::alive;
  Upkeep upkeep = {};
};

/// The members of the running part that differ, as a person knows them.
std::vector<std::string> changed(const Definition& from, const Definition& to) {
  const Json a = Json::parse(canonical(from)).at("running");
  const Json b = Json::parse(canonical(to)).at("running");
  std::vector<std::string> names;
  for (const auto& [key, value] : a.items())
    if (!b.contains(key) || b[key] != value) names.push_back(key);
  for (const auto& [key, value] : b.items())
    if (!a.contains(key)) names.push_back(key);
  for (std::string& name : names)
    if (name == "data_directories") name = "data directories";
  return names;
}

/// Only the content of files that stay where they are.
bool only_files(const Definition& from, const Definition& to) {
  Definition same = to;
  same.files = from.files;
  if (running_hash(same) != running_hash(from) || from.files.size() != to.files.size()) return false;
  for (std::size_t i = 0; i < to.files.size(); ++i)
    if (from.files[i].path != to.files[i].path) return false;
  return true;
}

bool is_restarted(const Definition& d) { return d.is_daemon() && !d.unit() && d.restart != Restart::never; }

/// What the host's keeper is told, besides what runs.
bool keeps_differently(const Definition& from, const Definition& to) {
  const auto told = [](const Definition& d) {
    return std::tie(d.restart, d.ready, d.log, d.grace, d.requirements);
  };
  return told(from) != told(to);
}

void transition(Step& step, const TransitionProcedure& procedure) {
  step.transition = procedure.name;
  step.transition_from = procedure.origin;
}

void changing(Step& step, const Have& have) {
  const bool is_failed = have.entry.state == ManifestEntry::State::failed;
  step.old_definition = have.entry.old_definition;
  step.left_over = have.entry.new_definition;
  if (step.left_over && step.old_definition && *step.left_over == *step.old_definition)
    step.left_over = nullptr;
  step.was_alive = false;
  step.why = is_failed ? fmt::format("it failed in run {}", have.entry.run)
                       : fmt::format("run {} left it half-done", have.entry.run);
  if (!have.entry.old_definition && !have.entry.new_definition) step.why = "its manifest entry can't be read";
}

/// What a person should know of a service that is kept, besides the step.
void note_upkeep(const Instance& instance, const Upkeep& upkeep, std::vector<std::string>& notes) {
  if (upkeep.is_failing())
    notes.push_back(
        fmt::format("{}@{} is failing: it was restarted {} times in ten minutes, and counts as unavailable",
                    instance.service, instance.host, upkeep.recent));
  if (!upkeep.note.empty())
    notes.push_back(fmt::format("{}@{}: {}", instance.service, instance.host, upkeep.note));
}

/// The step that takes `have` to `want`, if one is needed.
std::optional<Step> compare(Step step, const DefinitionPtr& want, const TransitionProcedure& switch_to,
                            const Have& have) {
  step.new_definition = want;
  if (have.entry.state != ManifestEntry::State::deployed) {
    step.action = Action::repair;
    changing(step, have);
    // Of an entry that can't be read a daemon may still run: it is stopped by its name.
    if (!step.old_definition && !step.left_over && want->is_daemon()) step.left_over = want;
    transition(step, switch_to);
    return step;
  }
  const Definition& old = *have.entry.new_definition;
  step.old_definition = have.entry.new_definition;
  step.was_alive = have.life == HostReading::Life::alive;
  if (running_hash(old) == running_hash(*want)) {
    // What its keeper starts again and again is not mended by one start more.
    if (!step.was_alive && !have.upkeep.is_failing()) {
      step.action = Action::repair;
      step.why = have.life == HostReading::Life::dead ? "it is dead" : "nobody knows whether it lives";
      transition(step, switch_to);
      return step;
    }
    const bool is_kept = !is_restarted(*want) || have.upkeep.keeper != "";
    if (old == *want && is_kept) return {};
    step.action = Action::record;
    step.keeps_anew =
        want->is_daemon() && !want->unit() && step.was_alive && (!is_kept || keeps_differently(old, *want));
    step.why = old == *want ? "nothing on its host starts it again: an older Tutti started it"
                            : "only its handling changed (hooks, requirements, transitions, keeping)";
    return step;
  }
  if (step.was_alive && want->has_hook("reload") && only_files(old, *want)) {
    step.action = Action::reload;
    step.why = "only files changed, and it can reload";
    transition(step, "reload-service");
    return step;
  }
  step.action = Action::upgrade;
  step.why = old.version != want->version ? fmt::format("version {} → {}", old.version, want->version)
                                          : fmt::format("version {} as before, but changed: {}",
                                                        want->version, fmt::join(changed(old, *want), ", "));
  if (!step.was_alive)
    step.why += have.life == HostReading::Life::dead ? "; it is dead" : "; nobody knows whether it lives";
  transition(step, switch_to);
  return step;
}

std::optional<Step> removal(Step step, const Desired& desired, const Have& have,
                            std::vector<std::string>& notes) {
  step.action = Action::remove;
  if (have.entry.state == ManifestEntry::State::deployed) {
    step.old_definition = have.entry.new_definition;
    step.was_alive = have.life == HostReading::Life::alive;
  } else {
    changing(step, have);
    if (!step.old_definition) std::swap(step.old_definition, step.left_over);
  }
  if (!step.old_definition) {
    notes.push_back(
        fmt::format("{}: its manifest entry '{}' can't be read, and no class wants it: stop it by hand",
                    step.host, step.service));
    return {};
  }
  const auto service = desired.services.find(step.service);
  const bool in_site = service != desired.services.end();
  step.why = in_site ? fmt::format("the class of {} does not list it any more", step.host)
                     : "the site does not have it any more";
  transition(step, in_site ? service->second->remove_service : "remove-service");
  return step;
}

}  // namespace

std::vector<Step> diff(const Desired& desired, const std::map<std::string, HostReading>& readings,
                       const std::map<Instance, ManifestEntry>& last_known, std::vector<std::string>& notes) {
  std::map<std::string, std::map<std::string, Have>> deployed;  // by host, by service
  for (const auto& [host, reading] : readings)
    for (const HostReading::Entry& entry : reading.entries)
      deployed[host][entry.entry.service] = {entry.entry, entry.life, entry.upkeep};
  for (const auto& [instance, entry] : last_known) {
    const auto reading = readings.find(instance.host);
    if (reading != readings.end() && !reading->second.reached)
      deployed[instance.host][instance.service] = {entry};
  }

  std::map<std::string, std::map<std::string, DefinitionPtr>> wanted;
  for (const auto& [instance, definition] : desired.definitions)
    wanted[instance.host][instance.service] = definition;

  std::vector<Step> steps;
  for (const Host& host : desired.fleet.hosts) {
    const bool unreachable = !readings.at(host.name).reached;
    const auto& here = deployed[host.name];
    for (const auto& [service, want] : wanted[host.name]) {
      Step step{.service = service, .host = host.name, .unreachable = unreachable};
      const TransitionProcedure& switch_to = desired.services.at(service)->switch_to_service;
      if (const auto have = here.find(service); have != here.end()) {
        note_upkeep({service, host.name}, have->second.upkeep, notes);
        if (auto found = compare(std::move(step), want, switch_to, have->second))
          steps.push_back(std::move(*found));
        continue;
      }
      step.action = Action::install;
      step.new_definition = want;
      step.was_alive = false;
      step.why = unreachable ? "the host does not answer, and nothing is known of it" : "it is not there";
      transition(step, switch_to);
      steps.push_back(std::move(step));
    }
    for (const auto& [service, have] : here) {
      const auto want = wanted[host.name].find(service);
      if (have.entry.drained.empty() || want == wanted[host.name].end() || !want->second->has_hook("undrain"))
        continue;
      std::vector<std::string> about;
      for (const auto& [who, address] : have.entry.drained) about.push_back(who);
      steps.push_back(
          {.action = Action::undrain,
           .service = service,
           .host = host.name,
           .new_definition = want->second,
           .unreachable = unreachable,
           .why = fmt::format("a run that ended left it holding back for {}", fmt::join(about, ", "))});
    }
    for (const auto& [service, have] : here) {
      if (wanted[host.name].contains(service)) continue;
      Step step{.service = service, .host = host.name, .unreachable = unreachable};
      if (auto found = removal(std::move(step), desired, have, notes)) steps.push_back(std::move(*found));
    }
  }
  return steps;
}

}  // namespace tutti
