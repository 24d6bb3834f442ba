// SPDX-License-Identifier: LGPL-3.0-or-later
// What makes room: a removal after which another service comes on the same host. What it removed can be
// started again until it has turned out that the other one runs.
#include <algorithm>

#include <fmt/format.h>

#include "executor/machine.hpp"

namespace tutti {

void Executor::Impl::open_room(StepId id) {
  const std::string& host = step(id).host;
  holding[host].push_back(id);
  scheduler.made_room(id);
  if (interrupts > 0 || !admission.halted().empty()) nobody_comes(host);
  go_on(host);
}

std::optional<StepId> Executor::Impl::to_settle(const std::string& host) {
  const auto here = holding.find(host);
  if (here == holding.end()) return {};
  for (const StepId id : here->second) {
    const std::vector<StepId> rooms = scheduler.rooms(id);
    if (std::all_of(rooms.begin(), rooms.end(), [&](StepId one) { return at(one).is_over(); })) return id;
  }
  return {};
}

void Executor::Impl::settle(StepId id) {
  const std::string host = step(id).host;
  std::erase(holding[host], id);
  if (holding[host].empty()) holding.erase(host);
  RoomTaken taken = RoomTaken::taken;
  std::string what;
  for (const StepId one : scheduler.rooms(id)) {
    const Outcome outcome = at(one).outcome();
    if (outcome == Outcome::upgraded) continue;
    const bool is_unknown = outcome == Outcome::unknown || outcome == Outcome::unreachable;
    const bool is_left = outcome == Outcome::roll_back_failed || outcome == Outcome::failed;
    taken = std::max(taken, is_unknown ? RoomTaken::unknown : is_left ? RoomTaken::left : RoomTaken::missing);
    what += fmt::format("{}{}@{}, which is {}", what.empty() ? "" : ", ", step(one).service, host,
                        to_string(outcome));
  }
  follow(id, at(id).settle(taken, what, moment()));
}

void Executor::Impl::nobody_comes(const std::string& host) {
  const std::string why = interrupts > 0 ? "the run was interrupted" : "the run halted";
  for (const StepId one : scheduler.not_begun()) {
    if (step(one).host != host || at(one).is_over()) continue;
    skip(one, why);
    for (const Scheduler::Skipped& other : scheduler.end(one, Outcome::skipped)) skip(other.step, other.why);
  }
}

bool Executor::Impl::settle_rooms() {
  for (const auto& [host, ids] : holding) {
    if (interrupts > 0 || !admission.halted().empty()) nobody_comes(host);
    if (const auto one = to_settle(host)) return settle(*one), true;
  }
  return false;
}

}  // namespace tutti
