// SPDX-License-Identifier: LGPL-3.0-or-later
// What a program that holds a Deployment may do wrong, or from another thread: found by one who embedded
// Tutti.
#include <tutti/deployment.hpp>

#include <doctest/doctest.h>
#include <stdlib.h>

#include <atomic>
#include <filesystem>
#include <stdexcept>
#include <thread>

#include <fmt/format.h>

#include "unit/support/fakes.hpp"

using namespace tutti;
using namespace tutti::fake;
namespace fs = std::filesystem;

namespace {

/// A folder that is gone with the test, and a site of one daemon on hosts in it.
struct Here {
  Here() {
    char name[] = "/tmp/tutti-embedder.XXXXXX";
    path = ::mkdtemp(name);
  }
  ~Here() {
    try {  // nothing that was started outlives the test
      Site none = site("1");
      none.host_classes[0].services.clear();
      Deployment deployment = Deployment::open(none, state());
      (void)deployment.abandon();
      const Plan plan = deployment.plan();
      (void)deployment.execute(plan, {}, {.take_over = true});
    } catch (const std::exception& error) {
      MESSAGE("what was started could not be stopped: ", error.what());
    }
    fs::remove_all(path);
  }
  Here(const Here&) = delete;
  Here& operator=(const Here&) = delete;

  [[nodiscard]] Site site(const std::string& version) const {
    Service web{.name = "web",
                .version = version,
                .start = daemon({"sleep", "3001"}),
                .validate = Program{"true"}.within(5),
                .declared = Declared("here")};
    Site made = fake::site({{"front", {web}, {"h1", "h2"}}});
    made.platform = local_platform(path / "hosts");
    made.policy = at_most(1);
    return made;
  }
  [[nodiscard]] fs::path state() const { return path / "state.db"; }
  fs::path path;
};

Transition two_words(Context c, Change web) {
  const bool is_first = !web.old_service;
  const Command wanted =
      is_first ? command("true") : command("test", "a word that fits no short string buffer");
  co_await c.run(wanted);
  co_await c.run(command("printf", "%s", "another word that fits no short string buffer"));
  if (web.old_service) co_await c.stop(*web.old_service);
  co_await c.start(web.new_service);
}

Transition tries(Context c, Change web) {
  const Result tried = co_await c.run(command("sh", "-c", "echo no >&2; exit 3")).result();
  if (tried.succeeded || tried.status != 3 || !has(tried.error, "no"))
    throw std::runtime_error("what it came to");
  co_await c.start(web.new_service);
}

}  // namespace

TEST_CASE("embedder: interrupt() from another thread is safe before, during and after runs") {
  const Here here;
  Deployment deployment = Deployment::open(here.site("1"), here.state());
  const Plan plan = deployment.plan();
  std::atomic<bool> stop{false};
  std::thread other([&] {
    while (!stop) deployment.interrupt();
  });
  for (int i = 0; i < 300; ++i) (void)deployment.execute(plan, {}, {.dry_run = true});
  stop = true;
  other.join();
}

TEST_CASE("embedder: an interrupt before execute() is not lost, and ends one run only") {
  const Here here;
  Deployment deployment = Deployment::open(here.site("1"), here.state());
  const Plan plan = deployment.plan();
  deployment.interrupt();
  const Report report = deployment.execute(plan);
  CHECK(report.interrupted);
  CHECK(outcomes(report) == std::vector<std::string>{"web@h1 skipped", "web@h2 skipped"});
  const Report next = deployment.execute(deployment.plan());
  CHECK(outcomes(next) == std::vector<std::string>{"web@h1 upgraded", "web@h2 upgraded"});
}

TEST_CASE("embedder: a plan of another site, fleet or program is refused") {
  const Here here;
  Deployment deployment = Deployment::open(here.site("1"), here.state());
  const Plan plan = deployment.plan();
  const auto refused = [&](const Site& site) {
    Deployment other = Deployment::open(site, here.path / "other.db");
    CHECK(code_of([&] { (void)other.execute(plan); }) == ErrorCode::moved);
    return error_of([&] { (void)other.execute(plan); });
  };
  Site other_name = here.site("1");
  other_name.name = "other";
  CHECK(has(refused(other_name),
            fmt::format("the plan is not of this deployment of 'other': it is of site '{}'", plan.site)));
  Site other_fleet = here.site("1");
  other_fleet.host_class_to_hosts = inventory_list({{"front", {{.name = "h1"}}}});
  CHECK(has(refused(other_fleet), "its fleet is another one"));
  CHECK(has(refused(here.site("2")), "the site has no web 1"));
  Site other_program = here.site("1");
  other_program.source = {{"site.scm", "(other)"}};
  CHECK(has(refused(other_program), "it was made from another program"));
  CHECK(deployment.state().history().empty());
}

TEST_CASE("embedder: a plan that was edited is an error, never a crash") {
  const Here here;
  Deployment deployment = Deployment::open(here.site("1"), here.state());
  const Plan plan = deployment.plan();
  const auto refused = [&](auto&& edit) {
    Plan edited = plan;
    edit(edited);
    return error_of([&] { (void)deployment.execute(edited); });
  };
  CHECK(has(refused([](Plan& p) { p.steps[0].host = "ghost"; }), "host 'ghost', which is not in its fleet"));
  CHECK(has(refused([](Plan& p) { p.edges.push_back({StepId{0}, StepId{99}, ""}); }), "there is no step 99"));
  CHECK(has(refused([](Plan& p) {
              p.edges.push_back({StepId{0}, StepId{1}, ""});
              p.edges.push_back({StepId{1}, StepId{0}, ""});
            }),
            "form a loop"));
  CHECK(has(refused([](Plan& p) { p.readings.erase("h1"); }), "host 'h1' was not read"));
  CHECK(has(refused([](Plan& p) { p.steps[0].new_definition = nullptr; }), "has no definition"));
}

TEST_CASE("embedder: what a callback throws is one kind of error, which says whose") {
  const Here here;
  Site site = here.site("1");
  SUBCASE("settings") {
    site.host_classes[0].services[0].settings = [](const SiteView&, const Host&) -> Settings { throw 7; };
    Deployment deployment = Deployment::open(site, here.state());
    CHECK(code_of([&] { (void)deployment.plan(); }) == ErrorCode::callback);
    CHECK(has(error_of([&] { (void)deployment.plan(); }), "settings of 'web' on host 'h1'"));
  }
  SUBCASE("an inventory") {
    site.host_class_to_hosts = [](const std::string&) -> std::vector<Host> {
      throw std::runtime_error("no answer");
    };
    CHECK(code_of([&] { (void)Deployment::open(site, here.state()); }) == ErrorCode::callback);
    CHECK(has(error_of([&] { (void)Deployment::open(site, here.state()); }), "failed: no answer"));
  }
  SUBCASE("progress") {
    Deployment deployment = Deployment::open(site, here.state());
    const Plan plan = deployment.plan();
    const auto run = [&] {
      (void)deployment.execute(plan, [](const Progress&) { throw std::runtime_error("my own reason"); });
    };
    CHECK(has(error_of(run), "the progress callback failed at web@h1: my own reason"));
    CHECK(deployment.abandon().size() >= 1);
    CHECK(deployment.execute(deployment.plan()).exit_status() == 0);
  }
}

TEST_CASE("embedder: while a callback takes its time, another process reads and writes the state") {
  const Here here;
  Deployment deployment = Deployment::open(here.site("1"), here.state());
  int asked = 0;
  const Report report = deployment.execute(deployment.plan(), [&](const Progress&) {
    State other(here.state());  // as another process has it
    other.saw("h1", 1);
    (void)other.history();
    ++asked;
  });
  CHECK(report.exit_status() == 0);
  CHECK(asked > 0);
}

TEST_CASE("embedder: a state file without a name is refused") {
  CHECK(has(error_of([] { State state(""); }), "the state file has no name"));
}

TEST_CASE("embedder: an effect that may fail is awaited for its result") {
  const Here here;
  Site site = here.site("1");
  site.host_classes[0].services[0].switch_to_service = {"tries", tries};
  Deployment deployment = Deployment::open(site, here.state());
  CHECK(deployment.execute(deployment.plan()).exit_status() == 0);
}

TEST_CASE("embedder: commands that are named first, and calls of command(), are safe in co_await") {
  const Here here;
  Site site = here.site("1");
  site.host_classes[0].services[0].switch_to_service = {"two-words", two_words};
  {
    Deployment deployment = Deployment::open(site, here.state());
    CHECK(deployment.execute(deployment.plan()).exit_status() == 0);
  }
  site.host_classes[0].services[0].version = "2";
  Deployment deployment = Deployment::open(site, here.state());
  CHECK(outcomes(deployment.execute(deployment.plan()))[0] == "web@h1 upgraded");
}

TEST_CASE("embedder: the report of a dry run says that it was one") {
  const Here here;
  Deployment deployment = Deployment::open(here.site("1"), here.state());
  const Report report = deployment.execute(deployment.plan(), {}, {.dry_run = true});
  CHECK(report.dry_run);
  CHECK(has(report.to_text(), "a dry run, nothing was done; it would be: 2 upgraded"));
  CHECK(has(report.to_json(), "\"dry_run\": true"));
  CHECK(deployment.state().history().empty());
}
