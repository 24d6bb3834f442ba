// SPDX-License-Identifier: LGPL-3.0-or-later
// What a site was at after a run, as it is kept with the generation.
#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>

#include <sqlite3.h>

#include "deployment/generation.hpp"
#include "unit/support/fakes.hpp"

using namespace tutti;
using namespace tutti::fake;
namespace fs = std::filesystem;

namespace {

using Lines = std::vector<std::string>;

struct Folder {
  Folder() {
    char name[] = "/tmp/tutti-generations.XXXXXX";
    path = ::mkdtemp(name);
  }
  ~Folder() { fs::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] fs::path file() const { return path / "state.db"; }
  fs::path path;
};

DefinitionPtr definition(const std::string& service, const std::string& version) {
  return std::make_shared<Definition>(Definition{.service = service, .version = version});
}

/// The texts that the file keeps for generations.
int contents(const fs::path& file) {
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open(file.c_str(), &database) == SQLITE_OK);
  int count = -1;
  const auto take = [](void* into, int, char** columns, char**) {
    *static_cast<int*>(into) = std::stoi(columns[0]);
    return 0;
  };
  CHECK(sqlite3_exec(database, "SELECT count(*) FROM content", take, &count, nullptr) == SQLITE_OK);
  sqlite3_close(database);
  return count;
}

/// A run of that number that ended; `version` is on every host then.
void add_generation(State& state, int number, const std::string& version) {
  const int run = state.begin_run("{}", "", "", number - 1, number);
  REQUIRE(run == number);
  std::map<Instance, InstanceAt> instances;
  for (const char* host : {"h1", "h2", "h3"})
    instances[{"web", host}] = {definition("web", version), Outcome::upgraded};
  state.keep_generation(run, instances,
                        {{"shop.scm", "(site \"" + version + "\")"}, {"parts.scm", "(parts)"}});
  state.end_run(run, "complete", "", "{}");
}

/// "web@h1 2 upgraded"; `-` without a definition or a step.
Lines lines(const std::map<Instance, InstanceAt>& all) {
  Lines made;
  for (const auto& [instance, at] : all)
    made.push_back(instance.service + "@" + instance.host + " " +
                   (at.definition ? at.definition->version : "-") + " " +
                   (at.outcome ? to_string(*at.outcome) : "-"));
  return made;
}

}  // namespace

TEST_CASE("generation: what its instances are at and its program are read back equal") {
  const Folder folder;
  std::map<Instance, InstanceAt> instances{
      {{"web", "h1"}, {definition("web", "2 \"x\" ü"), Outcome::upgraded}},
      {{"web", "h2"}, {definition("web", "1"), Outcome::rolled_back}},
      {{"web", "h3"}, {nullptr, Outcome::failed}},
      {{"web", "h4"}, {definition("web", "1"), std::nullopt}},
  };
  const Source source{{"shop.scm", std::string("bytes\0\xff", 7)}, {"a/b.scm", ""}};
  {
    State state(folder.file());
    state.keep_generation(state.begin_run("{}", "", "", 0, 1), instances, source);
  }
  State state(folder.file());
  CHECK(state.instances_of(1) == instances);
  CHECK(state.source_of(1) == source);
  const auto definitions = state.definitions_of(1);
  CHECK(definitions.size() == 3);  // of h3 nobody knows
  CHECK(*definitions.at({"web", "h4"}) == *definition("web", "1"));
  // What is kept again replaces it.
  instances.erase({"web", "h1"});
  state.keep_generation(1, instances, {});
  CHECK(state.instances_of(1) == instances);
  CHECK(state.source_of(1).empty());
}

TEST_CASE("generation: a definition and a file of the program are kept once, whoever has them") {
  const Folder folder;
  State state(folder.file());
  add_generation(state, 1, "1");
  CHECK(contents(folder.file()) == 3);  // a definition, two files
  add_generation(state, 2, "1");
  CHECK(contents(folder.file()) == 3);
  add_generation(state, 3, "2");
  CHECK(contents(folder.file()) == 5);
}

TEST_CASE("generation: what is kept of it stays when its run is forgotten") {
  const Folder folder;
  State state(folder.file());
  add_generation(state, 1, "1");
  add_generation(state, 2, "2");
  state.forget_before(2);
  CHECK(has(error_of([&] { (void)state.plan_of(1); }), "run 1 was forgotten"));
  CHECK(state.definitions_of(1).at({"web", "h1"})->version == "1");
  CHECK(state.source_of(1).at("shop.scm") == "(site \"1\")");
}

TEST_CASE("generation: only the last are kept, and those that a manifest names") {
  const Folder folder;
  State state(folder.file());
  for (int i = 1; i <= 5; ++i) add_generation(state, i, std::to_string(i));
  CHECK(contents(folder.file()) == 11);  // a definition and a program each, one file is common
  state.remember(
      {.host = "h9",
       .reached = true,
       .entries = {{{.service = "web", .new_definition = definition("web", "2"), .generation = 2}}}});
  state.forget_generations(2);
  CHECK(state.history().size() == 5);
  for (const int kept : {2, 4, 5})
    CHECK(state.definitions_of(kept).at({"web", "h1"})->version == std::to_string(kept));
  for (const int gone : {1, 3}) {
    CHECK(has(error_of([&] { (void)state.definitions_of(gone); }), "it was forgotten"));
    CHECK(has(error_of([&] { (void)state.source_of(gone); }), "it was forgotten"));
  }
  CHECK(contents(folder.file()) == 7);
}

TEST_CASE("generation: one of which nothing is kept says why") {
  const Folder folder;
  State state(folder.file());
  CHECK(has(error_of([&] { (void)state.definitions_of(1); }), "nothing was deployed with"));
  (void)state.begin_run("{}", "", "", 0, 1);
  const auto why = [&](int generation) { return error_of([&] { (void)state.definitions_of(generation); }); };
  CHECK(why(1) ==
        "nothing is kept of what generation 1 was: its run has not ended. The history lists the others");
  state.abandon(1);
  CHECK(has(why(1), "its run was abandoned"));
  CHECK(has(why(7), "there is no run 7: the last is 1"));
  CHECK(code_of([&] { (void)state.source_of(1); }) == ErrorCode::misuse);
}

TEST_CASE("generation: an incomplete one says what each instance is at, and where nobody knows") {
  World world;
  const Service db = service("db", "1"), gone = service("gone", "1");
  const auto web = [](const char* version) { return service("web", version); };
  (void)world.deploy(site({{"front", {web("1")}, hosts(6)}, {"data", {db, gone}, {"d1"}}}));
  // h2 rolls back, h3 fails, h4 is lost, h5 does not answer and h6 has a version of its own by then.
  world.transport.faults["h2: start web 2"] = fails("no");
  world.transport.faults["h3: start web 2"] = fails("no");
  world.transport.faults["h3: start web 1"] = fails("no");
  world.transport.faults["h4: start web 2"] = lost();
  world.transport.machines["h5"].reached = false;
  const Plan plan = world.plan(site({{"front", {web("2")}, hosts(6)}, {"data", {db}, {"d1"}}}));
  const Report report = world.execute(plan);
  const std::map<Instance, ManifestEntry> last_known{
      {{"web", "h5"}, {.service = "web", .new_definition = definition("web", "0")}},
      {{"web", "h1"}, {.service = "web", .new_definition = definition("web", "old news")}},
      {{"web", "left"}, {.service = "web", .new_definition = definition("web", "0")}}};
  CHECK(lines(instances_after(plan, world.readings, last_known, report)) ==
        Lines{"db@d1 1 -", "web@h1 2 upgraded", "web@h2 1 rolled-back", "web@h3 - roll-back-failed",
              "web@h4 - unknown", "web@h5 0 unreachable", "web@h6 2 upgraded"});
}

TEST_CASE("generation: an installation that did not come about is there without a definition") {
  World world;
  world.transport.faults["h1: start web 1"] = fails("no");
  const Plan plan = world.plan(site({{"front", {service("web", "1")}, hosts(2)}}));
  const Report report = world.execute(plan, at_most(1));
  CHECK(lines(instances_after(plan, world.readings, {}, report)) ==
        Lines{"web@h1 - rolled-back", "web@h2 - skipped"});
}
