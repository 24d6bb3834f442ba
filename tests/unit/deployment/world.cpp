// A whole site through Deployment in a world that is not there: hosts that answer in virtual time, a clock
// that is played. Nothing is on disk but the state file.
#include <tutti/deployment.hpp>

#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>

#include "unit/support/fakes.hpp"

using namespace tutti;
using namespace tutti::fake;
namespace fs = std::filesystem;

namespace {

using Lines = std::vector<std::string>;

struct Played {
  Played() {
    char name[] = "/tmp/tutti-world.XXXXXX";
    path = ::mkdtemp(name);
    state = std::make_unique<State>(path / "state.db");
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
  FakeJournal nothing;  // the state's own is used
  FakeTransport transport{clock, nothing};
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
