// SPDX-License-Identifier: LGPL-3.0-or-later
#include "graph/graph.hpp"

#include <algorithm>
#include <functional>
#include <limits>
#include <queue>

#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/breadth_first_search.hpp>
#include <boost/graph/strong_components.hpp>

namespace tutti {
namespace {

using Adjacency = boost::adjacency_list<boost::vecS, boost::vecS, boost::directedS>;
constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();

/// The predecessor on a shortest way from `start` of every node that is reached, else `none`.
std::vector<std::uint32_t> predecessors(const Adjacency& graph, std::uint32_t start) {
  std::vector<std::uint32_t> before(boost::num_vertices(graph), none);
  before[start] = start;
  boost::breadth_first_search(graph, boost::vertex(start, graph),
                              boost::visitor(boost::make_bfs_visitor(
                                  boost::record_predecessors(before.data(), boost::on_tree_edge()))));
  return before;
}

}  // namespace

struct Graph::Impl {
  explicit Impl(std::size_t nodes) : adjacency(nodes) {}
  Adjacency adjacency;
};

Graph::Graph(std::size_t nodes) : impl_(std::make_unique<Impl>(nodes)) {}
Graph::~Graph() = default;

void Graph::add_edge(std::uint32_t from, std::uint32_t to) { boost::add_edge(from, to, impl_->adjacency); }

std::vector<std::uint32_t> Graph::loop() const {
  const Adjacency& graph = impl_->adjacency;
  const auto nodes = static_cast<std::uint32_t>(boost::num_vertices(graph));
  if (nodes == 0) return {};
  std::vector<std::uint32_t> component(nodes);
  boost::strong_components(
      graph, boost::make_iterator_property_map(component.begin(), boost::get(boost::vertex_index, graph)));

  std::vector<std::uint32_t> best;
  for (std::uint32_t start = 0; start < nodes; ++start) {
    // Only a node that shares its component with a successor (or has itself for one) is on a loop.
    const auto [first, last] = boost::adjacent_vertices(start, graph);
    if (std::none_of(first, last, [&](auto next) { return component[next] == component[start]; })) continue;
    const std::vector<std::uint32_t> before = predecessors(graph, start);
    for (std::uint32_t node = 0; node < nodes; ++node) {
      if (before[node] == none || !boost::edge(node, start, graph).second) continue;
      std::vector<std::uint32_t> way{node};
      while (way.back() != start) way.push_back(before[way.back()]);
      if (best.empty() || way.size() < best.size()) best.assign(way.rbegin(), way.rend());
    }
  }
  return best;
}

bool Graph::reaches(std::uint32_t from, std::uint32_t to) const {
  return predecessors(impl_->adjacency, from)[to] != none;
}

std::vector<std::uint32_t> Graph::order() const {
  const Adjacency& graph = impl_->adjacency;
  std::vector<std::size_t> waiting_for(boost::num_vertices(graph));
  for (std::size_t node = 0; node < waiting_for.size(); ++node)
    for (auto [next, end] = boost::adjacent_vertices(node, graph); next != end; ++next) ++waiting_for[*next];
  std::priority_queue<std::uint32_t, std::vector<std::uint32_t>, std::greater<>> ready;
  for (std::uint32_t node = 0; node < waiting_for.size(); ++node)
    if (waiting_for[node] == 0) ready.push(node);
  std::vector<std::uint32_t> order;
  while (!ready.empty()) {
    const std::uint32_t node = ready.top();
    ready.pop();
    order.push_back(node);
    for (auto [next, end] = boost::adjacent_vertices(node, graph); next != end; ++next)
      if (--waiting_for[*next] == 0) ready.push(static_cast<std::uint32_t>(*next));
  }
  return order;
}

}  // namespace tutti
