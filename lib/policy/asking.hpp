// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// Asking a policy about one host, some of whose terms the driver decides: the same in a run and in a preview.

#include <string>
#include <utility>
#include <vector>

#include "support/describe.hpp"
#include <tutti/error.hpp>
#include <tutti/policy.hpp>
#include <tutti/rollout.hpp>

namespace tutti {

class Asking {
 public:
  /// Borrows the policy. Throws Error: callback, when a predicate threw.
  Asking(const Policy& policy, const Rollout& rollout, const Host& host)
      : host_(host.name), answer_(asked(policy, rollout, host)) {
    if (answer_.kind == Answer::Kind::yes) asks_ = policy.driver_asks(host);
  }
  [[nodiscard]] const std::string& host() const noexcept { return host_; }
  /// The term that the driver must be asked next; none: the answer is whole.
  [[nodiscard]] const Policy::Ask* next() const { return taken_ < asks_.size() ? asks_[taken_] : nullptr; }
  void take(const Answer& answer) {
    ++taken_;
    answer_ = most_restrictive(answer_, answer);
  }
  [[nodiscard]] const Answer& answer() const noexcept { return answer_; }

 private:
  static Answer asked(const Policy& policy, const Rollout& rollout, const Host& host) {
    try {
      return policy(rollout, host);
    } catch (const Error&) {
      throw;  // it says what and where
    } catch (...) {
      throw Error(ErrorCode::callback,
                  "asked about host '" + host.name + "': " + describe(std::current_exception()));
    }
  }

  std::string host_;
  Answer answer_;
  std::vector<const Policy::Ask*> asks_;
  std::size_t taken_ = 0;
};

}  // namespace tutti
