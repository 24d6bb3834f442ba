// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// Directed graphs over small indices: built, then asked. Boost.Graph does the work and stays in here.
// Same input, same answers.

#include <cstdint>
#include <memory>
#include <vector>

namespace tutti {

class Graph {
 public:
  explicit Graph(std::size_t nodes);
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  void add_edge(std::uint32_t from, std::uint32_t to);
  /// The nodes of a shortest loop, each with an edge to the next and the last to the first; the one
  /// with the smallest first node. Empty when there is none.
  [[nodiscard]] std::vector<std::uint32_t> loop() const;
  [[nodiscard]] bool reaches(std::uint32_t from, std::uint32_t to) const;
  /// Every node after all that have an edge to it; of those that may come, the smallest first
  /// (Kahn's algorithm). The graph must have no loop.
  [[nodiscard]] std::vector<std::uint32_t> order() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tutti
