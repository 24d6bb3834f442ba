#include "executor/entries.hpp"

#include <algorithm>

namespace tutti {
namespace {

const HostReading::Entry* entry_of(const HostReading& reading, const std::string& service) {
  const auto found = std::find_if(reading.entries.begin(), reading.entries.end(),
                                  [&](const auto& one) { return one.entry.service == service; });
  return found == reading.entries.end() ? nullptr : &*found;
}

}  // namespace

Entries::Entries(const Plan& plan, int run, std::string lineage, CanonicalForms& forms)
    : plan_(plan), run_(run), lineage_(std::move(lineage)), forms_(forms) {
  for (const auto& [host, reading] : plan.readings) hosts_.emplace(host, Known{&reading});
  of_step_.reserve(plan.steps.size());
  for (const Step& step : plan.steps)
    of_step_.push_back(step.action == Action::join ? nullptr : &hosts_.at(step.host));
}

std::string Entries::json(const ManifestEntry& entry) const {
  return to_json(entry, forms_.of(entry.old_definition), forms_.of(entry.new_definition));
}

const HostReading::Entry* Entries::recorded(StepId id) const {
  return entry_of(*host_of(id).planned, plan_.at(id).service);
}

const ManifestEntry* Entries::current(const Instance& instance) const {
  const auto* found = entry_of(reading(instance.host), instance.service);
  return found ? &found->entry : nullptr;
}

const ManifestEntry* Entries::current(StepId id) const {
  const auto* found = entry_of(host_of(id).now(), plan_.at(id).service);
  return found ? &found->entry : nullptr;
}

ManifestEntry Entries::entry(StepId id, ManifestEntry::State state, double now) const {
  const Step& step = plan_.at(id);
  ManifestEntry entry{.state = state,
                      .service = step.service,
                      .new_definition = step.new_definition,
                      .transition = step.transition,
                      .lineage = lineage_,
                      .run = run_,
                      .generation = run_,
                      .time = now};
  if (state != ManifestEntry::State::deployed) entry.old_definition = step.old_definition;
  if (const ManifestEntry* before = current(id)) entry.drained = before->drained;
  return entry;
}

std::vector<Request> Entries::begin(StepId id, double now) const {
  const Step& step = plan_.at(id);
  std::vector<Request> requests;
  requests.push_back({.operation = Operation::begin,
                      .definition = step.new_definition ? step.new_definition : step.old_definition,
                      .content = json(entry(id, ManifestEntry::State::changing, now))});
  if (step.new_definition && !step.new_definition->data_directories.empty() &&
      (!step.old_definition ||
       step.old_definition->data_directories != step.new_definition->data_directories))
    requests.push_back({.operation = Operation::settle, .definition = step.new_definition});
  return requests;
}

std::optional<ManifestEntry> Entries::final_entry(StepId id, Outcome outcome, double now) const {
  const Step& step = plan_.at(id);
  switch (outcome) {
    case Outcome::upgraded:
      if (!step.new_definition) return {};
      return entry(id, ManifestEntry::State::deployed, now);
    case Outcome::rolled_back: {
      if (!step.old_definition) return {};
      // What was deployed is so again, as it was recorded; what was repaired is by now.
      if (const auto* before = recorded(id);
          before && before->entry.state == ManifestEntry::State::deployed) {
        ManifestEntry back = before->entry;
        if (const ManifestEntry* now_there = current(id)) back.drained = now_there->drained;
        return back;
      }
      ManifestEntry back = entry(id, ManifestEntry::State::deployed, now);
      back.new_definition = step.old_definition;
      return back;
    }
    case Outcome::failed:
      if (!step.new_definition) return entry(id, ManifestEntry::State::failed, now);  // its files are left
      [[fallthrough]];  // before what an ended run left was touched
    case Outcome::unchanged:
      if (const auto* before = recorded(id)) {
        ManifestEntry back = before->entry;
        if (const ManifestEntry* now_there = current(id)) back.drained = now_there->drained;
        return back;
      }
      return {};
    default: return entry(id, ManifestEntry::State::failed, now);
  }
}

std::optional<Request> Entries::files(StepId id, Outcome outcome, const DefinitionPtr& has) const {
  const Step& step = plan_.at(id);
  if (outcome != Outcome::upgraded && outcome != Outcome::rolled_back) return {};
  const DefinitionPtr& now = outcome == Outcome::upgraded ? step.new_definition : step.old_definition;
  if (has && now && (has == now || has->files == now->files)) return {};
  const auto any = [](const DefinitionPtr& d) { return d && !d->files.empty(); };
  if (!any(step.old_definition) && !any(step.new_definition) && !any(step.left_over)) return {};
  return Request{.operation = Operation::files,
                 .definition = now,
                 .service = step.service,
                 .former = {step.old_definition, step.left_over}};
}

Request Entries::end(StepId id, Outcome outcome, double now) const {
  const Step& step = plan_.at(id);
  const auto final = final_entry(id, outcome, now);
  const DefinitionPtr any = step.new_definition ? step.new_definition : step.old_definition;
  return {.operation = Operation::end, .definition = any, .content = final ? json(*final) : ""};
}

int Entries::run_before(StepId id) const {
  const auto* before = recorded(id);
  return before ? before->entry.run : 0;
}

void Entries::not_begun(StepId id) {
  const auto* before = recorded(id);
  host_of(id).put(plan_.at(id).service, before ? std::optional(before->entry) : std::nullopt,
                  before ? before->life : HostReading::Life::unknown);
}

std::vector<Request> Entries::record(StepId id, double now) const {
  // As a begin, so that items which only its hooks refer to are sent.
  return {{.operation = Operation::begin,
           .definition = plan_.at(id).new_definition,
           .content = json(entry(id, ManifestEntry::State::deployed, now))}};
}

std::vector<Request> Entries::let_go(StepId id) {
  const Step& step = plan_.at(id);
  const Instance consumer{step.service, step.host};
  std::vector<Request> requests;
  const ManifestEntry* before = current(consumer);
  const auto* left = recorded(id);
  if (!before || !left) return requests;
  for (const auto& [about, address] : left->entry.drained)
    if (before->drained.contains(about)) requests.push_back(undrain(consumer, about));
  for (const auto& [about, address] : left->entry.drained)
    if (current(consumer)->drained.contains(about)) requests.push_back(unmark(consumer, about));
  return requests;
}

std::vector<Instance> Entries::consumers(const std::string& service) const {
  std::vector<Instance> found;
  for (const Host& host : plan_.fleet.hosts) {
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

std::vector<Instance> Entries::holding(const std::string& about) const {
  std::vector<Instance> found;
  for (const Host& host : plan_.fleet.hosts)
    for (const HostReading::Entry& one : reading(host.name).entries)
      if (one.entry.drained.contains(about) && one.entry.new_definition &&
          one.entry.new_definition->has_hook("undrain"))
        found.push_back({one.entry.service, host.name});
  return found;
}

Request Entries::rewrite(ManifestEntry entry, const std::string& host) {
  Request request{
      .operation = Operation::end, .definition = entry.new_definition, .content = json(entry), .host = host};
  const std::string service = entry.service;  // put takes it by reference, and the entry is moved
  hosts_.at(host).put(service, std::move(entry), HostReading::Life::alive);
  return request;
}

Request Entries::mark(const Instance& consumer, const std::string& about, const std::string& address) {
  ManifestEntry entry = *current(consumer);
  entry.drained[about] = address;
  return rewrite(std::move(entry), consumer.host);
}

Request Entries::drain(const Instance& consumer, const std::string& address) const {
  return {.operation = Operation::run,
          .command = current(consumer)->new_definition->hook_about("drain", address),
          .host = consumer.host};
}

Request Entries::undrain(const Instance& consumer, const std::string& about) const {
  const ManifestEntry& entry = *current(consumer);
  return {.operation = Operation::run,
          .command = entry.new_definition->hook_about("undrain", entry.drained.at(about)),
          .host = consumer.host};
}

Request Entries::unmark(const Instance& consumer, const std::string& about) {
  ManifestEntry entry = *current(consumer);
  entry.drained.erase(about);
  return rewrite(std::move(entry), consumer.host);
}

void Entries::begun(StepId id, double now) {
  host_of(id).put(plan_.at(id).service, entry(id, ManifestEntry::State::changing, now),
                  HostReading::Life::unknown);
}

void Entries::written(StepId id, Outcome outcome, double now) {
  host_of(id).put(plan_.at(id).service, final_entry(id, outcome, now), HostReading::Life::alive);
}

void Entries::Known::put(const std::string& service, std::optional<ManifestEntry> entry,
                         HostReading::Life life) {
  if (!written) written = *planned;
  std::vector<HostReading::Entry>& entries = written->entries;
  std::erase_if(entries, [&](const auto& one) { return one.entry.service == service; });
  if (entry) entries.push_back({std::move(*entry), life});
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return a.entry.service < b.entry.service; });
}

std::vector<HostReading> Entries::readings() const {
  std::vector<HostReading> all;
  for (const auto& [host, planned] : plan_.readings)
    if (const Known& known = hosts_.at(host); known.written) all.push_back(*known.written);
  return all;
}

}  // namespace tutti
