// SPDX-License-Identifier: LGPL-3.0-or-later
// Site, state and transport together, on directories of this machine, with the real runner: what only
// shows between the parts. The parts have their own tests.
#include <tutti/deployment.hpp>

#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>

#include <fmt/format.h>

#include "unit/support/fakes.hpp"

using namespace tutti;
using namespace tutti::fake;
namespace fs = std::filesystem;

namespace {

using Lines = std::vector<std::string>;

/// Two hosts below a folder that is gone with the test; a service that is one file.
struct Here {
  Here() {
    char name[] = "/tmp/tutti-deployment.XXXXXX";
    path = ::mkdtemp(name);
  }
  ~Here() { fs::remove_all(path); }
  Here(const Here&) = delete;
  Here& operator=(const Here&) = delete;

  [[nodiscard]] Site site(const std::string& version, const std::string& validate = "true") const {
    Service one{.name = "page",
                .version = version,
                .files = {{"page.txt", "version " + version}},
                .start = program({"true"}),
                .stop = program({"true"}),
                .validate = program({validate}).within(1),
                .declared = Declared("here")};
    Site made = fake::site({{"front", {one}, {"h1", "h2"}}});
    made.platform = local_platform(path / "hosts");
    made.policy = at_most(1);
    return made;
  }
  [[nodiscard]] std::string page(const std::string& host) const {
    std::ifstream file(path / "hosts" / host / "page.txt");
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }
  [[nodiscard]] fs::path state(const std::string& name = "state.db") const { return path / name; }
  fs::path path;
};

Report deploy(const Site& site, const fs::path& state) {
  Deployment deployment = Deployment::open(site, state);
  return deployment.execute(deployment.plan());
}

}  // namespace

TEST_CASE("deployment: install, nothing to do, upgrade, fail and be back; each is a generation") {
  const Here here;
  CHECK(deploy(here.site("1"), here.state()).exit_status() == 0);
  CHECK(here.page("h1") == "version 1");
  {
    Deployment same = Deployment::open(here.site("1"), here.state());
    const Plan plan = same.plan();
    CHECK(plan.empty());
    const Report report = same.execute(plan);
    CHECK(report.exit_status() == 0);
    CHECK(report.frames == 2);                  // one for each host
    CHECK(same.state().history().size() == 1);  // no run for nothing
  }
  CHECK(deploy(here.site("2"), here.state()).exit_status() == 0);
  CHECK(here.page("h2") == "version 2");
  const Report failed = deploy(here.site("3", "false"), here.state());
  CHECK(failed.exit_status() == 3);
  CHECK(outcomes(failed) == Lines{"page@h1 rolled-back", "page@h2 skipped"});
  CHECK(here.page("h1") == "version 2");
  Deployment after = Deployment::open(here.site("2"), here.state());
  CHECK(after.plan().empty());
  const auto history = after.state().history();
  REQUIRE(history.size() == 3);
  CHECK(history[0].status == "incomplete");
  CHECK(history[1].status == "complete");
  CHECK(history[1].summary == "page 1→2");
  CHECK(after.plan().generation == 2);  // of the manifests
  // Each generation says what the site was at.
  const auto versions = [&](int generation) {
    Lines lines;
    for (const auto& [instance, at] : after.state().instances_of(generation))
      lines.push_back(fmt::format("{}@{} {} {}", instance.service, instance.host, at.definition->version,
                                  to_string(at.outcome.value())));
    return lines;
  };
  CHECK(versions(1) == Lines{"page@h1 1 upgraded", "page@h2 1 upgraded"});
  CHECK(versions(2) == Lines{"page@h1 2 upgraded", "page@h2 2 upgraded"});
  CHECK(versions(3) == Lines{"page@h1 2 rolled-back", "page@h2 2 skipped"});
}

TEST_CASE("deployment: the waves are shown, and a policy that can never finish is said before") {
  const Here here;
  Deployment deployment = Deployment::open(here.site("1"), here.state());
  CHECK(deployment.plan().waves.size() == 2);
  Site stuck = here.site("1");
  stuck.policy = ask("nobody", [](const Rollout&, const Host&) -> Answer { return false; });
  Deployment other = Deployment::open(stuck, here.state("other.db"));
  CHECK(other.plan().notes == Lines{"the policy (nobody) can never admit the rest"});
}

TEST_CASE("deployment: a host keeps its name, and another one is refused until it is accepted") {
  const Here here;
  CHECK(deploy(here.site("1"), here.state()).exit_status() == 0);
  const fs::path name = here.path / "hosts" / "h1" / ".tutti" / "site-shop" / "name";
  CHECK(fs::file_size(name) == 5);  // "h1 .\n"
  std::ofstream(name) << "old1 .\n";
  Deployment deployment = Deployment::open(here.site("1"), here.state());
  CHECK(error_of([&] { (void)deployment.plan(); }) == "host 'h1' (127.0.1.1) is called 'old1' in this site: "
                                                      "if it is that machine under a new name, accept the "
                                                      "name; else correct its address");
  CHECK(has(deployment.status().to_text(), "note: host 'h1' (127.0.1.1) is called 'old1' in this site\n"));
  const Plan plan = deployment.plan({.accept_names = true});
  CHECK(plan.empty());
  CHECK(plan.notes == Lines{"host 'h1' was called 'old1' in this site until now: it gets the new name"});
  CHECK(deployment.execute(plan, {}, {.dry_run = true}).exit_status() == 0);
  CHECK(has(error_of([&] { (void)deployment.plan(); }), "'old1'"));  // nothing was done
  CHECK(deployment.execute(plan).exit_status() == 0);
  CHECK(deployment.plan().empty());
  // With something to do it goes the same way.
  std::ofstream(name) << "old2 .\n";
  Deployment next = Deployment::open(here.site("2"), here.state());
  CHECK(next.execute(next.plan({.accept_names = true})).exit_status() == 0);
  CHECK(next.plan().empty());
  CHECK(here.page("h1") == "version 2");
}

TEST_CASE("deployment: a name that changes between plan and deploy is refused, and nothing is touched") {
  const Here here;
  CHECK(deploy(here.site("1"), here.state()).exit_status() == 0);
  Deployment deployment = Deployment::open(here.site("2"), here.state());
  const Plan plan = deployment.plan();
  std::ofstream(here.path / "hosts" / "h1" / ".tutti" / "site-shop" / "name") << "old1 .\n";
  const Report report = deployment.execute(plan);
  CHECK(step_of(report, "page", "h1").outcome == Outcome::skipped);
  CHECK(has(step_of(report, "page", "h1").message,
            "h1 (127.0.1.1) is called 'old1' in this site: accept that name"));
  CHECK(here.page("h1") == "version 1");
}

TEST_CASE("deployment: one machine with two names in an inventory is an error that names both") {
  const Here here;
  CHECK(deploy(here.site("1"), here.state()).exit_status() == 0);
  fs::remove_all(here.path / "hosts" / "h2");
  fs::create_directory_symlink(here.path / "hosts" / "h1", here.path / "hosts" / "h2");
  Deployment deployment = Deployment::open(here.site("1"), here.state());
  CHECK(has(error_of([&] { (void)deployment.plan({.accept_names = true}); }),
            "hosts 'h1' (127.0.1.1) and 'h2' (127.0.1.2) are one machine: take one of them out"));
}

TEST_CASE("deployment: a host that was deployed before there were names gets its own with the next deploy") {
  const Here here;
  CHECK(deploy(here.site("1"), here.state()).exit_status() == 0);
  const fs::path name = here.path / "hosts" / "h1" / ".tutti" / "site-shop" / "name";
  fs::remove(name);
  CHECK(Deployment::open(here.site("1"), here.state()).plan().empty());
  CHECK_FALSE(fs::exists(name));
  CHECK(deploy(here.site("2"), here.state()).exit_status() == 0);
  CHECK(fs::exists(name));
}

TEST_CASE("deployment: a host that has left is noted until it is forgotten") {
  const Here here;
  CHECK(deploy(here.site("1"), here.state()).exit_status() == 0);
  Site smaller = here.site("1");
  smaller.host_class_to_hosts = inventory_list({{"front", {{.name = "h1"}}}});
  Deployment deployment = Deployment::open(smaller, here.state());
  CHECK(deployment.plan().notes ==
        Lines{"host 'h2' is in no class any more; when last seen it held page 1: it is left "
              "alone. `forget h2` ends this note"});
  CHECK(error_of([&] { (void)deployment.forget("h1"); }) ==
        "host 'h1' is of class 'front': take it out of the inventory first, then what it held is forgotten");
  CHECK(error_of([&] { (void)deployment.forget("h3"); }) ==
        "nothing is known of a host 'h3' that has left. Did you mean 'h2'?");
  CHECK(deployment.forget("h2") == Lines{"page 1"});
  CHECK(deployment.plan().notes.empty());
  CHECK(deployment.plan().empty());
}

TEST_CASE("deployment: a database that was lost is replaced only on purpose, and then counts on") {
  const Here here;
  CHECK(deploy(here.site("1"), here.state()).exit_status() == 0);
  CHECK(deploy(here.site("2"), here.state()).exit_status() == 0);
  Deployment fresh = Deployment::open(here.site("3"), here.state("fresh.db"));
  const Plan plan = fresh.plan();
  CHECK(plan.steps.size() == 2);
  CHECK(fresh.foreign(plan).size() == 2);
  CHECK(code_of([&] { (void)fresh.execute(plan); }) == ErrorCode::locked);
  CHECK(here.page("h1") == "version 2");
  CHECK(!fresh.state().unfinished());
  const Report report = fresh.execute(plan, {}, {.take_over = true});
  CHECK(report.exit_status() == 0);
  CHECK(report.generation == 3);
  CHECK(here.page("h1") == "version 3");
  // The one that was displaced can do no harm.
  Deployment old = Deployment::open(here.site("4"), here.state());
  CHECK(code_of([&] { (void)old.execute(old.plan()); }) == ErrorCode::locked);
}

TEST_CASE("deployment: a plan is executed on what it was made from, or not at all") {
  const Here here;
  CHECK(deploy(here.site("1"), here.state()).exit_status() == 0);
  Deployment one = Deployment::open(here.site("2"), here.state());
  const Plan plan = one.plan();
  CHECK(deploy(here.site("3"), here.state()).exit_status() == 0);
  CHECK(code_of([&] { (void)one.execute(plan); }) == ErrorCode::moved);
  CHECK(here.page("h1") == "version 3");
  CHECK(one.execute(one.plan()).exit_status() == 0);  // planned again, it goes
}

TEST_CASE("deployment: after a driver that threw, the run can be abandoned and the next one repairs") {
  const Here here;
  CHECK(deploy(here.site("1"), here.state()).exit_status() == 0);
  Deployment deployment = Deployment::open(here.site("2"), here.state());
  const auto broken = [](const Progress&) { throw std::runtime_error("the terminal is gone"); };
  CHECK_THROWS_AS((void)deployment.execute(deployment.plan(), broken), Error);
  CHECK(code_of([&] { (void)deployment.execute(deployment.plan()); }) == ErrorCode::locked);
  const auto open = deployment.abandon();
  REQUIRE(!open.empty());
  CHECK(has(open[0], "run 2 of "));
  CHECK(deployment.abandon().empty());
  CHECK(deployment.execute(deployment.plan()).exit_status() == 0);
  CHECK(here.page("h1") == "version 2");
  CHECK(here.page("h2") == "version 2");
}

TEST_CASE("deployment: a repair removes the files of the version that was left half-done") {
  const Here here;
  const auto site = [&](const std::string& version) {
    Site made = here.site(version);
    made.host_classes[0].services[0].files = {{"page-" + version + ".txt", version}};
    return made;
  };
  CHECK(deploy(site("1"), here.state()).exit_status() == 0);
  {
    Deployment deployment = Deployment::open(site("2"), here.state());
    const auto broken = [](const Progress& progress) {
      if (has(progress.text, "start page 2")) throw std::runtime_error("the terminal is gone");
    };
    CHECK_THROWS_AS((void)deployment.execute(deployment.plan(), broken), Error);
    CHECK(fs::exists(here.path / "hosts" / "h1" / "page-2.txt"));
    (void)deployment.abandon();
  }
  CHECK(deploy(site("1"), here.state()).exit_status() == 0);
  CHECK(fs::exists(here.path / "hosts" / "h1" / "page-1.txt"));
  CHECK_FALSE(fs::exists(here.path / "hosts" / "h1" / "page-2.txt"));
}

TEST_CASE("deployment: a manifest entry that can't be read is repaired at once, the daemon with it") {
  const Here here;
  Site site = here.site("1");
  Service& page = site.host_classes[0].services[0];
  page.start = daemon({"sleep", "1000"});
  page.stop = {};
  CHECK(deploy(site, here.state()).exit_status() == 0);
  for (const char* host : {"h1", "h2"})
    std::ofstream(here.path / "hosts" / host / ".tutti" / "site-shop" / "m" / "page") << "garbage";
  CHECK(deploy(site, here.state()).exit_status() == 0);
  CHECK(Deployment::open(site, here.state()).plan().empty());
  site.host_classes[0].services.clear();
  CHECK(deploy(site, here.state()).exit_status() == 0);  // and the daemons are gone
}

TEST_CASE(
    "deployment: a transition that is neither built in nor given is refused before anything is touched") {
  const Here here;
  Site site = here.site("1");
  site.host_classes[0].services[0].switch_to_service = TransitionProcedure(std::string("switch-page"));
  Deployment deployment = Deployment::open(site, here.state());
  CHECK(has(error_of([&] { (void)deployment.execute(deployment.plan()); }),
            "names the transition 'switch-page'"));
  CHECK(deployment.state().history().empty());
}

namespace {
Transition only_start(Context c, Change change) { co_await c.start(change.new_service); }
}  // namespace

TEST_CASE(
    "deployment: a transition of the site that has the name of a built-in one is the site's, shown and run") {
  const Here here;
  Site site = here.site("1");
  site.host_classes[0].services[0].switch_to_service = {"replace-service", only_start};
  Deployment deployment = Deployment::open(site, here.state());
  const Plan plan = deployment.plan();
  CHECK(has(plan.to_text(), "replace-service (site)"));
  const Report would = deployment.execute(plan, {}, {.dry_run = true});
  CHECK(step_of(would, "page", "h1").effects == Lines{"start page 1"});
  CHECK(TransitionProcedure(replace_service).origin == Origin::built_in);
  CHECK(TransitionProcedure(replace_service).name == "replace-service");
}

TEST_CASE("deployment: status says what runs where, and which run was not finished") {
  const Here here;
  CHECK(deploy(here.site("1"), here.state()).exit_status() == 0);
  Deployment deployment = Deployment::open(here.site("1"), here.state());
  CHECK(has(deployment.status().to_text(), "front  h1    page     1        deployed"));
  (void)deployment.state().begin_run(R"({"steps": []})", "", "", 0, 1);
  CHECK(has(deployment.status().to_text(), "run 2 of "));
}

namespace {
Transition reads_output(Context c, Change change) {
  const Output output = co_await c.run(command("count"));
  if (change.host == "h1" && output.text.empty()) throw std::runtime_error("nothing was counted");
  co_await c.start(change.new_service);
}
}  // namespace

TEST_CASE(
    "deployment: a dry run tells every effect, of a transition that stops short too, and touches nothing") {
  const Here here;
  Site site = here.site("1");
  Deployment deployment = Deployment::open(site, here.state());
  const Plan plan = deployment.plan();
  const Report would = deployment.execute(plan, {}, {.dry_run = true});
  CHECK(would.exit_status() == 0);
  CHECK(step_of(would, "page", "h2").effects == Lines{"start page 1", "validate page 1"});
  CHECK(fs::is_empty(here.path / "hosts" / "h1" / ".tutti") ==
        false);  // the plan read it: the runner is there
  CHECK_FALSE(fs::exists(here.path / "hosts" / "h1" / "page.txt"));
  CHECK(deployment.state().history().empty());
  CHECK(deployment.state().next_epoch() == 1);
  CHECK(deployment.execute(plan).exit_status() == 0);  // it stands in nobody's way

  // Nothing was done, so nothing is undone, and what comes after it is told all the same.
  Site other = here.site("2");
  other.host_classes[0].services[0].switch_to_service = reads_output;
  Deployment next = Deployment::open(other, here.state());
  const Report stops = next.execute(next.plan(), {}, {.dry_run = true});
  CHECK(step_of(stops, "page", "h1").effects == Lines{"run count"});
  CHECK(step_of(stops, "page", "h1").outcome == Outcome::unchanged);
  CHECK(step_of(stops, "page", "h1").message == "nothing was counted");
  CHECK(step_of(stops, "page", "h2").effects == Lines{"run count", "start page 2"});
  CHECK(step_of(stops, "page", "h2").outcome == Outcome::upgraded);
  CHECK(stops.exit_status() == 3);
}

TEST_CASE("deployment: runs are kept whole as long as is asked, here and on the hosts") {
  const Here here;
  const auto kept_on = [&](const std::string& host, int run) {
    int files = 0;
    for (const auto& file : fs::directory_iterator(here.path / "hosts" / host / ".tutti" / "site-shop" / "e"))
      if (const std::string name = file.path().filename().string();
          name.substr(name.find('.')).starts_with(fmt::format(".{}.", run)))
        ++files;
    return files;
  };
  for (const char* version : {"1", "2", "3", "4"}) {
    Deployment deployment = Deployment::open(here.site(version), here.state());
    CHECK(deployment.execute(deployment.plan(), {}, {.keep = 2}).exit_status() == 0);
  }
  CHECK(kept_on("h1", 2) == 0);
  CHECK(kept_on("h1", 3) > 0);
  CHECK(kept_on("h1", 4) > 0);
  // What failed since the last complete run is kept, however much that is.
  for (int i = 0; i < 3; ++i) {
    Deployment deployment = Deployment::open(here.site("5", "false"), here.state());
    CHECK(deployment.execute(deployment.plan(), {}, {.keep = 1}).exit_status() == 3);
  }
  CHECK(kept_on("h1", 3) == 0);
  CHECK(kept_on("h1", 4) > 0);
  Deployment deployment = Deployment::open(here.site("5"), here.state());
  CHECK(deployment.state().history().size() == 7);
  CHECK_FALSE(deployment.state().records(4).empty());
  CHECK(deployment.state().records(3).empty());
  CHECK(has(error_of([&] { (void)deployment.log(3); }), "run 3 was forgotten"));
  CHECK(deployment.state().definitions_of(3).at({"page", "h1"})->version == "3");
  CHECK(has(error_of([&] { (void)deployment.log(8); }), "there is no run 8: the last is 7"));
}

TEST_CASE("deployment: the log has what a run did, with what it printed, from the hosts") {
  const Here here;
  Site site = here.site("1", "true");
  Service& page = site.host_classes[0].services[0];
  page.start = program({"sh", "-c", "seq 1 3000; printf 'bell \\007\\n' >&2"});
  {
    Deployment deployment = Deployment::open(site, here.state());
    CHECK(deployment.execute(deployment.plan()).exit_status() == 0);
  }
  const auto log = [&](LogOptions options) {
    Deployment deployment = Deployment::open(site, here.state());
    RunLog lines = deployment.log(0, std::move(options));
    std::string all;
    while (const auto piece = lines.next()) all += *piece;
    return all;
  };
  const std::string all = log({.most_bytes = 0});
  CHECK(has(all, "run 1 of "));
  CHECK(has(all, "page@h1  install  upgraded\n"));
  CHECK(has(all, "page@h2  install  upgraded\n"));
  CHECK(has(all, "\n    | 1\n    | 2\n"));
  CHECK(has(all, "\n    | 3000\n    ! bell \\x07\n"));
  const std::string end = log({.host = "h1", .most_bytes = 10});
  CHECK_FALSE(has(end, "h2"));
  CHECK(has(end, "    … 13883 bytes before these stay on h1"));
  CHECK(has(end, "    | 2999\n    | 3000\n"));
  CHECK_FALSE(has(end, "2998"));
  CHECK(has(error_of([&] { (void)log({.host = "h3"}); }), "run 1 did nothing on 'h3'. Did you mean 'h"));
  page.start = program({"sh", "-c", "printf 'copy\\000of a database\\n'"});
  page.version = "2";
  {
    Deployment deployment = Deployment::open(site, here.state());
    CHECK(deployment.execute(deployment.plan()).exit_status() == 0);
  }
  CHECK(has(log({.host = "h1"}), "    … 19 bytes that are no text, on h1\n"));
  CHECK_FALSE(has(log({.host = "h1"}), "database"));
  {  // A run that only records has no effect of a transition.
    page.validate = program({"true", "again"});
    Deployment deployment = Deployment::open(site, here.state());
    CHECK(deployment.execute(deployment.plan()).exit_status() == 0);
    CHECK(has(log({.host = "h1"}), "page@h1  record  upgraded\n"));
    CHECK(has(log({}), "page@h2  record  upgraded\n"));
  }
  page.start = program({"sh", "-c", "seq 1 3000"});
  page.version = "3";
  {
    Deployment deployment = Deployment::open(site, here.state());
    CHECK(deployment.execute(deployment.plan()).exit_status() == 0);
  }
  // On a host that has lost it, the journal's part is told, and that there was more.
  fs::remove_all(here.path / "hosts" / "h1" / ".tutti" / "site-shop");
  CHECK(has(log({.host = "h1"}), "    … not on h1 any more: h1"));
}

TEST_CASE("status: who is held back is said, with whom for") {
  Status status;
  status.fleet.hosts = {{.name = "h2", .host_class = "front"}};
  status.hosts = {{.host = "h2",
                   .reached = true,
                   .entries = {{{.service = "app",
                                 .new_definition = std::make_shared<const Definition>(Definition{"app", "1"}),
                                 .drained = {{"db@h1", "10.0.0.1:5432"}}},
                                HostReading::Life::alive}}}};
  CHECK(has(status.to_text(), "\napp@h2 holds back for db@h1 (10.0.0.1:5432)\n"));
}

TEST_CASE("status: what was restarted, and what will not come back after a reboot, is said") {
  Status status;
  status.fleet.hosts = {{.name = "h1", .host_class = "front"}};
  const auto with = [&](Upkeep upkeep) {
    status.hosts = {
        {.host = "h1",
         .reached = true,
         .entries = {{.entry = {.service = "app",
                                .new_definition = std::make_shared<const Definition>(Definition{"app", "1"})},
                      .life = HostReading::Life::alive,
                      .upkeep = std::move(upkeep)}}}};
    return status.to_text();
  };
  const std::string well = with({.keeper = "plain", .boot = true});
  CHECK(!has(well, "restarted"));
  CHECK(!has(well, "reboot"));
  CHECK(status.exit_status() == 0);
  const std::string once = with({.keeper = "plain", .restarts = 1, .recent = 1, .last = 30, .boot = false});
  CHECK(has(once, "\napp@h1 was restarted once, last 30 s ago\n"));
  CHECK(has(once, "\napp@h1 will not come back after a reboot\n"));
  CHECK(has(once, "deployed"));
  CHECK(status.exit_status() == 0);
  const std::string failing = with({.keeper = "plain", .restarts = 8, .recent = 6, .last = 3});
  CHECK(has(failing, "failing"));
  CHECK(has(failing, "\napp@h1 was restarted 8 times, last 3 s ago\n"));
  CHECK(status.exit_status() == 3);
  CHECK(has(status.to_json(), "\"failing\": true"));
  CHECK(has(with({.keeper = "systemd", .note = "its unit is masked"}), "\napp@h1: its unit is masked\n"));
  status.hosts.push_back({.host = "h2", .why = "no route"});
  CHECK(status.exit_status() == 5);
}

TEST_CASE("status: hosts that do not answer, hold nothing, or say something odd") {
  Status status;
  status.fleet.hosts = {{.name = "h1", .host_class = "front"},
                        {.name = "h2", .host_class = "front"},
                        {.name = "h3", .host_class = "front"}};
  status.hosts = {{.host = "h1", .why = "no route\x1b[2J"},
                  {.host = "h2", .reached = true},
                  {.host = "h3",
                   .reached = true,
                   .entries = {{{.state = ManifestEntry::State::failed, .service = "web", .run = 4},
                                HostReading::Life::dead}}}};
  CHECK(status.to_text() == "class  host  service  version  state             since\n"
                            "front  h1                      unreachable       no route\\x1b[2J\n"
                            "front  h2                      nothing deployed\n"
                            "front  h3    web      ?        failed (run 4)\n");
}
