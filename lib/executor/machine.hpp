#pragma once
// The state machine behind Executor. A step goes: begin (`b`: the manifest says `changing`) →
// transition (`t`) → end (`e`: the manifest says what is); or, when the transition raises,
// compensations (`cN`, last first) → verification (`v`) → end. A lost connection parks it: nothing
// more is sent, nothing ends.
//
// machine.cpp has the way of one step, branches.cpp effects that are several on other hosts,
// executor.cpp admission and the loop.

#include <atomic>
#include <deque>

#include "executor/entries.hpp"
#include "executor/scheduler.hpp"
#include "executor/task.hpp"
#include "model/canonical.hpp"

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
  std::optional<std::string> asked;
  bool ask_round = true;  // something changed since the last round
  bool waits = false;     // the policy said `wait`
  std::optional<double> not_before;
  std::string halted;
  std::optional<StepId> culprit;  // whose failure halted it
  bool finished = false;
  std::atomic<int> interrupts{0};
  bool said_interrupted = false;
  bool said_waiting = false;  ///< since the last host was admitted

  Impl(const Plan& p, Policy pol, int r, std::string l, Journal* j, Transport& t, const Clock& c);

  Running& at(StepId id) { return steps[static_cast<std::size_t>(id)]; }
  Task& at(TaskId id) { return tasks.at(static_cast<std::size_t>(id)); }
  const Step& step(StepId id) const { return plan.at(id); }
  /// Nothing was done: what raises is not undone, and holds nothing up.
  bool is_dry() const { return !journal; }

  void write(Record::Type type, StepId id, const std::string& path, std::uint32_t sequence,
             std::string hash = {}, std::int64_t number = 0, std::string text = {}, std::string host = {});
  void write_request(Record::Type type, const Task& task, const Request& request, std::int64_t branches = 0);
  void write_outcome(const Task& task, const Result& result);
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
  /// Next compensation, or the verification, or the end.
  void compensate(StepId id);
  /// A transition that ended well without starting or validating the new service last: does it live?
  void prove(StepId id);
  /// The transition failed: nothing new starts while it is rolled back, nor when its host is lost meanwhile.
  void roll_back(StepId id, std::string message);
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

  // -- answers of hosts
  void answered(Completion& completion, TaskId id);
  void own_answered(TaskId id, const Request& request, const Result& result);

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
