// SPDX-License-Identifier: LGPL-3.0-or-later
#include "support/table.hpp"

#include <doctest/doctest.h>

using namespace tutti;

TEST_CASE("table: columns are as wide as their widest cell, counted in characters") {
  Table table({"host", "version", "why"});
  table.row({"h1", "1 → 2", "new"});
  table.row({"a-long-host", "1", ""});
  CHECK(table.to_text() == "host         version  why\n"
                           "h1           1 → 2    new\n"
                           "a-long-host  1\n");
}

TEST_CASE("table: a cell can't leave its line or act on the terminal") {
  Table table({"host"});
  table.row({"h1\nh2\x1b[2J"});
  CHECK(table.to_text() == "host\nh1\\x0ah2\\x1b[2J\n");
}
