// SPDX-License-Identifier: LGPL-3.0-or-later
#include "support/json.hpp"

#include <doctest/doctest.h>

#include "unit/support/fakes.hpp"

using namespace tutti;
using fake::error_of;
using fake::has;

TEST_CASE("json: malformed text is refused with what it was and the line") {
  const std::string error = error_of([] { (void)parse_json("{\n  \"a\": 1,\n  oops\n}", "hosts.json"); });
  CHECK(error.starts_with("hosts.json: line 3 is no JSON"));
  CHECK(error_of([] { (void)parse_json("", "hosts.json"); }).starts_with("hosts.json: line 1 is no JSON"));
  CHECK(!has(error_of([] { (void)parse_json("\"\x1b[31m", "x"); }), "\x1b"));  // it is printed
}

TEST_CASE("json: an unknown key is named, with the nearest known one") {
  const Json json = Json::parse(R"({"nam": "h1"})");
  CHECK(error_of([&] {
          Reader(json, "host 1", {"name", "address"});
        }) == "host 1: unknown key 'nam'. Did you mean 'name'?");
}

TEST_CASE("json: a missing member and a wrong type are said with what is wanted") {
  const Json json =
      Json::parse(R"({"text": 1, "integer": 1.5, "number": "x", "flag": 0, "array": {}, "object": []})");
  const Reader reader(json, "here", {"text", "integer", "number", "flag", "array", "object", "none"});
  CHECK(error_of([&] { (void)reader.text("none"); }) == "here: 'none' is missing");
  CHECK(error_of([&] { (void)reader.text("text"); }) == "here: 'text' is 1; a string is wanted");
  CHECK(error_of([&] { (void)reader.integer("integer", 0); }) ==
        "here: 'integer' is 1.5; a whole number is wanted");
  CHECK(error_of([&] { (void)reader.number("number", 0); }) == "here: 'number' is \"x\"; a number is wanted");
  CHECK(error_of([&] { (void)reader.flag("flag", false); }) == "here: 'flag' is 0; true or false is wanted");
  CHECK(error_of([&] { (void)reader.array("array"); }) == "here: 'array' is {}; a list is wanted");
  CHECK(error_of([&] { (void)reader.object("object"); }) == "here: 'object' is []; an object is wanted");
  CHECK(error_of([] { Reader(Json::parse("[]"), "here", {}); }) == "here: an object is wanted here");
}

TEST_CASE("json: what is left out has its default") {
  const Json json = Json::object();
  const Reader reader(json, "here", {"a"});
  CHECK(reader.text("a", "x") == "x");
  CHECK(reader.integer("a", 7) == 7);
  CHECK(reader.number("a", 1.5) == 1.5);
  CHECK(reader.flag("a", true));
  CHECK(reader.array("a").empty());
  CHECK(reader.object("a").empty());
}
