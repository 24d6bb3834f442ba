// SPDX-License-Identifier: LGPL-3.0-or-later
#include <tutti/error.hpp>

#include <doctest/doctest.h>

using namespace tutti;

TEST_CASE("error: the nearest name is found through a typing mistake, and only then") {
  const std::vector<std::string> known{"database", "web", "cache"};
  CHECK(nearest("databse", known) == "database");
  CHECK(nearest("wbe", known) == "web");  // two letters swapped are one mistake
  CHECK(nearest("webs", known) == "web");
  CHECK(nearest("mailer", known).empty());
  CHECK(nearest("x", {}).empty());
  CHECK(nearest("db", {"bd", "dd"}) == "bd");  // the first of equals
}

TEST_CASE("error: a suggestion names the nearest, else what there is, else nothing") {
  CHECK(suggestion("wbe", {"web", "db"}) == " Did you mean 'web'?");
  CHECK(suggestion("mailer", {"web", "db"}) == " Known: web, db.");
  CHECK(suggestion("x", {}).empty());
  const std::string many = suggestion("zzzzzz", std::vector<std::string>(100, "service-a"));
  CHECK(many.ends_with(", …"));
  CHECK(many.size() < 200);
}

TEST_CASE("error: context goes before the message, outermost first") {
  Error error(ErrorCode::misuse, "no port");
  error.in("service 'web'").in("site 'shop'");
  CHECK(std::string(error.what()) == "site 'shop': service 'web': no port");
  CHECK(error.code() == ErrorCode::misuse);
}
