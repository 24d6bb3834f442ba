// SPDX-License-Identifier: LGPL-3.0-or-later
// The loop, and the façade.
#include <tutti/engine/executor.hpp>

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

void Executor::Impl::admit(std::size_t most) {
  for (std::size_t admitted = 0; admitted < most && admission.has_next();) {
    const auto next = admission.next();
    if (const auto* ask = std::get_if<AskPolicy>(&next)) {
      ready.emplace_back(*ask);
      is_asking = true;
      ++unanswered;
      return;
    }
    const auto* host = std::get_if<Admission::Admitted>(&next);
    if (!host) return;
    said_waiting = false;
    ++admitted;
    go_on(host->host);
  }
}

void Executor::Impl::wind_up() {
  const std::string why = interrupts > 0 ? "the run was interrupted" : "the run halted";
  for (const StepId id : scheduler.not_begun()) {
    if (at(id).is_over()) continue;
    skip(id, why);
    for (const Scheduler::Skipped& one : scheduler.end(id, Outcome::skipped)) skip(one.step, why);
  }
  for (std::uint32_t i = 0; i < steps.size(); ++i)
    if (steps[i].stage() != Stage::pending && !steps[i].is_over())
      follow(StepId{i}, steps[i].leave(moment()));
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
    if (interrupts == 0 && !is_asking && admission.has_next()) {
      if (under_way > 0 && wait(0)) continue;
      admit(admit_at_once);
      if (!ready.empty() || !unsent.empty() || admission.has_next()) continue;
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
      if (interrupts > 0 || !admission.halted().empty() || scheduler.all_ended()) {
        wind_up();
        continue;
      }
      if (!admission.waits() && !admission.not_before()) {
        admission.halt(fmt::format(
            "the policy ({}) admits no further host, and nothing is under way that could change that{}",
            admission.policy().describe(), scheduler.down()));
        continue;
      }
      if (!std::exchange(said_waiting, true)) {
        ready.emplace_back(Progress{Progress::Kind::run, "", "", waiting_for(), Outcome::none});
        continue;
      }
    }
    std::optional<double> seconds;
    if (admission.waits()) seconds = ask_again_after;
    if (const auto time = admission.not_before())
      seconds = std::clamp(*time - clock.now(), soonest, seconds.value_or(3600.0));
    (void)wait(seconds);
  }
}

std::string Executor::Impl::waiting_for() const {
  const std::size_t n = scheduler.candidates().size();
  const std::string who =
      fmt::format("nothing is under way, {} host{} for the policy, which ", n, n == 1 ? " waits" : "s wait");
  if (admission.waits())
    return who + fmt::format("says `wait` and is asked every {:g} s (interrupt to leave)", ask_again_after);
  return who + fmt::format("says not before {:%F %T} (interrupt to leave)",
                           fmt::localtime(static_cast<std::time_t>(
                               std::ceil(std::min(*admission.not_before(), last_date)))));
}

bool Executor::Impl::wait(std::optional<double> seconds) {
  completions.clear();
  dealt = 0;
  transport.wait(completions, seconds);
  if (completions.empty() && seconds != 0) admission.changed();  // time passed, or we were woken
  return deal();
}

bool Executor::Impl::deal() {
  const std::size_t end = std::min(completions.size(), dealt + deal_at_once);
  if (dealt == end) return false;
  for (; dealt < end; ++dealt) answered(completions[dealt]);
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
  const auto id = impl_->of_body(task);
  if (!id) return;
  --impl_->unanswered;
  impl_->follow(*id, impl_->at(*id).perform(std::move(request), impl_->moment()));
}

void Executor::Impl::body_over(TaskId task, bool succeeded, std::string message) {
  const auto id = of_body(task);
  if (!id) return;
  --unanswered;
  follow(*id, at(*id).body_over(succeeded, std::move(message), moment()));
}
void Executor::done(TaskId task) { impl_->body_over(task, true, {}); }
void Executor::raised(TaskId task, std::string message) { impl_->body_over(task, false, std::move(message)); }

std::optional<std::uint32_t> Executor::on_roll_back(TaskId task) {
  const auto id = impl_->of_body(task);
  if (!id) return {};
  std::uint32_t serial = 0;
  impl_->follow(*id, impl_->at(*id).on_roll_back(serial, impl_->moment()));
  return serial;
}

void Executor::answer(Answer answer) {
  if (!impl_->is_asking) throw std::logic_error("Executor::answer: no host was asked about");
  impl_->is_asking = false;
  --impl_->unanswered;
  if (impl_->interrupts > 0) return impl_->admission.forget_question();
  impl_->admission.answer(answer);
  impl_->admit(1);  // now, while the rollout is what was asked about
}

void Executor::policy_failed(std::string message) {
  if (!impl_->is_asking) throw std::logic_error("Executor::policy_failed: no host was asked about");
  impl_->is_asking = false;
  --impl_->unanswered;
  impl_->admission.halt(fmt::format("the policy failed: {}", message));
}

void Executor::interrupt() noexcept {
  ++impl_->interrupts.own;
  impl_->transport.wake();
}

const Rollout& Executor::rollout() const noexcept { return impl_->scheduler; }
std::vector<HostReading> Executor::readings() const { return impl_->ledger.readings(); }

Report Executor::report() const {
  Report report{.site = impl_->plan.site, .run = impl_->run, .generation = impl_->run};
  for (std::size_t i = 0; i < impl_->steps.size(); ++i) {
    const Step& step = impl_->plan.steps[i];
    if (step.action == Action::join) continue;
    const StepRun& run = impl_->steps[i];
    report.steps.push_back({.action = step.action,
                            .service = step.service,
                            .host = step.host,
                            .old_version = step.old_definition ? step.old_definition->version : "",
                            .new_version = step.new_definition ? step.new_definition->version : "",
                            .outcome = run.outcome(),
                            .message = run.message(),
                            .notes = run.notes(),
                            .effects = run.effects(),
                            .seconds = run.seconds()});
  }
  report.unreachable = impl_->plan.unreachable();
  report.halted = impl_->admission.halted();
  report.interrupted = impl_->interrupts > 0;
  report.frames = impl_->transport.frames_sent();
  return report;
}

}  // namespace tutti
