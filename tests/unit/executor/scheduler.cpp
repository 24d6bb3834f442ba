// SPDX-License-Identifier: LGPL-3.0-or-later
// Who may be asked next, and what an ended step means for others.
#include "executor/scheduler.hpp"

#include <doctest/doctest.h>

#include "unit/support/fakes.hpp"

using namespace tutti;
using namespace tutti::fake;

namespace {
using Lines = std::vector<std::string>;
std::string named(const Plan& plan, StepId id) { return plan.at(id).service + "@" + plan.at(id).host; }
Lines named(const Plan& plan, const std::vector<Scheduler::Skipped>& skipped) {
  Lines lines;
  for (const auto& one : skipped) lines.push_back(named(plan, one.step));
  return lines;
}
}  // namespace

TEST_CASE("scheduler: hosts are candidates once what comes before is done") {
  //  web (h1, h2) → db (d1, d2)
  World world;
  const Plan plan = world.plan(site({{"front", {service("web", "1", {"db"})}, {"h1", "h2"}},
                                     {"data", {service("db", "1")}, {"d1", "d2"}}}));
  Scheduler scheduler(plan, world.clock, false);
  CHECK(scheduler.candidates() == Lines{"d1", "d2"});
  scheduler.admit("d1");
  CHECK(scheduler.candidates() == Lines{"d2"});
  CHECK(scheduler.state("d1") == HostState::in_transition);
  const auto step = scheduler.next_step("d1");
  REQUIRE(step);
  CHECK(named(plan, *step) == "db@d1");
  CHECK(scheduler.end(*step, Outcome::upgraded).empty());
  CHECK(!scheduler.next_step("d1"));
  CHECK(scheduler.state("d1") == HostState::done);
  CHECK(scheduler.candidates() == Lines{"d2"});
  scheduler.admit("d2");
  (void)scheduler.end(*scheduler.next_step("d2"), Outcome::upgraded);
  CHECK(scheduler.candidates() == Lines{"h1", "h2"});
  CHECK(scheduler.in_transition() == 1);
}

TEST_CASE("scheduler: a service of which nobody knows whether it lives counts as down") {
  World world;
  const Site shop = site({{"front", {service("web", "1")}, {"h1"}}});
  (void)world.deploy(shop);
  for (const auto life : {HostReading::Life::alive, HostReading::Life::unknown, HostReading::Life::dead}) {
    Plan plan = world.plan(shop);
    plan.readings.at("h1").entries.at(0).life = life;
    CHECK(Scheduler(plan, world.clock, false).unavailable("h1") == (life != HostReading::Life::alive));
  }
}

TEST_CASE("scheduler: a host with a failing service counts as down, and its change comes first") {
  World world;
  const auto front = [](const char* version) {
    return site({{"front", {service("web", version)}, {"h1", "h2", "h3"}}});
  };
  (void)world.deploy(front("1"));
  Plan plan = world.plan(front("2"));
  plan.readings.at("h2").entries.at(0).upkeep = {.keeper = "systemd", .restarts = 9, .recent = 6};
  const Scheduler scheduler(plan, world.clock, false);
  CHECK(scheduler.unavailable("h2"));
  CHECK_FALSE(scheduler.unavailable("h1"));
  CHECK(scheduler.candidates() == Lines{"h2", "h1", "h3"});
}

TEST_CASE("scheduler: a host is in transition for one phase at a time") {
  //  x1: A → (y1: B) → x1: Z
  World world;
  const Plan plan = world.plan(site({{"X", {service("A", "1", {"B"}), service("Z", "1")}, {"x1"}},
                                     {"Y", {service("B", "1", {"Z"})}, {"y1"}}}));
  Scheduler scheduler(plan, world.clock, false);
  scheduler.admit("x1");
  (void)scheduler.end(*scheduler.next_step("x1"), Outcome::upgraded);
  CHECK(!scheduler.next_step("x1"));
  CHECK(scheduler.state("x1") == HostState::pending);  // again
  CHECK(!scheduler.unavailable("x1"));
  CHECK(scheduler.candidates() == Lines{"y1"});
}

TEST_CASE("scheduler: a failed step blocks only what comes after it") {
  //  web (h1) → app (a1) → db (d1)      cache (c1)
  World world;
  const Plan plan = world.plan(site({{"front", {service("web", "1", {"app"})}, {"h1"}},
                                     {"back", {service("app", "1", {"db"})}, {"a1"}},
                                     {"data", {service("db", "1")}, {"d1"}},
                                     {"other", {service("cache", "1")}, {"c1"}}}));
  Scheduler scheduler(plan, world.clock, false);
  scheduler.admit("d1");
  const auto skipped = scheduler.end(*scheduler.next_step("d1"), Outcome::unreachable);
  CHECK(named(plan, skipped) == Lines{"app@a1", "web@h1"});
  CHECK(skipped.at(0).why == "it comes after db@d1, which is unreachable");
  CHECK(scheduler.candidates() == Lines{"c1"});
  CHECK(!scheduler.all_ended());
  CHECK(scheduler.state("d1") == HostState::unreachable);
  scheduler.admit("c1");
  (void)scheduler.end(*scheduler.next_step("c1"), Outcome::upgraded);
  CHECK(scheduler.all_ended());
  CHECK(scheduler.not_begun().empty());
}

TEST_CASE("scheduler: of several services of a host, one that comes up does not make another one live") {
  World world;
  const auto shop = [](const std::string& version) {
    return site({{"front", {service("a", version), service("b", version)}, {"h1"}}});
  };
  (void)world.deploy(shop("1"));
  world.transport.machines["h1"].running.erase("b");
  const Plan plan = world.plan(shop("2"));
  Scheduler scheduler(plan, world.clock, false);
  CHECK(scheduler.unavailable("h1"));
  scheduler.admit("h1");
  (void)scheduler.end(*scheduler.next_step("h1"), Outcome::upgraded);  // a
  scheduler.leave("h1");
  CHECK(scheduler.unavailable("h1"));  // b is dead
  scheduler.admit("h1");
  (void)scheduler.end(*scheduler.next_step("h1"), Outcome::upgraded);  // b
  scheduler.leave("h1");
  CHECK(!scheduler.unavailable("h1"));
}

TEST_CASE("scheduler: counts by label follow what happens, whenever they are first asked for") {
  World world;
  Site shop = site({{"front", {service("web", "1")}, {}}});
  shop.host_class_to_hosts = inventory_list({{"front",
                                              {{.name = "h1", .labels = {{"dc", "east"}}},
                                               {.name = "h2", .labels = {{"dc", "east"}}},
                                               {.name = "h3", .labels = {{"dc", "west"}}},
                                               {.name = "h4"}}}});
  const Plan plan = world.plan(shop);
  Scheduler scheduler(plan, world.clock, false);
  CHECK(scheduler.hosts("dc", "east") == 2);
  CHECK(scheduler.hosts("dc", "") == 1);
  CHECK(scheduler.hosts("dc", "north") == 0);
  CHECK(scheduler.hosts("class", "front") == 4);
  CHECK(scheduler.hosts("site", "") == 4);
  scheduler.admit("h1");
  CHECK(scheduler.unavailable("dc", "east") == 1);
  CHECK(scheduler.unavailable("site", "") == 1);
  CHECK(scheduler.unavailable("rack", "") == 1);  // counted only now
  (void)scheduler.end(*scheduler.next_step("h1"), Outcome::failed);
  scheduler.leave("h1");
  CHECK(scheduler.unavailable("dc", "east") == 1);  // down
  CHECK(scheduler.state("h1") == HostState::failed);
  scheduler.admit("h2");
  (void)scheduler.end(*scheduler.next_step("h2"), Outcome::rolled_back);
  scheduler.leave("h2");
  CHECK(scheduler.unavailable("dc", "east") == 1);  // back as it was
  CHECK(scheduler.hosts_in({HostState::failed}).size() == 2);
}

TEST_CASE("scheduler: a host that is not in the fleet is an error with the nearest name") {
  World world;
  const Plan plan = world.plan(site({{"front", {service("web", "1")}, {"host1"}}}));
  const Scheduler scheduler(plan, world.clock, false);
  CHECK(error_of([&] { (void)scheduler.state("hots1"); }) ==
        "no host 'hots1' in the fleet. Did you mean 'host1'?");
}
