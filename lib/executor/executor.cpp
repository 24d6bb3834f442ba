// The state machine. A step goes: begin (`b`: the manifest says `changing`) → transition (`t`) →
// end (`e`: the manifest says what is); or, when the transition raises, compensations (`cN`, last
// first) → verification (`v`) → end. A lost connection parks it: nothing more is sent, nothing ends.
#include <tutti/executor.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <stdexcept>
#include <unordered_map>

#include <fmt/format.h>

#include "executor/entries.hpp"
#include "executor/scheduler.hpp"
#include "executor/task.hpp"
#include "support/json.hpp"
#include "support/text.hpp"
#include "support/describe.hpp"

namespace tutti {
namespace {

constexpr std::size_t flush_after = 512;   // intents gathered before a commit is forced
constexpr double soonest = 0.05;           // seconds; when it said `not before` a time that is past by now
constexpr double ask_again_after = 1.0;    // seconds; when a policy says `wait` and nothing is under way

std::string outcome_json(const Result& result) {
  Json json{{"how", result.how}, {"status", result.status}, {"size", result.output.size}};
  if (!result.output.sha256.empty()) json["sha256"] = result.output.sha256;
  if (const std::string& text = result.output.text; !text.empty()) {
    if (is_utf8(text) && text.find('\0') == std::string::npos)
      json["text"] = text;
    else
      json["hex"] = to_hex(text);
  }
  if (!result.error.empty()) json["error"] = result.error;
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

double Clock::now() const {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

struct Executor::Impl {
  const Plan& plan;
  Policy policy;
  int run;
  std::string lineage;
  Journal& journal;
  Transport& transport;
  const Clock& clock;
  Scheduler scheduler;
  Entries entries;

  std::vector<Running> steps;
  std::deque<Task> tasks;  // by TaskId; a deque, so that references last
  std::deque<Event> ready;
  std::vector<Event> batch;
  std::vector<TaskId> unsent;
  std::unordered_map<std::string, TaskId> by_token;
  std::vector<Completion> completions;
  std::size_t unanswered = 0;  // tasks started or resumed that the driver has not answered

  std::deque<std::string> to_ask;  // candidates of this round
  std::optional<std::string> asked;
  bool ask_round = true;           // something changed since the last round
  bool waits = false;              // the policy said `wait`
  std::optional<double> not_before;
  std::string halted;
  std::optional<StepId> culprit;   // whose failure halted it
  bool finished = false;
  std::atomic<int> interrupts{0};
  bool said_interrupted = false;

  Impl(const Plan& p, Policy pol, int r, std::string l, Journal& j, Transport& t, const Clock& c)
      : plan(p), policy(std::move(pol)), run(r), lineage(std::move(l)), journal(j), transport(t), clock(c),
        scheduler(p, c, false), entries(p, run, lineage), steps(p.steps.size()) {
    for (std::uint32_t i = 0; i < plan.steps.size(); ++i)
      if (plan.steps[i].action != Action::join && plan.steps[i].unreachable)
        end(StepId{i}, Outcome::unreachable, plan.readings.at(plan.steps[i].host).why);
  }

  Running& at(StepId id) { return steps[static_cast<std::size_t>(id)]; }
  Task& at(TaskId id) { return tasks.at(static_cast<std::size_t>(id)); }
  const Step& step(StepId id) const { return plan.at(id); }

  void write(Record::Type type, StepId id, const std::string& path, std::uint32_t sequence, std::string hash = {},
             std::int64_t number = 0, std::string text = {}) {
    journal.append({.type = type, .step = static_cast<std::uint32_t>(id), .path = path, .sequence = sequence,
                    .hash = std::move(hash), .number = number, .text = std::move(text)});
  }
  void phase(StepId id, Phase phase) {
    at(id).phase = phase;
    write(Record::Type::phase, id, "", 0, "", static_cast<std::int64_t>(phase));
  }
  void tell(Progress::Kind kind, StepId id, std::string text, Outcome outcome = Outcome::none) {
    ready.push_back(Progress{kind, step(id).host, step(id).service, std::move(text), outcome});
  }

  // -- tokens: LINEAGE.RUN.STEP.PATH.SEQUENCE, a word of at most 64 characters
  std::string token(const Task& task) const {
    return fmt::format("{}.{}.{}.{}.{}", lineage.substr(0, 12), run, static_cast<std::uint32_t>(task.step), task.path, task.sequence);
  }

  // -- tasks
  TaskId spawn(Task task) {
    const TaskId id{static_cast<std::uint32_t>(tasks.size())};
    if (task.kind == Task::Kind::branch)
      at(task.step).branches.push_back(id);
    else
      at(task.step).task = id;
    tasks.push_back(std::move(task));
    return id;
  }
  void start_body(StepId id, TaskKind kind, std::uint32_t serial, std::string path) {
    const TaskId task = spawn({.step = id, .kind = Task::Kind::body, .body = kind, .serial = serial, .path = std::move(path)});
    ready.push_back(StartTask{task, id, kind, serial});
    ++unanswered;
  }
  /// Sends requests of the executor's own, one after another.
  void start_own(StepId id, Task::Kind kind, const std::vector<Request>& requests) {
    Task task{.step = id, .kind = kind, .path = kind == Task::Kind::begin ? "b" : "e"};
    for (auto request = requests.rbegin(); request != requests.rend(); ++request)
      task.own.emplace_back([one = *request] { return one; });
    next_own(spawn(std::move(task)));
  }
  void next_own(TaskId id) {
    Task& task = at(id);
    const auto request = std::move(task.own.back());
    task.own.pop_back();
    send(id, request());
  }

  void send(TaskId id, Request request) {
    Task& task = at(id);
    task.text = request.describe();
    write(Record::Type::intent, task.step, task.path, task.sequence, request.hash(), 0, task.text);
    if (request.host.empty()) request.host = step(task.step).host;
    task.request = std::move(request);
    task.waiting = true;
    unsent.push_back(id);
    if (unsent.size() >= flush_after) flush();
  }
  /// The group commit: INTENTs are durable before the first byte of an effect leaves.
  void flush() {
    journal.commit();
    for (const TaskId id : unsent) {
      const Task& task = at(id);
      std::string name = token(task);
      transport.send(name, task.request.host, task.request);
      by_token.emplace(std::move(name), id);
    }
    unsent.clear();
  }

  // -- one step
  void begin(StepId id) {
    Running& running = at(id);
    running.begun = true;
    running.started = clock.now();
    phase(id, Phase::beginning);
    std::vector<Request> requests;
    switch (step(id).action) {
      case Action::record: requests = entries.record(id, clock.now()); break;
      case Action::undrain: requests = entries.let_go(id); break;
      default: requests = entries.begin(id, clock.now());
    }
    if (requests.empty()) return end(id, Outcome::upgraded, "");  // a transition of this run let it go already
    start_own(id, Task::Kind::begin, requests);
  }
  void begun(StepId id) {
    if (step(id).action == Action::record) entries.written(id, Outcome::upgraded);
    if (step(id).action == Action::record || step(id).action == Action::undrain) return end(id, Outcome::upgraded, "");
    phase(id, Phase::running);
    start_body(id, TaskKind::transition, 0, "t");
  }
  /// Next compensation, or the verification, or the end.
  void compensate(StepId id) {
    Running& running = at(id);
    if (!running.compensations.empty()) {
      const std::uint32_t serial = running.compensations.back();
      running.compensations.pop_back();
      phase(id, Phase::compensating);
      return start_body(id, TaskKind::compensation, serial, fmt::format("c{}", serial));
    }
    if (!running.touched) return finish(id, Outcome::unchanged);
    phase(id, Phase::verifying);
    start_body(id, TaskKind::verify, 0, "v");
  }
  /// Writes what is into the manifest; then the step ends so.
  void finish(StepId id, Outcome outcome) {
    at(id).ending = outcome;
    phase(id, Phase::ending);
    start_own(id, Task::Kind::end, entries.end(id, outcome, clock.now()));
  }
  void end(StepId id, Outcome outcome, std::string message) {
    Running& running = at(id);
    running.phase = Phase::ended;
    running.outcome = outcome;
    running.task.reset();
    if (!message.empty()) running.message = std::move(message);
    running.ended = clock.now();
    write(Record::Type::ended, id, "", 0, "", static_cast<std::int64_t>(outcome), running.message);
    over(id);
  }
  /// Unknown is an end for this process only: nothing is journaled, the instance stays open.
  void park(StepId id, const std::string& message) {
    Running& running = at(id);
    if (running.phase == Phase::parked || running.phase == Phase::ended) return;
    if (running.task) drop(*running.task, message);
    for (const TaskId branch : running.branches) at(branch).live = false;
    running.phase = Phase::parked;
    running.outcome = Outcome::unknown;
    running.message += (running.message.empty() ? "" : "; ") + message;
    running.ended = clock.now();
    over(id);
  }
  void drop(TaskId id, const std::string& why) {
    Task& task = at(id);
    if (!task.live) return;
    task.live = false;
    if (task.kind == Task::Kind::body) ready.push_back(DropTask{id, why});
  }
  /// The step ended or was parked: what that means for others.
  void over(StepId id) {
    const Running& running = at(id);
    tell(Progress::Kind::outcome, id, running.message, running.outcome);
    for (const Scheduler::Skipped& one : scheduler.end(id, running.outcome)) skip(one.step, one.why);
    ask_round = true;
    const bool is_failure = running.outcome == Outcome::rolled_back || running.outcome == Outcome::roll_back_failed ||
                            running.outcome == Outcome::failed || running.outcome == Outcome::unchanged;
    if (is_failure && (halted.empty() || culprit == id))
      halt(fmt::format("{}@{} is {}: {}", step(id).service, step(id).host, to_string(running.outcome), running.message));
    if (running.begun) go_on(step(id).host);
  }
  void skip(StepId id, const std::string& why) {
    Running& running = at(id);
    running.phase = Phase::ended;
    running.outcome = Outcome::skipped;
    running.message = why;
    write(Record::Type::ended, id, "", 0, "", static_cast<std::int64_t>(Outcome::skipped), why);
  }
  /// The next step of a host in transition, or the host leaves it.
  void go_on(const std::string& host) {
    if (!halted.empty() || interrupts > 0) return scheduler.leave(host);
    if (const auto next = scheduler.next_step(host)) begin(*next);
  }
  void halt(std::string why) {
    halted = std::move(why);
    to_ask.clear();
  }

  // -- answers of hosts
  void answered(const Completion& completion, TaskId id) {
    Task& task = at(id);
    const StepId step_id = task.step;
    Running& running = at(step_id);
    task.waiting = false;
    if (!task.live) return;
    using Kind = Completion::Kind;
    const bool is_first = task.kind == Task::Kind::begin && task.sequence == 0;
    if (is_first && completion.kind == Kind::unreachable) return end(step_id, Outcome::unreachable, completion.why);
    if (is_first && completion.kind == Kind::refused) {
      end(step_id, Outcome::skipped, completion.why);
      if (halted.empty()) halt(completion.why);
      return;
    }
    if (task.kind == Task::Kind::branch && completion.kind == Kind::unreachable && task.request.host != step(step_id).host) {
      // It was not told; but who can't be reached by us is, as far as we know, not reached by others.
      tell(Progress::Kind::effect, step_id, fmt::format("{} could not be reached: {}", task.request.host, completion.why));
      return branch_over(id, "");
    }
    if (completion.kind != Kind::answered)
      return park(step_id, fmt::format("{} (during: {})", completion.why, task.text));
    if (completion.result.how == "fenced")
      return park(step_id, fmt::format("another deployment took {} over (during: {})", step(step_id).host, task.text));

    const Result& result = completion.result;
    write(Record::Type::outcome, step_id, task.path, task.sequence, "", result.status, outcome_json(result));
    ++task.sequence;
    if (task.kind == Task::Kind::branch) return branch_answered(id, result);
    if (task.kind != Task::Kind::body) return own_answered(id, result);
    running.effects.push_back(task.text + (result.succeeded ? "" : " ✗"));
    tell(Progress::Kind::effect, step_id, running.effects.back());
    ready.push_back(ResumeTask{id, result});
    ++unanswered;
  }
  void own_answered(TaskId id, const Result& result) {
    Task& task = at(id);
    const StepId step_id = task.step;
    Running& running = at(step_id);
    const auto why = [&] { return fmt::format("{}: {}", task.text, result.error.empty() ? result.how : result.error); };
    if (task.kind == Task::Kind::begin) {
      if (!result.succeeded) {
        task.live = false;
        running.message = why();
        // Nothing of the instance was touched; the manifest is put back, if it was written at all.
        const bool is_written = task.sequence > 1 && step(step_id).action != Action::record && step(step_id).action != Action::undrain;
        return !is_written ? end(step_id, Outcome::unchanged, running.message) : finish(step_id, Outcome::unchanged);
      }
      if (task.sequence == 1 && task.request.operation == Operation::begin && step(step_id).action != Action::record) entries.begun(step_id);
      if (!task.own.empty()) return next_own(id);
      task.live = false;
      return begun(step_id);
    }
    const bool is_entry = task.request.operation == Operation::end;
    if (!result.succeeded) {
      if (is_entry) return park(step_id, why());  // the host says `changing`: nobody may call it more than that
      running.message += (running.message.empty() ? "" : "; ") + why();
    }
    if (!task.own.empty()) return next_own(id);
    task.live = false;
    entries.written(step_id, running.ending);
    end(step_id, running.ending, running.message);
  }

  // -- effects on many hosts: one branch for each consumer
  void take_apart(TaskId id, Request request) {
    Task& task = at(id);
    const Step& about_step = step(task.step);
    const bool is_drain = request.operation == Operation::drain;
    const std::string about = request.definition->service + "@" + about_step.host;
    const std::vector<Instance> consumers = is_drain ? entries.consumers(request.definition->service) : entries.holding(about);
    const std::string address = address_of(about_step, *request.definition);
    std::vector<std::string> names;
    for (const Instance& one : consumers) names.push_back(one.service + "@" + one.host);
    task.text = fmt::format("{}{}", request.describe(), names.empty() ? "" : fmt::format(" ({})", fmt::join(names, ", ")));
    task.request = std::move(request);
    task.waiting = true;
    task.failures.clear();
    write(Record::Type::forked, task.step, task.path, task.sequence, task.request.hash(), static_cast<std::int64_t>(consumers.size()), task.text);
    task.branches = consumers.size();
    if (consumers.empty()) return branches_over(id);
    const StepId step_id = task.step;
    const std::string path = fmt::format("{}.{}", task.path, task.sequence);
    at(step_id).branches.clear();
    for (std::size_t k = 0; k < consumers.size(); ++k) {
      Task branch{.step = step_id, .kind = Task::Kind::branch, .path = fmt::format("{}.{}", path, k), .parent = id};
      const Instance& one = consumers[k];
      if (is_drain) {
        branch.own.emplace_back([this, one, address] { return entries.drain(one, address); });
        branch.own.emplace_back([this, one, about, address] { return entries.mark(one, about, address); });
      } else {
        branch.own.emplace_back([this, one, about] { return entries.unmark(one, about); });
        branch.own.emplace_back([this, one, about] { return entries.undrain(one, about); });
      }
      next_own(spawn(std::move(branch)));
    }
  }
  /// What an ended run may have left running besides `old` ends where the transition first stops or
  /// starts the service: not before, so that whoever uses it can be drained first.
  bool must_stop_left_over(const Task& task, const Request& request) {
    const Step& here = step(task.step);
    return here.left_over && !at(task.step).left_over_is_stopped && (request.host.empty() || request.host == here.host) &&
           (request.operation == Operation::stop || request.operation == Operation::start) &&
           request.definition->service == here.service;
  }
  void stop_left_over(TaskId id, Request then) {
    Task& task = at(id);
    at(task.step).left_over_is_stopped = true;
    Request request{.operation = Operation::stop, .definition = step(task.step).left_over, .idempotent = true};
    task.text = request.describe() + " (left over)";
    task.waiting = true;
    task.failures.clear();
    task.branches = 1;
    task.then = std::move(then);
    write(Record::Type::forked, task.step, task.path, task.sequence, request.hash(), 1, task.text);
    Task branch{.step = task.step, .kind = Task::Kind::branch, .path = fmt::format("{}.{}.0", task.path, task.sequence), .parent = id};
    branch.own.emplace_back([request] { return request; });
    at(task.step).branches.clear();
    next_own(spawn(std::move(branch)));
  }
  /// Where consumers reach the service now: as it was before, if it was.
  std::string address_of(const Step& about, const Definition& given) const {
    const Definition& there = about.old_definition && about.old_definition->service == given.service ? *about.old_definition : given;
    const Host& host = plan.fleet.at(about.host);
    const std::string& address = host.address.empty() ? host.name : host.address;
    std::vector<std::string> all;
    for (const auto& [name, port] : there.endpoints) all.push_back(address + ":" + port);
    return all.empty() ? address : fmt::format("{}", fmt::join(all, " "));
  }
  void branch_answered(TaskId id, const Result& result) {
    Task& task = at(id);
    if (!result.succeeded)
      return branch_over(id, fmt::format("{}: {}: {}", task.request.host, task.text, result.error.empty() ? result.how : result.error));
    if (task.own.empty()) return branch_over(id, "");
    if (interrupts > 0) return park(task.step, fmt::format("interrupted after: {} on {}", task.text, task.request.host));
    next_own(id);
  }
  void branch_over(TaskId id, const std::string& failure) {
    at(id).live = false;
    const TaskId parent = at(id).parent;
    Task& task = at(parent);
    if (!failure.empty()) task.failures += (task.failures.empty() ? "" : "; ") + failure;
    if (--task.branches == 0) branches_over(parent);
  }
  void branches_over(TaskId id) {
    Task& task = at(id);
    task.waiting = false;
    const bool told_somebody = !at(task.step).branches.empty();
    at(task.step).branches.clear();
    Result result{.succeeded = task.failures.empty(), .status = task.failures.empty() ? 0 : 1, .error = task.failures};
    write(Record::Type::outcome, task.step, task.path, task.sequence, "", result.status, outcome_json(result));
    ++task.sequence;
    if (told_somebody) {
      at(task.step).effects.push_back(task.text + (result.succeeded ? "" : " ✗"));
      tell(Progress::Kind::effect, task.step, at(task.step).effects.back());
    }
    if (auto then = std::exchange(task.then, std::nullopt); then && result.succeeded) return send(id, std::move(*then));
    ready.push_back(ResumeTask{id, std::move(result)});
    ++unanswered;
  }

  // -- answers of the driver
  void perform(TaskId id, Request request) {
    Task& task = at(id);
    if (!task.live) return;
    --unanswered;
    if (interrupts > 0)
      return park(task.step, fmt::format("interrupted before: {}", request.describe()));
    at(task.step).touched = true;
    if (request.operation == Operation::drain || request.operation == Operation::undrain) return take_apart(id, std::move(request));
    if (task.kind == Task::Kind::body && task.body == TaskKind::compensation) request.idempotent = true;
    if (must_stop_left_over(task, request)) return stop_left_over(id, std::move(request));
    send(id, std::move(request));
  }
  void task_over(TaskId id, bool succeeded, std::string message) {
    Task& task = at(id);
    if (!task.live) return;
    --unanswered;
    task.live = false;
    Running& running = at(task.step);
    switch (task.body) {
      case TaskKind::transition:
        if (succeeded) return finish(task.step, Outcome::upgraded);
        running.message = std::move(message);
        tell(Progress::Kind::effect, task.step, "rolling back: " + running.message);
        // Nothing new starts while it is rolled back, nor when its host is lost meanwhile.
        if (halted.empty()) {
          halt(fmt::format("{}@{} failed: {}", step(task.step).service, step(task.step).host, running.message));
          culprit = task.step;
        }
        if (interrupts > 0) return park(task.step, "interrupted before it was rolled back");
        return compensate(task.step);
      case TaskKind::compensation:
        if (succeeded) return interrupts > 0 ? park(task.step, "interrupted while it was rolled back") : compensate(task.step);
        running.message += fmt::format("; rolling back failed: {}", message);
        return finish(task.step, Outcome::roll_back_failed);
      case TaskKind::verify:
        if (succeeded) return finish(task.step, Outcome::rolled_back);
        running.message += step(task.step).old_definition
                               ? fmt::format("; after rolling back, {} does not validate: {}", step(task.step).old_definition->title(), message)
                               : fmt::format("; after rolling back, something of {} is left: {}", step(task.step).new_definition->title(), message);
        return finish(task.step, Outcome::roll_back_failed);
    }
  }

  // -- admission
  void take(const std::string& host, const Answer& answer) {
    switch (answer.kind) {
      case Answer::Kind::yes:
        scheduler.admit(host);
        go_on(host);
        break;
      case Answer::Kind::not_before: not_before = std::min(not_before.value_or(answer.time), answer.time); break;
      case Answer::Kind::wait:
        waits = true;
        to_ask.clear();
        break;
      case Answer::Kind::no: break;
    }
  }
  /// Asks the policy about hosts until it must ask the driver, or there is none left to ask.
  void admit() {
    if (asked || !halted.empty() || interrupts > 0) return;
    if (ask_round) {
      ask_round = waits = false;
      not_before.reset();
      const auto hosts = scheduler.candidates();
      to_ask.assign(hosts.begin(), hosts.end());
    }
    while (!to_ask.empty()) {
      const std::string host = to_ask.front();
      to_ask.pop_front();
      Answer answer;
      try {
        answer = policy(scheduler, scheduler.host(host));
      } catch (...) {
        return halt("the policy failed: " + describe(std::current_exception()));
      }
      if (answer.kind == Answer::Kind::yes && policy.asks_driver()) {
        asked = host;
        ready.push_back(AskPolicy{host});
        ++unanswered;
        return;
      }
      take(host, answer);
    }
  }

  [[nodiscard]] bool under_way() const { return !by_token.empty() || !unsent.empty(); }

  void wind_up() {
    const std::string why = interrupts > 0 ? "the run was interrupted" : "the run halted";
    for (const StepId id : scheduler.not_begun()) {
      if (at(id).phase == Phase::ended) continue;
      skip(id, why);
      for (const Scheduler::Skipped& one : scheduler.end(id, Outcome::skipped)) skip(one.step, why);
    }
    for (std::uint32_t i = 0; i < steps.size(); ++i)
      if (steps[i].phase != Phase::pending && steps[i].phase != Phase::ended && steps[i].phase != Phase::parked)
        park(StepId{i}, steps[i].task && at(*steps[i].task).waiting
                            ? fmt::format("we left during: {}", at(*steps[i].task).text)
                            : "we left before it was done");
    finished = true;
    ready.push_back(Finished{interrupts > 0});
  }

  std::span<const Event> next(std::size_t limit) {
    for (;;) {
      if (interrupts > 0 && !said_interrupted) {
        said_interrupted = true;
        ready.push_back(Progress{Progress::Kind::run, "", "", "interrupted: nothing new starts; waiting for what is under way "
                                                              "(interrupt again to leave at once)", Outcome::none});
      }
      if (interrupts < 2) admit();
      if (!ready.empty()) {
        batch.clear();
        while (!ready.empty() && batch.size() < limit) {
          batch.push_back(std::move(ready.front()));
          ready.pop_front();
        }
        return batch;
      }
      flush();
      if (finished) {
        batch.assign(1, Finished{interrupts > 0});
        return batch;
      }
      if (interrupts > 1) {
        wind_up();
        continue;
      }
      if (!under_way()) {
        if (unanswered > 0)
          throw std::logic_error(fmt::format("Executor::next: nothing is under way and the driver has not answered {} events", unanswered));
        if (interrupts > 0 || !halted.empty() || scheduler.all_ended()) {
          wind_up();
          continue;
        }
        if (!waits && !not_before) {
          halt("the policy admits no further host, and nothing is under way that could change that");
          continue;
        }
      }
      std::optional<double> seconds;
      if (waits) seconds = ask_again_after;
      if (not_before) seconds = std::clamp(*not_before - clock.now(), soonest, seconds.value_or(3600.0));
      wait(seconds);
    }
  }

  void wait(std::optional<double> seconds) {
    completions.clear();
    transport.wait(completions, seconds);
    if (completions.empty()) ask_round = true;  // time passed, or we were woken
    for (const Completion& completion : completions) {
      const auto found = by_token.find(completion.token);
      if (found == by_token.end()) continue;
      const TaskId id = found->second;
      by_token.erase(found);
      answered(completion, id);
    }
  }
};

Executor::Executor(const Plan& plan, Policy policy, int run, std::string lineage, Journal& journal, Transport& transport,
                   const Clock& clock)
    : impl_(std::make_unique<Impl>(plan, std::move(policy), run, std::move(lineage), journal, transport, clock)) {}
Executor::~Executor() = default;

std::span<const Event> Executor::next(std::size_t limit) { return impl_->next(std::max<std::size_t>(1, limit)); }
void Executor::perform(TaskId task, Request request) { impl_->perform(task, std::move(request)); }
void Executor::done(TaskId task) { impl_->task_over(task, true, {}); }
void Executor::raised(TaskId task, std::string message) { impl_->task_over(task, false, std::move(message)); }

std::optional<std::uint32_t> Executor::on_roll_back(TaskId id) {
  Task& task = impl_->at(id);
  if (!task.live) return {};
  Running& running = impl_->at(task.step);
  if (task.body != TaskKind::transition) return ++running.serials;  // of a body that is not undone itself
  const std::uint32_t serial = ++running.serials;
  impl_->write(Record::Type::registered, task.step, task.path, task.sequence++, "", serial);
  running.compensations.push_back(serial);
  return serial;
}

std::string Executor::next_token(TaskId task) const { return impl_->token(impl_->at(task)); }

void Executor::answer(Answer answer) {
  if (!impl_->asked) throw std::logic_error("Executor::answer: no host was asked about");
  --impl_->unanswered;
  const std::string host = *std::exchange(impl_->asked, std::nullopt);
  if (impl_->halted.empty() && impl_->interrupts == 0) impl_->take(host, answer);
}

void Executor::policy_failed(std::string message) {
  if (!std::exchange(impl_->asked, std::nullopt)) throw std::logic_error("Executor::policy_failed: no host was asked about");
  --impl_->unanswered;
  if (impl_->halted.empty()) impl_->halt(fmt::format("the policy failed: {}", message));
}

void Executor::interrupt() noexcept {
  ++impl_->interrupts;
  impl_->transport.wake();
}

const Rollout& Executor::rollout() const noexcept { return impl_->scheduler; }
std::vector<HostReading> Executor::readings() const { return impl_->entries.readings(); }

Report Executor::report() const {
  Report report{.site = impl_->plan.site, .run = impl_->run, .generation = impl_->run};
  for (std::size_t i = 0; i < impl_->steps.size(); ++i) {
    const Step& step = impl_->plan.steps[i];
    if (step.action == Action::join) continue;
    const Running& running = impl_->steps[i];
    report.steps.push_back({.action = step.action, .service = step.service, .host = step.host,
                            .old_version = step.old_definition ? step.old_definition->version : "",
                            .new_version = step.new_definition ? step.new_definition->version : "",
                            .outcome = running.outcome, .message = running.message, .effects = running.effects,
                            .seconds = running.begun ? running.ended - running.started : 0});
  }
  report.unreachable = impl_->plan.unreachable();
  report.halted = impl_->halted;
  report.interrupted = impl_->interrupts > 0;
  report.frames = impl_->transport.frames_sent();
  return report;
}

}  // namespace tutti
