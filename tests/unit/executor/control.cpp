// SPDX-License-Identifier: LGPL-3.0-or-later
// Policies and interrupts: what starts, what does not, and what is said of it.
#include <doctest/doctest.h>

#include <stdexcept>

#include "unit/support/fakes.hpp"

using namespace tutti;
using namespace tutti::fake;

namespace {

using Lines = std::vector<std::string>;
Site web_at(const std::string& version, int n = 1) {
  return site({{"front", {service("web", version)}, hosts(n)}});
}
World deployed(int n) {
  World world;
  CHECK(world.deploy(web_at("1", n)).exit_status() == 0);
  world.transport.most_unavailable = 0;
  return world;
}
int count(const Report& report, Outcome outcome) {
  int n = 0;
  for (const StepReport& step : report.steps) n += step.outcome == outcome;
  return n;
}

}  // namespace

TEST_CASE("policy bound: holds at every moment of a run") {
  World world = deployed(20);
  const Report report = world.execute(world.plan(web_at("2", 20)), default_policy());
  CHECK(count(report, Outcome::upgraded) == 20);
  CHECK(world.transport.most_unavailable == 6);  // 30% of 20: reached, and never passed
}

TEST_CASE("policy bound: what is down when the run begins counts, and is repaired") {
  World world = deployed(10);
  world.transport.machines["h9"].running.clear();
  world.transport.machines["h10"].running.clear();
  const Report report = world.execute(world.plan(web_at("2", 10)), at_most(3));
  CHECK(count(report, Outcome::upgraded) == 10);
  CHECK(world.transport.most_unavailable == 3);
}

TEST_CASE("policy bound: what fails stays counted, and what is lost too") {
  World world = deployed(6);
  world.transport.faults["h1: start web 2"] = lost();
  world.transport.faults["h2: stop web 1"] = lost();
  const Report report = world.execute(world.plan(web_at("2", 6)), at_most(2));
  CHECK(outcomes(report) == Lines{"web@h1 unknown", "web@h2 unknown", "web@h3 skipped", "web@h4 skipped",
                                  "web@h5 skipped", "web@h6 skipped"});
  CHECK(has(report.halted, "the policy (at most 2 of each class) admits no further host"));
  CHECK(world.transport.most_unavailable == 2);
  CHECK(report.exit_status() == 4);
}

TEST_CASE("policy bound: an unreachable host takes from it, and the others go on below it") {
  World world = deployed(5);
  world.transport.machines["h5"].reached = false;
  const Report report = world.execute(world.plan(web_at("2", 5)), at_most(2));
  CHECK(count(report, Outcome::upgraded) == 4);
  CHECK(count(report, Outcome::unreachable) + static_cast<int>(report.unreachable.size()) > 0);
  CHECK(world.transport.most_unavailable == 2);
  CHECK(report.exit_status() == 5);
}

TEST_CASE("policy bound: a host with a dead service counts until that very service is up again") {
  //  web → app, both on all hosts: app is changed first, in a phase of its own
  const auto shop = [](const std::string& version) {
    return site({{"front", {service("web", version, {"app"}), service("app", version)}, hosts(3)}});
  };
  World world;
  (void)world.deploy(shop("1"));
  world.transport.machines["h1"].running.erase("web");
  world.transport.most_unavailable = 0;
  const Report report = world.execute(world.plan(shop("2")), at_most(1));
  // app of h2 would take down a second host while web of h1, which waits for it, is dead
  CHECK(world.transport.most_unavailable == 1);
  CHECK(count(report, Outcome::upgraded) == 1);
  CHECK(has(report.halted, "the policy (at most 1 of each class) admits no further host"));
  // Whoever reads that learns what is in the way, and what helps does help.
  CHECK(has(report.halted, ": down, and counted, is h1 (web). What helps: bring what is down up first, by "
                           "deploying the versions that are "
                           "there now; or let the policy have more at once"));
  CHECK(world.execute(world.plan(shop("1")), at_most(1)).exit_status() == 0);
  CHECK(world.execute(world.plan(shop("2")), at_most(1)).exit_status() == 0);
}

TEST_CASE("policy: a predicate sees the run as it is, and time passes while it says wait") {
  World world = deployed(3);
  const double begin = world.clock.time;
  const Policy slowly([&](const Rollout& rollout, const Host& host) -> Answer {
    CHECK(!rollout.simulated());
    if (!rollout.hosts_in({HostState::in_transition}).empty()) return false;
    if (host.name == "h2" && rollout.time() < begin + 100) return Answer::Kind::wait;
    return true;
  });
  const Report report = world.execute(world.plan(web_at("2", 3)), slowly);
  CHECK(count(report, Outcome::upgraded) == 3);
  CHECK(world.transport.most_unavailable == 1);
  CHECK(world.clock.time >= begin + 100);
  const std::string said = "nothing is under way, 2 hosts wait for the policy, which says `wait` and is "
                           "asked every 1 s (interrupt to leave)";
  CHECK(std::count(world.told.begin(), world.told.end(), said) == 1);  // not at each of a hundred times
}

TEST_CASE("policy: not before a time is waited for, and not much longer") {
  World world = deployed(2);
  const double then = world.clock.time + 5000;
  const Policy later([&](const Rollout& rollout, const Host& host) -> Answer {
    if (host.name == "h1" || rollout.time() >= then) return true;
    return {Answer::Kind::not_before, then};
  });
  const Report report = world.execute(world.plan(web_at("2", 2)), later);
  CHECK(count(report, Outcome::upgraded) == 2);
  CHECK(world.clock.time >= then);
  CHECK(world.clock.time < then + 10);
  CHECK(std::count_if(world.told.begin(), world.told.end(), [](const std::string& told) {
          return has(told, "nothing is under way, 1 host waits for the policy, which says not before ");
        }) == 1);
}

TEST_CASE("policy: one that names a time in the past again and again does not keep us busy") {
  World world = deployed(1);
  int asked = 0;
  const double begin = world.clock.time;
  const Policy past([&](const Rollout& rollout, const Host&) -> Answer {
    if (++asked > 10000) throw std::runtime_error("asked too often");
    if (rollout.time() > begin + 10) return true;
    return {Answer::Kind::not_before, 1};
  });
  CHECK(count(world.execute(world.plan(web_at("2", 1)), past), Outcome::upgraded) == 1);
  CHECK(asked <= 1000);
}

TEST_CASE("policy: one that admits nobody ends the run, with the rest skipped and the reason said") {
  World world = deployed(2);
  const Report report = world.execute(world.plan(web_at("2", 2)),
                                      Policy([](const Rollout&, const Host&) -> Answer { return false; }));
  CHECK(outcomes(report) == Lines{"web@h1 skipped", "web@h2 skipped"});
  CHECK(report.halted ==
        "the policy (predicate) admits no further host, and nothing is under way that could change that");
  CHECK(report.exit_status() == 3);
}

TEST_CASE("policy: a predicate that throws, whatever it throws, halts the run; what is under way finishes") {
  for (const bool is_odd : {false, true}) {
    World world = deployed(3);
    const Policy broken([=](const Rollout&, const Host& host) -> Answer {
      if (host.name == "h1") return true;
      if (is_odd) throw 42;
      throw std::runtime_error("no rack map");
    });
    const Report report = world.execute(world.plan(web_at("2", 3)), broken);
    CHECK(outcomes(report) == Lines{"web@h1 upgraded", "web@h2 skipped", "web@h3 skipped"});
    CHECK(has(report.halted, is_odd ? "the policy failed: asked about host 'h2': something was thrown"
                                    : "the policy failed: asked about host 'h2': no rack map"));
    CHECK(report.exit_status() == 3);
  }
}

TEST_CASE("policy: a driver that can't answer for a predicate of its own says so") {
  World world = deployed(1);
  const Report report = world.execute(world.plan(web_at("2", 1)), ask("racks", {}));
  CHECK(outcomes(report) == Lines{"web@h1 skipped"});
  CHECK(report.halted == "the policy failed: nobody here can answer for host 'h1'");
}

TEST_CASE(
    "interrupt: nothing new starts, effects under way are awaited, half-done instances are unknown: exit 4") {
  World world = deployed(4);
  Executor* executor = nullptr;
  world.on_executor = [&](Executor& one) { executor = &one; };
  world.transport.on_answer = [&](const std::string& what) {
    if (what == "h1: stop web 1") executor->interrupt();
  };
  const auto n = world.transport.log.size();
  const Report report = world.execute(world.plan(web_at("2", 4)), at_most(1));
  CHECK(Lines(world.transport.log.begin() + static_cast<std::ptrdiff_t>(n), world.transport.log.end()) ==
        Lines{"h1: begin web 2", "h1: stop web 1"});
  CHECK(outcomes(report) == Lines{"web@h1 unknown", "web@h2 skipped", "web@h3 skipped", "web@h4 skipped"});
  CHECK(step_of(report, "web", "h1").message == "interrupted before: start web 2");
  CHECK(step_of(report, "web", "h1").effects.back() == "stop web 1");  // its outcome is known
  CHECK(report.interrupted);
  CHECK(report.exit_status() == 4);
  CHECK(world.transport.woken == 1);
  CHECK(has(report.to_text(), "interrupted\n"));
}

TEST_CASE("interrupt: in a rollback it is unknown too") {
  for (const char* when : {"h1: validate web 2", "h1: stop web 2", "h1: start web 1"}) {
    World world = deployed(1);
    Executor* executor = nullptr;
    world.on_executor = [&](Executor& one) { executor = &one; };
    world.transport.faults["h1: validate web 2"] = fails("no");
    world.transport.on_answer = [&](const std::string& what) {
      if (what == when) executor->interrupt();
    };
    const Report report = world.execute(world.plan(web_at("2", 1)));
    INFO(when);
    CHECK(outcomes(report) == Lines{"web@h1 unknown"});
    CHECK(has(step_of(report, "web", "h1").message, "interrupted"));
    CHECK(report.exit_status() == 4);
  }
}

TEST_CASE("interrupt: when nothing is half-done the rest is skipped: exit 3") {
  World world = deployed(2);
  Executor* executor = nullptr;
  world.on_executor = [&](Executor& one) { executor = &one; };
  world.transport.on_answer = [&](const std::string& what) {
    if (what == "h1: validate web 2") executor->interrupt();
  };
  const Report report = world.execute(world.plan(web_at("2", 2)), at_most(1), plain_replace);
  CHECK(outcomes(report) == Lines{"web@h1 upgraded", "web@h2 skipped"});  // its entry is still written
  CHECK(step_of(report, "web", "h2").message == "the run was interrupted");
  CHECK(report.exit_status() == 3);
}

TEST_CASE("interrupt: the next service of the same host does not begin") {
  World world;
  Executor* executor = nullptr;
  world.on_executor = [&](Executor& one) { executor = &one; };
  world.transport.on_answer = [&](const std::string& what) {
    if (what == "h1: validate a 1") executor->interrupt();
  };
  const Plan plan = world.plan(site({{"front", {service("a", "1"), service("b", "1")}, {"h1"}}}));
  CHECK(outcomes(world.execute(plan, {}, plain_replace)) == Lines{"a@h1 upgraded", "b@h1 skipped"});
}

TEST_CASE("interrupt: before anything began, nothing begins") {
  World world = deployed(2);
  world.on_executor = [](Executor& executor) { executor.interrupt(); };
  const auto n = world.transport.log.size();
  const Report report = world.execute(world.plan(web_at("2", 2)));
  CHECK(world.transport.log.size() == n);
  CHECK(outcomes(report) == Lines{"web@h1 skipped", "web@h2 skipped"});
  CHECK(report.exit_status() == 3);
}

TEST_CASE("interrupt: a second one leaves at once, and says what is unknown") {
  World world = deployed(3);
  Executor* executor = nullptr;
  world.on_executor = [&](Executor& one) { executor = &one; };
  int answers = 0;
  world.transport.on_answer = [&](const std::string& what) {
    ++answers;
    if (what == "h1: begin web 2") executor->interrupt(), executor->interrupt();
  };
  world.transport.faults.clear();
  const auto n = world.transport.log.size();
  const Report report = world.execute(world.plan(web_at("2", 3)), at_most(1));
  CHECK(answers == 1);
  CHECK(world.transport.log.size() == n + 1);
  CHECK(outcomes(report) == Lines{"web@h1 unknown", "web@h2 skipped", "web@h3 skipped"});
  CHECK(report.exit_status() == 4);
}

TEST_CASE("interrupt: a second one does not wait for effects under way") {
  World world = deployed(2);
  Executor* executor = nullptr;
  world.on_executor = [&](Executor& one) { executor = &one; };
  const Site shop =
      site({{"front", {service("web", "2")}, {"h1"}}, {"back", {service("slow", "1")}, {"h2"}}});
  const Plan plan = world.plan(shop);
  int answers = 0;
  world.transport.on_answer = [&](const std::string&) {
    if (++answers == 1) executor->interrupt();
    if (answers == 2) executor->interrupt();
  };
  const Report report = world.execute(plan);
  CHECK(report.exit_status() == 4);
  for (const StepReport& step : report.steps)
    CHECK((step.outcome == Outcome::unknown || step.outcome == Outcome::skipped));
}

TEST_CASE("executor: thousands of hosts, a few at a time") {
  World world;
  const Report report = world.execute(world.plan(web_at("1", 1000)), at_most_percent(10));
  CHECK(count(report, Outcome::upgraded) == 1000);
  CHECK(world.transport.most_at_once == 100);
}

TEST_CASE("policy: a driver's yes holds for the rollout that it was asked about, however much completes "
          "meanwhile") {
  World world;
  (void)world.deploy(site({{"front", {service("web", "1")}, hosts(3)}}));
  Plan plan = world.plan(site({{"front", {service("web", "2")}, hosts(3)}}));
  world.authorise(plan.fleet);
  Executor executor(plan, all_of({at_most(2), ask("mine", {})}), ++world.run, world.lineage, &world.journal,
                    world.transport, world.clock);
  const auto asked = [&]() -> std::string {
    for (int i = 0; i < 1000; ++i)
      for (const Event& event : executor.next(1))
        if (const auto* ask = std::get_if<AskPolicy>(&event)) return ask->host;
    throw std::logic_error("nobody was asked about");
  };
  CHECK(asked() == "h1");
  executor.answer(true);
  CHECK(executor.rollout().state("h1") == HostState::in_transition);  // at once
  CHECK(asked() == "h2");
}

TEST_CASE("driver: a body that goes on while its effect is under way is told so") {
  World world;
  Plan plan = world.plan(site({{"front", {service("web", "1")}, {"h1"}}}));
  world.authorise(plan.fleet);
  Executor executor(plan, {}, ++world.run, world.lineage, &world.journal, world.transport, world.clock);
  std::optional<TaskId> body;
  while (!body)
    for (const Event& event : executor.next(1))
      if (const auto* start = std::get_if<StartTask>(&event)) body = start->task;
  executor.perform(*body, std::make_unique<Request>(Request{.effect = effect::Run{command("true")}}));
  CHECK_THROWS_AS(executor.done(*body), std::logic_error);
}
