// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// What a run came to. What it says was verified.
// Threads: values.

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include <tutti/plan.hpp>

namespace tutti {

enum class Outcome : std::uint8_t {
  none,              ///< not ended
  upgraded,          ///< the transition completed
  unchanged,         ///< failed before any effect on the instance
  rolled_back,       ///< failed, compensated, and verified at its old state
  roll_back_failed,  ///< failed, and the compensation or its verification failed
  failed,            ///< failed, not compensated
  unknown,           ///< the host was lost on the way, or we left
  unreachable,       ///< never reached
  skipped,           ///< not begun
};
[[nodiscard]] TUTTI_EXPORT const char* to_string(Outcome) noexcept;  ///< "rolled-back"

struct StepReport {
  Action action = Action::join;
  std::string service = {};
  std::string host = {};
  std::string old_version = {};
  std::string new_version = {};
  Outcome outcome = Outcome::none;
  std::string message = {};             ///< why, when it is not `upgraded`
  std::vector<std::string> notes = {};  ///< what was found on the host: "kept aside: /etc/x, changed since …"
  std::vector<std::string> effects = {};  ///< in order, as people read them: "stop 1"
  double seconds = 0;
};

struct TUTTI_EXPORT Report {
  std::string site = {};
  int run = 0;
  int generation = 0;
  std::vector<StepReport> steps = {};         ///< all but joins, in the plan's order
  std::vector<std::string> unreachable = {};  ///< hosts that did not answer
  std::string halted = {};                    ///< why the run stopped admitting hosts, if it did
  bool interrupted = false;
  bool dry_run = false;           ///< nothing was done: every effect was taken to succeed
  std::string not_recorded = {};  ///< why the end of the run could not be written down, if so
  std::uint64_t frames = 0;       ///< request frames sent after the handshakes

  /// 0: all is done. 3: something failed, and every instance that failed is verified at its old version. 4:
  /// something is unknown or not rolled back. 5: hosts were unreachable. Of several, 4 goes before 5
  /// before 3.
  [[nodiscard]] int exit_status() const noexcept;
  /// "4 upgraded, 1 rolled-back".
  [[nodiscard]] std::string sums() const;
  /// A table and a sentence. Control characters are escaped.
  [[nodiscard]] std::string to_text() const;
  [[nodiscard]] std::string to_json() const;
};
TUTTI_EXPORT std::ostream& operator<<(std::ostream&, const Report&);

/// A message of several lines in one: the first, which says what failed, and that which says why, the last
/// that tells of an error, else the last with a word in it.
[[nodiscard]] TUTTI_EXPORT std::string in_one_line(const std::string& message);

}  // namespace tutti
