// SPDX-License-Identifier: LGPL-3.0-or-later
#include "executor/ledger.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace tutti {
namespace {

const HostReading::Entry* entry_of(const HostReading& reading, const std::string& service) {
  const auto found = std::find_if(reading.entries.begin(), reading.entries.end(),
                                  [&](const auto& one) { return one.entry.service == service; });
  return found == reading.entries.end() ? nullptr : &*found;
}

/// The first entry of a step: items which only its hooks refer to are sent with it.
Request first(DefinitionPtr about, ManifestEntry entry) {
  return {.effect =
              effect::WriteEntry{.about = std::move(about), .entry = std::move(entry), .is_first = true}};
}

}  // namespace

Ledger::Ledger(const Fleet& fleet, const std::map<std::string, HostReading>& readings, int run,
               std::string lineage)
    : fleet_(fleet), run_(run), lineage_(std::move(lineage)) {
  for (const auto& [host, reading] : readings) hosts_.emplace(host, Known{&reading});
}

void Ledger::nothing_left(const Step& step) { nothing_left_.insert({step.service, step.host}); }

const HostReading::Entry* Ledger::recorded(const Step& step) const {
  return entry_of(*hosts_.at(step.host).planned, step.service);
}

const ManifestEntry* Ledger::current(const Instance& instance) const {
  const auto* found = entry_of(reading(instance.host), instance.service);
  return found ? &found->entry : nullptr;
}

ManifestEntry Ledger::entry(const Step& step, ManifestEntry::State state, double now) const {
  ManifestEntry entry{.state = state,
                      .service = step.service,
                      .new_definition =
                          state == ManifestEntry::State::deployed ? step.new_definition : may_run(step),
                      .transition = step.transition,
                      .lineage = lineage_,
                      .run = run_,
                      .generation = run_,
                      .time = now};
  if (state != ManifestEntry::State::deployed) entry.old_definition = step.old_definition;
  if (const ManifestEntry* before = current({step.service, step.host})) entry.drained = before->drained;
  return entry;
}

/// What there may be besides the old service.
DefinitionPtr Ledger::may_run(const Step& step) const {
  if (step.left_over && !gone_on_.contains({step.service, step.host})) return step.left_over;
  if (step.old_definition && step.new_definition && nothing_left_.contains({step.service, step.host}))
    return step.old_definition;
  return step.new_definition;
}

Request Ledger::go_on(const Step& step, double now) {
  gone_on_.insert({step.service, step.host});
  begun(step, now);
  return first(step.new_definition ? step.new_definition : step.old_definition,
               entry(step, ManifestEntry::State::changing, now));
}

std::vector<Request> Ledger::begin(const Step& step, double now) const {
  std::vector<Request> requests;
  requests.push_back(first(step.new_definition ? step.new_definition : step.old_definition,
                           entry(step, ManifestEntry::State::changing, now)));
  if (step.new_definition && !step.new_definition->data_directories.empty() &&
      (!step.old_definition ||
       step.old_definition->data_directories != step.new_definition->data_directories))
    requests.push_back({.effect = effect::MakeDirectories{step.new_definition}});
  return requests;
}

std::optional<ManifestEntry> Ledger::final_entry(const Step& step, Outcome outcome, double now) const {
  switch (outcome) {
    case Outcome::upgraded:
      if (!step.new_definition) return {};
      return entry(step, ManifestEntry::State::deployed, now);
    case Outcome::rolled_back: {
      if (!step.old_definition) return {};
      // What was deployed is so again, as it was recorded; what was repaired is by now.
      if (const auto* before = recorded(step);
          before && before->entry.state == ManifestEntry::State::deployed) {
        ManifestEntry back = before->entry;
        if (const ManifestEntry* now_there = current({step.service, step.host}))
          back.drained = now_there->drained;
        return back;
      }
      ManifestEntry back = entry(step, ManifestEntry::State::deployed, now);
      back.new_definition = step.old_definition;
      return back;
    }
    case Outcome::failed:
      if (!step.new_definition) return entry(step, ManifestEntry::State::failed, now);  // its files are left
      [[fallthrough]];  // before what an ended run left was touched
    case Outcome::unchanged:
      if (const auto* before = recorded(step)) {
        ManifestEntry back = before->entry;
        if (const ManifestEntry* now_there = current({step.service, step.host}))
          back.drained = now_there->drained;
        return back;
      }
      return {};
    default: return entry(step, ManifestEntry::State::failed, now);
  }
}

std::optional<Request> Ledger::files(const Step& step, Outcome outcome, const DefinitionPtr& has) const {
  if (outcome != Outcome::upgraded && outcome != Outcome::rolled_back) return {};
  const DefinitionPtr& now = outcome == Outcome::upgraded ? step.new_definition : step.old_definition;
  if (has && now && (has == now || has->files == now->files)) return {};
  // A unit of the host's is given back, as files are.
  const auto any = [&](const DefinitionPtr& d) { return d && (!d->files.empty() || (!now && d->unit())); };
  if (!any(step.old_definition) && !any(step.new_definition) && !any(step.left_over)) return {};
  return Request{.effect = effect::InstallFiles{step.service, now, {step.old_definition, step.left_over}}};
}

Request Ledger::end(const Step& step, Outcome outcome, double now) const {
  return {.effect =
              effect::WriteEntry{.about = step.new_definition ? step.new_definition : step.old_definition,
                                 .entry = final_entry(step, outcome, now)}};
}

int Ledger::run_before(const Step& step) const {
  const auto* before = recorded(step);
  return before ? before->entry.run : 0;
}

void Ledger::not_begun(const Step& step) {
  const auto* before = recorded(step);
  hosts_.at(step.host).put(step.service, before ? std::optional(before->entry) : std::nullopt,
                           before ? before->life : HostReading::Life::unknown);
}

std::vector<Request> Ledger::record(const Step& step, double now) const {
  std::vector<Request> requests;
  // Its daemon lives, and goes on as it is: to start it is to say how it is kept.
  if (step.keeps_anew) requests.push_back({.effect = effect::Start{step.new_definition}, .idempotent = true});
  requests.push_back(first(step.new_definition, entry(step, ManifestEntry::State::deployed, now)));
  return requests;
}

std::vector<Request> Ledger::let_go(const Step& step) {
  const Instance consumer{step.service, step.host};
  std::vector<Request> requests;
  const ManifestEntry* before = current(consumer);
  const auto* left = recorded(step);
  if (!before || !left) return requests;
  for (const auto& [about, address] : left->entry.drained)
    if (before->drained.contains(about)) requests.push_back(undrain(consumer, about));
  for (const auto& [about, address] : left->entry.drained)
    if (current(consumer)->drained.contains(about)) requests.push_back(unmark(consumer, about));
  return requests;
}

std::vector<Instance> Ledger::consumers(const std::string& service) const {
  std::vector<Instance> found;
  for (const Host& host : fleet_.hosts) {
    const HostReading& here = reading(host.name);
    if (!here.reached) continue;
    for (const HostReading::Entry& one : here.entries) {
      if (one.entry.state != ManifestEntry::State::deployed || one.life == HostReading::Life::dead) continue;
      const Definition& d = *one.entry.new_definition;
      const auto names = [&](const std::vector<std::string>& all) {
        return std::find(all.begin(), all.end(), service) != all.end();
      };
      if (d.service != service && d.has_hook("drain") && (names(d.requirements) || names(d.connections)))
        found.push_back({d.service, host.name});
    }
  }
  return found;
}

std::vector<Instance> Ledger::holding(const std::string& about) const {
  std::vector<Instance> found;
  for (const Host& host : fleet_.hosts)
    for (const HostReading::Entry& one : reading(host.name).entries)
      if (one.entry.drained.contains(about) && one.entry.new_definition &&
          one.entry.new_definition->has_hook("undrain"))
        found.push_back({one.entry.service, host.name});
  return found;
}

Request Ledger::rewrite(ManifestEntry entry, const std::string& host, std::string mark) {
  Request request{
      .effect = effect::WriteEntry{.about = entry.new_definition, .entry = entry, .mark = std::move(mark)},
      .host = host};
  const std::string service = entry.service;  // put takes it by reference, and the entry is moved
  hosts_.at(host).put(service, std::move(entry), HostReading::Life::alive);
  return request;
}

Request Ledger::mark(const Instance& consumer, const std::string& about, const std::string& address) {
  ManifestEntry entry = *current(consumer);
  entry.drained[about] = address;
  return rewrite(std::move(entry), consumer.host, fmt::format("drain {} {}", about, address));
}

Request Ledger::drain(const Instance& consumer, const std::string& address) const {
  return {.effect = effect::Run{current(consumer)->new_definition->hook_about("drain", address)},
          .host = consumer.host};
}

Request Ledger::undrain(const Instance& consumer, const std::string& about) const {
  const ManifestEntry& entry = *current(consumer);
  return {.effect = effect::Run{entry.new_definition->hook_about("undrain", entry.drained.at(about))},
          .host = consumer.host};
}

Request Ledger::unmark(const Instance& consumer, const std::string& about) {
  ManifestEntry entry = *current(consumer);
  entry.drained.erase(about);
  return rewrite(std::move(entry), consumer.host, "undrain " + about);
}

void Ledger::begun(const Step& step, double now) {
  hosts_.at(step.host).put(step.service, entry(step, ManifestEntry::State::changing, now),
                           HostReading::Life::unknown);
}

void Ledger::written(const Step& step, Outcome outcome, double now) {
  hosts_.at(step.host).put(step.service, final_entry(step, outcome, now), HostReading::Life::alive);
}

void Ledger::Known::put(const std::string& service, std::optional<ManifestEntry> entry,
                        HostReading::Life life) {
  if (!written) written = *planned;
  std::vector<HostReading::Entry>& entries = written->entries;
  std::erase_if(entries, [&](const auto& one) { return one.entry.service == service; });
  if (entry) entries.push_back({std::move(*entry), life});
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return a.entry.service < b.entry.service; });
}

std::vector<HostReading> Ledger::readings() const {
  std::vector<HostReading> all;
  for (const auto& [host, known] : hosts_)
    if (known.written) all.push_back(*known.written);
  return all;
}

}  // namespace tutti
