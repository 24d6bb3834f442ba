// SPDX-License-Identifier: LGPL-3.0-or-later
// What fails: compensation, verification, halting; and hosts that are lost, which is no failure.
#include <doctest/doctest.h>

#include <algorithm>
#include <stdexcept>

#include "unit/support/fakes.hpp"

using namespace tutti;
using namespace tutti::fake;

namespace {

using Lines = std::vector<std::string>;
Site web_at(const std::string& version, int n = 1) {
  return site({{"front", {service("web", version)}, hosts(n)}});
}
ManifestEntry entry(World& world, const std::string& host, const std::string& service) {
  return ManifestEntry::from_json(world.transport.machines.at(host).manifest.at(service));
}
Lines since(const World& world, std::size_t n) {
  return {world.transport.log.begin() + static_cast<std::ptrdiff_t>(n), world.transport.log.end()};
}
World deployed(int n = 1) {
  World world;
  CHECK(world.deploy(web_at("1", n)).exit_status() == 0);
  return world;
}
/// web → db on hosts of their own.
Site two(const std::string& version) {
  return site({{"front", {service("web", version, {"db"})}, {"h1"}},
               {"data", {service("db", version)}, {"d1", "d2"}},
               {"x", {service("cache", version)}, {"c1"}}});
}

}  // namespace

namespace {
Transition only_stop(Context c, Change change) { co_await c.stop(*change.old_service); }
Transition nothing(Context, Change) { co_return; }
}  // namespace

TEST_CASE(
    "failure: a transition that leaves the service down is no upgrade, and the next host is not begun") {
  World world = deployed(2);
  world.transport.faults["h1: validate web 2"] = fails("the daemon does not live");
  const Report report = world.execute(world.plan(web_at("2", 2)), at_most(1), only_stop);
  CHECK(outcomes(report) == Lines{"web@h1 rolled-back", "web@h2 skipped"});
  CHECK(has(step_of(report, "web", "h1").message, "web 2 does not live"));
  CHECK(world.transport.machines["h1"].running["web"] == "1");
}

TEST_CASE("failure: a transition that does nothing is no upgrade: the old one is what lives") {
  World world = deployed();
  const Report report = world.execute(world.plan(web_at("2")), {}, nothing);
  CHECK(outcomes(report) == Lines{"web@h1 unchanged"});
  CHECK(has(step_of(report, "web", "h1").message, "the transition did nothing"));
  CHECK(outcomes(world.execute(world.plan(web_at("2")))) == Lines{"web@h1 upgraded"});
}

TEST_CASE(
    "failure: a version that does not validate is compensated in reverse, verified, and recorded as it was") {
  World world = deployed();
  const std::string before = world.transport.machines["h1"].manifest["web"];
  world.transport.faults["h1: validate web 2"] = fails("connection refused");
  const auto n = world.transport.log.size();
  const Report report = world.execute(world.plan(web_at("2")), {}, plain_replace);
  CHECK(since(world, n) == Lines{"h1: begin web 2", "h1: stop web 1", "h1: start web 2", "h1: validate web 2",
                                 "h1: stop web 2", "h1: start web 1", "h1: validate web 1", "h1: end web 2"});
  CHECK(world.journal.intents(0) == "b.0 begin web 2, t.1 stop web 1, t.3 start web 2, t.4 validate web 2, "
                                    "c2.0 stop web 2, c1.0 start web 1, v.0 validate web 1, e.0 end web 2");
  CHECK(outcomes(report) == Lines{"web@h1 rolled-back"});
  CHECK(has(step_of(report, "web", "h1").message, "validate web 2 failed: connection refused"));
  CHECK(step_of(report, "web", "h1").effects.at(2) == "validate web 2 ✗");
  CHECK(report.exit_status() == 3);
  CHECK(world.transport.machines["h1"].manifest["web"] == before);  // run, generation and time too
  CHECK(world.transport.machines["h1"].running["web"] == "1");
  CHECK(world.transport.sent_too_early.empty());
  CHECK(world.transport.requests.at(n + 4).idempotent);
  CHECK(world.transport.requests.at(n + 5).idempotent);
}

TEST_CASE("failure: the run halts: transitions under way finish, the rest is skipped and said why") {
  World world = deployed(6);
  world.transport.faults["h1: validate web 2"] = fails("no");
  const Report report = world.execute(world.plan(web_at("2", 6)), at_most(3));
  CHECK(outcomes(report) == Lines{"web@h1 rolled-back", "web@h2 upgraded", "web@h3 upgraded",
                                  "web@h4 skipped", "web@h5 skipped", "web@h6 skipped"});
  CHECK(has(report.halted, "web@h1 is rolled-back: validate web 2 failed: no"));
  CHECK(step_of(report, "web", "h4").message == "the run halted");
  CHECK(report.exit_status() == 3);
  CHECK(entry(world, "h4", "web").new_definition->version == "1");
  CHECK(has(report.to_text(), "1 rolled-back, 3 skipped"));
}

TEST_CASE("failure: from the moment that one fails nothing new starts, also when its host is lost in the "
          "rollback") {
  for (const bool is_lost : {false, true}) {
    World world = deployed(3);
    world.transport.faults["h1: validate web 2"] = fails("no");
    if (is_lost) world.transport.faults["h1: start web 1"] = lost();
    const Report report = world.execute(world.plan(web_at("2", 3)), at_most(2));
    CHECK(outcomes(report) ==
          Lines{is_lost ? "web@h1 unknown" : "web@h1 rolled-back", "web@h2 upgraded", "web@h3 skipped"});
    CHECK(report.halted == (is_lost ? "web@h1 failed: validate web 2 failed: no"
                                    : "web@h1 is rolled-back: validate web 2 failed: no"));
  }
}

TEST_CASE("failure: the other services of the host do not begin either") {
  World world;
  world.transport.faults["h1: validate a 1"] = fails("no");
  const Report report = world.deploy(site({{"front", {service("a", "1"), service("b", "1")}, {"h1"}}}));
  CHECK(outcomes(report) == Lines{"a@h1 rolled-back", "b@h1 skipped"});
  CHECK(!world.transport.machines["h1"].manifest.contains("b"));
}

TEST_CASE("failure: a compensation that fails ends it: roll-back-failed, a `failed` entry, exit 4") {
  World world = deployed();
  world.transport.faults = {{"h1: validate web 2", fails("no")}, {"h1: stop web 2", fails("it lingers")}};
  const auto n = world.transport.log.size();
  const Report report = world.deploy(web_at("2"));
  CHECK(since(world, n) == Lines{"h1: begin web 2", "h1: stop web 1", "h1: start web 2", "h1: validate web 2",
                                 "h1: stop web 2", "h1: end web 2"});
  CHECK(outcomes(report) == Lines{"web@h1 roll-back-failed"});
  CHECK(has(step_of(report, "web", "h1").message,
            "validate web 2 failed: no; rolling back failed: stop web 2 failed: it lingers"));
  CHECK(report.exit_status() == 4);
  CHECK(entry(world, "h1", "web").state == ManifestEntry::State::failed);
  CHECK(entry(world, "h1", "web").old_definition->version == "1");
}

TEST_CASE("failure: a rollback that does not validate is not reported as one") {
  World world = deployed();
  world.transport.faults = {{"h1: validate web 2", fails("no")}, {"h1: validate web 1", fails("neither")}};
  const Report report = world.deploy(web_at("2"));
  CHECK(outcomes(report) == Lines{"web@h1 roll-back-failed"});
  CHECK(has(step_of(report, "web", "h1").message,
            "after rolling back, web 1 does not validate: validate web 1 failed: neither"));
  CHECK(entry(world, "h1", "web").state == ManifestEntry::State::failed);
}

TEST_CASE("failure: a one-shot that ran to its end is not run again by a rollback") {
  const auto once = [](const std::string& version) {
    Service one = service("once", version);
    one.one_shot = true;
    one.start = one.stop = program({"once", version});
    return site({{"front", {one}, hosts(1)}});
  };
  World world;
  (void)world.deploy(once("1"));
  const auto n = world.transport.log.size();
  world.transport.faults["h1: start once 2"] = fails("no");
  CHECK(outcomes(world.deploy(once("2"))) == Lines{"once@h1 rolled-back"});
  for (std::size_t i = n; i < world.transport.log.size(); ++i)
    CHECK(world.transport.log[i] != "h1: start once 1");
}

TEST_CASE("failure: an install that fails leaves nothing: no process, no file, no entry") {
  Service web = service("web", "1");
  web.files = {{"/etc/web.conf", "x"}};
  World world;
  world.transport.faults["h1: validate web 1"] = fails("no");
  const Report report = world.deploy(site({{"front", {web}, {"h1"}}}));
  CHECK(outcomes(report) == Lines{"web@h1 rolled-back"});
  const auto& h1 = world.transport.machines["h1"];
  CHECK(h1.running.empty());
  CHECK(h1.files.empty());
  CHECK(h1.manifest.empty());
}

TEST_CASE("failure: an install whose new version can't be stopped says what is left") {
  World world;
  world.transport.faults = {{"h1: validate web 1", fails("no")}, {"h1: stop web 1", fails("it lingers")}};
  CHECK(outcomes(world.deploy(web_at("1"))) == Lines{"web@h1 roll-back-failed"});
  Service plain = service("web", "1");
  plain.start = program({"up"}), plain.stop = program({"down"}), plain.alive = program({"alive"});
  World other;
  other.transport.faults = {{"h1: validate web 1", fails("no")},
                            {"h1: run web 1 alive", succeeds()}};  // somebody started it again
  const Report report = other.deploy(site({{"front", {plain}, {"h1"}}}));
  CHECK(outcomes(report) == Lines{"web@h1 roll-back-failed"});
  CHECK(has(step_of(report, "web", "h1").message,
            "after rolling back, something of web 1 is left: web 1 still lives"));
}

TEST_CASE("failure: nothing was touched: unchanged, and the entry is put back") {
  World world = deployed();
  const std::string before = world.transport.machines["h1"].manifest["web"];
  const Report report = world.execute(world.plan(web_at("2")), {}, [](Context, Change) -> Transition {
    throw std::runtime_error("not today");
    co_return;
  });
  CHECK(outcomes(report) == Lines{"web@h1 unchanged"});
  CHECK(has(report.halted, "not today"));
  CHECK(world.transport.machines["h1"].manifest["web"] == before);
  CHECK(report.exit_status() == 3);
}

TEST_CASE("failure: when the host refuses to begin, nothing was touched") {
  World world = deployed();
  world.transport.faults["h1: begin web 2"] = fails("no space left on device");
  const auto n = world.transport.log.size();
  const Report report = world.deploy(web_at("2"));
  CHECK(since(world, n) == Lines{"h1: begin web 2"});
  CHECK(outcomes(report) == Lines{"web@h1 unchanged"});
  CHECK(has(step_of(report, "web", "h1").message, "begin web 2: no space left on device"));
}

TEST_CASE("lost: a host that is not there when it should begin is unreachable; others go on, what comes "
          "after is skipped") {
  World world;
  (void)world.deploy(two("1"));
  const Plan plan = world.plan(two("2"));
  world.transport.machines["d1"].reached = false;  // since the plan was made
  const Report report = world.execute(plan);
  CHECK(outcomes(report) ==
        Lines{"db@d1 unreachable", "db@d2 upgraded", "cache@c1 upgraded", "web@h1 skipped"});
  CHECK(step_of(report, "web", "h1").message == "it comes after db@d1, which is unreachable");
  CHECK(report.halted.empty());
  CHECK(report.exit_status() == 5);
}

TEST_CASE("lost: a host that did not answer when the plan was made is not tried") {
  World world;
  world.transport.machines["d1"].reached = false;
  const Report report = world.deploy(two("1"));
  CHECK(outcomes(report) ==
        Lines{"db@d1 unreachable", "db@d2 upgraded", "cache@c1 upgraded", "web@h1 skipped"});
  CHECK(world.transport.of("d1").empty());
  CHECK(report.unreachable == Lines{"d1"});
  CHECK(step_of(report, "db", "d1").message == "d1: no route to host");
  CHECK(world.journal.of<record::Ended>().size() == 4);
}

TEST_CASE(
    "lost: in mid-transition it is unknown, never failed; others go on, and its entry says `changing`") {
  World world;
  (void)world.deploy(two("1"));
  world.transport.faults["d1: start db 2"] = lost();
  const Report report = world.deploy(two("2"));
  CHECK(outcomes(report) == Lines{"db@d1 unknown", "db@d2 upgraded", "cache@c1 upgraded", "web@h1 skipped"});
  CHECK(step_of(report, "db", "d1").message == "the connection is gone (during: start db 2)");
  CHECK(report.halted.empty());
  CHECK(report.exit_status() == 4);
  CHECK(entry(world, "d1", "db").state == ManifestEntry::State::changing);
  CHECK(world.transport.of("d1").back() == "start db 2");  // nothing more is sent
  CHECK(world.journal.of<record::Ended>().size() == 3);    // it stays open
}

TEST_CASE("lost: at every single effect of a transition, a rollback included, the answer is unknown") {
  for (const char* effect : {"begin web 2", "stop web 1", "start web 2", "validate web 2", "stop web 2",
                             "start web 1", "validate web 1", "end web 2"}) {
    World world = deployed(2);
    world.transport.faults["h1: validate web 2"] = fails("no");
    world.transport.faults["h1: " + std::string(effect)] = lost();
    const Report report = world.execute(world.plan(web_at("2", 2)));
    INFO(effect);
    CHECK(step_of(report, "web", "h1").outcome == Outcome::unknown);
    CHECK(step_of(report, "web", "h2").outcome == Outcome::upgraded);
    CHECK(report.exit_status() == 4);
    world.transport.faults.clear();
    CHECK(world.deploy(web_at("2", 2)).exit_status() == 0);  // the next plan repairs
    CHECK(world.plan(web_at("2", 2)).empty());
  }
}

TEST_CASE("refused: a host that is held by somebody else is skipped, and the run halts") {
  World world = deployed(3);
  world.transport.faults["h1: begin web 2"] = refused();
  const Report report = world.execute(world.plan(web_at("2", 3)), at_most(1));
  CHECK(outcomes(report) == Lines{"web@h1 skipped", "web@h2 skipped", "web@h3 skipped"});
  CHECK(report.halted == "held by somebody");
  CHECK(report.exit_status() == 3);
}

TEST_CASE("fenced: who is displaced in the middle knows nothing more of that instance") {
  World world = deployed();
  world.transport.faults["h1: start web 2"] = fenced();
  const Report report = world.deploy(web_at("2"));
  CHECK(outcomes(report) == Lines{"web@h1 unknown"});
  CHECK(step_of(report, "web", "h1").message ==
        "h1: another deployment took the host over (during: start web 2)");
  CHECK(world.transport.of("h1").back() == "start web 2");
}

TEST_CASE("failure: an entry that can't be written at the end leaves the instance unknown, not upgraded") {
  World world = deployed();
  world.transport.faults["h1: end web 2"] = fails("no space left on device");
  const Report report = world.deploy(web_at("2"));
  CHECK(outcomes(report) == Lines{"web@h1 unknown"});
  CHECK(has(step_of(report, "web", "h1").message, "no space left"));
}

TEST_CASE("failure: files that can't be put back are said, and a removal that leaves them is none") {
  Service web = service("web", "1");
  web.files = {{"/etc/a", "x"}};
  World world;
  (void)world.deploy(site({{"front", {web}, {"h1"}}}));
  world.transport.faults["h1: files web none"] = fails("read-only file system");
  const Report report = world.deploy(site({{"front", {}, {"h1"}}}));
  CHECK(outcomes(report) == Lines{"web@h1 failed"});
  CHECK(has(step_of(report, "web", "h1").message, "read-only file system"));
  CHECK(entry(world, "h1", "web").state == ManifestEntry::State::failed);
}

TEST_CASE("failure: a record that can't be written changes nothing") {
  World world = deployed();
  Service web = service("web", "1");
  web.validate = program({"other"});
  world.transport.faults["h1: begin web 1"] = fails("no space left on device");
  const Report report = world.deploy(site({{"front", {web}, {"h1"}}}));
  CHECK(outcomes(report) == Lines{"web@h1 unchanged"});
}

TEST_CASE("failure: an error of many lines is there once in full; its line of the table has the first and "
          "the last") {
  World world = deployed();
  world.transport.faults["h1: validate web 2"] =
      fails("it did not succeed:\n  File x, line 3\nAddress in use\n");
  const std::string text = world.deploy(web_at("2")).to_text();
  CHECK(has(text, "failed: it did not succeed: … Address in use\n"));
  CHECK(has(text, "web@h1: validate web 2 failed: it did not succeed:\n  File x, line 3\nAddress in use\n"));
  CHECK(text.find("File x, line 3") == text.rfind("File x, line 3"));
}

TEST_CASE("failure: text of a host reaches no terminal as it is") {
  World world = deployed();
  world.transport.faults["h1: validate web 2"] = fails("\x1b[2J\nsecond line\x07");
  const Report report = world.deploy(web_at("2"));
  CHECK(!has(report.to_text(), "\x1b"));
  CHECK(!has(report.to_text(), "\x07"));
  CHECK(has(report.to_text(), "second line"));
  CHECK(!has(report.to_json(), "\x1b"));
}
