#include <algorithm>

#include <fmt/format.h>

#include "executor/scheduler.hpp"
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
  std::optional<std::string> asked;
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

std::optional<std::string> Preview::next() {
  Impl& p = *impl_;
  if (p.asked) return p.asked;
  while (!p.over) {
    if (p.queue.empty()) {
      p.over = !p.end_wave();
      continue;
    }
    Answer answer;
    try {
      answer = p.policy(p.scheduler, p.scheduler.host(p.queue.back()));
    } catch (...) {
      p.stuck = "the policy failed: " + describe(std::current_exception());
      p.over = true;
      break;
    }
    if (answer.kind == Answer::Kind::yes && p.policy.asks_driver()) return p.asked = p.queue.back();
    p.take(answer);
  }
  return {};
}

void Preview::answer(Answer answer) {
  impl_->asked.reset();
  impl_->take(answer);
}

const Rollout& Preview::rollout() const noexcept { return impl_->scheduler; }
const std::vector<std::vector<StepId>>& Preview::waves() const noexcept { return impl_->waves; }
const std::string& Preview::stuck() const noexcept { return impl_->stuck; }

}  // namespace tutti
