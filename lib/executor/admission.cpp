// SPDX-License-Identifier: LGPL-3.0-or-later
#include "executor/admission.hpp"

#include <algorithm>
#include <utility>

#include "support/describe.hpp"

namespace tutti {

Admission::Admission(Scheduler& scheduler, Policy policy)
    : scheduler_(scheduler), policy_(std::move(policy)) {}

std::variant<std::monostate, Admission::Admitted, AskPolicy> Admission::next() {
  if (is_changed_ && queue_.empty() && !asked_) {
    is_changed_ = waits_ = false;
    not_before_.reset();
    const auto hosts = scheduler_.candidates();
    queue_.assign(hosts.begin(), hosts.end());
  }
  while (halted_.empty()) {
    if (asked_) {
      if (const Policy::Ask* ask = asked_->next()) return AskPolicy{asked_->host(), ask->number};
      const Asking whole = *std::exchange(asked_, std::nullopt);
      if (take(whole.host(), whole.answer())) return Admitted{whole.host()};
    }
    if (queue_.empty()) return {};
    const std::string host = std::move(queue_.front());
    queue_.pop_front();
    if (!scheduler_.is_candidate(host)) continue;  // not any more
    try {
      asked_.emplace(policy_, scheduler_, scheduler_.host(host));
    } catch (...) { halt("the policy failed: " + describe(std::current_exception())); }
  }
  return {};
}

bool Admission::take(const std::string& host, const Answer& answer) {
  switch (answer.kind) {
    case Answer::Kind::yes: scheduler_.admit(host); return true;
    case Answer::Kind::not_before:
      not_before_ = std::min(not_before_.value_or(answer.time), answer.time);
      return false;
    case Answer::Kind::wait:
      waits_ = true;
      queue_.clear();
      return false;
    case Answer::Kind::no: return false;
  }
  return false;
}

void Admission::answer(Answer answer) {
  if (asked_) asked_->take(answer);
}

void Admission::halt(std::string why) {
  if (halted_.empty()) halted_ = std::move(why);
  queue_.clear();
  asked_.reset();
}

void Admission::judge_failure(StepId step, std::string why) {
  if (culprit_ == step) halted_ = why;
  if (!halted_.empty()) return;
  culprit_ = step;
  halt(std::move(why));
}

}  // namespace tutti
