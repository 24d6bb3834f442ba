// What makes room: a removal after which another service comes on the same host. What it removed can be
// started again until it has turned out that the other one runs.
#include <algorithm>

#include <fmt/format.h>

#include "executor/machine.hpp"
#include "executor/outcome.hpp"

namespace tutti {

bool Executor::Impl::hold(StepId id) {
  Running& running = at(id);
  if (step(id).action != Action::remove || running.made_room || is_dry() || scheduler.rooms(id).empty())
    return false;
  running.made_room = true;
  // Its files make room too: a folder may be read whole. Who is started again gets them again.
  auto files = entries.files(id, Outcome::upgraded, running.files);
  if (!files) {
    open_room(id);
    return true;
  }
  Task task{.step = id, .kind = Task::Kind::room, .path = "r"};
  task.own.emplace_back([one = std::move(*files)]() mutable { return std::move(one); });
  next_own(spawn(std::move(task)));
  return true;
}

void Executor::Impl::room_answered(TaskId id, const Result& result) {
  Task& task = at(id);
  task.live = false;
  if (!result.succeeded) at(task.step).message = failure_text(task.text, result);
  open_room(task.step);
}

void Executor::Impl::open_room(StepId id) {
  const std::string& host = step(id).host;
  holding[host].push_back(id);
  scheduler.made_room(id);
  if (interrupts > 0 || !halted.empty()) nobody_comes(host);
  go_on(host);
}

std::optional<StepId> Executor::Impl::to_settle(const std::string& host) const {
  const auto here = holding.find(host);
  if (here == holding.end()) return {};
  const auto is_over = [&](StepId one) {
    const Phase phase = steps[static_cast<std::size_t>(one)].phase;
    return phase == Phase::ended || phase == Phase::parked;
  };
  for (const StepId id : here->second) {
    const std::vector<StepId> rooms = scheduler.rooms(id);
    if (std::all_of(rooms.begin(), rooms.end(), is_over)) return id;
  }
  return {};
}

void Executor::Impl::settle(StepId id) {
  const std::string& host = step(id).host;
  std::erase(holding[host], id);
  if (holding[host].empty()) holding.erase(host);
  bool is_unknown = false, is_left = false, is_missing = false;
  std::string what;
  for (const StepId one : scheduler.rooms(id)) {
    const Outcome outcome = at(one).outcome;
    if (outcome == Outcome::upgraded) continue;
    is_unknown = is_unknown || outcome == Outcome::unknown || outcome == Outcome::unreachable;
    is_left = is_left || outcome == Outcome::roll_back_failed || outcome == Outcome::failed;
    is_missing = true;
    what += fmt::format("{}{}@{}, which is {}", what.empty() ? "" : ", ", step(one).service, host,
                        to_string(outcome));
  }
  if (is_unknown) return park(id, "it made room for " + what);
  // An interrupt lets end what is under way, and this was done.
  if (!is_missing || (interrupts > 0 && !is_left)) return finish(id, Outcome::upgraded);
  if (is_left) {
    // Beside what may be left of the other one nothing is started.
    at(id).message =
        fmt::format("it made room for {}: it was not started again, and nobody knows what runs", what);
    return finish(id, Outcome::roll_back_failed);
  }
  roll_back(id, "it made room for " + what);
}

void Executor::Impl::nobody_comes(const std::string& host) {
  const std::string why = interrupts > 0 ? "the run was interrupted" : "the run halted";
  for (const StepId one : scheduler.not_begun()) {
    if (step(one).host != host || at(one).phase == Phase::ended) continue;
    skip(one, why);
    for (const Scheduler::Skipped& other : scheduler.end(one, Outcome::skipped)) skip(other.step, other.why);
  }
}

bool Executor::Impl::settle_rooms() {
  for (const auto& [host, ids] : holding) {
    if (interrupts > 0 || !halted.empty()) nobody_comes(host);
    if (const auto one = to_settle(host)) return settle(*one), true;
  }
  return false;
}

}  // namespace tutti
