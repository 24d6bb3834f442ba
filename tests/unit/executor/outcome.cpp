// SPDX-License-Identifier: LGPL-3.0-or-later
// Tokens of effects, and reports of what they came to.
#include "executor/outcome.hpp"

#include <doctest/doctest.h>

#include <tutti/report.hpp>

using namespace tutti;

TEST_CASE("outcome: a token says the run in its second part, and is a word") {
  CHECK(effect_token("0123456789abcdef", 12, {StepId{3}, task_path("t.4.1"), 5}) ==
        "0123456789ab.12.3.t.4.1.5");
}

TEST_CASE("report: a message of several lines in one says what failed, and why") {
  CHECK(in_one_line("") == "");
  CHECK(in_one_line("run x failed: exit 3") == "run x failed: exit 3");
  CHECK(in_one_line("it failed:\n  one\n  two\n") == "it failed: … two");
  // psql ends with where it was, not with what was wrong there
  CHECK(in_one_line("validate failed:\nERROR:  no such column\nLINE 1: SELECT x\n               ^") ==
        "validate failed: … ERROR:  no such column");
  // Python ends with what was wrong
  CHECK(in_one_line("died:\n  raise Error(1)\n    ^^^\nOSError: in use\n\n") == "died: … OSError: in use");
  CHECK(in_one_line("a\n---\n") == "a");
}

namespace {

StepReport rolled_back(std::string service, std::string host, std::string message) {
  return {.action = Action::upgrade,
          .service = std::move(service),
          .host = std::move(host),
          .old_version = "1",
          .new_version = "2",
          .outcome = Outcome::rolled_back,
          .message = std::move(message)};
}

std::size_t times(const std::string& text, const std::string& what) {
  std::size_t count = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

}  // namespace

TEST_CASE("report: one reason of many hosts is told once, with their number and the first of them") {
  Report report{.site = "shop", .run = 4};
  for (int n = 1; n <= 38; ++n)
    report.steps.push_back(
        rolled_back("app", "h" + std::to_string(n), "validate app 2 failed:\nline 1\nerror: port taken"));
  report.steps.push_back(rolled_back("app", "odd", "start app 2 failed: no such file"));
  report.halted = "app@h3 is rolled-back: " + report.steps[2].message;
  const std::string text = report.to_text();
  CHECK(times(text, "port taken") == 1);
  CHECK(times(text, "halted: app@h3 is rolled-back\n") == 1);
  CHECK(times(text, "app on 38 hosts (h1, h2, h3, …): validate app 2 failed:\nline 1\nerror: port taken\n") ==
        1);
  CHECK(times(text, "start app 2 failed: no such file") == 1);  // in its row of the table
  CHECK(times(text, "app@h17") == 1);
}

TEST_CASE("report: one reason of two services on one host names both instances") {
  Report report{.site = "shop", .run = 4};
  report.steps = {rolled_back("app", "h1", "the disk is full"), rolled_back("db", "h1", "the disk is full")};
  CHECK(times(report.to_text(), "for 2 instances (app@h1, db@h1): the disk is full\n") == 1);
  CHECK(times(report.to_text(), "the disk is full") == 1);
}
