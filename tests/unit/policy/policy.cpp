// SPDX-License-Identifier: LGPL-3.0-or-later
// What a policy answers, on a rollout that is made up.
#include <tutti/policy.hpp>

#include <doctest/doctest.h>

#include "unit/support/fakes.hpp"
#include <tutti/rollout.hpp>

using namespace tutti;
using namespace tutti::fake;

namespace {

using Kind = Answer::Kind;

/// Hosts of which some are in transition or down.
struct Made final : Rollout {
  std::vector<Host> all;
  std::set<std::string> out;

  explicit Made(int n) {
    for (const std::string& name : fake::hosts(n)) all.push_back({.name = name, .host_class = "web"});
  }
  const std::vector<Host>& hosts() const override { return all; }
  HostState state(const std::string& host) const override {
    return out.contains(host) ? HostState::in_transition : HostState::pending;
  }
  bool unavailable(const std::string& host) const override { return out.contains(host); }
  int unavailable(const std::string& key, const std::string& value) const override {
    return count(key, value, [&](const Host& host) { return out.contains(host.name); });
  }
  int hosts(const std::string& key, const std::string& value) const override {
    return count(key, value, [](const Host&) { return true; });
  }
  double time() const override { return 1000; }
  bool simulated() const override { return false; }

  template <class F> int count(const std::string& key, const std::string& value, F f) const {
    int n = 0;
    for (const Host& host : all) n += (key == "site" || host.label(key) == value) && f(host);
    return n;
  }
};

/// How many of `n` hosts the policy admits one after another.
int admits(const Policy& policy, int n) {
  Made rollout(n);
  for (const Host& host : rollout.all)
    if (policy(rollout, host).kind == Kind::yes) rollout.out.insert(host.name);
  return static_cast<int>(rollout.out.size());
}

}  // namespace

TEST_CASE("policy: at most so many hosts") {
  CHECK(admits(at_most(1), 10) == 1);
  CHECK(admits(at_most(3), 10) == 3);
  CHECK(admits(at_most(30), 10) == 10);
  CHECK(admits(Policy(), 10) == 10);
}

TEST_CASE("policy: percent is rounded down, and is at least one host") {
  CHECK(admits(at_most_percent(30), 10) == 3);
  CHECK(admits(at_most_percent(30), 9) == 2);
  CHECK(admits(at_most_percent(30), 2) == 1);
  CHECK(admits(at_most_percent(1), 1) == 1);
  CHECK(admits(at_most_percent(100), 7) == 7);
  CHECK(admits(default_policy(), 20) == 6);
}

TEST_CASE("policy: rounding down does not lose a host to binary fractions") {
  for (const int n : {1, 7, 10, 100, 500, 1000})
    for (const int tenths : {1, 3, 46, 145, 290, 323, 333, 646, 651, 999}) {
      Made rollout(n);
      const int bound = std::max(1, n * tenths / 1000);
      const auto may = [&] {
        return at_most_percent(tenths / 10.0)(rollout, rollout.all.back()).kind == Kind::yes;
      };
      for (int i = 0; i + 1 < bound; ++i) rollout.out.insert(rollout.all[static_cast<std::size_t>(i)].name);
      CHECK_MESSAGE(may(), n << " hosts, " << tenths << " tenths of a percent");
      if (bound == n) continue;
      rollout.out.insert(rollout.all[static_cast<std::size_t>(bound - 1)].name);
      CHECK_MESSAGE(!may(), n << " hosts, " << tenths << " tenths of a percent");
    }
}

TEST_CASE("policy: bounds are for each class, each value of a label, or the site") {
  Made rollout(4);
  rollout.all[2].host_class = rollout.all[3].host_class = "db";
  rollout.all[0].labels = rollout.all[2].labels = {{"dc", "east"}};
  rollout.all[1].labels = rollout.all[3].labels = {{"dc", "west"}};
  rollout.out = {"h1"};
  const auto may = [&](const Policy& policy, std::size_t i) {
    return policy(rollout, rollout.all[i]).kind == Kind::yes;
  };
  CHECK(!may(at_most(1), 1));  // of its class
  CHECK(may(at_most(1), 2));
  CHECK(may(at_most(1, "dc"), 1));
  CHECK(!may(at_most(1, "dc"), 2));
  CHECK(!may(at_most(1, "site"), 3));
  CHECK(!may(at_most_percent(25, "site"), 3));
  CHECK(may(at_most_percent(50, "site"), 3));
}

TEST_CASE("policy: a host that is already down may start, it makes nothing worse") {
  Made rollout(3);
  rollout.out = {"h1", "h2"};
  CHECK(at_most(1)(rollout, rollout.all[0]).kind == Kind::yes);
  CHECK(at_most(1)(rollout, rollout.all[2]).kind == Kind::no);
}

TEST_CASE("policy: of several answers the most restrictive counts, of two times the later") {
  CHECK(most_restrictive(true, false).kind == Kind::no);
  CHECK(most_restrictive(Kind::wait, false).kind == Kind::wait);
  CHECK(most_restrictive({Kind::not_before, 5}, true).kind == Kind::not_before);
  CHECK(most_restrictive({Kind::not_before, 5}, false).kind == Kind::no);
  CHECK(most_restrictive({Kind::not_before, 5}, {Kind::not_before, 7}).time == 7);
  const std::vector<Answer> answers{true, {Kind::not_before, 5}, false, Kind::wait};
  for (const Answer& a : answers)
    for (const Answer& b : answers) CHECK(most_restrictive(a, b) == most_restrictive(b, a));
}

TEST_CASE("policy: all-of is a conjunction, predicates of C++ among it") {
  const auto fixed = [](Answer answer) {
    return ask("mine", [=](const Rollout&, const Host&) { return answer; });
  };
  CHECK(admits(all_of({at_most(5), at_most_percent(30)}), 10) == 3);
  CHECK(admits(all_of({at_most(5), fixed(false)}), 10) == 0);
  CHECK(admits(all_of({}), 10) == 10);
  Made rollout(1);
  CHECK(
      all_of({fixed(true), fixed(Kind::wait), fixed({Kind::not_before, 9})})(rollout, rollout.all[0]).kind ==
      Kind::wait);
}

TEST_CASE("policy: a predicate reads the live rollout") {
  // At most one host whose name ends in an odd digit.
  const Policy odd = Policy([](const Rollout& rollout, const Host& host) -> Answer {
    if (host.name.back() % 2 == 0) return true;
    for (const Host& other : rollout.hosts_in({HostState::in_transition}))
      if (other.name.back() % 2 == 1) return false;
    return true;
  });
  CHECK(admits(odd, 6) == 4);
}

TEST_CASE("policy: what can't be meant is refused") {
  CHECK(!error_of([] { (void)at_most(0); }).empty());
  CHECK(!error_of([] { (void)at_most(-1); }).empty());
  CHECK(!error_of([] { (void)at_most_percent(0); }).empty());
  CHECK(!error_of([] { (void)at_most_percent(101); }).empty());
  CHECK(!error_of([] { (void)at_most_percent(std::numeric_limits<double>::quiet_NaN()); }).empty());
}

TEST_CASE("policy: describes itself, and says whether the driver must be asked") {
  CHECK(Policy().describe() == "all at once");
  CHECK(all_of({at_most(2, "datacenter"), at_most_percent(30), at_most(5, "site"), ask("racks", {})})
            .describe() ==
        "at most 2 of each datacenter, and at most 30% of each class, and at most 5 of the site, and racks");
  CHECK(ask("racks", {}).asks_driver());
  CHECK(!ask("racks", [](const Rollout&, const Host&) { return Answer(true); }).asks_driver());
  CHECK(!default_policy().asks_driver());
}

TEST_CASE("policy: for one class, whatever the terms are, they bind the hosts of that class alone") {
  Made rollout(4);
  rollout.all[3].host_class = "db";
  const Policy policy = for_class("web", all_of({at_most_percent(32.3), ask("mine", {})}));
  CHECK(policy.describe() == "(at most 32.3% of each class, and mine) for web");
  rollout.out.insert("h1");
  CHECK(policy(rollout, rollout.all[1]).kind == Kind::no);  // 32.3% of 3 is one
  CHECK(policy(rollout, rollout.all[3]).kind == Kind::yes);
  CHECK(policy.asks_driver());
  CHECK(policy.driver_asks(rollout.all[1]).size() == 1);
  CHECK(policy.driver_asks(rollout.all[3]).empty());
}

TEST_CASE("policy: a percentage is the same within a class's policy as on its own") {
  CHECK(admits(at_most_percent(32.3), 1000) == 323);
  CHECK(admits(for_class("web", at_most_percent(32.3)), 1000) == 323);
}
