// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// Which hosts may start now, by the policy; and whether any may: a verdict ends that. The executor and the
// preview both admit by it.

#include <deque>
#include <optional>
#include <string>
#include <variant>

#include "executor/scheduler.hpp"
#include "policy/asking.hpp"
#include <tutti/engine/executor.hpp>

namespace tutti {

class Admission {
 public:
  /// Borrows the scheduler.
  Admission(Scheduler&, Policy);

  /// Something changed: those who may not start are asked about once more.
  void changed() noexcept { is_changed_ = true; }
  /// Whether `next` may have something to say. The driver must have answered what it was asked.
  [[nodiscard]] bool has_next() const noexcept {
    return halted_.empty() && (asked_ || is_changed_ || !queue_.empty());
  }
  /// This host starts now: the scheduler has it in transition.
  struct Admitted {
    std::string host;
  };
  /// The next who may start, or what the driver must be asked first. Neither: nobody else may, as things are.
  [[nodiscard]] std::variant<std::monostate, Admitted, AskPolicy> next();

  /// To what the driver was asked.
  void answer(Answer);
  void forget_question() noexcept { asked_.reset(); }

  /// The policy says `wait`: that nobody else may start can change by itself.
  [[nodiscard]] bool waits() const noexcept { return waits_; }
  /// The soonest time that it gave for anybody.
  [[nodiscard]] std::optional<double> not_before() const noexcept { return not_before_; }
  [[nodiscard]] const Policy& policy() const noexcept { return policy_; }

  /// Nobody starts any more, for the first reason that was given.
  void halt(std::string why);
  /// A failed step is judged: today every failure halts. Its last word is the reason that is told.
  void judge_failure(StepId, std::string why);
  [[nodiscard]] const std::string& halted() const noexcept { return halted_; }

 private:
  /// What all terms came to for a host. Whether it is admitted.
  bool take(const std::string& host, const Answer&);

  Scheduler& scheduler_;
  Policy policy_;
  bool is_changed_ = true;
  std::deque<std::string> queue_;  // candidates of this round
  std::optional<Asking> asked_;    // the host that is being asked about
  bool waits_ = false;
  std::optional<double> not_before_;
  std::string halted_;
  std::optional<StepId> culprit_;  // whose failure halted it
};

}  // namespace tutti
