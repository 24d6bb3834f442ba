// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// A table for people: columns as wide as they need, the last one free.

#include <string>
#include <vector>

namespace tutti {

class Table {
 public:
  explicit Table(std::vector<std::string> head);
  /// Cells are escaped: what came from a host cannot act on the terminal.
  void row(const std::vector<std::string>& cells);
  [[nodiscard]] std::string to_text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace tutti
