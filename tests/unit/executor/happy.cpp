// SPDX-License-Identifier: LGPL-3.0-or-later
// What goes well: the order of effects, the journal, the manifests, and what is told.
#include <doctest/doctest.h>

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
/// What was sent since.
Lines since(const World& world, std::size_t n) {
  return {world.transport.log.begin() + static_cast<std::ptrdiff_t>(n), world.transport.log.end()};
}

}  // namespace

TEST_CASE(
    "executor: an upgrade says so first, stops the old one, starts and validates the new one, says so last") {
  World world;
  (void)world.deploy(web_at("1"));
  const auto n = world.transport.log.size();
  const Report report = world.execute(world.plan(web_at("2")), {}, plain_replace);
  CHECK(since(world, n) ==
        Lines{"h1: begin web 2", "h1: stop web 1", "h1: start web 2", "h1: validate web 2", "h1: end web 2"});
  CHECK(outcomes(report) == Lines{"web@h1 upgraded"});
  CHECK(report.exit_status() == 0);
  CHECK(step_of(report, "web", "h1").effects == Lines{"stop web 1", "start web 2", "validate web 2"});
  CHECK(step_of(report, "web", "h1").old_version == "1");
  CHECK(step_of(report, "web", "h1").new_version == "2");
  CHECK(step_of(report, "web", "h1").seconds == 5);  // each effect takes one
  CHECK(world.transport.machines["h1"].running["web"] == "2");
  CHECK(world.plan(web_at("2")).empty());
}

TEST_CASE("executor: the manifest says `changing` with both definitions, then what is deployed") {
  World world;
  (void)world.deploy(web_at("1"));
  ManifestEntry during;
  world.transport.on_answer = [&](const std::string& what) {
    if (what == "h1: stop web 1") during = entry(world, "h1", "web");
  };
  (void)world.deploy(web_at("2"));
  CHECK(during.state == ManifestEntry::State::changing);
  CHECK(during.old_definition->version == "1");
  CHECK(during.new_definition->version == "2");
  CHECK(during.run == 2);
  const ManifestEntry after = entry(world, "h1", "web");
  CHECK(after.state == ManifestEntry::State::deployed);
  CHECK(!after.old_definition);
  CHECK(after.new_definition->version == "2");
  CHECK(after.lineage == world.lineage);
  CHECK(after.generation == 2);
  CHECK(after.transition == "replace-service");
}

TEST_CASE("executor: an install prepares first; a removal stops, gives up its files and forgets") {
  Service web = service("web", "1");
  web.prepare = program({"prepare"});
  web.files = {{"/etc/web.conf", "x"}};
  World world;
  (void)world.deploy(site({{"front", {web}, {"h1"}}}));
  CHECK(world.transport.of("h1") ==
        Lines{"begin web 1", "run web 1 prepare", "start web 1", "validate web 1", "end web 1"});
  CHECK(world.transport.machines["h1"].files.contains("/etc/web.conf"));
  const auto n = world.transport.log.size();
  const Report report = world.deploy(site({{"front", {}, {"h1"}}}));
  CHECK(since(world, n) == Lines{"h1: begin web 1", "h1: stop web 1", "h1: files web none", "h1: end web 1"});
  CHECK(world.transport.machines["h1"].manifest.empty());
  CHECK(world.transport.machines["h1"].files.empty());
  CHECK(step_of(report, "web", "h1").outcome == Outcome::upgraded);
}

TEST_CASE("executor: files that the new version has no more are swept, and only those") {
  const auto with = [](const std::string& version, std::vector<std::string> paths) {
    Service web = service("web", version);
    for (const std::string& path : paths) web.files.push_back({path, "x"});
    return site({{"front", {web}, {"h1"}}});
  };
  World world;
  (void)world.deploy(with("1", {"/etc/a", "/etc/b"}));
  (void)world.deploy(with("2", {"/etc/b", "/etc/c"}));
  const auto& files = world.transport.machines["h1"].files;
  CHECK(!files.contains("/etc/a"));
  CHECK(files.contains("/etc/b"));
  CHECK(files.contains("/etc/c"));
}

TEST_CASE("executor: a file that moves from one service to another is not swept under it") {
  //  web required db; /etc/shared was web's and becomes db's, which changes first
  const auto with = [](const std::string& version, bool of_db) {
    Service web = service("web", version, {"db"}), db = service("db", version);
    (of_db ? db : web).files = {{"/etc/shared", "x"}};
    return site({{"front", {web, db}, {"h1"}}});
  };
  World world;
  (void)world.deploy(with("1", false));
  const Report report = world.deploy(with("2", true));
  CHECK(report.exit_status() == 0);
  CHECK(world.transport.machines["h1"].files.contains("/etc/shared"));
  (void)world.deploy(site({{"front", {}, {"h1"}}}));
  CHECK(!world.transport.machines["h1"].files.contains("/etc/shared"));  // the last one takes it away
}

TEST_CASE("executor: data directories are made before the first start, and when they change") {
  const auto with = [](const std::string& version, std::vector<std::string> names) {
    Service web = service("web", version);
    for (const std::string& name : names) web.environment.emplace("D" + name, DataDirectory{name});
    return site({{"front", {web}, {"h1"}}});
  };
  World world;
  (void)world.deploy(with("1", {"a"}));
  CHECK(world.transport.of("h1").at(1) == "settle web 1");
  auto n = world.transport.log.size();
  (void)world.deploy(with("2", {"a"}));
  CHECK(since(world, n).at(1) == "h1: stop web 1");
  n = world.transport.log.size();
  (void)world.deploy(with("3", {"a", "b"}));
  CHECK(since(world, n).at(1) == "h1: settle web 3");
}

TEST_CASE("executor: a reload reloads and validates") {
  const auto with = [](const std::string& text) {
    Service web = service("web", "1");
    web.files = {{"/etc/web.conf", text}};
    web.reload = program({"reload"});
    return site({{"front", {web}, {"h1"}}});
  };
  World world;
  (void)world.deploy(with("a"));
  const auto n = world.transport.log.size();
  CHECK(outcomes(world.deploy(with("b"))) == Lines{"web@h1 upgraded"});
  CHECK(since(world, n) ==
        Lines{"h1: begin web 1", "h1: reload web 1", "h1: validate web 1", "h1: end web 1"});
}

TEST_CASE("executor: a repair with something left over stops it first") {
  World world;
  (void)world.deploy(web_at("1"));
  world.transport.faults["h1: start web 2"] = lost();
  (void)world.execute(world.plan(web_at("2")));
  world.transport.faults.clear();
  world.transport.machines["h1"].running["web"] = "2";  // it had started after all
  const auto n = world.transport.log.size();
  const Report report = world.deploy(web_at("2"));
  CHECK(outcomes(report) == Lines{"web@h1 upgraded"});
  CHECK(since(world, n) == Lines{"h1: begin web 2", "h1: stop web 2", "h1: begin web 2", "h1: stop web 1",
                                 "h1: start web 2", "h1: validate web 2", "h1: end web 2"});
  CHECK(world.transport.requests.at(n + 1).idempotent);  // it may not be there at all
}

TEST_CASE("executor: INTENT is durable before the effect is sent, by the path grammar") {
  World world;
  Service web = service("web", "1");
  web.files = {{"/etc/a", "x"}};
  (void)world.deploy(site({{"front", {web}, {"h1"}}}));
  web.files.clear(), web.version = "2";
  (void)world.execute(world.plan(site({{"front", {web}, {"h1"}}})), {}, plain_replace);
  CHECK(world.transport.sent_too_early.empty());
  // t.0 and t.2 are registrations of compensations
  CHECK(world.journal.intents(0) == "b.0 begin web 2, t.1 stop web 1, t.3 start web 2, t.4 validate web 2, "
                                    "e.0 end web 2");
  const auto registered = world.journal.of<record::Registered>();
  REQUIRE(registered.size() == 2);
  CHECK(registered[0].at.sequence == 0);
  CHECK(registered[0].serial == 1);
  CHECK(registered[1].at.sequence == 2);
  CHECK(registered[1].serial == 2);
  CHECK(world.journal.of<record::Answered>().size() == 5);
  const auto ended = world.journal.of<record::Ended>();
  REQUIRE(ended.size() == 1);
  CHECK(ended[0].outcome == Outcome::upgraded);
}

TEST_CASE("executor: tokens are unique words, of lineage, run, step, path and sequence") {
  World world;
  (void)world.deploy(web_at("1", 3));
  (void)world.deploy(web_at("2", 3));
  const std::set<std::string> unique(world.transport.tokens.begin(), world.transport.tokens.end());
  CHECK(unique.size() == world.transport.tokens.size());
  CHECK(world.transport.tokens.at(0) == "0123456789ab.1.0.b.0");
  for (const std::string& token : unique) CHECK(token.size() <= 64);
}

TEST_CASE("executor: many hosts at once, with one commit for many intents") {
  World world;
  const Report report = world.deploy(web_at("1", 100));
  CHECK(report.exit_status() == 0);
  CHECK(world.transport.most_at_once == 100);
  // They go in step: one commit for a hundred effects.
  CHECK(world.journal.commits <= 8);
  CHECK(world.transport.sent_too_early.empty());
}

TEST_CASE("executor: an order across hosts is kept") {
  //  web (h1, h2) → db (d1, d2)
  World world;
  (void)world.deploy(site({{"front", {service("web", "1", {"db"})}, {"h1", "h2"}},
                           {"data", {service("db", "1")}, {"d1", "d2"}}}));
  const auto& log = world.transport.log;
  const auto last_db = std::max(std::find(log.begin(), log.end(), "d1: end db 1"),
                                std::find(log.begin(), log.end(), "d2: end db 1"));
  for (const std::string host : {"h1", "h2"})
    CHECK(std::find(log.begin(), log.end(), host + ": begin web 1") > last_db);
}

TEST_CASE("executor: time may begin at nought") {
  World world;
  world.clock.time = 0;
  CHECK(outcomes(world.deploy(site({{"front", {service("a", "1"), service("b", "1")}, {"h1"}}}))) ==
        Lines{"a@h1 upgraded", "b@h1 upgraded"});
}

TEST_CASE("executor: progress tells effects and outcomes as they come") {
  World world;
  (void)world.execute(world.plan(web_at("1")), {}, plain_replace);
  CHECK(world.told == Lines{"web@h1 start web 1", "web@h1 validate web 1", "web@h1 upgraded"});
}

TEST_CASE("executor: what the manifests hold afterwards is known without reading them again") {
  World world;
  (void)world.deploy(web_at("1", 2));
  const Report report = world.execute(world.plan(web_at("2", 2)), at_most(1));
  CHECK(report.exit_status() == 0);
  REQUIRE(world.readings.size() == 2);
  const Site shop = web_at("2", 2);
  CHECK(make_plan(shop, elaborate(shop, look_up(shop)), world.readings).empty());
}

TEST_CASE("executor: an empty plan is finished at once") {
  World world;
  const Report report = world.execute(world.plan(site({{"front", {}, {"h1"}}})));
  CHECK(report.steps.empty());
  CHECK(report.exit_status() == 0);
  CHECK(report.to_text() == "shop: nothing to do\n");
}

TEST_CASE("journal: each host that took part is in it, with the name of its records") {
  World world;
  (void)world.deploy(site({{"front", {service("web", "1")}, {"h1", "h2"}}}));
  const auto met = world.journal.of<record::Met>();
  REQUIRE(met.size() == 2);
  CHECK(met[0].host == "h1");
  CHECK(met[1].host == "h2");
  CHECK(met[0].epoch > 0);
  CHECK(!met[0].nonce.empty());
  CHECK(met[0].nonce != met[1].nonce);
}
