// SPDX-License-Identifier: LGPL-3.0-or-later
#include <tutti/policy.hpp>

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include <tutti/error.hpp>
#include <tutti/rollout.hpp>

namespace tutti {
namespace {

/// The hosts that share `of` with this one: a label and its value; "site" is one for all.
std::string group(const std::string& of, const Host& host) { return of == "site" ? "" : host.label(of); }

constexpr double rounding = 1e-9;  // 33.3% of 1000 is 333, whatever binary fractions say

Answer decide(const Policy::AtMost& term, const Rollout& rollout, const Host& host) {
  if (rollout.unavailable(host.name)) return true;  // it makes nothing worse
  const std::string value = group(term.of, host);
  const double bound =
      term.percent ? std::max(1.0, std::floor(rollout.hosts(term.of, value) * term.bound / 100 + rounding))
                   : term.bound;
  return rollout.unavailable(term.of, value) + 1 <= bound;
}

std::string describe(const Policy::Term& term) {
  if (const auto* ask = std::get_if<Policy::Ask>(&term)) return ask->name;
  if (const auto* one = std::get_if<Policy::ForClass>(&term)) {
    std::string text = one->policy->describe();
    if (one->policy->terms().size() > 1) text = "(" + text + ")";
    return fmt::format("{} for {}", text, one->host_class);
  }
  const auto& at_most = std::get<Policy::AtMost>(term);
  const std::string of = at_most.of == "site" ? "the site" : "each " + at_most.of;
  return at_most.percent ? fmt::format("at most {:g}% of {}", at_most.bound, of)
                         : fmt::format("at most {:g} of {}", at_most.bound, of);
}

Policy one_term(Policy::Term term) {
  std::vector<Policy::Term> terms;
  terms.push_back(std::move(term));
  return Policy(std::move(terms));
}

}  // namespace

Answer most_restrictive(const Answer& a, const Answer& b) {
  if (a.kind != b.kind) return a.kind < b.kind ? b : a;
  return a.time < b.time ? b : a;
}

Answer Policy::operator()(const Rollout& rollout, const Host& host) const {
  Answer answer;
  for (const Term& term : terms_) {
    if (const auto* at_most = std::get_if<AtMost>(&term)) {
      answer = most_restrictive(answer, decide(*at_most, rollout, host));
    } else if (const auto* one = std::get_if<ForClass>(&term)) {
      if (one->host_class == host.host_class)
        answer = most_restrictive(answer, (*one->policy)(rollout, host));
    } else if (const Predicate& predicate = std::get<Ask>(term).predicate) {
      answer = most_restrictive(answer, predicate(rollout, host));
    }
  }
  return answer;
}

void Policy::each_term(const std::function<void(const Term&)>& f) const {
  for (const Term& term : terms_) {
    f(term);
    if (const auto* one = std::get_if<ForClass>(&term)) one->policy->each_term(f);
  }
}

bool Policy::asks_driver() const noexcept {
  bool asks = false;
  each_term([&](const Term& term) {
    const auto* ask = std::get_if<Ask>(&term);
    asks = asks || (ask && !ask->predicate);
  });
  return asks;
}

std::vector<const Policy::Ask*> Policy::driver_asks(const Host& host) const {
  std::vector<const Ask*> asks;
  for (const Term& term : terms_) {
    if (const auto* ask = std::get_if<Ask>(&term)) {
      if (!ask->predicate) asks.push_back(ask);
    } else if (const auto* one = std::get_if<ForClass>(&term); one && one->host_class == host.host_class) {
      const auto inner = one->policy->driver_asks(host);
      asks.insert(asks.end(), inner.begin(), inner.end());
    }
  }
  return asks;
}

std::string Policy::describe() const {
  std::string text;
  for (const Term& term : terms_) text += (text.empty() ? "" : ", and ") + tutti::describe(term);
  return text.empty() ? "all at once" : text;
}

Policy at_most(int hosts, std::string of) {
  if (hosts < 1)
    throw Error(ErrorCode::misuse,
                fmt::format("policy at-most {}: give a number of hosts, at least 1", hosts));
  return one_term(Policy::AtMost{static_cast<double>(hosts), false, std::move(of)});
}

Policy at_most_percent(double percent, std::string of) {
  if (!(percent > 0 && percent <= 100))
    throw Error(ErrorCode::misuse,
                fmt::format("policy at-most \"{:g}%\": give more than 0% and at most 100%", percent));
  return one_term(Policy::AtMost{percent, true, std::move(of)});
}

Policy all_of(const std::vector<Policy>& policies) {
  std::vector<Policy::Term> terms;
  for (const Policy& policy : policies)
    terms.insert(terms.end(), policy.terms().begin(), policy.terms().end());
  return Policy(std::move(terms));
}

Policy ask(std::string name, Predicate predicate) {
  return one_term(Policy::Ask{.name = std::move(name), .predicate = std::move(predicate)});
}

Policy for_class(std::string host_class, Policy policy) {
  return one_term(Policy::ForClass{std::move(host_class), std::make_shared<const Policy>(std::move(policy))});
}

Policy default_policy() { return at_most_percent(30); }

}  // namespace tutti
