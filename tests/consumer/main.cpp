// SPDX-License-Identifier: LGPL-3.0-or-later
// Deploys, upgrades, fails, rolls back and removes, on this machine, without any Scheme; and says
// what is not as it should be.
#include <fstream>
#include <iostream>
#include <iterator>

#include <tutti/tutti.hpp>

using namespace tutti;

namespace {

int failures = 0;
void check(bool holds, const std::string& what) {
  std::cout << (holds ? "ok    " : "FAIL  ") << what << '\n';
  failures += !holds;
}

Transition note(Context c, Definition service, std::string word) {
  co_await c.run(service.hook("note"), word + "\n");
}

/// A transition of one's own: what it does, and what is done when it fails, is written down on the host.
Transition switch_noted(Context c, Change change) {
  if (change.old_service) co_await c.stop(*change.old_service);
  c.on_roll_back(note, change.new_service, "back");
  co_await c.start(change.new_service);
  co_await c.run(change.new_service.hook("note"), "to " + change.new_service.version + "\n");
  co_await c.validate(change.new_service);
}

Site site(const std::string& version, bool fails = false) {
  const Text notes = DataDirectory{"notes"};
  const Service db{.name = "db",
                   .version = version,
                   .endpoints = {{"sql", "5432"}},
                   .start = daemon({"sleep", "1000"}),
                   .validate = Program{"sh", "-c", fails ? "echo no good >&2; exit 1" : "true"}.within(1),
                   .hooks = {{"note", {"sh", "-c", "cat >> \"$0/log\"", notes}}},
                   .switch_to_service = {"switch-noted", switch_noted}};
  const Service web{.name = "web",
                    .version = version,
                    .files = {{"etc/web.conf", Text("database ") + Setting{"database"} + "\n"}},
                    .settings =
                        [](const SiteView& view, const Host&) {
                          return Settings{{"database", view.endpoint("db", "sql")}};
                        },
                    .start = daemon({"sleep", "1000"}),
                    .requirements = {{.service = "db"}}};
  Site whole{.name = "consumer",
             .host_classes = {{.name = "data"}, {.name = "front"}},
             .host_class_to_hosts = inventory_list(
                 {{"data", {{.name = "db1"}}}, {"front", {{.name = "web1"}, {.name = "web2"}}}}),
             .platform = local_platform("hosts"),
             .policy = at_most(1)};
  if (!version.empty()) {
    whole.host_classes[0].services = {db};
    whole.host_classes[1].services = {web};
  }
  return whole;
}

Report deploy(const Site& wanted) {
  Deployment deployment = Deployment::open(wanted, "state.db");
  const Plan plan = deployment.plan();
  return deployment.execute(plan);
}

std::string read(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

Outcome outcome(const Report& report, const std::string& host) {
  for (const StepReport& step : report.steps)
    if (step.host == host) return step.outcome;
  return Outcome::none;
}

}  // namespace

int main() try {
  check(tutti::version() == std::to_string(TUTTI_VERSION_MAJOR) + "." + std::to_string(TUTTI_VERSION_MINOR) +
                                "." + std::to_string(TUTTI_VERSION_PATCH),
        "the library is that of the headers");
  const std::string log = "hosts/db1/data/consumer/db/notes/log";
  check(deploy(site("1")).exit_status() == 0, "version 1 is deployed");
  check(read("hosts/web1/etc/web.conf") == "database 127.0.1.1:5432\n",
        "an endpoint is bound late, into a file");
  const Report again = deploy(site("1"));
  check(again.steps.empty() && again.frames == 3, "a second deploy has no step and asks each host once");
  check(deploy(site("2")).exit_status() == 0, "version 2 is deployed");
  const Report failed = deploy(site("3", true));
  check(failed.exit_status() == 3 && outcome(failed, "db1") == Outcome::rolled_back,
        "version 3 does not validate and is rolled back");
  check(outcome(failed, "web1") == Outcome::skipped && outcome(failed, "web2") == Outcome::skipped,
        "what comes after it is skipped");
  check(read(log) == "to 1\nto 2\nto 3\nback\n", "the transition's own effects and compensation ran");
  {
    Deployment deployment = Deployment::open(site("2"), "state.db");
    check(deployment.plan().empty(), "everything is as before");
    check(deployment.state().history().size() == 3, "three generations are recorded");
  }
  try {
    Site wrong = site("1");
    wrong.host_classes[1].services[0].requirements = {{.service = "bd"}};
    (void)deploy(wrong);
    check(false, "an unknown requirement is an error");
  } catch (const Error& error) {
    check(std::string(error.what()).find("Did you mean 'db'?") != std::string::npos,
          "an unknown requirement names the nearest");
  }
  check(deploy(site("")).exit_status() == 0, "everything is removed");
  check(read("hosts/web1/etc/web.conf").empty(), "its files went with it");
  return failures ? 1 : 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
