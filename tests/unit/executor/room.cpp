// SPDX-License-Identifier: LGPL-3.0-or-later
// What goes makes room for what comes on its host; when that fails, it is there again.
#include <doctest/doctest.h>

#include <algorithm>

#include "unit/support/fakes.hpp"

using namespace tutti;
using namespace tutti::fake;

namespace {

using Lines = std::vector<std::string>;
using Running = std::map<std::string, std::string>;

/// web on each host.
Site before(int n = 1) { return site({{"front", {service("web", "1")}, hosts(n)}}); }
/// app in its place: the same under a new name.
Site after(int n = 1) { return site({{"front", {service("app", "1")}, hosts(n)}}); }
World deployed(int n = 1) {
  World world;
  CHECK(world.deploy(before(n)).exit_status() == 0);
  return world;
}
ManifestEntry entry(World& world, const std::string& service) {
  return ManifestEntry::from_json(world.transport.machines.at("h1").manifest.at(service));
}

}  // namespace

TEST_CASE("room: what was removed leaves the manifest once what came in its place is there") {
  World world = deployed();
  const std::size_t n = world.transport.log.size();
  bool is_changing = false;
  world.transport.on_answer = [&](const std::string& what) {
    if (what == "h1: start app 1") is_changing = entry(world, "web").state == ManifestEntry::State::changing;
  };
  const Report report = world.execute(world.plan(after()));
  CHECK(outcomes(report) == Lines{"web@h1 upgraded", "app@h1 upgraded"});
  CHECK(report.sums() == "1 upgraded, 1 removed");
  CHECK(is_changing);
  CHECK(world.transport.machines["h1"].running == Running{{"app", "1"}});
  CHECK(world.transport.machines["h1"].manifest.size() == 1);
  const Lines log(world.transport.log.begin() + static_cast<std::ptrdiff_t>(n), world.transport.log.end());
  CHECK(log == Lines{"h1: begin web 1", "h1: stop web 1", "h1: begin app 1", "h1: start app 1",
                     "h1: validate app 1", "h1: end app 1", "h1: end web 1"});
  CHECK(world.plan(after()).empty());
}

TEST_CASE("room: when what came fails, what was removed is started again, and verified") {
  World world = deployed(2);
  world.transport.faults["h1: validate app 1"] = fails("no such table");
  const Report report = world.execute(world.plan(after(2)), at_most(1));
  CHECK(outcomes(report) ==
        Lines{"web@h1 rolled-back", "app@h1 rolled-back", "web@h2 skipped", "app@h2 skipped"});
  CHECK(has(step_of(report, "web", "h1").message, "it made room for app@h1, which is rolled-back"));
  CHECK(has(report.halted, "app@h1 is rolled-back: "));
  CHECK(report.exit_status() == 3);
  for (const char* host : {"h1", "h2"})
    CHECK(world.transport.machines[host].running == Running{{"web", "1"}});
  CHECK(entry(world, "web").state == ManifestEntry::State::deployed);
  CHECK(world.plan(before(2)).empty());
}

TEST_CASE(
    "room: the files of what was removed are away when the other one starts, and there when it is back") {
  Service web = service("web", "1"), app = service("app", "1");
  web.files = {{"/etc/conf.d/web", "of web"}, {"/etc/both", "of web"}};
  app.files = {{"/etc/conf.d/app", "of app"}, {"/etc/both", "of app"}};
  const Site one = site({{"front", {web}, {"h1"}}}), other = site({{"front", {app}, {"h1"}}});
  World world;
  (void)world.deploy(one);
  auto& files = world.transport.machines["h1"].files;
  const auto at_first = files;
  std::map<std::string, std::string> seen;
  world.transport.on_answer = [&](const std::string& what) {
    if (what == "h1: start app 1") seen = files;
  };
  world.transport.faults["h1: validate app 1"] = fails("no such table");
  CHECK(world.execute(world.plan(other)).exit_status() == 3);
  CHECK(seen.size() == 2);
  CHECK(!seen.contains("/etc/conf.d/web"));
  CHECK(files == at_first);
  world.transport.faults.clear();
  CHECK(world.execute(world.plan(other)).exit_status() == 0);
  CHECK(files.size() == 2);
  CHECK(files.at("/etc/both") != at_first.at("/etc/both"));
}

TEST_CASE("room: when that can't be started again, the report says so") {
  World world = deployed();
  world.transport.faults["h1: start app 1"] = fails("the port is taken");
  world.transport.faults["h1: start web 1"] = fails("the disk is gone");
  const Report report = world.execute(world.plan(after()));
  CHECK(outcomes(report) == Lines{"web@h1 roll-back-failed", "app@h1 rolled-back"});
  CHECK(report.exit_status() == 4);
  CHECK(entry(world, "web").state == ManifestEntry::State::failed);
}

TEST_CASE("room: beside what may be left of what came, what was removed is not started") {
  World world = deployed();
  world.transport.faults["h1: validate app 1"] = fails("no such table");
  world.transport.faults["h1: stop app 1"] = fails("it does not end");
  const Report report = world.execute(world.plan(after()));
  CHECK(outcomes(report) == Lines{"web@h1 roll-back-failed", "app@h1 roll-back-failed"});
  CHECK(has(step_of(report, "web", "h1").message, "it was not started again, and nobody knows what runs"));
  CHECK(report.exit_status() == 4);
  CHECK(std::count(world.transport.log.begin(), world.transport.log.end(), "h1: start web 1") == 1);
}

TEST_CASE(
    "room: what becomes of what was removed is unknown when that of what came is; the next deploy repairs") {
  World world = deployed();
  world.transport.faults["h1: start app 1"] = lost();
  const Report report = world.execute(world.plan(after()));
  CHECK(outcomes(report) == Lines{"web@h1 unknown", "app@h1 unknown"});
  CHECK(report.exit_status() == 4);
  world.transport.faults.clear();
  CHECK(world.execute(world.plan(after())).exit_status() == 0);
  CHECK(world.transport.machines["h1"].running == Running{{"app", "1"}});
  CHECK(world.transport.machines["h1"].manifest.size() == 1);
}

TEST_CASE("room: when the run halts before anything came, what was removed is started again") {
  //  h1 and h2 at once; db of h2 can't begin, while web of h1 is being stopped
  World world;
  const auto shop = [](const std::string& front, const std::string& data) {
    return site({{"front", {service(front, "1")}, {"h1"}}, {"data", {service("db", data)}, {"h2"}}});
  };
  (void)world.deploy(shop("web", "1"));
  world.transport.faults["h2: begin db 2"] = fails("the disk is full");
  const Report report = world.execute(world.plan(shop("app", "2")));
  CHECK(step_of(report, "web", "h1").outcome == Outcome::rolled_back);
  CHECK(step_of(report, "app", "h1").outcome == Outcome::skipped);
  CHECK(world.transport.machines["h1"].running == Running{{"web", "1"}});
}

TEST_CASE("room: an interrupt lets the removal end, and nothing comes") {
  World world = deployed();
  Executor* executor = nullptr;
  world.on_executor = [&](Executor& one) { executor = &one; };
  world.transport.on_answer = [&](const std::string& what) {
    if (what == "h1: stop web 1") executor->interrupt();
  };
  const Report report = world.execute(world.plan(after()));
  CHECK(step_of(report, "app", "h1").outcome == Outcome::skipped);
  CHECK(step_of(report, "web", "h1").outcome == Outcome::upgraded);
  CHECK(world.transport.machines["h1"].manifest.empty());
}

TEST_CASE("room: of several that come, one that fails brings back what was removed, and all is said") {
  World world = deployed();
  world.transport.faults["h1: validate b 1"] = fails("no");
  const Site shop = site({{"front", {service("a", "1"), service("b", "1")}, {"h1"}}});
  const Report report = world.execute(world.plan(shop));
  CHECK(outcomes(report) == Lines{"web@h1 rolled-back", "a@h1 upgraded", "b@h1 rolled-back"});
  CHECK(world.transport.machines["h1"].running == Running{{"a", "1"}, {"web", "1"}});
  world.transport.faults.clear();
  CHECK(world.execute(world.plan(shop)).exit_status() == 0);
  CHECK(world.transport.machines["h1"].running == Running{{"a", "1"}, {"b", "1"}});
}

TEST_CASE("room: many that go and come on one host end all") {
  const auto named = [](const std::string& prefix) {
    std::vector<Service> all;
    for (int i = 0; i < 5; ++i) all.push_back(service(prefix + std::to_string(i), "1"));
    return site({{"x", all, hosts(3)}});
  };
  World world;
  (void)world.deploy(named("a"));
  world.transport.most_unavailable = 0;
  CHECK(world.execute(world.plan(named("z")), at_most(1)).exit_status() == 0);
  CHECK(world.transport.most_unavailable == 1);
  CHECK(world.plan(named("z")).empty());
  world.transport.faults["h2: start a3 1"] = fails("no");
  const Report report = world.execute(world.plan(named("a")), at_most(1));
  CHECK(step_of(report, "z4", "h1").outcome == Outcome::upgraded);
  for (int i = 0; i < 5; ++i)
    CHECK(step_of(report, "z" + std::to_string(i), "h2").outcome == Outcome::rolled_back);
  CHECK(step_of(report, "z0", "h3").outcome == Outcome::skipped);
  CHECK(report.exit_status() == 3);
}
