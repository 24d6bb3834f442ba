#pragma once
// The state machine behind Executor. A step goes: begin (`b`: the manifest says `changing`) →
// transition (`t`) → end (`e`: the manifest says what is); or, when the transition raises,
// compensations (`cN`, last first) → verification (`v`) → end. A lost connection parks it: nothing
// more is sent, nothing ends.
//
// machine.cpp has the way of one step, rollback.cpp the way back, proof.cpp what is taken for proven,
// room.cpp removals that make room, branches.cpp effects that are several on other hosts, executor.cpp
// admission and the loop.

#include <atomic>
#include <deque>

#include "executor/entries.hpp"
#include "executor/scheduler.hpp"
#include "executor/task.hpp"
#include "model/canonical.hpp"
#include "policy/asking.hpp"

namespace tutti {

struct Executor::Impl {
  const Plan& plan;
  Policy policy;
  int run;
  std::string lineage;
  Journal* journal;  ///< or nullptr
  Transport& transport;
  const Clock& clock;
  Scheduler scheduler;
  CanonicalForms forms;
  Entries entries;

  std::vector<Running> steps;
  std::deque<Task> tasks;  // by TaskId; a deque, so that references last
  std::vector<Event> ready;
  std::vector<Event> batch;  // given to the driver, up to `given`
  std::size_t given = 0;
  std::vector<TaskId> unsent;
  std::size_t under_way = 0;            // effects that were sent and have not come back
  std::vector<Completion> completions;  // dealt with up to `dealt`
  std::size_t dealt = 0;
  std::string token_prefix;    // LINEAGE.RUN.
  std::size_t unanswered = 0;  // tasks started or resumed that the driver has not answered

  std::deque<std::string> to_ask;  // candidates of this round
  std::size_t admitted = 0;        // hosts, of this portion
  std::optional<Asking> asked;
  bool ask_round = true;  // something changed since the last round
  bool waits = false;     // the policy said `wait`
  std::optional<double> not_before;
  std::string halted;
  std::optional<StepId> culprit;                       // whose failure halted it
  std::map<std::string, std::vector<StepId>> holding;  // by host: those that made room and have not ended
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

  Running& at(StepId id) { return steps[static_cast<std::size_t>(id)]; }
  Task& at(TaskId id) { return tasks.at(static_cast<std::size_t>(id)); }
  const Step& step(StepId id) const { return plan.at(id); }
  /// Nothing was done: what raises is not undone, and holds nothing up.
  bool is_dry() const { return !journal; }

  void write(Record::What what);
  [[nodiscard]] static Place place(const Task& task);
  void write_intent(const Task& task, const Request& request);
  void write_forked(const Task& task, const Request& request, std::vector<Instance> branches);
  void write_answer(const Task& task, const Result& result);
  void phase(StepId id, Phase phase);
  void tell(Progress::Kind kind, StepId id, std::string text, Outcome outcome = Outcome::none);

  // -- tokens: LINEAGE.RUN.STEP.PATH.SEQUENCE, a word of at most 64 characters
  std::string token(const Task& task) const;
  /// Whose effect has that token; none: it is not waited for any more, or not of this run.
  std::optional<TaskId> task_of(std::string_view token);

  // -- tasks
  TaskId spawn(Task task);
  void start_body(StepId id, TaskKind kind, std::uint32_t serial, std::string path);
  /// Sends requests of the executor's own, one after another.
  void start_own(StepId id, Task::Kind kind, std::vector<Request> requests);
  void next_own(TaskId id);

  void send(TaskId id, std::unique_ptr<Request> request);
  /// The group commit: INTENTs are durable before the first byte of an effect leaves.
  void flush();

  // -- one step
  void begin(StepId id);
  void begun(StepId id);
  /// The transition ended well. If that does not prove that the new service lives (in a removal, that the
  /// old one is gone), the host is asked.
  void prove(StepId id);
  void prove_gone(StepId id);
  void proof_answered(TaskId id, const Request& request, const Result& result);
  /// What the answer of the step's own host says about what runs there.
  void observe(const Task& task, const Request& request, const Result& result);
  /// Which of the step's services the definition is.
  [[nodiscard]] Runs which(StepId id, const DefinitionPtr& definition) const;
  /// The old and the new service run the same: what is one is the other.
  [[nodiscard]] bool same_running(StepId id) const;
  [[nodiscard]] bool left_over_may_run(StepId id) const;

  // -- the way back
  /// The transition failed: nothing new starts while it is rolled back, nor when its host is lost meanwhile.
  void roll_back(StepId id, std::string message);
  /// Registers what undoes the request, if anything does; then sends it.
  void dispatch(TaskId id, std::unique_ptr<Request> request);
  std::uint32_t register_undo(TaskId id, std::optional<Request> request);
  /// Next compensation, or the verification, or the end.
  void compensate(StepId id);
  void compensated(StepId id, const std::string& failure);
  /// Whether what should run after a rollback does: the old service; on an install, nothing.
  void verify(StepId id);
  void verify_answered(TaskId id, const Request& request, const Result& result);
  /// Writes what is into the manifest; then the step ends so.
  void finish(StepId id, Outcome outcome);
  void end(StepId id, Outcome outcome, std::string message);
  /// Unknown is an end for this process only: nothing is journaled, the instance stays open.
  void park(StepId id, const std::string& message);
  void drop(TaskId id, const std::string& why);
  /// The step ended or was parked: what that means for others.
  void over(StepId id);
  void skip(StepId id, const std::string& why);
  /// The next step of a host in transition, or the host leaves it.
  void go_on(const std::string& host);
  void halt(std::string why);

  // -- what makes room: a removal after which another service comes on its host. It ends when that has ended.
  /// Whether the step waits now for those that it made room for.
  bool hold(StepId id);
  void room_answered(TaskId id, const Result& result);
  void open_room(StepId id);
  /// Those of a host that made room, and for whom it has turned out what came of that. None: nothing.
  [[nodiscard]] std::optional<StepId> to_settle(const std::string& host) const;
  /// It is gone for good, or it is started again.
  void settle(StepId id);
  /// Nothing begins any more: who has not begun on that host, where somebody made room, does not come.
  void nobody_comes(const std::string& host);
  /// Those who made room learn what came of it. Whether there was anybody to tell.
  bool settle_rooms();

  // -- answers of hosts
  void answered(Completion& completion, TaskId id);
  void own_answered(TaskId id, const Request& request, const Result& result);
  /// A body goes on with the result; what the executor undoes itself is over.
  void resume(TaskId id, Result result, std::string request);

  // -- effects on many hosts: one branch for each consumer
  void take_apart(TaskId id, std::unique_ptr<Request> request);
  /// What an ended run may have left running besides `old` ends where the transition first stops or
  /// starts the service: not before, so that whoever uses it can be drained first.
  bool must_stop_left_over(const Task& task, const Request& request);
  void stop_left_over(TaskId id, std::unique_ptr<Request> then);
  /// Where consumers reach the service now: as it was before, if it was.
  std::string address_of(const Step& about, const Definition& given) const;
  void branch_answered(TaskId id, const Request& request, const Result& result);
  void branch_over(TaskId id, const std::string& failure);
  void branches_over(TaskId id);

  // -- answers of the driver
  void perform(TaskId id, std::unique_ptr<Request> request);
  /// Says with a start or reload what files the service may have now, and whether they must stay.
  void give_files(StepId id, Request& request);
  void task_over(TaskId id, bool succeeded, std::string message);

  // -- admission
  void take(const std::string& host, const Answer& answer);
  /// Asks the driver about the next of its terms; or what they came to is taken, when all are answered.
  void ask_driver();
  /// Asks the policy about hosts until it must ask the driver, there is none left to ask, or enough begin for
  /// now.
  void admit();
  [[nodiscard]] bool may_admit() const;

  /// Nothing more will come: what has not begun is skipped, what is under way is unknown.
  void wind_up();

  std::span<Event> next(std::size_t limit);
  [[nodiscard]] std::string waiting_for() const;  ///< a sentence, when only the policy holds the run up
  bool wait(std::optional<double> seconds);       ///< whether something has completed
  /// Deals with some of what has completed. False when there is nothing.
  bool deal();
};

}  // namespace tutti
