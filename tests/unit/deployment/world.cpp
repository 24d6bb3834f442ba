// SPDX-License-Identifier: LGPL-3.0-or-later
// A whole site through Deployment in a world that is not there: hosts that answer in virtual time, a clock
// that is played. Nothing is on disk but the state file.
#include <tutti/deployment.hpp>

#include <doctest/doctest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>

#include "support/json.hpp"
#include "unit/support/fakes.hpp"

using namespace tutti;
using namespace tutti::fake;
namespace fs = std::filesystem;

namespace {

using Lines = std::vector<std::string>;

/// The same bytes again and again.
class FixedEntropy final : public Entropy {
 public:
  [[nodiscard]] std::string bytes(std::size_t count) override { return std::string(count, '\x2a'); }
};

struct Played {
  Played() {
    char name[] = "/tmp/tutti-world.XXXXXX";
    path = ::mkdtemp(name);
    state = std::make_unique<State>(path / "state.db", clock, entropy);
  }
  ~Played() {
    state.reset();
    fs::remove_all(path);
  }
  Played(const Played&) = delete;
  Played& operator=(const Played&) = delete;

  [[nodiscard]] Deployment open(const Site& site) {
    return {site, look_up(site), {.state = *state, .transport = transport, .clock = clock}};
  }
  fs::path path;
  FakeClock clock;
  FixedEntropy entropy;
  FakeJournal nothing;  // the state's own is used
  RecordingTransport transport{clock, nothing};
  std::unique_ptr<State> state;
};

Site shop(const std::string& version) {
  Site made = fake::site({{"data", {service("db", version)}, {"d1"}},
                          {"front", {service("web", version, {"db"})}, {"h1", "h2"}}});
  made.policy = at_most(1);
  return made;
}

}  // namespace

TEST_CASE("world: a site is deployed through the state, the transport and the clock that it was given") {
  Played world;
  {
    Deployment deployment = world.open(shop("1"));
    const Report report = deployment.execute(deployment.plan());
    CHECK(outcomes(report) == Lines{"db@d1 upgraded", "web@h1 upgraded", "web@h2 upgraded"});
    CHECK(world.transport.machines["h2"].running["web"] == "1");
    CHECK(deployment.plan().empty());
  }
  world.transport.faults["h2: validate web 2"] = fails("no answer");
  Deployment deployment = world.open(shop("2"));
  const Report report = deployment.execute(deployment.plan());
  CHECK(outcomes(report) == Lines{"db@d1 upgraded", "web@h1 upgraded", "web@h2 rolled-back"});
  CHECK(world.transport.machines["h1"].running["web"] == "2");
  CHECK(world.transport.machines["h2"].running["web"] == "1");
  CHECK(world.transport.machines["d1"].running["db"] == "2");

  const std::vector<Generation> history = world.state->history();
  REQUIRE(history.size() == 2);
  CHECK(history[0].status == "incomplete");
  CHECK(history[1].status == "complete");
  CHECK(history[1].started >= 1000);  // of the clock that is played
  CHECK(history[1].ended < 1100);
  CHECK(world.state->lineage() == "2a2a2a2a2a2a2a2a");
}

TEST_CASE("world: the time is the one that is played") {
  Played world;
  Deployment deployment = world.open(shop("1"));
  (void)deployment.execute(deployment.plan());
  world.clock.time += 3 * 86400;
  const Status status = deployment.status();
  CHECK(status.time == world.clock.time);
  CHECK(has(status.to_text(), "3 days"));
}

TEST_CASE("world: status, history and progress are JSON for programs") {
  Played world;
  Deployment deployment = world.open(shop("1"));
  Lines told;
  (void)deployment.execute(deployment.plan(), [&](const Progress& one) { told.push_back(to_json(one)); });
  world.transport.machines["h1"].running.clear();
  world.transport.machines["h2"].reached = false;
  const Json status = Json::parse(deployment.status().to_json());
  CHECK(status.at("format_version") == 1);
  CHECK(status.at("site") == "shop");
  CHECK(status.at("time") == world.clock.time);
  CHECK(status.at("unfinished").is_null());
  const Json& hosts = status.at("hosts");
  REQUIRE(hosts.size() == 3);
  const Json& db = hosts[0].at("entries").at(0);
  CHECK(hosts[0].at("class") == "data");
  CHECK(db.at("service") == "db");
  CHECK(db.at("state") == "deployed");
  CHECK(db.at("life") == "alive");
  CHECK(db.at("new_version") == "1");
  CHECK(db.at("run") == 1);
  CHECK(hosts[1].at("entries").at(0).at("life") == "dead");
  CHECK(hosts[2].at("reached") == false);
  CHECK(hosts[2].at("why") == "h2: no route to host");

  const Json run = Json::parse(to_json(world.state->history().at(0)));
  CHECK(run.at("number") == 1);
  CHECK(run.at("status") == "complete");
  CHECK(std::count(told.begin(), told.end(),
                   R"({"host":"d1","kind":"outcome","outcome":"upgraded","service":"db","text":""})") == 1);
}

TEST_CASE("world: effects act on a host outside of a run, and no plan is executed meanwhile") {
  Played world;
  Deployment deployment = world.open(shop("1"));
  const Plan plan = deployment.plan();
  const Request hello{.effect = effect::Run{command("hello")}};
  {
    OnHost on_host = deployment.on_host();
    CHECK(on_host.perform("h1", hello).succeeded);
    const std::string first = on_host.last_token();
    world.transport.faults["h1: run hello"] = fails("no such program", 127);
    const Result failed = on_host.perform("h1", hello);
    CHECK(!failed.succeeded);
    CHECK(failed.error == "no such program");
    CHECK(on_host.last_token() != first);
    world.transport.faults["h1: run hello"] = lost();
    CHECK(code_of([&] { (void)on_host.perform("h1", hello); }) == ErrorCode::lost);
    CHECK(error_of([&] { (void)on_host.perform("h9", hello); }).starts_with("no host 'h9' in the fleet."));
    CHECK(code_of([&] { (void)deployment.execute(plan); }) == ErrorCode::misuse);
    State other(world.path / "state.db");
    CHECK(code_of([&] { other.hold("deploying"); }) == ErrorCode::locked);
  }
  CHECK(world.transport.of("h1") == Lines{"run hello", "run hello", "run hello"});
  CHECK(deployment.execute(plan).exit_status() == 0);
}

TEST_CASE("world: an error says what may be done, in words that are no command's") {
  Played world;
  Deployment deployment = world.open(shop("1"));
  const Plan plan = deployment.plan();
  CHECK_THROWS_AS((void)deployment.execute(plan, [](const Progress&) { throw 7; }), Error);
  try {
    (void)deployment.execute(plan);
    FAIL("a run that was not finished does not lock the site");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::locked);
    CHECK(error.remedy() == Remedy::abandon);
    CHECK(has(error.what(), "was not finished: abandon it, which touches no host"));
    CHECK(!has(error.what(), "tutti "));
  }
  (void)deployment.abandon();
  CHECK(deployment.execute(deployment.plan()).exit_status() == 0);
}

TEST_CASE("world: a deployment that was moved goes on") {
  Played world;
  Deployment first = world.open(shop("1"));
  const Plan plan = first.plan();
  Deployment second = std::move(first);
  CHECK(second.execute(plan).exit_status() == 0);
  Deployment third = world.open(shop("2"));
  third = std::move(second);
  CHECK(third.plan().empty());
}

TEST_CASE("world: a site is checked without hosts and without a state file") {
  Played world;
  const fs::path file = world.path / "none.db";
  const Deployment deployment = Deployment::open_late(shop("1"), file);
  const Plan plan = deployment.check();
  CHECK(actions(plan) == Lines{"install db@d1", "install web@h1", "install web@h2"});
  CHECK(plan.waves.size() == 3);
  CHECK(!fs::exists(file));
  CHECK(code_of([&] { (void)Deployment::open(shop("1"), ""); }) == ErrorCode::misuse);
}
