// SPDX-License-Identifier: LGPL-3.0-or-later
#include "graph/graph.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <utility>

using namespace tutti;

namespace {

using Nodes = std::vector<std::uint32_t>;
using Edges = std::vector<std::pair<std::uint32_t, std::uint32_t>>;

Nodes loop(std::size_t nodes, const Edges& edges) {
  Graph graph(nodes);
  for (const auto& [from, to] : edges) graph.add_edge(from, to);
  return graph.loop();
}
Nodes order(std::size_t nodes, const Edges& edges) {
  Graph graph(nodes);
  for (const auto& [from, to] : edges) graph.add_edge(from, to);
  return graph.order();
}

}  // namespace

TEST_CASE("graph: no loop, no nodes") {
  CHECK(loop(0, {}).empty());
  CHECK(loop(3, {{0, 1}, {1, 2}, {0, 2}}).empty());
}

TEST_CASE("graph: of several loops the shortest is shown, each node before the one it leads to") {
  //   0 → 1 → 2 → 3 → 0      and 2 ⇄ 4
  const Edges edges{{0, 1}, {1, 2}, {2, 3}, {3, 0}, {2, 4}, {4, 2}};
  CHECK(loop(5, edges) == Nodes{2, 4});
}

TEST_CASE("graph: of loops of the same length it is the one with the smallest first node, in whatever order "
          "edges came") {
  //   3 → 4 → 5 → 3      0 → 1 → 2 → 0
  Edges edges{{3, 4}, {4, 5}, {5, 3}, {0, 1}, {1, 2}, {2, 0}};
  CHECK(loop(6, edges) == Nodes{0, 1, 2});
  std::reverse(edges.begin(), edges.end());
  CHECK(loop(6, edges) == Nodes{0, 1, 2});
}

TEST_CASE("graph: a node that leads to itself is a loop of one") {
  CHECK(loop(2, {{0, 1}, {1, 1}}) == Nodes{1});
}

TEST_CASE("graph: the way into a loop is not part of it") {
  //   0 → 1 → 2 ⇄ 3
  CHECK(loop(4, {{0, 1}, {1, 2}, {2, 3}, {3, 2}}) == Nodes{2, 3});
}

TEST_CASE("graph: the order has every node after all that lead to it, the smallest first") {
  //   3 → 0    2 → 0    0 → 1    4
  CHECK(order(5, {{3, 0}, {2, 0}, {0, 1}}) == Nodes{2, 3, 0, 1, 4});
  CHECK(order(3, {}) == Nodes{0, 1, 2});
  CHECK(order(2, {{1, 0}, {1, 0}}) == Nodes{1, 0});  // an edge twice is no obstacle
}

TEST_CASE("graph: reaches follows edges forward only") {
  Graph graph(4);
  graph.add_edge(0, 1);
  graph.add_edge(1, 2);
  CHECK(graph.reaches(0, 2));
  CHECK(!graph.reaches(2, 0));
  CHECK(!graph.reaches(0, 3));
  CHECK(graph.reaches(3, 3));
}
