// SPDX-License-Identifier: LGPL-3.0-or-later
// The order of versions.
#include <doctest/doctest.h>

#include <tutti/definition.hpp>

using tutti::version_less;

TEST_CASE("version: numbers by their value, part by part") {
  CHECK(version_less("9.1", "10"));
  CHECK_FALSE(version_less("10", "9.1"));
  CHECK(version_less("1.2", "1.10"));
  CHECK(version_less("1.09", "1.10"));
  CHECK(version_less("99999999999999999999998", "99999999999999999999999"));
}

TEST_CASE("version: a shorter one comes first, and none before itself") {
  CHECK(version_less("1", "1.0.1"));
  CHECK_FALSE(version_less("1.0.1", "1"));
  CHECK_FALSE(version_less("1.2", "1.2"));
  CHECK_FALSE(version_less("1.02", "1.2"));
  CHECK_FALSE(version_less("", ""));
  CHECK(version_less("", "1"));
}

TEST_CASE("version: words by their bytes, and before numbers") {
  CHECK(version_less("1.a", "1.b"));
  CHECK(version_less("1.0-rc", "1.0.1"));
  CHECK_FALSE(version_less("1.0.1", "1.0-rc"));
}
