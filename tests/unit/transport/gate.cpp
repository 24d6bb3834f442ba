// SPDX-License-Identifier: LGPL-3.0-or-later
#include "transport/gate.hpp"

#include <doctest/doctest.h>

#include <list>
#include <vector>

using namespace tutti;

TEST_CASE("gate: lets through in order, up to its capacity, and what is too heavy alone") {
  Gate gate(3);
  std::vector<int> inside;
  std::list<Gate::Pass> passes;
  const auto enter = [&](int who, std::size_t weight) {
    gate.enter(weight, [&inside, &passes, who](Gate::Pass pass) {
      inside.push_back(who);
      passes.push_back(std::move(pass));
    });
  };
  enter(1, 2);
  enter(2, 1);
  enter(3, 100);
  enter(4, 1);  // would fit, but not before 3
  CHECK(inside == std::vector<int>{1, 2});
  passes.front().drop();
  CHECK(inside == std::vector<int>{1, 2});
  passes.back().drop();
  CHECK(inside == std::vector<int>{1, 2, 3});
  passes.back().drop();
  CHECK(inside == std::vector<int>{1, 2, 3, 4});
}
