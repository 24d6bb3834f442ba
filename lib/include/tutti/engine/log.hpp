// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// What a run did, as its journal has it, with what it printed, as it stayed on the hosts.
// Threads: one thread owns it. The State and the Transport are borrowed for its life.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <tutti/engine/state.hpp>
#include <tutti/site.hpp>

namespace tutti {

struct LogOptions {
  std::string host = {};             ///< only what was done there, or for its instances; empty: all
  std::uint64_t most_bytes = 65536;  ///< the end of each output; 0: all of it
  bool daemons = false;              ///< the end of the daemons' logs too, as they are now
};

/// Text for people, a piece at a time, so that no output is ever whole in memory.
class TUTTI_EXPORT RunLog {
 public:
  /// Throws Error: no such run, a run that was forgotten, a host that it did nothing on.
  RunLog(const State&, Transport&, const Fleet&, int run, LogOptions = {});
  ~RunLog();
  RunLog(RunLog&&) noexcept;

  /// Lines, or a part of them; none at the end. Blocks. What a program printed has `| ` before each line,
  /// what it printed to standard error `! `; control characters are escaped. Output whose beginning holds a
  /// zero byte is a database's copy and the like: only its size is told.
  [[nodiscard]] std::optional<std::string> next();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tutti
