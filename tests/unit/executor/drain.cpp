// SPDX-License-Identifier: LGPL-3.0-or-later
// Draining: who uses a service holds back from it while it changes, and is let go again.
//
//   front@f1 ─┐                     front@f1, front@f2 connect to app
//   front@f2 ─┴─► app@a1            each is marked in its own manifest first, then told
#include <doctest/doctest.h>

#include <algorithm>

#include "unit/support/fakes.hpp"

using namespace tutti;
using namespace tutti::fake;

namespace {

using Lines = std::vector<std::string>;

Site shop(const std::string& app_version, const std::string& front_version = "1") {
  Service app = service("app", app_version);
  app.endpoints = {{"http", "8000"}};
  Service front = service("front", front_version);
  front.connections = {{.service = "app"}};
  front.drain = {"hold", Setting{"drained"}};
  front.undrain = {"release", Setting{"drained"}};
  return site({{"app", {app}, {"a1"}}, {"front", {front}, {"f1", "f2"}}});
}

std::map<std::string, std::string> marks(World& world, const std::string& host) {
  return ManifestEntry::from_json(world.transport.machines.at(host).manifest.at("front")).drained;
}
Lines hooks(const World& world, std::size_t n) {
  Lines found;
  for (std::size_t i = n; i < world.transport.requests.size(); ++i)
    if (const auto* run = world.transport.requests[i].as<effect::Run>())
      found.push_back(world.transport.log[i].substr(0, 4) + run->command.argv[0] + " " +
                      run->command.argv[1]);
  std::sort(found.begin(), found.end());
  return found;
}
std::size_t place(const World& world, const std::string& line) {
  return static_cast<std::size_t>(std::find(world.transport.log.begin(), world.transport.log.end(), line) -
                                  world.transport.log.begin());
}

}  // namespace

TEST_CASE(
    "drain: consumers are told the address, before the old service stops and after the new one validates") {
  World world;
  (void)world.deploy(shop("1"));
  const auto n = world.transport.log.size();
  std::map<std::string, std::string> while_stopped;
  world.transport.on_answer = [&](const std::string& line) {
    if (line == "a1: stop app 1") while_stopped = marks(world, "f2");
  };
  CHECK(world.deploy(shop("2")).exit_status() == 0);
  CHECK(while_stopped == std::map<std::string, std::string>{{"app@a1", "a1:8000"}});
  CHECK(hooks(world, n) ==
        Lines{"f1: hold a1:8000", "f1: release a1:8000", "f2: hold a1:8000", "f2: release a1:8000"});
  CHECK(place(world, "f1: run front 1 drain") < place(world, "a1: stop app 1"));
  CHECK(place(world, "f2: run front 1 drain") < place(world, "a1: stop app 1"));
  CHECK(place(world, "a1: validate app 2") < place(world, "f1: run front 1 undrain"));
  CHECK(marks(world, "f1").empty());
  CHECK(marks(world, "f2").empty());
  CHECK(world.plan(shop("2")).empty());
}

TEST_CASE("drain: the entries that were rewritten are there once, and as they were") {
  World world;
  (void)world.deploy(shop("1"));
  const std::string before = world.transport.machines["f1"].manifest["front"];
  (void)world.deploy(shop("2"));
  CHECK(world.transport.machines["f1"].manifest["front"] == before);
  for (const HostReading& reading : world.readings) CHECK(reading.entries.size() == 1);
}

TEST_CASE("drain: a consumer that changes in the same run keeps its time") {
  World world;
  (void)world.deploy(shop("1"));
  const double before = world.clock.now();
  Site changed = shop("2");
  changed.host_classes[1].services[0].validate = {"true", "again"};  // of the front only its handling
  CHECK(world.deploy(changed).exit_status() == 0);
  for (const char* host : {"f1", "f2"})
    CHECK(ManifestEntry::from_json(world.transport.machines.at(host).manifest.at("front")).time >= before);
}

TEST_CASE("drain: on an install nobody is told, nor is who has no drain program") {
  World world;
  const Report report = world.deploy(shop("1"));
  CHECK(hooks(world, 0).empty());
  for (const StepReport& step : report.steps)
    for (const std::string& effect : step.effects) CHECK_FALSE(has(effect, "drain"));
}

TEST_CASE("drain: when the transition fails consumers are let go last, and the marks with them") {
  World world;
  (void)world.deploy(shop("1"));
  world.transport.faults["a1: validate app 2"] = fails("no answer");
  const auto n = world.transport.log.size();
  CHECK(step_of(world.deploy(shop("2")), "app", "a1").outcome == Outcome::rolled_back);
  CHECK(hooks(world, n) ==
        Lines{"f1: hold a1:8000", "f1: release a1:8000", "f2: hold a1:8000", "f2: release a1:8000"});
  const auto& log = world.transport.log;
  const auto restarted =
      std::find(log.begin() + static_cast<std::ptrdiff_t>(n), log.end(), "a1: start app 1");
  CHECK(std::find(log.begin() + static_cast<std::ptrdiff_t>(n), log.end(), "f1: run front 1 undrain") >
        restarted);
  CHECK(marks(world, "f1").empty());
}

TEST_CASE("drain: a consumer that can't hold back fails the transition; the others are let go") {
  World world;
  (void)world.deploy(shop("1"));
  world.transport.faults["f2: run front 1 drain"] = fails("still busy");
  const auto n = world.transport.log.size();
  const Report report = world.deploy(shop("2"));
  CHECK(step_of(report, "app", "a1").outcome == Outcome::rolled_back);
  CHECK(has(step_of(report, "app", "a1").message, "f2"));
  CHECK(has(step_of(report, "app", "a1").message, "still busy"));
  CHECK(world.transport.machines["a1"].running["app"] == "1");
  CHECK(marks(world, "f1").empty());
  CHECK(marks(world, "f2").empty());
  CHECK(hooks(world, n).size() == 4);
}

TEST_CASE("drain: a consumer whose host can't be reached is passed over, and said") {
  World world;
  (void)world.deploy(shop("1"));
  const Plan plan = world.plan(shop("2"));
  world.transport.faults["f2: end front 1"] = unreachable();
  CHECK(world.execute(plan).exit_status() == 0);
  CHECK(std::any_of(world.told.begin(), world.told.end(),
                    [](const std::string& line) { return has(line, "f2 could not be reached"); }));
}

TEST_CASE("drain: a consumer that is lost meanwhile leaves the step unknown, and nothing is stopped") {
  World world;
  (void)world.deploy(shop("1"));
  world.transport.faults["f2: run front 1 drain"] = lost();
  const Report report = world.deploy(shop("2"));
  CHECK(step_of(report, "app", "a1").outcome == Outcome::unknown);
  CHECK(world.transport.machines["a1"].running["app"] == "1");
}

TEST_CASE("drain: what a run that ended held back is let go by the next, after what it is about") {
  World world;
  (void)world.deploy(shop("1"));
  world.transport.faults["a1: start app 2"] = lost();
  CHECK(world.deploy(shop("2")).exit_status() == 4);
  CHECK(marks(world, "f1").size() == 1);
  world.transport.faults.clear();
  const Plan plan = world.plan(shop("2"));
  const Lines planned = actions(plan);
  CHECK(planned == Lines{"repair app@a1", "undrain front@f1", "undrain front@f2"});
  CHECK(comes_after(plan, id_of(plan, "front", "f1"), id_of(plan, "app", "a1")));
  CHECK(world.execute(plan).exit_status() == 0);
  CHECK(marks(world, "f1").empty());
  CHECK(marks(world, "f2").empty());
  CHECK(world.plan(shop("2")).empty());
}

TEST_CASE("drain: marks that nothing else touches are let go by a step of their own") {
  World world;
  (void)world.deploy(shop("1"));
  ManifestEntry entry = ManifestEntry::from_json(world.transport.machines["f1"].manifest["front"]);
  entry.drained["app@a1"] = "a1:8000";
  world.transport.machines["f1"].manifest["front"] = entry.to_json();
  const auto n = world.transport.log.size();
  CHECK(outcomes(world.deploy(shop("1"))) == Lines{"front@f1 upgraded"});
  CHECK(hooks(world, n) == Lines{"f1: release a1:8000"});
  CHECK(marks(world, "f1").empty());
}

TEST_CASE("drain: a repair drains before it stops what an ended run left over") {
  World world;
  (void)world.deploy(shop("1"));
  world.transport.faults["a1: end app 2"] = lost();  // it is up, and in use; nobody knows
  CHECK(world.deploy(shop("2")).exit_status() == 4);
  world.transport.faults.clear();
  const auto n = static_cast<std::ptrdiff_t>(world.transport.log.size());
  CHECK(world.deploy(shop("2")).exit_status() == 0);
  const auto& log = world.transport.log;
  const auto drained = std::find(log.begin() + n, log.end(), "f1: run front 1 drain");
  const auto stopped = std::find(log.begin() + n, log.end(), "a1: stop app 2");
  CHECK(drained != log.end());
  CHECK(stopped != log.end());
  CHECK(drained < stopped);
}
