// The way of one step.
#include "executor/machine.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "executor/outcome.hpp"
#include "support/text.hpp"
#include "transport/request.hpp"

namespace tutti {
namespace {

constexpr std::size_t flush_after = 512;  // intents gathered before a commit is forced

}  // namespace

Executor::Impl::Impl(const Plan& p, Policy pol, int r, std::string l, Journal* j, Transport& t,
                     const Clock& c)
    : plan(p),
      policy(std::move(pol)),
      run(r),
      lineage(std::move(l)),
      journal(j),
      transport(t),
      clock(c),
      scheduler(p, c, false),
      entries(p, run, lineage),
      steps(p.steps.size()),
      token_prefix(fmt::format("{}.{}.", lineage.substr(0, 12), run)) {
  for (std::uint32_t i = 0; i < plan.steps.size(); ++i)
    if (plan.steps[i].action != Action::join && plan.steps[i].unreachable)
      end(StepId{i}, Outcome::unreachable, plan.readings.at(plan.steps[i].host).why);
}

void Executor::Impl::write(Record::What what) {
  if (journal) journal->append({clock.now(), std::move(what)});
}

Place Executor::Impl::place(const Task& task) { return {task.step, task_path(task.path), task.sequence}; }

void Executor::Impl::write_intent(const Task& task, const Request& request) {
  if (!journal) return;
  write(record::Intent{.at = place(task),
                       .effect = std::string(name_of(request.effect)),
                       .hash = hash(request, forms),
                       .text = task.text,
                       .host = request.host == step(task.step).host ? "" : request.host});
}

void Executor::Impl::write_forked(const Task& task, const Request& request, std::vector<Instance> branches) {
  if (!journal) return;
  write(record::Forked{.at = place(task),
                       .effect = std::string(name_of(request.effect)),
                       .hash = hash(request, forms),
                       .text = task.text,
                       .branches = std::move(branches)});
}

void Executor::Impl::write_answer(const Task& task, const Result& result) {
  if (journal) write(record::Answered{place(task), result});
}

void Executor::Impl::phase(StepId id, Phase phase) {
  at(id).phase = phase;
  if (!journal) return;
  // The first record of a step has the time that its entry in the manifest has.
  journal->append({phase == Phase::beginning ? at(id).started : clock.now(),
                   record::Entered{.step = id, .stage = phase}});
}

void Executor::Impl::tell(Progress::Kind kind, StepId id, std::string text, Outcome outcome) {
  ready.emplace_back(Progress{kind, step(id).host, step(id).service, std::move(text), outcome});
}

std::string Executor::Impl::token(const Task& task) const {
  return effect_token(lineage, run, static_cast<std::uint32_t>(task.step), task.path, task.sequence);
}

std::optional<TaskId> Executor::Impl::task_of(std::string_view name) {
  if (!name.starts_with(token_prefix)) return {};
  std::uint32_t index = 0;
  (void)std::from_chars(name.data() + token_prefix.size(), name.data() + name.size(), index);
  if (index >= steps.size()) return {};
  const auto is_it = [&](TaskId id) { return at(id).waiting && at(id).request && token(at(id)) == name; };
  const Running& running = steps[index];
  if (running.task && is_it(*running.task)) return running.task;
  const auto branch = std::find_if(running.branches.begin(), running.branches.end(), is_it);
  return branch == running.branches.end() ? std::nullopt : std::optional(*branch);
}

TaskId Executor::Impl::spawn(Task task) {
  const TaskId id{static_cast<std::uint32_t>(tasks.size())};
  if (task.kind == Task::Kind::branch)
    at(task.step).branches.push_back(id);
  else
    at(task.step).task = id;
  tasks.push_back(std::move(task));
  return id;
}

void Executor::Impl::start_body(StepId id, TaskKind kind, std::uint32_t serial, std::string path) {
  const TaskId task =
      spawn({.step = id, .kind = Task::Kind::body, .body = kind, .serial = serial, .path = std::move(path)});
  ready.emplace_back(StartTask{task, id, kind, serial});
  ++unanswered;
}

void Executor::Impl::start_own(StepId id, Task::Kind kind, std::vector<Request> requests) {
  Task task{.step = id, .kind = kind, .path = kind == Task::Kind::begin ? "b" : "e"};
  for (auto request = requests.rbegin(); request != requests.rend(); ++request)
    task.own.emplace_back([one = std::move(*request)]() mutable { return std::move(one); });  // called once
  next_own(spawn(std::move(task)));
}

void Executor::Impl::next_own(TaskId id) {
  Task& task = at(id);
  const auto request = std::move(task.own.back());
  task.own.pop_back();
  send(id, std::make_unique<Request>(request()));
}

void Executor::Impl::send(TaskId id, std::unique_ptr<Request> request) {
  Task& task = at(id);
  task.text = request->describe();
  write_intent(task, *request);
  if (request->host.empty()) request->host = step(task.step).host;
  task.request = std::move(request);
  task.waiting = true;
  unsent.push_back(id);
  if (unsent.size() >= flush_after) flush();
}

void Executor::Impl::flush() {
  if (journal) journal->commit();
  for (const TaskId id : unsent) {
    const Task& task = at(id);
    transport.send(token(task), task.request->host, *task.request);
    ++under_way;
  }
  unsent.clear();
}

void Executor::Impl::begin(StepId id) {
  Running& running = at(id);
  running.begun = true;
  running.started = clock.now();
  phase(id, Phase::beginning);
  if (step(id).old_definition && step(id).was_alive)
    running.runs = Runs::former;
  else if (step(id).action == Action::install)
    running.runs = Runs::nothing;
  const double now = running.started;
  std::vector<Request> requests;
  switch (step(id).action) {
    case Action::record: requests = entries.record(id, now); break;
    case Action::undrain: requests = entries.let_go(id); break;
    default: requests = entries.begin(id, now);
  }
  if (requests.empty()) return end(id, Outcome::upgraded, "");  // a transition of this run let it go already
  start_own(id, Task::Kind::begin, std::move(requests));
  // Requests reach a host in the order in which they are made: from here on this is what it holds.
  if (step(id).action == Action::record) entries.written(id, Outcome::upgraded, now);
  if (step(id).action != Action::record && step(id).action != Action::undrain) entries.begun(id, now);
}

void Executor::Impl::begun(StepId id) {
  if (step(id).action == Action::record || step(id).action == Action::undrain)
    return end(id, Outcome::upgraded, "");
  phase(id, Phase::running);
  start_body(id, TaskKind::transition, 0, "t");
}

void Executor::Impl::finish(StepId id, Outcome outcome) {
  // The entry that names what is left over stays until that was stopped.
  if (outcome == Outcome::roll_back_failed && left_over_may_run(id)) outcome = Outcome::failed;
  if (outcome == Outcome::upgraded && hold(id)) return;
  at(id).ending = outcome;
  if (!at(id).may_be_left) entries.nothing_left(id);
  phase(id, Phase::ending);
  Task task{.step = id, .kind = Task::Kind::end, .path = "e"};
  task.own.emplace_back([this, id] {
    const double now = clock.now();
    const Outcome ending = at(id).ending;  // what came of its files may have changed it
    Request request = entries.end(id, ending, now);
    entries.written(id, ending, now);
    return request;
  });
  if (auto files = entries.files(id, outcome, at(id).files))
    task.own.emplace_back([one = std::move(*files)]() mutable { return std::move(one); });
  next_own(spawn(std::move(task)));
}

void Executor::Impl::end(StepId id, Outcome outcome, std::string message) {
  Running& running = at(id);
  running.phase = Phase::ended;
  running.outcome = outcome;
  running.task.reset();
  if (!message.empty()) running.message = std::move(message);
  running.ended = clock.now();
  write(record::Ended{id, outcome, running.message});
  over(id);
}

void Executor::Impl::park(StepId id, const std::string& message) {
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

void Executor::Impl::drop(TaskId id, const std::string& why) {
  Task& task = at(id);
  if (!task.live) return;
  task.live = false;
  if (task.kind == Task::Kind::body) ready.emplace_back(DropTask{id, why});
}

void Executor::Impl::over(StepId id) {
  const Running& running = at(id);
  tell(Progress::Kind::outcome, id, running.message, running.outcome);
  for (const Scheduler::Skipped& one : scheduler.end(id, is_dry() ? Outcome::upgraded : running.outcome))
    skip(one.step, one.why);
  ask_round = true;
  const bool is_failure = running.outcome == Outcome::rolled_back ||
                          running.outcome == Outcome::roll_back_failed ||
                          running.outcome == Outcome::failed || running.outcome == Outcome::unchanged;
  if (is_failure && !is_dry() && (halted.empty() || culprit == id))
    halt(fmt::format("{}@{} is {}: {}", step(id).service, step(id).host, to_string(running.outcome),
                     running.message));
  if (running.begun) go_on(step(id).host);
}

void Executor::Impl::skip(StepId id, const std::string& why) {
  Running& running = at(id);
  running.phase = Phase::ended;
  running.outcome = Outcome::skipped;
  running.message = why;
  write(record::Ended{id, Outcome::skipped, why});
}

void Executor::Impl::go_on(const std::string& host) {
  if (const auto one = to_settle(host)) return settle(*one);
  if (!halted.empty() || interrupts > 0) return scheduler.leave(host);
  if (const auto next = scheduler.next_step(host)) begin(*next);
}

void Executor::Impl::halt(std::string why) {
  halted = std::move(why);
  to_ask.clear();
}

void Executor::Impl::answered(Completion& completion, TaskId id) {
  Task& task = at(id);
  const StepId step_id = task.step;
  Running& running = at(step_id);
  const std::unique_ptr<const Request> request = std::move(task.request);
  task.waiting = false;
  if (!task.live) return;
  using Kind = Completion::Kind;
  const bool is_first = task.kind == Task::Kind::begin && task.sequence == 0;
  if (completion.kind == Kind::lost || completion.kind == Kind::unreachable) scheduler.lose(request->host);
  if (is_first && completion.kind == Kind::unreachable)
    return end(step_id, Outcome::unreachable, completion.why);
  if (is_first && completion.kind == Kind::refused) {
    // After a loss it may be our own last effect there that still runs: no reason for others to stop.
    if (scheduler.state(request->host) == HostState::unreachable)
      return end(step_id, Outcome::unreachable, completion.why);
    end(step_id, Outcome::skipped, completion.why);
    if (halted.empty()) halt(completion.why);
    return;
  }
  if (task.kind == Task::Kind::branch && completion.kind == Kind::unreachable &&
      request->host != step(step_id).host) {
    // It was not told; but who can't be reached by us is, as far as we know, not reached by others.
    tell(Progress::Kind::effect, step_id,
         fmt::format("{} could not be reached: {}", request->host, completion.why));
    return branch_over(id, "");
  }
  if (completion.kind != Kind::answered)
    return park(step_id, fmt::format("{} (during: {})", completion.why, task.text));

  Result& result = completion.result;
  for (const std::string& note : result.notes) {
    running.notes.push_back(note);
    tell(Progress::Kind::effect, step_id, note);
  }
  write_answer(task, result);
  ++task.sequence;
  if (task.kind == Task::Kind::branch) return branch_answered(id, *request, result);
  if (task.kind == Task::Kind::begin || task.kind == Task::Kind::end)
    return own_answered(id, *request, result);
  if (task.kind == Task::Kind::room) return room_answered(id, result);
  observe(task, *request, result);
  if (task.kind == Task::Kind::proof) return proof_answered(id, *request, result);
  running.effects.push_back(result.succeeded ? task.text : task.text + " ✗");
  tell(Progress::Kind::effect, step_id, running.effects.back());
  const auto* start = request->as<effect::Start>();
  if (request->host == step(step_id).host && result.succeeded && (start || request->as<effect::Reload>()) &&
      request->definition()->service == step(step_id).service)
    running.files = start && start->beside ? nullptr : request->definition();
  if (task.kind == Task::Kind::verify) return verify_answered(id, *request, result);
  for (Undo& undo : running.undos)
    if (undo.serial == task.undone_by) undo.has_failed = !result.succeeded;
  // Who was refused because another daemon runs has started nothing: that daemon is not stopped for it.
  if (result.how == How::busy && start)
    std::erase_if(running.undos, [&](const Undo& undo) { return undo.serial == task.undone_by; });
  task.undone_by = 0;
  std::string failed = result.succeeded ? std::string() : task.text;
  resume(id, std::move(result), std::move(failed));
}

void Executor::Impl::resume(TaskId id, Result result, std::string request) {
  Task& task = at(id);
  if (task.kind == Task::Kind::undo) {
    task.live = false;
    return compensated(task.step, result.succeeded ? "" : failure_text(request, result));
  }
  ready.emplace_back(ResumeTask{id, std::move(result), std::move(request)});
  ++unanswered;
}

void Executor::Impl::own_answered(TaskId id, const Request& request, const Result& result) {
  Task& task = at(id);
  const StepId step_id = task.step;
  Running& running = at(step_id);
  const auto why = [&] { return fmt::format("{}: {}", task.text, reason(result)); };
  if (task.kind == Task::Kind::begin) {
    if (!result.succeeded) {
      task.live = false;
      running.message = why();
      // Nothing of the instance was touched; the manifest is put back, if it was written at all.
      const bool is_written = task.sequence > 1 && step(step_id).action != Action::record &&
                              step(step_id).action != Action::undrain;
      if (!is_written && step(step_id).action != Action::undrain) entries.not_begun(step_id);
      return !is_written ? end(step_id, Outcome::unchanged, running.message)
                         : finish(step_id, Outcome::unchanged);
    }
    if (!task.own.empty()) return next_own(id);
    task.live = false;
    return begun(step_id);
  }
  const bool is_entry = request.as<effect::WriteEntry>() != nullptr;
  if (!result.succeeded) {
    if (is_entry) entries.begun(step_id, running.started);
    if (is_entry) return park(step_id, why());  // the host says `changing`: nobody may call it more than that
    running.message += (running.message.empty() ? "" : "; ") + why();
    // What has other files than before is not rolled back, and what has files is not removed.
    if (running.ending == Outcome::rolled_back) running.ending = Outcome::roll_back_failed;
    if (!step(step_id).new_definition && running.ending == Outcome::upgraded)
      running.ending = Outcome::failed;
  }
  if (!task.own.empty()) return next_own(id);
  task.live = false;
  end(step_id, running.ending, running.message);
}

void Executor::Impl::perform(TaskId id, std::unique_ptr<Request> request) {
  Task& task = at(id);
  if (!task.live) return;
  --unanswered;
  if (!request->host.empty() && !plan.fleet.find(request->host)) {
    Result result{.succeeded = false,
                  .status = 1,
                  .how = How::error,
                  .error = fmt::format("no host '{}' in the fleet", escaped(request->host))};
    return resume(id, std::move(result), request->describe());
  }
  if (request->as<effect::Drain>() || request->as<effect::Undrain>())
    return take_apart(id, std::move(request));
  if (interrupts > 0) return park(task.step, fmt::format("interrupted before: {}", request->describe()));
  at(task.step).touched = true;
  if (task.body == TaskKind::compensation) request->idempotent = true;
  if (must_stop_left_over(task, *request)) return stop_left_over(id, std::move(request));
  dispatch(id, std::move(request));
}

void Executor::Impl::give_files(StepId id, Request& request) {
  const Step& here = step(id);
  Running& running = at(id);
  if (!request.host.empty() && request.host != here.host) return;
  const DefinitionPtr& any = here.new_definition ? here.new_definition : here.old_definition;
  if (auto* put = request.as<effect::PutFile>()) put->user = any->user;
  if (auto* get = request.as<effect::GetFile>()) get->user = any->user;
  if (auto* restore = request.as<effect::RestoreFile>()) restore->user = any->user;
  auto* start = request.as<effect::Start>();
  auto* reload = request.as<effect::Reload>();
  if ((!start && !reload) || request.definition()->service != here.service) return;
  (start ? start->former : reload->former) = {here.old_definition, here.left_over};
  running.files.reset();  // until it has succeeded
  if (!start || same_running(id)) return;
  const Runs one = which(id, start->definition);
  start->beside = (one == Runs::fresh && running.runs == Runs::former && !here.old_definition->one_shot) ||
                  (one == Runs::former && running.runs == Runs::fresh && !here.new_definition->one_shot);
}

void Executor::Impl::task_over(TaskId id, bool succeeded, std::string message) {
  Task& task = at(id);
  if (!task.live) return;
  --unanswered;
  task.live = false;
  if (task.body == TaskKind::compensation) return compensated(task.step, succeeded ? "" : message);
  if (succeeded) return prove(task.step);
  roll_back(task.step, std::move(message));
}

}  // namespace tutti
