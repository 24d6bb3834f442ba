#include <algorithm>

#include <fmt/format.h>

#include "executor/scheduler.hpp"
#include "policy/asking.hpp"
#include "support/describe.hpp"

namespace tutti {

struct Preview::Impl {
  const Plan& plan;
  Policy policy;
  Scheduler scheduler;
  double time;
  std::vector<std::vector<StepId>> waves;
  std::vector<std::string> queue;     // candidates of this wave that have not been asked
  std::vector<std::string> admitted;  // in this wave
  std::optional<double> not_before;
  std::optional<Asking> asked;
  std::string stuck;
  bool over = false;

  Impl(const Plan& p, Policy pol, const Clock& clock)
      : plan(p), policy(std::move(pol)), scheduler(p, clock, true), time(clock.now()) {
    scheduler.at(time);
    for (std::uint32_t i = 0; i < plan.steps.size(); ++i)
      if (plan.steps[i].unreachable) scheduler.end(StepId{i}, Outcome::unreachable);
    refill();
  }

  void refill() {
    queue = scheduler.candidates();
    std::reverse(queue.begin(), queue.end());  // taken from the back
  }

  void take(const Answer& answer) {
    const std::string host = queue.back();
    queue.pop_back();
    switch (answer.kind) {
      case Answer::Kind::yes:
        scheduler.admit(host);
        admitted.push_back(host);
        break;
      case Answer::Kind::not_before:
        not_before = std::min(not_before.value_or(answer.time), answer.time);
        break;
      case Answer::Kind::wait: queue.clear(); break;
      case Answer::Kind::no: break;
    }
  }

  /// All who were admitted end together. False when nothing moves any more.
  bool end_wave() {
    if (admitted.empty()) {
      if (scheduler.not_begun().empty()) return false;
      if (!not_before || *not_before <= time) {
        stuck = scheduler.simulated() && policy.asks_driver()
                    ? "the policy admits no further host as things are now; it is decided while the plan is "
                      "executed"
                    : fmt::format("the policy ({}) can never admit the rest{}", policy.describe(),
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
    not_before.reset();
    refill();
    return true;
  }
};

Preview::Preview(const Plan& plan, Policy policy, const Clock& clock)
    : impl_(std::make_unique<Impl>(plan, std::move(policy), clock)) {}
Preview::~Preview() = default;

std::optional<AskPolicy> Preview::next() {
  Impl& p = *impl_;
  while (!p.over) {
    if (p.asked) {
      if (const Policy::Ask* ask = p.asked->next()) return AskPolicy{p.asked->host(), ask->number};
      p.take(p.asked->answer());
      p.asked.reset();
    }
    if (p.queue.empty()) {
      p.over = !p.end_wave();
      continue;
    }
    try {
      p.asked.emplace(p.policy, p.scheduler, p.scheduler.host(p.queue.back()));
    } catch (...) {
      p.stuck = "the policy failed: " + describe(std::current_exception());
      p.over = true;
      break;
    }
  }
  return {};
}

void Preview::answer(Answer answer) {
  if (impl_->asked) impl_->asked->take(answer);
}

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
