// SPDX-License-Identifier: LGPL-3.0-or-later
// What is reported is what was verified: left-overs, what can't tell, what runs in the place of another.
#include <doctest/doctest.h>

#include <algorithm>

#include "unit/support/fakes.hpp"

using namespace tutti;
using namespace tutti::fake;

namespace {

using Lines = std::vector<std::string>;
Site web_at(const std::string& version) { return site({{"front", {service("web", version)}, hosts(1)}}); }
/// A service that is programs, with an `alive` that can't tell versions apart, or without one.
Site plain_at(const std::string& version, bool has_alive = true) {
  Service web = service("web", version);
  web.start = program({"up"});
  web.stop = program({"down"});
  if (has_alive) web.alive = program({"alive"});
  return site({{"front", {web}, hosts(1)}});
}
ManifestEntry entry(World& world) {
  return ManifestEntry::from_json(world.transport.machines.at("h1").manifest.at("web"));
}
Lines since(const World& world, std::size_t n) {
  return {world.transport.log.begin() + static_cast<std::ptrdiff_t>(n), world.transport.log.end()};
}
bool holds(const Lines& lines, const std::string& line) {
  return std::find(lines.begin(), lines.end(), line) != lines.end();
}
Fault answers(How how, int status) {
  return {.result = {.succeeded = false, .status = status, .how = how, .error = {}}};
}
/// Version 1 was deployed; version 2 neither validates nor can be stopped.
World with_left_over() {
  World world;
  CHECK(world.deploy(plain_at("1")).exit_status() == 0);
  world.transport.faults = {{"h1: validate web 2", fails("no")}, {"h1: stop web 2", fails("it lingers")}};
  CHECK(outcomes(world.deploy(plain_at("2"))) == Lines{"web@h1 roll-back-failed"});
  return world;
}
Transition only_start(Context c, Change change) { co_await c.start(change.new_service); }
Transition start_if_it_can(Context c, Change change) {
  try {
    co_await c.start(change.new_service);
  } catch (const EffectFailed&) {  // as a person may write it
  }
}
Transition only_validate(Context c, Change change) { co_await c.validate(change.new_service); }
Transition does_not_stop(Context c, Change) { co_await c.run(command("true")); }
Transition programs_only(Context c, Change change) {
  co_await c.run(command("true"));
  co_await c.validate(change.new_service);
}

}  // namespace

TEST_CASE("truth: what is left over and can't be stopped is said, each time, until it is stopped") {
  World world = with_left_over();
  for (int i = 0; i < 2; ++i) {
    const auto n = world.transport.log.size();
    const Report report = world.deploy(plain_at("1"));
    CHECK(outcomes(report) == Lines{"web@h1 failed"});
    CHECK(has(step_of(report, "web", "h1").message,
              "web 2, which run 2 may have left running, was not stopped"));
    CHECK(report.exit_status() == 4);
    CHECK_FALSE(holds(since(world, n), "h1: start web 1"));
    CHECK(entry(world).state == ManifestEntry::State::failed);
    CHECK(entry(world).new_definition->version == "2");
  }
  world.transport.faults.erase("h1: stop web 2");
  CHECK(outcomes(world.deploy(plain_at("1"))) == Lines{"web@h1 upgraded"});
  CHECK(world.plan(plain_at("1")).empty());
}

TEST_CASE("truth: a run that is lost before what is left over was stopped leaves it named") {
  World world = with_left_over();
  world.transport.faults = {{"h1: stop web 2", lost()}};
  CHECK(outcomes(world.deploy(plain_at("3"))) == Lines{"web@h1 unknown"});
  CHECK(world.plan(plain_at("1")).steps.at(0).left_over->version == "2");
  world.transport.faults = {{"h1: start web 3", lost()}};  // it is stopped by then: 3 is what may be left
  CHECK(outcomes(world.deploy(plain_at("3"))) == Lines{"web@h1 unknown"});
  CHECK(world.plan(plain_at("1")).steps.at(0).left_over->version == "3");
}

TEST_CASE("truth: when the way back ends before what is left over was stopped, it stays named") {
  World world = with_left_over();
  const auto undo_fails = [](Context c, Change change) -> Transition {
    c.on_roll_back([](Context inner) -> Transition { co_await inner.run(command("undo")); });
    co_await c.stop(*change.old_service);
  };
  world.transport.faults["h1: run undo"] = fails("no");
  const Report report = world.execute(world.plan(plain_at("1")), {}, undo_fails);
  CHECK(outcomes(report) == Lines{"web@h1 failed"});
  CHECK(entry(world).new_definition->version == "2");
}

TEST_CASE("truth: what was stopped is no left-over, though the way back failed later") {
  World world;
  (void)world.deploy(plain_at("1"));
  world.transport.faults = {{"h1: validate web 2", fails("no")}, {"h1: validate web 1", fails("no")}};
  CHECK(outcomes(world.deploy(plain_at("2"))) == Lines{"web@h1 roll-back-failed"});
  CHECK(world.plan(plain_at("3")).steps.at(0).left_over == nullptr);
}

TEST_CASE("truth: what was stopped is started again, whatever would say that it is up already") {
  for (const bool stop_fails : {false, true}) {
    World world;
    (void)world.deploy(plain_at("1", false));
    if (stop_fails) world.transport.faults["h1: stop web 1"] = fails("no");
    world.transport.faults["h1: validate web 2"] = fails("no");
    (void)world.deploy(plain_at("2", false));
    const auto& all = world.transport.requests;
    const auto started = std::find_if(all.rbegin(), all.rend(), [](const Request& request) {
      return request.as<effect::Start>() != nullptr;
    });
    REQUIRE(started->definition()->version == "1");
    CHECK(started->idempotent == stop_fails);
  }
}

TEST_CASE("truth: of a version that never validated, not validating is no sign that it is gone") {
  World world;
  (void)world.deploy(plain_at("1", false));
  world.transport.faults["h1: validate web 2"] = fails("no");
  const auto n = static_cast<std::ptrdiff_t>(world.transport.requests.size());
  (void)world.deploy(plain_at("2", false));
  const auto& all = world.transport.requests;
  for (auto request = all.begin() + n; request != all.end(); ++request)
    if (const auto* stop = request->as<effect::Stop>())
      CHECK(stop->untried == (stop->definition->version == "2"));
}

TEST_CASE("truth: an `alive` that gives no answer after a rollback proves nothing") {
  struct Case {
    How how;
    int status;
    bool is_gone;
  };
  for (const Case one :
       {Case{How::exit, 1, true}, Case{How::timeout, 0, false}, Case{How::killed, 0, false},
        Case{How::exit, 137, false}, Case{How::exit, 127, false}, Case{How::exit, 126, false},
        Case{How::error, 125, false}, Case{How::exit, 255, true}}) {
    INFO(to_string(one.how) << " " << one.status);
    World world;
    world.transport.faults = {{"h1: validate web 1", fails("no")},
                              {"h1: run web 1 alive", answers(one.how, one.status)}};
    const Report report = world.deploy(plain_at("1"));
    CHECK(outcomes(report) == Lines{one.is_gone ? "web@h1 rolled-back" : "web@h1 roll-back-failed"});
    CHECK(report.exit_status() == (one.is_gone ? 3 : 4));
    CHECK(has(step_of(report, "web", "h1").message, "nobody knows whether web 1 lives") == !one.is_gone);
  }
}

TEST_CASE("truth: the old service must live after a rollback, not only validate") {
  World world;
  (void)world.deploy(plain_at("1"));
  world.transport.faults = {{"h1: validate web 2", fails("no")}, {"h1: run web 1 alive", fails("not here")}};
  const Report report = world.deploy(plain_at("2"));
  CHECK(outcomes(report) == Lines{"web@h1 roll-back-failed"});
  CHECK(has(step_of(report, "web", "h1").message, "after rolling back, web 1 does not live"));
}

TEST_CASE("truth: a start that was refused because another daemon runs does not stop that daemon") {
  World world;
  (void)world.deploy(web_at("1"));
  world.transport.faults["h1: start web 2"] = answers(How::busy, 125);
  const auto n = world.transport.log.size();
  const Report report = world.execute(world.plan(web_at("2")), {}, only_start);
  CHECK(outcomes(report) == Lines{"web@h1 rolled-back"});
  CHECK(since(world, n) ==
        Lines{"h1: begin web 2", "h1: start web 2", "h1: validate web 1", "h1: end web 2"});
  CHECK(world.transport.machines["h1"].running["web"] == "1");
}

TEST_CASE("truth: that some daemon of the service lives is no sign that the new one does") {
  for (const auto transition : {start_if_it_can, only_validate}) {
    World world;
    (void)world.deploy(web_at("1"));
    world.transport.faults["h1: start web 2"] = answers(How::busy, 125);
    const Report report = world.execute(world.plan(web_at("2")), {}, transition);
    CHECK(outcomes(report) == Lines{"web@h1 rolled-back"});
    CHECK(has(step_of(report, "web", "h1").message, "web 2 does not live: it was not started"));
    CHECK(entry(world).new_definition->version == "1");
  }
}

TEST_CASE("truth: a transition of programs alone is believed when the new service validates") {
  World world;
  (void)world.deploy(plain_at("1"));
  CHECK(outcomes(world.execute(world.plan(plain_at("2")), {}, programs_only)) == Lines{"web@h1 upgraded"});
}

TEST_CASE("truth: a removal that stops nothing is none") {
  for (const bool is_daemon : {false, true}) {
    World world;
    (void)world.deploy(is_daemon ? web_at("1") : plain_at("1"));
    const Site gone = site({{"front", {}, hosts(1)}});
    const Report report = world.execute(world.plan(gone), {}, does_not_stop);
    CHECK(outcomes(report) == Lines{"web@h1 rolled-back"});
    CHECK(has(step_of(report, "web", "h1").message, "web 1 still lives"));
    CHECK(entry(world).new_definition->version == "1");
  }
}

TEST_CASE("truth: Ctrl-C during the last effect there is leaves an upgrade: nobody is to be let go") {
  World world;
  (void)world.deploy(web_at("1"));
  Executor* executor = nullptr;
  world.on_executor = [&](Executor& one) { executor = &one; };
  world.transport.on_answer = [&](const std::string& what) {
    if (what == "h1: validate web 2") executor->interrupt();
  };
  const Report report = world.deploy(web_at("2"));
  CHECK(outcomes(report) == Lines{"web@h1 upgraded"});
  CHECK(report.exit_status() == 0);
  CHECK(world.plan(web_at("2")).empty());
}

TEST_CASE("truth: of what nothing can tell, only a start is believed after a rollback") {
  const auto mute = [](const std::string& version) {
    Site made = plain_at(version, false);
    made.host_classes[0].services[0].validate = {};
    return made;
  };
  World world;
  (void)world.deploy(mute("1"));
  world.transport.faults = {{"h1: start web 2", fails("no")}, {"h1: start web 1", fails("no")}};
  CHECK(outcomes(world.deploy(mute("2"))) == Lines{"web@h1 roll-back-failed"});
  // It does not run now, and this transition does not start it again.
  const Report report = world.execute(world.plan(mute("2")), {}, only_start);
  CHECK(outcomes(report) == Lines{"web@h1 roll-back-failed"});
  CHECK(has(step_of(report, "web", "h1").message, "nobody knows whether web 1 runs"));
  world.transport.faults = {{"h1: start web 2", fails("no")}};
  CHECK(outcomes(world.deploy(mute("2"))) == Lines{"web@h1 rolled-back"});
}
