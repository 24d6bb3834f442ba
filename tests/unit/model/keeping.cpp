// SPDX-License-Identifier: LGPL-3.0-or-later
// What a service says of how it is kept: what is refused, what is hashed, and that it is read back.
#include <doctest/doctest.h>

#include "model/check.hpp"
#include "unit/support/fakes.hpp"
#include <tutti/site.hpp>

using namespace tutti;
using namespace tutti::fake;

namespace {

/// What is wrong with a service that was right; "" when nothing is.
template <class F> std::string broken(F spoil) {
  Service one = service("web", "1");
  one.start.is_daemon = true;
  one.stop = {};
  spoil(one);
  return error_of([&] { (void)check(site({{"front", {one}, {}}})); });
}

Definition all_said() {
  return {
      .service = "web",
      .version = "1",
      .limits = {{"memory", 512U << 20}, {"open-files", 4096}},
      .umask = 027,
      .nice = -5,
      .stop_signal = "INT",
      .programs = {{"start", {.argv = {"/bin/web"}, .service = "web 1", .hook = "start", .is_daemon = true}}},
      .restart = Restart::on_failure,
      .ready = {.when = Ready::When::port, .endpoint = "8080"},
      .log = LogTo::journal,
      .grace = 30,
      .settle = 2.5};
}

}  // namespace

TEST_CASE("keeping: a definition with everything said is read back equal") {
  const Definition one = all_said();
  CHECK(definition_from_json(canonical(one)) == one);
  Definition other = one;
  other.ready = {.when = Ready::When::told};
  other.restart = Restart::never;
  CHECK(definition_from_json(canonical(other)) == other);
}

TEST_CASE("keeping: what is not said stands in no canonical form") {
  Definition bare = all_said();
  bare = {.service = bare.service, .version = bare.version, .programs = bare.programs};
  CHECK(canonical(bare) == "{\"format\":1,\"handling\":{},\"running\":{\"service\":\"web\","
                           "\"start\":{\"argv\":[\"/bin/web\"],\"daemon\":true},\"version\":\"1\"}}");
}

TEST_CASE("keeping: what the process is given is running data, how it is kept is not") {
  const Definition one = all_said();
  const auto changes = [&](auto change) {
    Definition other = one;
    change(other);
    CHECK(other != one);
    return running_hash(other) != running_hash(one);
  };
  CHECK(changes([](Definition& d) { d.limits["open-files"] = 1; }));
  CHECK(changes([](Definition& d) { d.umask = 077; }));
  CHECK(changes([](Definition& d) { d.nice.reset(); }));
  CHECK(changes([](Definition& d) { d.stop_signal = "TERM"; }));
  CHECK_FALSE(changes([](Definition& d) { d.restart = Restart::never; }));
  CHECK_FALSE(changes([](Definition& d) { d.ready = {}; }));
  CHECK_FALSE(changes([](Definition& d) { d.log = LogTo::file; }));
  CHECK_FALSE(changes([](Definition& d) { d.grace = 1; }));
  CHECK_FALSE(changes([](Definition& d) { d.settle.reset(); }));
}

TEST_CASE("keeping: without a validation a service settles for a second, if it does not say how long") {
  Definition one = all_said();
  CHECK(one.settle_seconds() == 2.5);
  one.settle.reset();
  CHECK(one.settle_seconds() == 1);
  one.programs["validate"] = {.argv = {"true"}};
  CHECK(one.settle_seconds() == 0);
  one.programs.erase("validate");
  one.one_shot = true;
  CHECK(one.settle_seconds() == 0);
}

TEST_CASE("keeping: limits are numbers, and those of memory and cpu may have a unit") {
  CHECK(resource_limit("open-files", "4096") == 4096);
  CHECK(resource_limit("memory", "512M") == 512U << 20);
  CHECK(resource_limit("memory", "2G") == std::uint64_t{2} << 30);
  CHECK(resource_limit("cpu", "150%") == 150);
  const auto error = [](const char* name, const char* text) {
    return error_of([&] { (void)resource_limit(name, text); });
  };
  CHECK(error("opne-files", "1") ==
        "limits: there is no limit 'opne-files'; there are open-files, processes, "
        "memory, cpu. Did you mean 'open-files'?");
  CHECK(error("memory", "2T") ==
        "limits: '2T' is no limit of memory: give a number of bytes, or a string such as \"512M\" or \"2G\"");
  CHECK_FALSE(error("open-files", "4K").empty());
  CHECK_FALSE(error("processes", "0").empty());
  CHECK_FALSE(error("memory", "99999999999999999G").empty());
  CHECK_FALSE(error("cpu", "-1").empty());
}

TEST_CASE("keeping: what can't be is refused with the service, the field and what to write") {
  CHECK(broken([](Service&) {}).empty());
  CHECK(broken([](Service& s) { s.stop_signal = "SIGTERM"; }) ==
        "shop.scm:web: service 'web': stop-signal: 'SIGTERM' is not one of TERM, INT, QUIT, HUP, USR1, USR2, "
        "WINCH, KILL");
  CHECK(broken([](Service& s) { s.nice = 20; }) ==
        "shop.scm:web: service 'web': nice is a whole number from -20 to 19");
  CHECK(broken([](Service& s) { s.umask = 22; }) ==
        "shop.scm:web: service 'web': umask 22 is decimal, which is 26 in octal: write 022 or #o22");
  CHECK(broken([](Service& s) { s.grace = -1; }) ==
        "shop.scm:web: service 'web': grace is a number of seconds, from 0 to a day");
  CHECK(broken([](Service& s) {
          s.ready = {.when = Ready::When::port, .endpoint = "htpt"};
          s.endpoints = {{"http", "80"}};
        }) == "shop.scm:web: service 'web': ready: it has no endpoint 'htpt'. Did you mean 'http'?");
  CHECK(broken([](Service& s) {
          s.start.is_daemon = false;
          s.stop = {"stop"};
          s.restart = Restart::never;
        }) ==
        "shop.scm:web: service 'web': restart: it is of daemons, and its start is a program that returns: "
        "leave it out, or make start a daemon");
}

TEST_CASE(
    "keeping: a unit of systemd is started and stopped by systemd, on hosts of ours alone, by one service") {
  const auto of_unit = [](const std::string& name, Text unit) {
    Service one = service(name, "1");
    one.start = systemd_unit(std::move(unit));
    one.stop = {};
    return one;
  };
  Site shop = site({{"front", {of_unit("web", "nginx.service")}, {"h1"}}});
  shop.platform = ssh_platform();
  const Definition web = *elaborate(shop, look_up(shop)).definitions.begin()->second;
  REQUIRE(web.unit());
  CHECK(*web.unit() == "nginx.service");
  CHECK(web.is_daemon());
  CHECK(definition_from_json(canonical(web)) == web);
  const auto error = [&] { return error_of([&] { (void)elaborate(shop, look_up(shop)); }); };
  shop.host_classes[0].services.push_back(of_unit("other", "nginx.service"));
  CHECK(has(error(), "both start the unit 'nginx.service': let one of them do so"));
  shop.host_classes[0].services = {of_unit("web", "nginx")};
  CHECK(has(error(), "'nginx' is no name of a unit: give one such as \"nginx.service\""));
  shop.host_classes[0].services = {of_unit("web", "nginx.service")};
  shop.platform = local_platform("hosts");
  CHECK(has(error(), "the local platform leaves the units of this machine alone"));
  CHECK(has(broken([](Service& s) {
              s.start = systemd_unit("nginx.service");
              s.stop = {"stop"};
            }),
            "its start is a unit of systemd, which systemd stops: leave stop out"));
  CHECK(has(broken([](Service& s) {
              s.start = systemd_unit("nginx.service");
              s.nice = 3;
            }),
            "give the unit a drop-in as a file"));
}

TEST_CASE("keeping: a site in JSON says it, and what it can't say is named") {
  const auto read = [](const std::string& members) {
    return site_from_json(R"({"name": "shop", "platform": {"kind": "ssh"}, "policy": [], "hosts": [],
        "host_classes": [{"name": "front", "services": [{"name": "web", "version": "1",
          "endpoints": [{"name": "http", "port": "80"}],
          "start": {"argv": ["/bin/web"], "daemon": true})" +
                          members + "}]}]}")
        .host_classes.at(0)
        .services.at(0);
  };
  const Service said = read(R"(, "restart": "on-failure", "ready": {"port": "http"}, "log": "journal",
      "stop_signal": "INT", "grace": 30, "settle": 2.5, "limits": {"memory": "1G", "open-files": 64},
      "working_directory": "/srv", "umask": 23, "nice": 5)");
  CHECK(said.restart == Restart::on_failure);
  CHECK(said.ready == Ready{.when = Ready::When::port, .endpoint = "http"});
  CHECK(said.log == LogTo::journal);
  CHECK(said.grace == 30);
  CHECK(said.settle == 2.5);
  CHECK(said.limits == ResourceLimits{{"memory", 1U << 30}, {"open-files", 64}});
  CHECK(said.umask == 027U);
  CHECK(said.nice == 5);
  const auto error = [&](const std::string& members) { return error_of([&] { (void)read(members); }); };
  CHECK(error(R"(, "restart": "sometimes")").find("one of always, on-failure, never") != std::string::npos);
  CHECK(error(R"(, "ready": "soon")").find("ready") != std::string::npos);
  CHECK(error(R"(, "limits": {"files": 3})").find("there is no limit 'files'") != std::string::npos);
}
