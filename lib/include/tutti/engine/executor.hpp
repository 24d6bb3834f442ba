// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// Executes a plan. A driver pulls events and answers them; nothing here ever calls the driver.
// One thread owns an Executor; only interrupt() may come from another or from a signal handler.

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>

#include <tutti/engine/state.hpp>
#include <tutti/report.hpp>
#include <tutti/rollout.hpp>
#include <tutti/world.hpp>

namespace tutti {

/// One running body: a transition, or one compensation that it registered. Of this process only.
enum class TaskId : std::uint32_t {};
enum class TaskKind : std::uint8_t { transition, compensation };

/// Start the body: the step's transition, or what it gave to on_roll_back() as number `serial`.
struct StartTask {
  TaskId task;
  StepId step;
  TaskKind kind;
  std::uint32_t serial;
};
/// With the result of the request it was suspended by; `request` describes that one when it failed.
struct ResumeTask {
  TaskId task;
  Result result;
  std::string request = {};
};
struct DropTask {
  TaskId task;
  std::string reason;
};  ///< destroy the body, never resume it
/// Whether the host may start, by the term of that number: answer() or policy_failed(), reading rollout().
struct AskPolicy {
  std::string host;
  std::uint32_t number = 0;
};
struct Progress {
  enum class Kind { effect, outcome, host, run };
  Kind kind;
  std::string host;
  std::string service;
  std::string text;
  Outcome outcome = Outcome::none;
};
struct Finished {
  bool interrupted;
};
using Event = std::variant<StartTask, ResumeTask, DropTask, AskPolicy, Progress, Finished>;

/// When a transition raises, what it did is undone, last first: `start` by a stop (unless it was refused
/// because another daemon runs), `stop` by a start (unless of a one-shot), `put_file` by putting back what
/// was there, `drain` by an undrain, and what it gave to on_roll_back() by that body. The first that fails
/// ends it. Then the old service must validate, and live if it can tell; on an install nothing of the new one
/// may live. All of this is the executor's own; a driver runs the bodies alone.
class TUTTI_EXPORT Executor {
 public:
  /// Borrows all for its life. `run` is the number that the journal's State gave. Without a journal it is
  /// a dry run: nothing is recorded, and a transition that raises is left where it is, `unchanged`.
  /// `interrupts` counts as interrupt() does, from any thread and before this is made: of whoever must be
  /// able to interrupt for longer than this lives.
  Executor(const Plan&, Policy, int run, std::string lineage, Journal*, Transport&, const Clock&,
           const std::atomic<int>* interrupts = nullptr);
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  /// 1 to `limit` events, valid until the next call: the driver may move from them. Blocks; commits
  /// the journal before it does. Throws std::logic_error when nothing is under way and a started task
  /// was never answered.
  [[nodiscard]] std::span<Event> next(std::size_t limit = 256);

  // Answers. A task that has a request pending gives no other until it is resumed.
  void perform(TaskId, std::unique_ptr<Request>);                   ///< then ResumeTask or DropTask
  [[nodiscard]] std::optional<std::uint32_t> on_roll_back(TaskId);  ///< at once: the serial; none: dropped
  void done(TaskId);
  void raised(TaskId, std::string message);
  void answer(Answer);                      ///< to AskPolicy
  void policy_failed(std::string message);  ///< admits nothing more, drains

  void interrupt() noexcept;  ///< first: nothing new starts; second: does not wait
  [[nodiscard]] const Rollout& rollout() const noexcept;
  [[nodiscard]] Report report() const;  ///< after Finished
  /// What the manifests hold of the hosts to which something was written: the plan's readings, and
  /// that.
  [[nodiscard]] std::vector<HostReading> readings() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Gives the plan the waves of a policy that is decided here. A policy that asks the driver needs a Preview:
/// then nothing is done, and false returned.
TUTTI_EXPORT bool expect_waves(Plan&, const Policy&, const Clock&);

/// For dry runs: reaches nothing; every effect succeeds at once, and nothing is ever printed.
[[nodiscard]] TUTTI_EXPORT std::unique_ptr<Transport> make_dry_transport(const Clock&);

/// The waves that a policy is expected to admit: it is run against simulated success, every host
/// admitted together ending together. Pulled like an Executor, for policies that the driver decides.
class TUTTI_EXPORT Preview {
 public:
  Preview(const Plan&, Policy, const Clock&);
  ~Preview();
  Preview(const Preview&) = delete;
  Preview& operator=(const Preview&) = delete;

  /// What the driver must be asked, or none when the waves are known.
  [[nodiscard]] std::optional<AskPolicy> next();
  void answer(Answer);
  [[nodiscard]] const Rollout& rollout() const noexcept;
  [[nodiscard]] const std::vector<std::vector<StepId>>& waves() const noexcept;
  /// Why the policy does not admit all, or "".
  [[nodiscard]] const std::string& stuck() const noexcept;
  /// Gives what was found to the plan: its waves, and a note when the policy does not admit all.
  void give(Plan&) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tutti
