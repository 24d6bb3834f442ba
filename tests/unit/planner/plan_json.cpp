// SPDX-License-Identifier: LGPL-3.0-or-later
// A plan that is written and read back.
#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>

#include "support/json.hpp"
#include "unit/support/fakes.hpp"

using namespace tutti;
using namespace tutti::fake;

namespace {

/// Version 1 of three services runs, one of them dead and one left half-done; a host does not answer, and
/// what goes, changes, comes and is let go is planned for.
Plan plan_with_everything() {
  World world;
  Service db = service("db", "1"), app = service("app", "1", {"db"}), old = service("old", "1", {"db"});
  app.files = {
      {.path = "/etc/app.conf", .content = plain_file("app.conf", "one\n"), .mode = 0640, .owner = "app"}};
  app.drain = program({"true"});
  app.undrain = program({"true"});
  app.endpoints = {{"http", "8080"}};
  (void)world.deploy(site({{"data", {db}, {"d1"}}, {"front", {app, old}, {"h1", "h2", "h3"}}}));

  db.version = "2";
  app.version = "2 \"quoted\" ümlaut";
  app.files[0].content = plain_file("app.conf", "two\n");
  Site next = site({{"data", {db}, {"d1"}}, {"front", {app, service("new", "1")}, {"h1", "h2", "h3"}}});
  next.source = {{"shop.scm", "(site …)\n"}, {"parts/app.scm", "(service …)\n"}};
  next.policy = all_of({at_most(2), at_most_percent(30)});
  Plan plan = world.plan(next);

  // What the fake hosts do not come to say.
  HostReading& h1 = plan.readings.at("h1");
  h1.fence = {.lineage = "0123456789abcdef", .epoch = 7, .holder = "root@here"};
  h1.nonce = "a-nonce";
  h1.name = "h1-as-it-was";
  h1.paths = {{"/etc/app.conf", {.what = Found::What::file}},
              {"/etc/other.conf", {.what = Found::What::site, .service = "a", .site = "one"}}};
  REQUIRE(!h1.entries.empty());
  h1.entries[0].life = HostReading::Life::dead;
  h1.entries[0].upkeep = {.keeper = "systemd",
                          .restarts = 9,
                          .recent = 6,
                          .last = 3,
                          .boot = false,
                          .note = "its unit is masked"};
  h1.entries[0].entry.state = ManifestEntry::State::changing;
  h1.entries[0].entry.old_definition = std::make_shared<Definition>(*h1.entries[0].entry.new_definition);
  h1.entries[0].entry.drained = {{"db@d1", "d1:5432"}};
  HostReading& h2 = plan.readings.at("h2");
  h2 = {.host = "h2", .reached = false, .why = "h2: no route to host"};
  plan.fleet.hosts[0].address = "10.0.0.1";
  plan.fleet.hosts[0].port = 2222;
  plan.fleet.hosts[0].user = "admin";
  plan.fleet.hosts[0].become = "sudo";
  plan.fleet.hosts[0].labels = {{"datacenter", "north"}};
  plan.steps[0].unreachable = true;
  plan.steps[0].keeps_anew = true;
  plan.steps[0].left_over = plan.steps[0].new_definition;
  plan.notes.push_back("a note");
  plan.waves = {{StepId{0}, StepId{1}}, {StepId{2}}};
  return plan;
}

}  // namespace

TEST_CASE("plan: what to_json wrote is read back equal, with everything in it") {
  const Plan plan = plan_with_everything();
  const std::string text = plan.to_json();
  const Plan back = plan_from_json(text);
  CHECK(back == plan);
  CHECK(back.to_json() == text);
  CHECK(back.to_text() == plan.to_text());
  REQUIRE(!plan.items.empty());
  CHECK(back.items.begin()->second == nullptr);  // named only
}

TEST_CASE("plan: a run keeps its plan, with everything in it, and gives it back equal") {
  char name[] = "/tmp/tutti-plan.XXXXXX";
  const std::filesystem::path folder = ::mkdtemp(name);
  const Plan plan = plan_with_everything();
  {
    State state(folder / "state.db");
    const int run = state.begin_run(plan.to_json(), "", "", 0, 1);
    CHECK(plan_from_json(state.plan_of(run)) == plan);
  }
  std::filesystem::remove_all(folder);
}

TEST_CASE("plan: an empty one is read back equal") {
  World world;
  const Plan plan = world.plan(site({}));
  CHECK(plan_from_json(plan.to_json()) == plan);
}

TEST_CASE("plan: equality sees every member") {
  const Plan plan = plan_with_everything();
  const auto differs = [&](auto&& change) {
    Plan other = plan;
    change(other);
    return !(other == plan) && !(plan_from_json(other.to_json()) == plan);
  };
  CHECK(differs([](Plan& p) { p.site = "other"; }));
  CHECK(differs([](Plan& p) { p.generation = 99; }));
  CHECK(differs([](Plan& p) { p.steps[1].was_alive = !p.steps[1].was_alive; }));
  CHECK(differs([](Plan& p) { p.steps[0].left_over = nullptr; }));
  CHECK(differs([](Plan& p) { p.edges[0].why = "other"; }));
  CHECK(differs([](Plan& p) { p.edges[0].makes_room = !p.edges[0].makes_room; }));
  CHECK(differs([](Plan& p) { p.readings.at("h1").name.clear(); }));
  CHECK(differs([](Plan& p) { p.readings.at("h1").paths.clear(); }));
  CHECK(differs([](Plan& p) { p.waves.pop_back(); }));
  CHECK(differs([](Plan& p) { p.source.begin()->second = "other"; }));
  CHECK(differs([](Plan& p) { p.items.erase(p.items.begin()); }));
  CHECK(differs([](Plan& p) { p.readings.at("h1").entries[0].entry.drained.clear(); }));
  CHECK(differs([](Plan& p) { p.readings.at("h1").fence.epoch = 8; }));
  CHECK(differs([](Plan& p) { p.fleet.hosts[0].labels["rack"] = "1"; }));
}

TEST_CASE("plan: what is no plan is refused with a sentence") {
  const std::string text = plan_with_everything().to_json();
  const auto refused = [&](auto&& change) {
    Json json = Json::parse(text);
    change(json);
    return error_of([&] { (void)plan_from_json(json.dump()); });
  };
  CHECK(has(error_of([] { (void)plan_from_json("{"); }), "plan"));
  CHECK(has(refused([](Json& j) { j["format_version"] = 9; }), "a plan of format 9 was met"));
  CHECK(has(refused([](Json& j) { j.erase("definitions"); }), "older Tutti"));
  CHECK(has(refused([](Json& j) { j["steps"][0]["host"] = "ghost"; }),
            "on host 'ghost', which is not in its fleet"));
  CHECK(has(refused([](Json& j) { j["edges"][0]["before"] = 99; }), "there is no step 99"));
  CHECK(has(refused([](Json& j) { j["waves"][0][0] = 99; }), "there is no step 99"));
  CHECK(has(refused([](Json& j) { j["steps"][0]["new"] = "none"; }), "there is no definition"));
  CHECK(has(refused([](Json& j) { j["steps"][0]["action"] = "explode"; }), "action 'explode'"));
  CHECK(has(refused([](Json& j) { j["hosts"].push_back(j["hosts"][0]); }), "stands twice"));
}
