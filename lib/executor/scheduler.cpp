// SPDX-License-Identifier: LGPL-3.0-or-later
#include "executor/scheduler.hpp"

#include <algorithm>

#include <fmt/format.h>

#include <tutti/error.hpp>

namespace tutti {

const char* to_string(HostState state) noexcept {
  switch (state) {
    case HostState::pending: return "pending";
    case HostState::in_transition: return "in-transition";
    case HostState::done: return "done";
    case HostState::failed: return "failed";
    case HostState::unreachable: return "unreachable";
  }
  return "?";
}

std::vector<Host> Rollout::hosts_in(std::initializer_list<HostState> states) const {
  std::vector<Host> found;
  for (const Host& host : hosts())
    if (std::find(states.begin(), states.end(), state(host.name)) != states.end()) found.push_back(host);
  return found;
}

Scheduler::Scheduler(const Plan& plan, const Clock& clock, bool simulated)
    : plan_(plan),
      clock_(clock),
      simulated_(simulated),
      progress_(plan.steps.size()),
      waiting_for_(plan.steps.size()),
      after_(plan.steps.size()),
      room_(plan.steps.size()) {
  for (const Host& host : plan.fleet.hosts) slots_[host.name].host = &host;
  for (const auto& [host, reading] : plan.readings) {
    const auto found = slots_.find(host);
    if (found == slots_.end()) continue;
    found->second.unreachable = !reading.reached;
    for (const HostReading::Entry& entry : reading.entries)
      if (!entry.serves()) found->second.down.insert(entry.entry.service);
  }
  for (const Edge& edge : plan.edges) {
    (edge.makes_room ? room_ : after_)[static_cast<std::size_t>(edge.before)].push_back(edge.after);
    ++waiting_for_[static_cast<std::size_t>(edge.after)];
  }
  of_step_.reserve(plan.steps.size());
  for (const Step& step : plan.steps) {
    of_step_.push_back(step.action == Action::join ? nullptr : &slot(step.host));
    if (step.action == Action::join) continue;
    ++open_;
    ++of_step_.back()->open;
  }
  for (std::uint32_t i = 0; i < plan.steps.size(); ++i)
    if (waiting_for_[i] == 0 && progress_[i] == Progress::waiting) ready(StepId{i});
}

void Scheduler::ready(StepId id) {
  const auto i = static_cast<std::size_t>(id);
  if (plan_.steps[i].action != Action::join) {
    progress_[i] = Progress::ready;
    ready_.insert(static_cast<std::uint32_t>(id));
    of_step_[i]->ready.insert(static_cast<std::uint32_t>(id));
    return;
  }
  progress_[i] = Progress::ended;  // a join ends when all before it have
  let(after_[i]);
  let(room_[i]);
}

void Scheduler::let(const std::vector<StepId>& next) {
  for (const StepId one : next)
    if (--waiting_for_[static_cast<std::size_t>(one)] == 0) ready(one);
}

std::vector<StepId> Scheduler::rooms(StepId id) const {
  std::vector<StepId> found;
  for (const StepId next : room_[static_cast<std::size_t>(id)])
    if (const auto n = static_cast<std::size_t>(next); plan_.steps[n].action == Action::join)
      found.insert(found.end(), room_[n].begin(), room_[n].end());
    else
      found.push_back(next);
  return found;
}

void Scheduler::made_room(StepId id) {
  const auto i = static_cast<std::size_t>(id);
  made_room_.insert(id);
  change(*of_step_[i],
         [&](Slot& slot) { slot.down.insert(plan_.steps[i].service); });  // nothing runs in its place
  let(room_[i]);
}

void Scheduler::not_ready(StepId id) {
  if (ready_.erase(static_cast<std::uint32_t>(id)) > 0)
    of_step_[static_cast<std::size_t>(id)]->ready.erase(static_cast<std::uint32_t>(id));
}

std::vector<std::string> Scheduler::candidates() const {
  std::vector<std::string> hosts;
  std::set<std::string> seen;
  for (const std::uint32_t id : ready_) {
    const std::string& host = plan_.steps[id].host;
    if (!of_step_[id]->in_transition && seen.insert(host).second) hosts.push_back(host);
  }
  // Whose change may mend what is down comes first: it is counted already.
  std::stable_partition(hosts.begin(), hosts.end(),
                        [this](const std::string& host) { return unavailable(host); });
  return hosts;
}

std::string Scheduler::down() const {
  std::vector<std::string> down, unreachable;
  for (const Host& host : plan_.fleet.hosts) {
    const Slot& slot = slots_.at(host.name);
    if (slot.unreachable)
      unreachable.push_back(host.name);
    else if (!slot.down.empty())
      down.push_back(fmt::format("{} ({})", host.name, fmt::join(slot.down, ", ")));
  }
  if (down.empty() && unreachable.empty()) return "";
  std::vector<std::string> what, help;
  const auto tell = [&](const std::vector<std::string>& hosts, const char* state, const char* remedy) {
    if (hosts.empty()) return;
    constexpr std::size_t most = 5;
    const std::size_t shown = std::min(hosts.size(), most);
    what.push_back(
        fmt::format("{} {} {}{}", state, hosts.size() == 1 ? "is" : "are",
                    fmt::join(hosts.begin(), hosts.begin() + static_cast<std::ptrdiff_t>(shown), ", "),
                    hosts.size() > shown ? fmt::format(" and {} more", hosts.size() - shown) : ""));
    help.emplace_back(remedy);
  };
  tell(down, "down, and counted,",
       "bring what is down up first, by deploying the versions that are there now");
  tell(unreachable, "unreachable, and counted,",
       "make who is unreachable reachable, or take it out of the inventory");
  return fmt::format(": {}. What helps: {}; or let the policy have more at once", fmt::join(what, "; "),
                     fmt::join(help, "; "));
}

bool Scheduler::is_candidate(const std::string& host) const {
  const Slot& slot = this->slot(host);
  return !slot.in_transition && !slot.ready.empty();
}

template <class F> void Scheduler::change(Slot& host, F f) {
  const bool before = host.unavailable();
  in_transition_ -= host.in_transition;
  f(host);
  in_transition_ += host.in_transition;
  if (host.unavailable() == before) return;
  for (auto& [key, values] : counts_)
    values[key == "site" ? "" : host.host->label(key)].unavailable += before ? -1 : 1;
}

void Scheduler::admit(const std::string& host) {
  change(slot(host), [&](Slot& slot) {
    slot.in_transition = true;
    slot.phase = plan_.steps[*slot.ready.begin()].phase;
  });
}

std::optional<StepId> Scheduler::next_step(const std::string& host) {
  const Slot& here = slot(host);
  for (const std::uint32_t id : here.ready) {
    if (plan_.steps[id].phase != here.phase) continue;
    progress_[id] = Progress::begun;
    not_ready(StepId{id});
    return StepId{id};
  }
  leave(host);
  return {};
}

void Scheduler::leave(const std::string& host) {
  change(slot(host), [](Slot& slot) { slot.in_transition = false; });
}

void Scheduler::lose(const std::string& host) {
  change(slot(host), [](Slot& slot) { slot.unreachable = true; });
}

std::vector<Scheduler::Skipped> Scheduler::end(StepId id, Outcome outcome) {
  const auto i = static_cast<std::size_t>(id);
  if (progress_[i] == Progress::ended) return {};
  const Step& step = plan_.steps[i];
  progress_[i] = Progress::ended;
  not_ready(id);
  --open_;
  const bool has_made_room = made_room_.erase(id) > 0;
  change(*of_step_[i], [&](Slot& slot) {
    --slot.open;
    switch (outcome) {
      case Outcome::upgraded: slot.down.erase(step.service); break;
      case Outcome::unchanged: slot.failed = true; break;
      case Outcome::rolled_back:
        slot.failed = true;
        slot.down.erase(step.service);
        break;
      case Outcome::roll_back_failed:
      case Outcome::failed:
        slot.failed = true;
        slot.down.insert(step.service);
        break;
      case Outcome::unknown:
      case Outcome::unreachable: slot.unreachable = true; break;
      case Outcome::skipped:
      case Outcome::none: break;
    }
  });
  std::vector<Skipped> skipped;
  if (outcome == Outcome::upgraded) {
    let(after_[i]);
    if (!has_made_room) let(room_[i]);
    return skipped;
  }
  const std::string why =
      fmt::format("it comes after {}@{}, which is {}", step.service, step.host, to_string(outcome));
  std::vector<StepId> reach = after_[i];
  if (!has_made_room) reach.insert(reach.end(), room_[i].begin(), room_[i].end());
  while (!reach.empty()) {
    const StepId next = reach.back();
    const auto n = static_cast<std::size_t>(next);
    reach.pop_back();
    if (progress_[n] == Progress::ended || progress_[n] == Progress::begun) continue;
    progress_[n] = Progress::ended;
    not_ready(next);
    if (plan_.steps[n].action != Action::join) {
      --open_;
      --of_step_[n]->open;
      skipped.push_back({next, why});
    }
    reach.insert(reach.end(), after_[n].begin(), after_[n].end());
    reach.insert(reach.end(), room_[n].begin(), room_[n].end());
  }
  std::sort(skipped.begin(), skipped.end(), [](const auto& a, const auto& b) { return a.step < b.step; });
  return skipped;
}

std::vector<StepId> Scheduler::not_begun() const {
  std::vector<StepId> steps;
  for (std::uint32_t i = 0; i < plan_.steps.size(); ++i)
    if (plan_.steps[i].action != Action::join &&
        (progress_[i] == Progress::waiting || progress_[i] == Progress::ready))
      steps.push_back(StepId{i});
  return steps;
}

const Scheduler::Slot& Scheduler::slot(const std::string& host) const {
  const auto found = slots_.find(host);
  if (found == slots_.end()) (void)plan_.fleet.at(host);  // throws, with the nearest name
  return found->second;
}

HostState Scheduler::state(const std::string& host) const {
  const Slot& slot = this->slot(host);
  if (slot.unreachable) return HostState::unreachable;
  if (slot.in_transition) return HostState::in_transition;
  if (slot.failed) return HostState::failed;
  return slot.open > 0 ? HostState::pending : HostState::done;
}

bool Scheduler::unavailable(const std::string& host) const { return slot(host).unavailable(); }

const std::map<std::string, Scheduler::Count>& Scheduler::index(const std::string& key) const {
  const auto [values, fresh] = counts_.try_emplace(key);
  if (fresh) {
    for (const Host& host : plan_.fleet.hosts) {
      Count& count = values->second[key == "site" ? "" : host.label(key)];
      ++count.all;
      count.unavailable += slots_.at(host.name).unavailable();
    }
  }
  return values->second;
}

int Scheduler::unavailable(const std::string& key, const std::string& value) const {
  const auto& values = index(key);
  const auto found = values.find(value);
  return found == values.end() ? 0 : found->second.unavailable;
}

int Scheduler::hosts(const std::string& key, const std::string& value) const {
  const auto& values = index(key);
  const auto found = values.find(value);
  return found == values.end() ? 0 : found->second.all;
}

}  // namespace tutti
