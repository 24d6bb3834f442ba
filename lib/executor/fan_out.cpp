// SPDX-License-Identifier: LGPL-3.0-or-later
// Effects that are several: drain and undrain, a branch for each consumer on its own host; and what an ended
// run left over, which ends before the effect that asks for it.
#include <fmt/format.h>

#include "executor/outcome.hpp"
#include "executor/step.hpp"
#include "model/render.hpp"
#include "transport/request.hpp"

namespace tutti {

void StepRun::take_apart(std::unique_ptr<Request> request) {
  const DefinitionPtr service = request->definition();
  const bool is_drain = request->as<effect::Drain>() != nullptr;
  const std::string about = service->service + "@" + step_.host;
  const std::vector<Instance> consumers =
      is_drain ? ledger_.consumers(service->service) : ledger_.holding(about);
  if (!consumers.empty() && moment_.is_interrupted)
    return park(fmt::format("interrupted before: {}", request->describe()));
  if (!consumers.empty()) is_touched_ = true;
  if (is_drain && work_.is_transition()) (void)register_undo(Request{.effect = effect::Undrain{service}});
  const std::string address = address_of(*service);
  std::vector<std::string> names;
  for (const Instance& one : consumers) names.push_back(one.service + "@" + one.host);
  work_.text = fmt::format("{}{}", request->describe(),
                           names.empty() ? "" : fmt::format(" ({})", fmt::join(names, ", ")));
  fork(*request, consumers);
  work_.request = std::move(request);
  fan_out_->is_told = !consumers.empty();
  for (std::size_t k = 0; k < consumers.size(); ++k) {
    std::vector<std::function<Request()>>& own = fan_out_->branches[k].own;
    const Instance& one = consumers[k];
    if (is_drain) {
      own.emplace_back([this, one, address] { return ledger_.drain(one, address); });
      own.emplace_back([this, one, about, address] { return ledger_.mark(one, about, address); });
    } else {
      own.emplace_back([this, one, about] { return ledger_.unmark(one, about); });
      own.emplace_back([this, one, about] { return ledger_.undrain(one, about); });
    }
  }
  for (Work& branch : fan_out_->branches) next_own(branch);
  if (consumers.empty()) branches_over();
}

void StepRun::fork(const Request& request, std::vector<Instance> branches) {
  const std::size_t n = branches.size();
  write([&] {
    return record::Forked{.at = place(work_),
                          .effect = std::string(name_of(request.effect)),
                          .hash = hash(request, forms_),
                          .text = work_.text,
                          .branches = std::move(branches)};
  });
  fan_out_.emplace();
  fan_out_->open = n;
  for (std::uint32_t k = 0; k < n; ++k) {
    TaskPath path = work_.path;
    path.branch = {work_.sequence, k};
    fan_out_->branches.push_back({.path = path});
  }
}

bool StepRun::must_stop_left_over(const Request& request) const {
  return step_.left_over && !left_over_is_stopped_ && (request.host.empty() || request.host == step_.host) &&
         (request.as<effect::Stop>() || request.as<effect::Start>()) &&
         request.definition()->service == step_.service;
}

void StepRun::stop_left_over(std::unique_ptr<Request> then) {
  const Request request{.effect = effect::Stop{.definition = step_.left_over, .untried = true},
                        .idempotent = true};
  work_.text = request.describe() + " (left over)";
  fork(request, {{step_.service, step_.host}});
  fan_out_->is_told = true;
  fan_out_->then = std::move(then);
  Work& branch = fan_out_->branches.front();
  // Only then does the entry name what is started next, instead of what was left over.
  branch.own.emplace_back([this, now = moment_.time] { return ledger_.go_on(step_, now); });
  branch.own.emplace_back([request] { return request; });
  next_own(branch);
}

std::string StepRun::address_of(const Definition& given) const {
  const Definition& there =
      step_.old_definition && step_.old_definition->service == given.service ? *step_.old_definition : given;
  const Host& host = ledger_.fleet().at(step_.host);
  const std::string& address = host.address.empty() ? host.name : host.address;
  std::vector<std::string> all;
  for (const auto& [name, port] : there.endpoints) all.push_back(address + ":" + number_of(port));
  return all.empty() ? address : fmt::format("{}", fmt::join(all, " "));
}

void StepRun::branch_answered(Work& branch, const Request& request, const Result& result) {
  if (result.succeeded && request.as<effect::Stop>()) {
    left_over_is_stopped_ = true;
    runs_ = Runs::nothing;
  }
  if (!result.succeeded)
    return branch_over(fmt::format("{}: {}: {}", request.host, branch.text, reason(result)));
  if (branch.own.empty()) return branch_over("");
  if (moment_.is_interrupted)
    return park(fmt::format("interrupted after: {} on {}", branch.text, request.host));
  next_own(branch);
}

void StepRun::branch_over(const std::string& failure) {
  std::string& failures = fan_out_->failures;
  if (!failure.empty()) failures += (failures.empty() ? "" : "; ") + failure;
  if (--fan_out_->open == 0) branches_over();
}

void StepRun::branches_over() {
  FanOut all = std::move(*fan_out_);
  fan_out_.reset();
  const bool succeeded = all.failures.empty();
  Result result{.succeeded = succeeded, .status = succeeded ? 0 : 1, .error = all.failures};
  write([&] { return record::Answered{place(work_), result}; });
  ++work_.sequence;
  if (all.is_told) {
    effects_.push_back(work_.text + (succeeded ? "" : " ✗"));
    order(Tell{effects_.back()});
  }
  const std::unique_ptr<Request> taken_apart = std::move(work_.request);
  if (all.then && succeeded) return dispatch(std::move(all.then));
  // What was left over failed, and what should come after it was not sent.
  std::string failed = succeeded ? "" : all.then ? work_.text : taken_apart->describe();
  resume(std::move(result), std::move(failed));
}

}  // namespace tutti
