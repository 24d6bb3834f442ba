// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// The loop behind Executor: it does what the steps order, admits hosts, and speaks with driver and transport.
// A step's way is StepRun's; who may start is Admission's; what hosts hold is the Ledger's.
//
// machine.cpp has the orders of steps, room.cpp removals that make room, executor.cpp the loop and the
// façade.

#include <atomic>
#include <deque>

#include "executor/admission.hpp"
#include "executor/ledger.hpp"
#include "executor/scheduler.hpp"
#include "executor/step.hpp"

namespace tutti {

struct Executor::Impl {
  const Plan& plan;
  int run;
  std::string lineage;
  Journal* journal;  ///< or nullptr
  Transport& transport;
  const Clock& clock;
  std::string token_prefix;  // LINEAGE.RUN.
  Scheduler scheduler;
  Admission admission;
  CanonicalForms forms;
  Ledger ledger;
  std::deque<StepRun> steps;  // by StepId; a deque, so that references last

  std::vector<Event> ready;
  std::vector<Event> batch;  // given to the driver, up to `given`
  std::size_t given = 0;
  bool is_asking = false;       // the driver was asked about a host
  std::size_t unanswered = 0;   // bodies started or resumed, and questions, that the driver has not answered
  std::vector<StepId> bodies;   // by TaskId: whose it is
  std::vector<TaskId> body_of;  // by StepId: the last of a step

  struct Sent {
    StepId step;
    Place at;
  };
  std::vector<Sent> unsent;
  std::size_t under_way = 0;            // effects that were sent and have not come back
  std::vector<Completion> completions;  // dealt with up to `dealt`
  std::size_t dealt = 0;

  std::map<std::string, std::vector<StepId>> holding;  // by host: those that made room and have not ended
  std::map<std::string, std::string> met;              // by host: the nonce that it answered with
  bool finished = false;
  /// How often we were interrupted: here, and by whoever lives longer than this.
  struct Interrupts {
    std::atomic<int> own{0};
    const std::atomic<int>* outer = nullptr;
    operator int() const noexcept { return own + (outer ? outer->load() : 0); }
  } interrupts;
  bool said_interrupted = false;
  bool said_waiting = false;  ///< since the last host was admitted

  Impl(const Plan& p, Policy pol, int r, std::string l, Journal* j, Transport& t, const Clock& c);

  StepRun& at(StepId id) { return steps[static_cast<std::size_t>(id)]; }
  const Step& step(StepId id) const { return plan.at(id); }
  /// Nothing was done: what raises is not undone, and holds nothing up.
  bool is_dry() const { return !journal; }
  StepRun::Moment moment() const { return {.time = clock.now(), .is_interrupted = interrupts > 0}; }
  void tell(Progress::Kind kind, StepId id, std::string text, Outcome outcome = Outcome::none);

  // -- orders of steps (machine.cpp)
  void follow(StepId id, StepRun::Orders orders);
  void follow(StepId id, StepRun::Write&);
  void follow(StepId id, StepRun::Send&);
  void follow(StepId id, StepRun::StartBody&);
  void follow(StepId id, StepRun::ResumeBody&);
  void follow(StepId id, StepRun::DropBody&);
  void follow(StepId id, StepRun::Tell&);
  void follow(StepId id, StepRun::Failed&);
  void follow(StepId id, StepRun::MadeRoom&);
  void follow(StepId id, StepRun::Over&);
  /// The group commit: INTENTs are durable before the first byte of an effect leaves.
  void flush();
  void skip(StepId id, const std::string& why);
  /// The next step of a host in transition, or the host leaves it.
  void go_on(const std::string& host);
  /// The step whose body the task is, if that runs.
  [[nodiscard]] std::optional<StepId> of_body(TaskId task);

  // -- answers of hosts (machine.cpp)
  void answered(Completion&);
  /// Whose effect has that token; none: not of this run.
  std::optional<Sent> find(std::string_view token);

  // -- what makes room: a removal after which another service comes on its host. It ends when that has ended.
  void open_room(StepId id);
  /// Those of a host that made room, and for whom it has turned out what came of that. None: nothing.
  [[nodiscard]] std::optional<StepId> to_settle(const std::string& host);
  /// It is gone for good, or it is started again.
  void settle(StepId id);
  /// Nothing begins any more: who has not begun on that host, where somebody made room, does not come.
  void nobody_comes(const std::string& host);
  /// Those who made room learn what came of it. Whether there was anybody to tell.
  bool settle_rooms();

  // -- the loop (executor.cpp)
  /// Hosts are admitted until the driver must be asked, nobody else may start, or enough begin for now.
  void admit(std::size_t most);
  void body_over(TaskId task, bool succeeded, std::string message);
  /// Nothing more will come: what has not begun is skipped, what is under way is unknown.
  void wind_up();
  std::span<Event> next(std::size_t limit);
  [[nodiscard]] std::string waiting_for() const;  ///< a sentence, when only the policy holds the run up
  bool wait(std::optional<double> seconds);       ///< whether something has completed
  /// Deals with some of what has completed. False when there is nothing.
  bool deal();
};

}  // namespace tutti
