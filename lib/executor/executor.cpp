// Admission, the loop, and the façade.
#include <tutti/executor.hpp>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <stdexcept>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "executor/machine.hpp"
#include "support/describe.hpp"

namespace tutti {
namespace {

constexpr std::size_t admit_at_once = 128;  // hosts; then what is under way comes first again
constexpr std::size_t deal_at_once = 64;  // completions, then the driver goes on while they are in the caches
constexpr double soonest = 0.05;          // seconds; when it said `not before` a time that is past by now
constexpr double last_date =
    253402214400;                        // that is told, in seconds since the epoch: the end of the year 9999
constexpr double ask_again_after = 1.0;  // seconds; when a policy says `wait` and nothing is under way

}  // namespace

void Executor::Impl::take(const std::string& host, const Answer& answer) {
  switch (answer.kind) {
    case Answer::Kind::yes:
      said_waiting = false;
      ++admitted;
      scheduler.admit(host);
      go_on(host);
      break;
    case Answer::Kind::not_before:
      not_before = std::min(not_before.value_or(answer.time), answer.time);
      break;
    case Answer::Kind::wait:
      waits = true;
      to_ask.clear();
      break;
    case Answer::Kind::no: break;
  }
}

bool Executor::Impl::may_admit() const {
  return !asked && halted.empty() && interrupts == 0 && (ask_round || !to_ask.empty());
}

void Executor::Impl::admit() {
  admitted = 0;
  if (ask_round && to_ask.empty()) {
    ask_round = waits = false;
    not_before.reset();
    const auto hosts = scheduler.candidates();
    to_ask.assign(hosts.begin(), hosts.end());
  }
  while (!to_ask.empty() && admitted < admit_at_once) {
    const std::string host = std::move(to_ask.front());
    to_ask.pop_front();
    if (!scheduler.is_candidate(host)) continue;  // not any more
    try {
      asked.emplace(policy, scheduler, scheduler.host(host));
    } catch (...) { return halt("the policy failed: " + describe(std::current_exception())); }
    ask_driver();
    if (asked) return;
  }
}

void Executor::Impl::ask_driver() {
  if (const Policy::Ask* ask = asked->next()) {
    ready.emplace_back(AskPolicy{asked->host(), ask->number});
    ++unanswered;
    return;
  }
  const Asking whole = *std::exchange(asked, std::nullopt);
  take(whole.host(), whole.answer());
}

void Executor::Impl::wind_up() {
  const std::string why = interrupts > 0 ? "the run was interrupted" : "the run halted";
  for (const StepId id : scheduler.not_begun()) {
    if (at(id).phase == Phase::ended) continue;
    skip(id, why);
    for (const Scheduler::Skipped& one : scheduler.end(id, Outcome::skipped)) skip(one.step, why);
  }
  for (std::uint32_t i = 0; i < steps.size(); ++i)
    if (steps[i].phase != Phase::pending && steps[i].phase != Phase::ended && steps[i].phase != Phase::parked)
      park(StepId{i}, steps[i].task && at(*steps[i].task).waiting
                          ? fmt::format("we left during: {}", at(*steps[i].task).text)
                          : "we left before it was done");
  finished = true;
  ready.emplace_back(Finished{interrupts > 0});
}

std::span<Event> Executor::Impl::next(std::size_t limit) {
  for (;;) {
    if (interrupts > 0 && !said_interrupted) {
      said_interrupted = true;
      ready.emplace_back(Progress{Progress::Kind::run, "", "",
                                  "interrupted: nothing new starts; waiting for what is under way "
                                  "(interrupt again to leave at once)",
                                  Outcome::none});
    }
    if (given == batch.size()) {  // the driver is done with them
      batch.clear();
      batch.swap(ready);
      given = 0;
    }
    if (given < batch.size()) {
      const std::size_t first = std::exchange(given, std::min(batch.size(), given + limit));
      return std::span(batch).subspan(first, given - first);
    }
    if (deal()) continue;
    flush();
    // What is under way comes before what is to begin: the fewer hosts are in transition at once, the better.
    if (may_admit()) {
      if (under_way > 0 && wait(0)) continue;
      admit();
      if (!ready.empty() || !unsent.empty() || may_admit()) continue;
    }
    if (finished) {
      ready.emplace_back(Finished{interrupts > 0});
      continue;
    }
    if (interrupts > 1) {
      wind_up();
      continue;
    }
    if (under_way == 0) {
      if (unanswered > 0)
        throw std::logic_error(fmt::format(
            "Executor::next: nothing is under way and the driver has not answered {} events", unanswered));
      if (settle_rooms()) continue;
      if (interrupts > 0 || !halted.empty() || scheduler.all_ended()) {
        wind_up();
        continue;
      }
      if (!waits && !not_before) {
        halt(fmt::format(
            "the policy ({}) admits no further host, and nothing is under way that could change that{}",
            policy.describe(), scheduler.down()));
        continue;
      }
      if (!std::exchange(said_waiting, true)) {
        ready.emplace_back(Progress{Progress::Kind::run, "", "", waiting_for(), Outcome::none});
        continue;
      }
    }
    std::optional<double> seconds;
    if (waits) seconds = ask_again_after;
    if (not_before) seconds = std::clamp(*not_before - clock.now(), soonest, seconds.value_or(3600.0));
    (void)wait(seconds);
  }
}

std::string Executor::Impl::waiting_for() const {
  const std::size_t n = scheduler.candidates().size();
  const std::string who =
      fmt::format("nothing is under way, {} host{} for the policy, which ", n, n == 1 ? " waits" : "s wait");
  if (waits)
    return who + fmt::format("says `wait` and is asked every {:g} s (interrupt to leave)", ask_again_after);
  return who +
         fmt::format("says not before {:%F %T} (interrupt to leave)",
                     fmt::localtime(static_cast<std::time_t>(std::ceil(std::min(*not_before, last_date)))));
}

bool Executor::Impl::wait(std::optional<double> seconds) {
  completions.clear();
  dealt = 0;
  transport.wait(completions, seconds);
  if (completions.empty() && seconds != 0) ask_round = true;  // time passed, or we were woken
  return deal();
}

bool Executor::Impl::deal() {
  const std::size_t end = std::min(completions.size(), dealt + deal_at_once);
  if (dealt == end) return false;
  for (; dealt < end; ++dealt) {
    const auto id = task_of(completions[dealt].token);
    if (!id) continue;
    --under_way;
    answered(completions[dealt], *id);
  }
  return true;
}

Executor::Executor(const Plan& plan, Policy policy, int run, std::string lineage, Journal* journal,
                   Transport& transport, const Clock& clock, const std::atomic<int>* interrupts)
    : impl_(std::make_unique<Impl>(plan, std::move(policy), run, std::move(lineage), journal, transport,
                                   clock)) {
  impl_->interrupts.outer = interrupts;
}
Executor::~Executor() = default;

std::span<Event> Executor::next(std::size_t limit) { return impl_->next(std::max<std::size_t>(1, limit)); }
void Executor::perform(TaskId task, std::unique_ptr<Request> request) {
  impl_->perform(task, std::move(request));
}
void Executor::done(TaskId task) { impl_->task_over(task, true, {}); }
void Executor::raised(TaskId task, std::string message) { impl_->task_over(task, false, std::move(message)); }

std::optional<std::uint32_t> Executor::on_roll_back(TaskId id) {
  if (!impl_->at(id).live) return {};
  return impl_->register_undo(id, {});
}

void Executor::answer(Answer answer) {
  if (!impl_->asked) throw std::logic_error("Executor::answer: no host was asked about");
  --impl_->unanswered;
  if (!impl_->halted.empty() || impl_->interrupts > 0) return impl_->asked.reset();
  impl_->asked->take(answer);
  impl_->ask_driver();
}

void Executor::policy_failed(std::string message) {
  if (!impl_->asked) throw std::logic_error("Executor::policy_failed: no host was asked about");
  impl_->asked.reset();
  --impl_->unanswered;
  if (impl_->halted.empty()) impl_->halt(fmt::format("the policy failed: {}", message));
}

void Executor::interrupt() noexcept {
  ++impl_->interrupts.own;
  impl_->transport.wake();
}

const Rollout& Executor::rollout() const noexcept { return impl_->scheduler; }
std::vector<HostReading> Executor::readings() const { return impl_->entries.readings(); }

Report Executor::report() const {
  Report report{.site = impl_->plan.site, .run = impl_->run, .generation = impl_->run};
  for (std::size_t i = 0; i < impl_->steps.size(); ++i) {
    const Step& step = impl_->plan.steps[i];
    if (step.action == Action::join) continue;
    const Running& running = impl_->steps[i];
    report.steps.push_back({.action = step.action,
                            .service = step.service,
                            .host = step.host,
                            .old_version = step.old_definition ? step.old_definition->version : "",
                            .new_version = step.new_definition ? step.new_definition->version : "",
                            .outcome = running.outcome,
                            .message = running.message,
                            .notes = running.notes,
                            .effects = running.effects,
                            .seconds = running.begun ? running.ended - running.started : 0});
  }
  report.unreachable = impl_->plan.unreachable();
  report.halted = impl_->halted;
  report.interrupted = impl_->interrupts > 0;
  report.frames = impl_->transport.frames_sent();
  return report;
}

}  // namespace tutti
