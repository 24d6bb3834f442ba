// SPDX-License-Identifier: LGPL-3.0-or-later
// What can be said to be wrong with a site before any host is known.
#include "model/check.hpp"

#include <doctest/doctest.h>

#include "unit/support/fakes.hpp"

using namespace tutti;
using namespace tutti::fake;

namespace {

std::string error(const Site& site) {
  return error_of([&] { (void)check(site); });
}
std::string error(const Service& one) { return error(site({{"front", {one}, {}}})); }

/// A service that is right, to be made wrong.
template <class F> std::string broken(F spoil) {
  Service one = service("web", "1");
  spoil(one);
  return error(one);
}

}  // namespace

TEST_CASE("check: a right site is right") {
  CHECK(error(site({{"front", {service("web", "1", {"db"})}, {}}, {"data", {service("db", "1")}, {}}}))
            .empty());
}

TEST_CASE("check: a loop of requirements is printed edge by edge, with where each was declared") {
  //  web → app → db → web,   and a longer one through cache:  db → cache → web
  const Site shop = site(
      {{"front", {service("web", "1", {"app"})}, {}},
       {"back",
        {service("app", "1", {"db"}), service("db", "1", {"cache", "web"}), service("cache", "1", {"web"})},
        {}}});
  CHECK(error(shop) == "site 'shop': requirements form a loop, so nothing can start first:\n"
                       "  'app' requires 'db'  (shop.scm:app)\n"
                       "  'db' requires 'web'  (shop.scm:db)\n"
                       "  'web' requires 'app'  (shop.scm:web)\n"
                       "Make one of them a connection: it binds addresses and orders nothing.");
}

TEST_CASE("check: a service may require itself, and connections may form loops") {
  Service web = service("web", "1", {"web"});
  Service db = service("db", "1");
  web.connections.push_back({.service = "db"});
  db.connections.push_back({.service = "web"});
  CHECK(error(site({{"front", {web, db}, {}}})).empty());
}

TEST_CASE("check: an unknown service in a relation is named with the place and the nearest name") {
  CHECK(error(site({{"front", {service("web", "1", {"databse"}), service("database", "1")}, {}}})) ==
        "shop.scm:web: 'web' requires 'databse': no service 'databse' in site 'shop'. Did you mean "
        "'database'?");
  Service web = service("web", "1");
  web.connections.push_back({.service = "nowhere", .declared = Declared("shop.scm:9")});
  CHECK(error(web) ==
        "shop.scm:9: 'web' connects to 'nowhere': no service 'nowhere' in site 'shop'. Known: web.");
}

TEST_CASE("check: a service declared twice is named with both places") {
  Service other = service("web", "2");
  other.declared = Declared("shop.scm:99");
  const std::string message = error(site({{"front", {service("web", "1")}, {}}, {"back", {other}, {}}}));
  CHECK(message ==
        "shop.scm:99: service 'web' is declared twice, here and at shop.scm:web: give one another name");
  CHECK(has(error(site({{"front", {service("web", "1"), service("web", "1")}, {}}})),
            "declared twice in class 'front'"));
}

TEST_CASE("check: one service may be listed in two classes, but not two that only look alike") {
  CHECK(error(site({{"front", {service("web", "1")}, {}}, {"back", {service("web", "1")}, {}}})).empty());
  // A procedure that makes services declares them all at one place.
  const auto make = [](const std::string& port) {
    Service one = service("web", "1");
    one.start = daemon({"/opt/web", port});
    return one;
  };
  CHECK(has(error(site({{"front", {make("80")}, {}}, {"back", {make("81")}, {}}})), "service 'web'"));
}

TEST_CASE("check: a class declared twice is named with the other place") {
  CHECK(error(site({{"front", {}, {}}, {"front", {}, {}}})) ==
        "shop.scm:class-front: host class 'front' is declared twice, here and at shop.scm:class-front: give "
        "one another name");
}

TEST_CASE("check: requirements of a class, and what relations can't have yet, are refused as not built") {
  Site shop = site({{"front", {}, {}}});
  shop.host_classes[0].requirements = {"data"};
  CHECK(code_of([&] { (void)check(shop); }) == ErrorCode::not_built);
  const auto relation = [](auto spoil) {
    Service web = service("web", "1", {"db"});
    spoil(web.requirements[0]);
    return code_of([&] { (void)check(site({{"front", {web, service("db", "1")}, {}}})); });
  };
  CHECK(relation([](Requirement& r) { r.versions = ">=2"; }) == ErrorCode::not_built);
  CHECK(relation([](Requirement& r) { r.on_change = "reload"; }) == ErrorCode::not_built);
  CHECK(relation([](Requirement& r) { r.scope = "same-host"; }) == ErrorCode::not_built);
  CHECK(!relation([](Requirement&) {}));
  CHECK(has(broken([](Service& s) { s.slots = 2; }), "slots other than 1 is not built yet"));
}

TEST_CASE("check: programs that can't be meant are refused with the remedy") {
  CHECK(has(broken([](Service& s) { s.stop = program({"x"}); }), "leave stop out"));
  CHECK(has(broken([](Service& s) { s.start = program({"x"}); }), "stop is required"));
  CHECK(has(broken([](Service& s) { s.one_shot = true; }), "a daemon can't be one-shot"));
  CHECK(has(broken([](Service& s) { s.start = {}, s.one_shot = true; }), "one-shot but has no start"));
  CHECK(has(broken([](Service& s) { s.validate = daemon({"x"}); }), "validate can't be a daemon"));
  CHECK(has(broken([](Service& s) { s.hooks["warm"] = daemon({"x"}); }), "hook 'warm' can't be a daemon"));
  CHECK(has(broken([](Service& s) { s.hooks["validate"] = program({"x"}); }),
            "has a field of its own: (validate …)"));
  for (Program Service::*field : {&Service::drain, &Service::undrain, &Service::migrate_back})
    CHECK(has(broken([&](Service& s) { s.*field = daemon({"x"}); }), "can't be a daemon"));
  CHECK(broken([](Service& s) { s.start = program({"x"}), s.stop = program({"y"}); }).empty());
  CHECK(broken([](Service& s) { s.start = program({"x"}), s.one_shot = true; }).empty());
}

TEST_CASE("check: limits are seconds, more than 0 and at most a week") {
  for (const double limit : {0.0, -1.0, 8.0 * 86400, std::numeric_limits<double>::infinity(),
                             std::numeric_limits<double>::quiet_NaN()}) {
    CHECK(has(broken([&](Service& s) { s.limit = limit; }), "limit is a number of seconds"));
    for (Program Service::*field : {&Service::validate, &Service::migrate_back})
      CHECK(has(broken([&](Service& s) { (s.*field = program({"x"})).limit = limit; }),
                "is a number of seconds"));
    CHECK(has(broken([&](Service& s) { (s.hooks["warm"] = program({"x"})).limit = limit; }),
              "is a number of seconds"));
  }
}

TEST_CASE(
    "check: names that a shell, a terminal or a path could stumble over are refused, and shown escaped") {
  CHECK(has(broken([](Service& s) { s.name = "-rf"; }), "service '-rf': a name has letters"));
  CHECK(has(broken([](Service& s) { s.name = "a\x1b[2J"; }), "service 'a\\x1b[2J'"));
  CHECK(has(broken([](Service& s) { s.version = ""; }), "version is empty"));
  CHECK(
      has(broken([](Service& s) { s.version = "1\n2"; }), "version is empty or has unprintable characters"));
  CHECK(has(broken([](Service& s) { s.version = "\xff"; }), "version"));
  CHECK(has(broken([](Service& s) { s.user = "a b"; }), "user 'a b' is no user name"));
  CHECK(has(broken([](Service& s) { s.environment["A=B"] = "x"; }),
            "'A=B' can't name an environment variable"));
  CHECK(has(broken([](Service& s) { s.environment["1A"] = "x"; }), "can't name an environment variable"));
  CHECK(has(broken([](Service& s) { s.hooks["a b"] = program({"x"}); }), "hook 'a b'"));
  CHECK(has(broken([](Service& s) { s.endpoints = {{"a b", "1"}}; }), "endpoint 'a b'"));
  CHECK(has(broken([](Service& s) {
              s.endpoints = {{"http", "1"}, {"http", "2"}};
            }),
            "endpoint 'http' is declared twice"));
  CHECK(has(broken([](Service& s) { s.files = {{"/a", "x", 010000}}; }), "mode 10000 of a file"));
  CHECK(has(broken([](Service& s) {
              s.files = {{"/a", "x", 644}};
            }),
            "mode 644 of a file is decimal, which is 1204 in octal: write 0644"));
  CHECK(has(broken([](Service& s) { s.files = {{"/a", "x", 0644, "-x"}}; }), "owner '-x' of a file"));
  CHECK(has(broken([](Service& s) { s.switch_to_service = TransitionProcedure(std::string("\xff")); }),
            "transition"));
  CHECK(has(broken([](Service& s) { s.remove_service = TransitionProcedure(std::string()); }), "transition"));
  Site shop = site({});
  shop.name = "a b";
  CHECK(has(error(shop), "site 'a b'"));
  CHECK(has(error(site({{"a/b", {}, {}}})), "host class 'a/b'"));
}

TEST_CASE("check: a mode that was written in decimal is told from one in octal") {
  for (const unsigned mode :
       {400U, 440U, 444U, 600U, 640U, 644U, 660U, 664U, 700U, 750U, 755U, 775U, 777U, 1777U, 2755U, 4755U})
    CHECK_MESSAGE(is_decimal_mode(mode), mode);
  for (const unsigned mode : {0U, 0400U, 0440U, 0444U, 0600U, 0640U, 0644U, 0660U, 0664U, 0700U, 0750U, 0755U,
                              0775U, 0777U, 01777U, 02755U, 04755U, 0111U, 0007U})
    CHECK_MESSAGE(!is_decimal_mode(mode), mode);
}
