// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// The journal of a run: what was sent, what came of it, where each step stood. It is read back as it was
// written. lib/doc/journal.md has its form on disk.
// Threads: records are values; one thread owns a Journal.

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <tutti/engine/elaborate.hpp>
#include <tutti/engine/transport.hpp>
#include <tutti/plan.hpp>
#include <tutti/report.hpp>

namespace tutti {

/// Where a step is on its way.
enum class Stage : std::uint8_t {
  pending,
  beginning,     ///< its host is told that the instance changes
  running,       ///< its transition runs
  compensating,  ///< that failed, and what it did is undone
  verifying,     ///< whether what should run after that does
  ending,        ///< its host is told what is
  parked,        ///< its host was lost, or we left: nothing more is sent
  ended,
};

/// A task of a step.
struct TaskPath {
  enum class Kind : std::uint8_t { begin, transition, compensation, proof, verification, room, end };
  /// One branch of an effect that the task had taken apart.
  struct Branch {
    std::uint32_t sequence = 0;  ///< of that effect
    std::uint32_t number = 0;    ///< from 0: the index into Forked::branches
    auto operator<=>(const Branch&) const = default;
  };
  Kind kind = Kind::transition;
  std::uint32_t serial = 0;  ///< of a compensation, from 1; else 0
  std::optional<Branch> branch = {};
  auto operator<=>(const TaskPath&) const = default;
};
/// A word, as tokens have it: `b` begin, `t` transition, `c2` compensation 2, `p` proof of life, `v`
/// verification, `r` what makes room, `e` end; `t.3.0` is branch 0 of the effect at sequence 3 of `t`.
[[nodiscard]] TUTTI_EXPORT std::string to_string(const TaskPath&);
/// The same back. Throws Error(system) for any other word.
[[nodiscard]] TUTTI_EXPORT TaskPath task_path(std::string_view word);

/// What a task does once: an effect or a registration. With lineage and run it makes an effect's token.
struct Place {
  StepId step{};
  TaskPath path = {};
  std::uint32_t sequence = 0;  ///< counts within the task, from 0
  auto operator<=>(const Place&) const = default;
};

namespace record {

/// An effect is about to be sent.
struct Intent {
  Place at = {};
  std::string effect = {};  ///< which kind: "start", "put-file"
  std::string hash = {};    ///< of the request
  std::string text = {};    ///< the request as people read it: "start web 2"
  std::string host = {};    ///< where it acts, when that is not the step's host
  bool operator==(const Intent&) const = default;
};
/// An effect is about to be taken apart: each branch is a task with intents of its own. Answered, at the
/// same place, says what came of them together.
struct Forked {
  Place at = {};
  std::string effect = {};
  std::string hash = {};
  std::string text = {};
  std::vector<Instance> branches = {};  ///< branch K acts for the instance at index K
  bool operator==(const Forked&) const = default;
};
/// The effect at that place came back.
struct Answered {
  Place at = {};
  Result result = {};
  bool operator==(const Answered&) const = default;
};
/// A transition registered its compensation of that serial number.
struct Registered {
  Place at = {};
  std::uint32_t serial = 0;
  bool operator==(const Registered&) const = default;
};
/// A step came to that stage.
struct Entered {
  StepId step{};
  Stage stage = Stage::pending;
  bool operator==(const Entered&) const = default;
};
/// A step ended. One that has no such record was left open.
struct Ended {
  StepId step{};
  Outcome outcome = Outcome::none;
  std::string message = {};  ///< why, when it is not `upgraded`
  bool operator==(const Ended&) const = default;
};
/// A host took part in the run from here on.
struct Met {
  std::string host = {};
  std::int64_t epoch = 0;  ///< under which it obeys us
  std::string nonce = {};  ///< the name of its records: another one later means that they were lost
  bool operator==(const Met&) const = default;
};

}  // namespace record

/// One line of the journal. A manifest entry has the time of a record: a step's first entry that of its
/// first, its last one that of `ending`, the one after what was left over that of the fork.
struct Record {
  using What = std::variant<record::Intent, record::Forked, record::Answered, record::Registered,
                            record::Entered, record::Ended, record::Met>;
  double time = 0;  ///< when it was made, seconds since the epoch; 0: by a Tutti that kept no times
  What what;
  bool operator==(const Record&) const = default;
};

/// INTENT is durable before the first byte of an effect leaves: `commit` before sending.
class TUTTI_EXPORT Journal {
 public:
  virtual ~Journal() = default;
  virtual void append(const Record&) = 0;
  virtual void commit() = 0;
};

}  // namespace tutti
