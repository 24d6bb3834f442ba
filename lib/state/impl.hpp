// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// What a State is made of, for its parts.

#include <filesystem>
#include <memory>
#include <string>

#include "state/database.hpp"
#include <tutti/engine/state.hpp>

namespace tutti {

struct State::Impl {
  std::filesystem::path file;
  const Clock& clock;
  Entropy& entropy;
  std::unique_ptr<Database> database = {};
  std::string why_read_only = {};
  bool is_in_use = false;  ///< why_read_only: somebody deploys with it now
  int lock = -1;

  /// What can be known without writing anything. A file of an older Tutti is read in a copy that is brought
  /// up to date in memory.
  void open_to_read();
  [[noreturn]] void refuse_to_write() const;
  [[nodiscard]] std::filesystem::path lock_file() const { return file.string() + ".lock"; }
};

/// Throws Error(misuse) that says which run is the last.
[[noreturn]] void refuse_unknown_run(const State& state, int run);

}  // namespace tutti
