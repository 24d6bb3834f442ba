// SPDX-License-Identifier: LGPL-3.0-or-later
// In which order things happen, and why.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>

#include "unit/support/fakes.hpp"

using namespace tutti;
using namespace tutti::fake;

namespace {

using Lines = std::vector<std::string>;

bool after(const Plan& plan, const std::string& service, const std::string& host, const std::string& other,
           const std::string& other_host) {
  return comes_after(plan, id_of(plan, service, host), id_of(plan, other, other_host));
}
int phase(const Plan& plan, const std::string& service, const std::string& host) {
  return plan.at(id_of(plan, service, host)).phase;
}

/// Of every edge the first is before the second in the plan: no loop, and the order of steps is an order.
void is_ordered(const Plan& plan) {
  for (const Edge& edge : plan.edges) CHECK(edge.before < edge.after);
}

}  // namespace

TEST_CASE("plan: what is required comes first, on every host and across classes") {
  //  web (h1, h2) → db (d1, d2)
  World world;
  const Plan plan = world.plan(site({{"front", {service("web", "1", {"db"})}, {"h1", "h2"}},
                                     {"data", {service("db", "1")}, {"d1", "d2"}}}));
  is_ordered(plan);
  for (const char* web : {"h1", "h2"})
    for (const char* db : {"d1", "d2"}) {
      CHECK(after(plan, "web", web, "db", db));
      CHECK(!after(plan, "db", db, "web", web));
    }
  CHECK(actions(plan) == Lines{"install db@d1", "install db@d2", "install web@h1", "install web@h2"});
  CHECK(plan.explain("web@h1") == "web@h1: install 1, because it is not there\n"
                                  "  by replace-service (built in)\n"
                                  "  after db@d1: 'web' requires 'db' (shop.scm:web)\n"
                                  "  after db@d2: 'web' requires 'db' (shop.scm:web)\n");
  CHECK(has(plan.to_text(), "it is not there; after db@d1, db@d2: 'web' requires 'db'"));
}

TEST_CASE("plan: services that require nothing of each other have no order, and connections make none") {
  Service web = service("web", "1"), cache = service("cache", "1");
  web.connections = {{.service = "cache"}};
  cache.connections = {{.service = "web"}};
  World world;
  const Plan plan = world.plan(site({{"front", {web, cache}, {"h1", "h2"}}}));
  CHECK(plan.edges.empty());
  CHECK(plan.steps.size() == 4);
}

TEST_CASE("plan: the notes' case: classes that need each other, where services do not form a loop") {
  //  class X (x1): A, Z     class Y (y1): B      A → B → Z: X is visited twice
  World world;
  const Site shop = site({{"X", {service("A", "1", {"B"}), service("Z", "1")}, {"x1"}},
                          {"Y", {service("B", "1", {"Z"})}, {"y1"}}});
  const Plan plan = world.plan(shop);
  is_ordered(plan);
  CHECK(actions(plan) == Lines{"install Z@x1", "install B@y1", "install A@x1"});
  CHECK(phase(plan, "Z", "x1") < phase(plan, "B", "y1"));
  CHECK(phase(plan, "B", "y1") < phase(plan, "A", "x1"));
  CHECK(outcomes(world.execute(plan)) == Lines{"Z@x1 upgraded", "B@y1 upgraded", "A@x1 upgraded"});
  CHECK(world.plan(shop).empty());
}

TEST_CASE("plan: order passes through what is kept") {
  //  A → B → C, and B stays as it is
  const auto shop = [](const std::string& version) {
    return site({{"a", {service("A", version, {"B"})}, {"h1"}},
                 {"b", {service("B", "1", {"C"})}, {"h2"}},
                 {"c", {service("C", version)}, {"h3"}}});
  };
  World world;
  (void)world.deploy(shop("1"));
  const Plan plan = world.plan(shop("2"));
  CHECK(actions(plan) == Lines{"upgrade C@h3", "upgrade A@h1"});
  CHECK(after(plan, "A", "h1", "C", "h3"));
  CHECK(has(plan.explain("A"), "after C@h3: 'A' requires 'B'"));
}

TEST_CASE("plan: what goes away goes before what it required, as it was recorded") {
  World world;
  (void)world.deploy(site({{"front", {service("web", "1", {"db"}), service("db", "1")}, {"h1"}}}));
  const Plan plan = world.plan(site({{"front", {}, {"h1"}}}));
  CHECK(actions(plan) == Lines{"remove web@h1", "remove db@h1"});
  CHECK(after(plan, "db", "h1", "web", "h1"));
  CHECK(has(plan.explain("db"), "after web@h1: 'web' required 'db', as recorded on h1"));
}

TEST_CASE("plan: what goes away waits for those who stay and required it, until they have changed") {
  //  web 1 → db;   then web 2 needs no db, and db goes
  World world;
  (void)world.deploy(
      site({{"front", {service("web", "1", {"db"})}, {"h1", "h2"}}, {"data", {service("db", "1")}, {"d1"}}}));
  const Plan plan = world.plan(site({{"front", {service("web", "2")}, {"h1", "h2"}}, {"data", {}, {"d1"}}}));
  CHECK(after(plan, "db", "d1", "web", "h1"));
  CHECK(after(plan, "db", "d1", "web", "h2"));
  is_ordered(plan);
}

TEST_CASE("plan: a requirement that was turned round orders changes by the new one, removals by the old") {
  //  recorded: a → b;  now: b → a, with new versions
  World world;
  (void)world.deploy(site({{"x", {service("a", "1", {"b"}), service("b", "1")}, {"h1"}}}));
  const Plan plan = world.plan(site({{"x", {service("a", "2"), service("b", "2", {"a"})}, {"h1"}}}));
  CHECK(after(plan, "b", "h1", "a", "h1"));
  is_ordered(plan);
  CHECK(actions(world.plan(site({{"x", {}, {"h1"}}}))) == Lines{"remove a@h1", "remove b@h1"});
}

TEST_CASE("plan: removals that required each other, at different versions on different hosts, are still "
          "planned, with a note") {
  //  h1 recorded a → b, h2 recorded b → a
  World world;
  (void)world.deploy(site({{"x", {service("a", "1", {"b"}), service("b", "1")}, {"h1"}}}));
  (void)world.deploy(site({{"y", {service("a", "1"), service("b", "1", {"a"})}, {"h2"}}}));
  const Plan plan = world.plan(site({{"x", {}, {"h1", "h2"}}}));
  CHECK(plan.steps.size() >= 4);
  is_ordered(plan);
  REQUIRE(plan.notes.size() == 1);
  CHECK(has(plan.notes[0], "that would close a loop of removals: left out"));
}

TEST_CASE("plan: an instance that moves is started where it is wanted before it goes where it is not") {
  World world;
  (void)world.deploy(site({{"a", {service("db", "1")}, {"h1"}}, {"b", {}, {"h2"}}}));
  const Plan plan = world.plan(site({{"a", {}, {"h1"}}, {"b", {service("db", "1")}, {"h2"}}}));
  CHECK(actions(plan) == Lines{"install db@h2", "remove db@h1"});
  CHECK(after(plan, "db", "h1", "db", "h2"));
}

TEST_CASE("plan: those who require what moves change between its coming and its going") {
  const auto shop = [](bool moved, const std::string& version) {
    const std::vector<Service> db{service("db", "1")}, none;
    return site({{"a", moved ? none : db, {"h1"}},
                 {"b", moved ? db : none, {"h2"}},
                 {"front", {service("web", version, {"db"})}, {"w1"}}});
  };
  World world;
  (void)world.deploy(shop(false, "1"));
  const Plan plan = world.plan(shop(true, "2"));
  CHECK(actions(plan) == Lines{"install db@h2", "upgrade web@w1", "remove db@h1"});
  CHECK(after(plan, "web", "w1", "db", "h2"));
  CHECK(after(plan, "db", "h1", "web", "w1"));
}

TEST_CASE("plan: on one host, what goes makes room first, whatever the names are") {
  for (const auto& [from, to] : {std::pair("web", "app"), std::pair("app", "web")}) {
    World world;
    (void)world.deploy(site({{"front", {service(from, "1")}, {"h1", "h2"}}}));
    const Plan plan = world.plan(site({{"front", {service(to, "1")}, {"h1", "h2"}}}));
    is_ordered(plan);
    CHECK(after(plan, to, "h1", from, "h1"));
    CHECK(after(plan, to, "h2", from, "h2"));
    CHECK(!after(plan, to, "h2", from, "h1"));  // of each host by itself
    CHECK(phase(plan, to, "h1") == phase(plan, from, "h1"));
    CHECK(has(plan.explain(std::string(to) + "@h1"),
              "  after " + std::string(from) + "@h1: '" + from + "' goes from h1 first, to make room\n"));
    CHECK(actions(plan) == Lines{std::string("remove ") + from + "@h1", std::string("install ") + to + "@h1",
                                 std::string("remove ") + from + "@h2",
                                 std::string("install ") + to + "@h2"});
    CHECK(world.execute(plan, at_most(1)).exit_status() == 0);
    CHECK(world.transport.machines["h2"].running == std::map<std::string, std::string>{{to, "1"}});
  }
}

TEST_CASE("plan: many that go and many that come on one host are ordered by few edges") {
  const auto named = [](const std::string& prefix, int n) {
    std::vector<Service> all;
    for (int i = 0; i < n; ++i) all.push_back(service(prefix + std::to_string(i), "1"));
    return all;
  };
  World world;
  (void)world.deploy(site({{"x", named("z", 30), hosts(20)}}));
  const Plan plan = world.plan(site({{"x", named("a", 30), hosts(20)}}));
  is_ordered(plan);
  CHECK(plan.steps.size() == 20 * 61);
  CHECK(plan.edges.size() == 20 * 60);
  CHECK(after(plan, "a7", "h3", "z29", "h3"));
  CHECK(phase(plan, "a7", "h3") == 0);  // the host stays in transition between them
  CHECK(has(plan.explain("a7@h3"), "after z0@h3: what goes from h3 makes room first"));
}

TEST_CASE("plan: a requirement says otherwise: what is required goes after those who stay have changed") {
  //  web 1 → old;   then web 2 needs no old, and old goes from the same host; new comes
  World world;
  (void)world.deploy(site({{"x", {service("web", "1", {"old"}), service("old", "1")}, {"h1"}}}));
  const Plan plan = world.plan(site({{"x", {service("web", "2"), service("new", "1")}, {"h1"}}}));
  is_ordered(plan);
  CHECK(after(plan, "old", "h1", "web", "h1"));
  CHECK(after(plan, "new", "h1", "old", "h1"));
}

TEST_CASE("plan: what makes room does so when what needs it can begin, not before") {
  //  web goes from h1; app, which comes there, requires db, which is installed on d1
  World world;
  (void)world.deploy(site({{"x", {service("web", "1")}, {"h1"}}, {"data", {}, {"d1"}}}));
  const Plan plan = world.plan(
      site({{"x", {service("app", "1", {"db"})}, {"h1"}}, {"data", {service("db", "1")}, {"d1"}}}));
  is_ordered(plan);
  CHECK(actions(plan) == Lines{"install db@d1", "remove web@h1", "install app@h1"});
  CHECK(after(plan, "web", "h1", "db", "d1"));
  CHECK(phase(plan, "web", "h1") == phase(plan, "app", "h1"));
  CHECK(has(plan.explain("web"), "after db@d1: it makes room for 'app': 'app' requires 'db'"));
}

TEST_CASE("plan: two services that change places make room, and one of them is away meanwhile") {
  const auto shop = [](bool swapped) {
    const std::vector<Service> a{service("a", "1")}, b{service("b", "1")};
    return site({{"one", swapped ? b : a, {"h1"}}, {"two", swapped ? a : b, {"h2"}}});
  };
  World world;
  (void)world.deploy(shop(false));
  const Plan plan = world.plan(shop(true));
  is_ordered(plan);
  CHECK(after(plan, "b", "h1", "a", "h1"));
  CHECK(after(plan, "a", "h2", "b", "h2"));
  REQUIRE(plan.notes.size() == 1);
  CHECK(has(plan.notes[0], "goes where it is not wanted before it is where it is wanted"));
}

TEST_CASE("plan: who gives a file up comes before who takes it") {
  const auto with_file = [](const std::string& name, const std::string& version, bool has) {
    Service one = service(name, version);
    if (has) one.files = {{"/etc/shared.conf", "of " + name}};
    return one;
  };
  for (const auto& [from, to] : {std::pair("a", "b"), std::pair("b", "a")}) {
    World world;
    (void)world.deploy(site({{"x", {with_file(from, "1", true), with_file(to, "1", false)}, {"h1"}}}));
    const Plan plan =
        world.plan(site({{"x", {with_file(from, "2", false), with_file(to, "2", true)}, {"h1"}}}));
    is_ordered(plan);
    CHECK(after(plan, to, "h1", from, "h1"));
    CHECK(has(plan.explain(to), "takes /etc/shared.conf, which"));
  }
}

TEST_CASE("plan: what only rewrites the manifest waits for nobody, and nobody for it") {
  World world;
  (void)world.deploy(site({{"x", {service("web", "1", {"db"}), service("db", "1")}, {"h1"}}}));
  Service db = service("db", "1");
  db.validate = program({"other"});
  const Plan plan = world.plan(site({{"x", {service("web", "2", {"db"}), db}, {"h1"}}}));
  CHECK(plan.edges.empty());
  CHECK(plan.steps.size() == 2);
}

TEST_CASE("plan: what is odd is noted: a class without hosts, a requirement that is nowhere") {
  World world;
  const Plan plan = world.plan(
      site({{"front", {service("web", "1", {"db"})}, {"h1"}}, {"data", {service("db", "1")}, {}}}));
  CHECK(plan.notes == Lines{"class 'data' has no host: its services run nowhere",
                            "'web' requires 'db', which is on no host"});
}

TEST_CASE(
    "plan: a policy of a label that no host has is a slip of the pen; of one that some lack, it is noted") {
  World world;
  Site shop = site({{"front", {service("web", "1")}, {"h1", "h2"}}});
  shop.host_class_to_hosts =
      inventory_list({{"front", {{.name = "h1", .labels = {{"rack", "1"}}}, {.name = "h2"}}}});
  shop.policy = at_most(1, "rakc");
  CHECK(error_of([&] { (void)world.plan(shop); }) ==
        "policy 'at most 1 of each rakc': no host has the label 'rakc'. Did you mean 'rack'?");
  shop.policy = at_most(1, "rack");
  CHECK(world.plan(shop).notes ==
        Lines{"policy 'at most 1 of each rack': host 'h2' has no label 'rack', and counts as one group"});
}

TEST_CASE("plan: same input, byte-identical plan, in whatever order the hosts' manifests came") {
  World world;
  const auto shop = [](const std::string& version) {
    return site({{"front", {service("web", version, {"app", "cache"}), service("cache", "1")}, hosts(5, "f")},
                 {"back", {service("app", version, {"db"})}, hosts(4, "b")},
                 {"data", {service("db", version)}, hosts(3, "d")}});
  };
  (void)world.deploy(shop("1"));
  const Site next = shop("2");
  const Fleet fleet = look_up(next);
  const Desired desired = elaborate(next, fleet);
  std::vector<HostReading> readings = world.transport.read(fleet.hosts);
  const std::string first = make_plan(next, desired, readings).to_json();
  std::reverse(readings.begin(), readings.end());
  CHECK(make_plan(next, desired, readings).to_json() == first);
  std::rotate(readings.begin(), readings.begin() + 5, readings.end());
  const Desired again = elaborate(next, fleet);
  CHECK(make_plan(next, again, readings).to_json() == first);
}

TEST_CASE("plan: a name that is not in the plan is answered with the nearest") {
  World world;
  const Plan plan = world.plan(site({{"front", {service("web", "1")}, {"h1"}}}));
  CHECK(error_of([&] { (void)plan.explain("wbe"); }) ==
        "the plan has no step for 'wbe'. Did you mean 'web'?");
  CHECK(error_of([&] { (void)Plan{}.explain("web"); }) ==
        "the plan has no step for 'web'. It has nothing to do.");
}

TEST_CASE("plan: text that came from a host reaches no terminal as it is") {
  World world;
  (void)world.deploy(site({{"front", {service("web", "1")}, {"h1"}}}));
  std::string& entry = world.transport.machines["h1"].manifest["web"];
  for (auto at = entry.find(R"("version":"1")"); at != std::string::npos;
       at = entry.find(R"("version":"1")", at))
    entry.replace(at, 13, R"("version":"\u001b[2J")");
  const Plan plan = world.plan(site({{"front", {service("web", "2")}, {"h1"}}}));
  CHECK(has(plan.to_text(), "\\x1b[2J → 2"));
  for (const std::string& text : {plan.to_text(), plan.explain("web"), plan.to_json()})
    CHECK(!has(text, "\x1b"));
}

TEST_CASE("plan: a reading that is missing is a mistake of the caller") {
  const Site shop = site({{"front", {service("web", "1")}, {"h1"}}});
  CHECK(has(error_of([&] { (void)make_plan(shop, elaborate(shop, look_up(shop)), {}); }),
            "no reading of host 'h1'"));
}

TEST_CASE("plan: steps and edges are linear in instances and requirements, not host × host") {
  //  web → app → db, each on 2,000 hosts
  const int n = 2000;
  const Site shop =
      site({{"x",
             {service("web", "1", {"app", "db"}), service("app", "1", {"db"}), service("db", "1")},
             hosts(n)}});
  World world;
  const Plan plan = world.plan(shop);
  const std::size_t instances = 3 * n, requirements = 3 * n;  // of instances: web has two, app one
  CHECK(plan.steps.size() <= instances + 3);
  CHECK(plan.edges.size() <= instances + requirements);
  is_ordered(plan);
  // Printing it is no worse: each step says what it comes after, and that is 2,000 others.
  const std::string text = plan.to_text();
  CHECK(has(text, " and 1998 more: 'app' requires 'db'"));
  CHECK(plan.to_json().size() > text.size());
}
