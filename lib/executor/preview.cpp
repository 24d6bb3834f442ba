// SPDX-License-Identifier: LGPL-3.0-or-later
#include <fmt/format.h>

#include "executor/admission.hpp"

namespace tutti {

struct Preview::Impl {
  const Plan& plan;
  Scheduler scheduler;
  Admission admission;
  double time;
  std::vector<std::vector<StepId>> waves;
  std::vector<std::string> admitted;  // in this wave
  std::string stuck;
  bool over = false;

  Impl(const Plan& p, Policy policy, const Clock& clock)
      : plan(p), scheduler(p, clock, true), admission(scheduler, std::move(policy)), time(clock.now()) {
    scheduler.at(time);
    for (std::uint32_t i = 0; i < plan.steps.size(); ++i)
      if (plan.steps[i].unreachable) scheduler.end(StepId{i}, Outcome::unreachable);
  }

  /// All who were admitted end together. False when nothing moves any more.
  bool end_wave() {
    if (admitted.empty()) {
      if (scheduler.not_begun().empty()) return false;
      const auto not_before = admission.not_before();
      if (!not_before || *not_before <= time) {
        stuck = admission.policy().asks_driver()
                    ? "the policy admits no further host as things are now; it is decided while the plan is "
                      "executed"
                    : fmt::format("the policy ({}) can never admit the rest{}", admission.policy().describe(),
                                  scheduler.down());
        return false;
      }
      scheduler.at(time = *not_before);
    }
    std::vector<StepId> wave;
    for (const std::string& host : admitted) {
      while (const auto step = scheduler.next_step(host)) {
        wave.push_back(*step);
        scheduler.end(*step, Outcome::upgraded);
      }
    }
    if (!wave.empty()) waves.push_back(std::move(wave));
    admitted.clear();
    admission.changed();
    return true;
  }
};

Preview::Preview(const Plan& plan, Policy policy, const Clock& clock)
    : impl_(std::make_unique<Impl>(plan, std::move(policy), clock)) {}
Preview::~Preview() = default;

std::optional<AskPolicy> Preview::next() {
  Impl& p = *impl_;
  while (!p.over) {
    const auto next = p.admission.next();
    if (const auto* ask = std::get_if<AskPolicy>(&next)) return *ask;
    if (const auto* host = std::get_if<Admission::Admitted>(&next))
      p.admitted.push_back(host->host);
    else if (p.stuck = p.admission.halted(); !p.stuck.empty())
      p.over = true;
    else
      p.over = !p.end_wave();
  }
  return {};
}

void Preview::answer(Answer answer) { impl_->admission.answer(answer); }

const Rollout& Preview::rollout() const noexcept { return impl_->scheduler; }
const std::vector<std::vector<StepId>>& Preview::waves() const noexcept { return impl_->waves; }
const std::string& Preview::stuck() const noexcept { return impl_->stuck; }

void Preview::give(Plan& plan) const {
  plan.waves = waves();
  if (!stuck().empty()) plan.notes.push_back(stuck());
}

bool expect_waves(Plan& plan, const Policy& policy, const Clock& clock) {
  if (policy.asks_driver()) return false;
  Preview preview(plan, policy, clock);
  (void)preview.next();
  preview.give(plan);
  return true;
}

}  // namespace tutti
