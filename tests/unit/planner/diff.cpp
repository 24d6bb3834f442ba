// SPDX-License-Identifier: LGPL-3.0-or-later
// What has to happen to each instance, and why.
#include <doctest/doctest.h>

#include "unit/support/fakes.hpp"

using namespace tutti;
using namespace tutti::fake;

namespace {

using Lines = std::vector<std::string>;

/// web on h1, with whatever is changed of it.
template <class F> Site one(F change) {
  Service web = service("web", "1");
  change(web);
  return site({{"front", {web}, {"h1"}}});
}
Site web_at(const std::string& version) {
  return one([&](Service& s) { s.version = version; });
}
const Step& only(const Plan& plan) {
  REQUIRE(plan.steps.size() == 1);
  return plan.steps[0];
}
/// A world where version 1 runs.
World deployed() {
  World world;
  CHECK(outcomes(world.deploy(web_at("1"))) == Lines{"web@h1 upgraded"});
  return world;
}

}  // namespace

TEST_CASE("diff: what is not there is installed") {
  World world;
  const Plan plan = world.plan(web_at("1"));
  CHECK(only(plan).action == Action::install);
  CHECK(only(plan).why == "it is not there");
  CHECK(only(plan).transition == "replace-service");
  CHECK(only(plan).transition_from == Origin::built_in);
  CHECK(!only(plan).old_definition);
}

TEST_CASE("diff: what is there, alive and the same is kept, and yields no step") {
  World world = deployed();
  const Plan plan = world.plan(web_at("1"));
  CHECK(plan.empty());
  CHECK(plan.to_text() == "plan for shop: nothing to do\n");
  CHECK(plan.generation == 1);
}

TEST_CASE("diff: another version is an upgrade that holds both definitions") {
  World world = deployed();
  const Plan plan = world.plan(web_at("2"));
  CHECK(only(plan).action == Action::upgrade);
  CHECK(only(plan).why == "version 1 → 2");
  CHECK(only(plan).old_definition->version == "1");
  CHECK(only(plan).new_definition->version == "2");
}

TEST_CASE("diff: the same version with another content is an upgrade that says what changed") {
  World world = deployed();
  const Plan plan = world.plan(one([](Service& s) {
    s.environment = {{"A", "b"}};
    s.start = daemon({"/opt/web", "-v"});
  }));
  CHECK(only(plan).action == Action::upgrade);
  CHECK(only(plan).why == "version 1 as before, but changed: start, environment");
}

TEST_CASE("diff: the site's own transition is taken, and said to be the site's") {
  World world = deployed();
  const Plan plan = world.plan(one([](Service& s) {
    s.version = "2";
    s.switch_to_service = TransitionProcedure(std::string("switch-web"));
  }));
  CHECK(only(plan).transition == "switch-web");
  CHECK(only(plan).transition_from == Origin::site);
}

TEST_CASE("diff: only the content of files changed: reload, where the service can") {
  const auto with = [](const std::string& text, bool can_reload) {
    return one([&](Service& s) {
      s.files = {{"/etc/web.conf", text}};
      if (can_reload) s.reload = program({"reload"});
    });
  };
  World world;
  (void)world.deploy(with("a", true));
  Plan plan = world.plan(with("b", true));
  CHECK(only(plan).action == Action::reload);
  CHECK(only(plan).transition == "reload-service");
  CHECK(only(plan).why == "only files changed, and it can reload");
  plan =
      world.plan(with("b", false));  // the reload program is handling data; without it, there is a transition
  CHECK(only(plan).action == Action::upgrade);
  CHECK(has(only(plan).why, "changed: files"));
  world.transport.machines["h1"].running.clear();  // what is dead can't reload
  CHECK(only(world.plan(with("b", true))).action == Action::upgrade);
  CHECK(has(only(world.plan(with("b", true))).why, "it is dead"));
}

TEST_CASE("diff: only handling changed: the manifest is rewritten, and nothing else") {
  World world = deployed();
  const Site changed = one([](Service& s) { s.validate = program({"another-check"}); });
  const Plan plan = world.plan(changed);
  CHECK(only(plan).action == Action::record);
  CHECK(has(only(plan).why, "only its handling changed"));
  const auto before = world.transport.log.size();
  (void)world.execute(plan);
  CHECK(Lines(world.transport.log.begin() + static_cast<std::ptrdiff_t>(before), world.transport.log.end()) ==
        Lines{"h1: begin web 1"});
  CHECK(world.plan(changed).empty());
}

TEST_CASE("diff: what is dead is repaired, and so is what nobody can tell of") {
  World world = deployed();
  world.transport.machines["h1"].running.clear();
  CHECK(only(world.plan(web_at("1"))).action == Action::repair);
  CHECK(only(world.plan(web_at("1"))).why == "it is dead");
  const Site shop = web_at("1");
  const Fleet fleet = look_up(shop);
  std::vector<HostReading> readings = world.transport.read(fleet.hosts);
  readings[0].entries[0].life = HostReading::Life::unknown;
  CHECK(only(make_plan(shop, elaborate(shop, fleet), readings)).why == "nobody knows whether it lives");
}

TEST_CASE("diff: what its keeper restarts too often is noted, and repaired by nothing but a change") {
  World world = deployed();
  const auto plan_of = [&](const Site& shop, HostReading::Life life, std::uint64_t recent) {
    const Fleet fleet = look_up(shop);
    std::vector<HostReading> readings = world.transport.read(fleet.hosts);
    readings[0].entries[0].life = life;
    readings[0].entries[0].upkeep = {.keeper = "plain", .restarts = recent, .recent = recent};
    return make_plan(shop, elaborate(shop, fleet), readings);
  };
  const Plan failing = plan_of(web_at("1"), HostReading::Life::alive, 6);
  CHECK(failing.empty());
  CHECK(failing.notes ==
        Lines{"web@h1 is failing: it was restarted 6 times in ten minutes, and counts as unavailable"});
  CHECK(plan_of(web_at("1"), HostReading::Life::dead, 6).empty());  // between two restarts
  CHECK(only(plan_of(web_at("2"), HostReading::Life::alive, 6)).action == Action::upgrade);
  const Plan well = plan_of(web_at("1"), HostReading::Life::alive, 5);
  CHECK(well.empty());
  CHECK(well.notes.empty());
  CHECK(only(plan_of(web_at("1"), HostReading::Life::dead, 5)).action == Action::repair);
}

TEST_CASE("diff: a daemon that nothing keeps is recorded anew, and goes on as it is") {
  const Site shop = one([](Service& web) {
    web.start.is_daemon = true;
    web.stop = {};
  });
  World world;
  (void)world.deploy(shop);
  CHECK(world.plan(shop).empty());
  const Fleet fleet = look_up(shop);
  std::vector<HostReading> readings = world.transport.read(fleet.hosts);
  readings[0].entries[0].upkeep.keeper = "";
  const Plan plan = make_plan(shop, elaborate(shop, fleet), readings);
  CHECK(only(plan).action == Action::record);
  CHECK(only(plan).why == "nothing on its host starts it again: an older Tutti started it");
  const auto before = world.transport.log.size();
  CHECK(outcomes(world.execute(plan)) == Lines{"web@h1 upgraded"});
  CHECK(Lines(world.transport.log.begin() + static_cast<std::ptrdiff_t>(before), world.transport.log.end()) ==
        Lines{"h1: start web 1", "h1: begin web 1"});
}

TEST_CASE("diff: what its keeper is told anew starts nothing, and other handling data is only recorded") {
  const auto kept = [](double grace, const char* hook) {
    return one([&](Service& web) {
      web.start.is_daemon = true;
      web.stop = {};
      web.grace = grace;
      web.hooks["other"] = {hook};
    });
  };
  World world;
  (void)world.deploy(kept(10, "a"));
  CHECK(only(world.plan(kept(10, "b"))).action == Action::record);
  CHECK_FALSE(only(world.plan(kept(10, "b"))).keeps_anew);
  CHECK(only(world.plan(kept(20, "a"))).action == Action::record);
  CHECK(only(world.plan(kept(20, "a"))).keeps_anew);
}

TEST_CASE("diff: what an ended run left half-done, or failed, is repaired from where it was") {
  World world = deployed();
  const Site second = web_at("2");
  world.transport.faults["h1: start web 2"] = lost();
  (void)world.execute(world.plan(second));
  Plan plan = world.plan(second);
  CHECK(only(plan).action == Action::repair);
  CHECK(only(plan).why == "run 2 left it half-done");
  CHECK(only(plan).old_definition->version == "1");
  CHECK(only(plan).left_over->version == "2");  // may be running

  world.transport.faults = {{"h1: start web 2", fails("no")}, {"h1: start web 1", fails("no")}};
  (void)world.execute(plan);
  plan = world.plan(second);
  CHECK(only(plan).action == Action::repair);
  CHECK(only(plan).why == "it failed in run 3");
}

TEST_CASE(
    "diff: what no class lists any more is removed, by the service's own procedure while the site has it") {
  World world = deployed();
  Plan plan = world.plan(site({{"front", {}, {"h1"}}}));
  CHECK(only(plan).action == Action::remove);
  CHECK(only(plan).why == "the site does not have it any more");
  CHECK(only(plan).transition == "remove-service");
  CHECK(!only(plan).new_definition);
  Service web = service("web", "1");
  web.remove_service = TransitionProcedure(std::string("drop-web"));
  plan = world.plan(site({{"front", {}, {"h1"}}, {"back", {web}, {"h2"}}}));
  REQUIRE(plan.steps.size() >= 2);
  CHECK(plan.at(id_of(plan, "web", "h1")).why == "the class of h1 does not list it any more");
  CHECK(plan.at(id_of(plan, "web", "h1")).transition == "drop-web");
}

TEST_CASE(
    "diff: an entry that can't be read is repaired if it is wanted, and left alone with a note if not") {
  const HostReading reading{
      .host = "h1",
      .reached = true,
      .entries = {{{.state = ManifestEntry::State::failed, .service = "web"}, HostReading::Life::unknown}}};
  const Site wanted = web_at("1"), unwanted = site({{"front", {}, {"h1"}}});
  const Plan plan = make_plan(wanted, elaborate(wanted, look_up(wanted)), {reading});
  CHECK(only(plan).action == Action::repair);
  CHECK(only(plan).why == "its manifest entry can't be read");
  const Plan other = make_plan(unwanted, elaborate(unwanted, look_up(unwanted)), {reading});
  CHECK(other.empty());
  REQUIRE(other.notes.size() == 1);
  CHECK(has(other.notes[0], "stop it by hand"));
}

TEST_CASE("diff: of a host that does not answer, what was last known counts") {
  World world = deployed();
  const Site same = web_at("1"), next = web_at("2");
  const Fleet fleet = look_up(same);
  const std::map<Instance, ManifestEntry> known{
      {{"web", "h1"}, world.transport.read(fleet.hosts)[0].entries[0].entry}};
  world.transport.machines["h1"].reached = false;
  const auto readings = world.transport.read(fleet.hosts);

  CHECK(make_plan(same, elaborate(same, fleet), readings, known).empty());  // it has that already
  const Plan plan = make_plan(next, elaborate(next, fleet), readings, known);
  CHECK(only(plan).action == Action::upgrade);
  CHECK(only(plan).unreachable);
  CHECK(plan.unreachable() == Lines{"h1"});
  const Plan nothing = make_plan(next, elaborate(next, fleet), readings);
  CHECK(only(nothing).action == Action::install);
  CHECK(only(nothing).why == "the host does not answer, and nothing is known of it");
  CHECK(has(nothing.to_text(), "unreachable: h1: no route to host"));
}

TEST_CASE("diff: of a host that answers, what was last known does not count") {
  World world = deployed();
  const Site same = web_at("1");
  const Fleet fleet = look_up(same);
  ManifestEntry stale = world.transport.read(fleet.hosts)[0].entries[0].entry;
  stale.service = "old";
  CHECK(make_plan(same, elaborate(same, fleet), world.transport.read(fleet.hosts), {{{"old", "h1"}, stale}})
            .empty());
}

TEST_CASE("diff: a host that left the fleet with something of ours on it is reported") {
  World world = deployed();
  const Site moved = site({{"front", {service("web", "1")}, {"h2"}}});
  const ManifestEntry entry = world.transport.read({{.name = "h1"}})[0].entries[0].entry;
  const Fleet fleet = look_up(moved);
  const Plan plan =
      make_plan(moved, elaborate(moved, fleet), world.transport.read(fleet.hosts), {{{"web", "h1"}, entry}});
  CHECK(plan.notes == Lines{"host 'h1' is in no class any more; when last seen it held web 1: it is left "
                            "alone. `forget h1` ends this note"});
}

TEST_CASE("plan: what files are taken over is said once for all hosts, and another site's is refused") {
  Service web = service("web", "1");
  web.files = {{"/etc/web.conf", "ours"}, {"/etc/motd", "ours too"}};
  const Site shop = site({{"front", {web}, hosts(5)}});
  const Desired desired = elaborate(shop, look_up(shop));
  World world;
  std::vector<HostReading> readings = world.transport.read(desired.fleet.hosts);
  for (HostReading& reading : readings) reading.paths["/etc/web.conf"] = {.what = Found::What::file};
  readings[1].paths["/etc/motd"] = {.what = Found::What::link};
  readings[2].paths["/etc/motd"] = {.what = Found::What::directory};
  CHECK(make_plan(shop, desired, readings).notes ==
        Lines{"web@h2 takes over /etc/motd (a link is there): it is kept and comes back when web goes",
              "web@h3 is to have the file /etc/motd, but a directory is there: move it away first",
              "web on 5 hosts (h1, h2, h3, …) takes over /etc/web.conf (a file is there): it is kept and "
              "comes back "
              "when web goes"});
  readings[0].paths["/etc/motd"] = {.what = Found::What::site, .service = "login", .site = "house"};
  CHECK(error_of([&] { (void)make_plan(shop, desired, readings); }) ==
        "host 'h1': 'web' is to have the file '/etc/motd', which 'login' of the site 'house' has there: a "
        "path belongs "
        "to one service of one site. Give one of them another path");
}

TEST_CASE("plan: a file that the service had before is not taken over, whoever wrote it") {
  Service web = service("web", "1");
  web.files = {{"/etc/web.conf", "ours"}};
  World world;
  (void)world.deploy(site({{"front", {web}, {"h1"}}}));
  web.version = "2";
  const Site shop = site({{"front", {web}, {"h1"}}});
  const Desired desired = elaborate(shop, look_up(shop));
  std::vector<HostReading> readings = world.transport.read(desired.fleet.hosts);
  readings[0].paths["/etc/web.conf"] = {.what = Found::What::file};
  const Plan plan = make_plan(shop, desired, readings);
  CHECK(actions(plan) == Lines{"upgrade web@h1"});
  CHECK(plan.notes.empty());
}
