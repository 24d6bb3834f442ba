// The way back of a step whose transition failed: what its effects undo, last first, then what runs now.
#include <fmt/format.h>

#include "executor/machine.hpp"
#include "executor/outcome.hpp"

namespace tutti {
namespace {

/// What undoes an effect, if anything does.
std::optional<Request> undo_of(const Request& request) {
  if (const auto* start = request.as<effect::Start>())
    return Request{.effect = effect::Stop{start->definition}, .host = request.host};
  if (const auto* stop = request.as<effect::Stop>()) {
    if (stop->definition->one_shot) return {};  // what ran to its end is not run again
    return Request{.effect = effect::Start{stop->definition}, .host = request.host};
  }
  if (const auto* put = request.as<effect::PutFile>())
    return Request{.effect = effect::RestoreFile{.path = put->path}, .host = request.host};
  return {};
}

}  // namespace

std::uint32_t Executor::Impl::register_undo(TaskId id, std::optional<Request> request) {
  Task& task = at(id);
  Running& running = at(task.step);
  const std::uint32_t serial = ++running.serials;
  if (task.body != TaskKind::transition) return serial;  // what undoes is not undone itself
  write(record::Registered{place(task), serial});
  ++task.sequence;
  running.undos.push_back({.serial = serial, .request = std::move(request)});
  return serial;
}

void Executor::Impl::dispatch(TaskId id, std::unique_ptr<Request> request) {
  Task& task = at(id);
  Running& running = at(task.step);
  const bool is_here = request->host.empty() || request->host == step(task.step).host;
  const bool is_own =
      is_here && request->definition() && request->definition()->service == step(task.step).service;
  give_files(task.step, *request);
  const Runs one = is_own ? which(task.step, request->definition()) : Runs::unknown;
  // That it does not validate says nothing of a version that never did.
  if (auto* stop = request->as<effect::Stop>())
    stop->untried = one == Runs::fresh && !same_running(task.step);
  if (is_own && request->as<effect::Start>() && running.runs == Runs::nothing &&
      !request->definition()->is_daemon())
    request->idempotent = false;  // it is known not to run: nothing that says otherwise is asked
  if ((is_own && one != Runs::former && !request->as<effect::Stop>() && !request->as<effect::Validate>()) ||
      (is_here && request->as<effect::Run>()))
    running.may_be_left = true;
  task.undone_by = 0;
  if (task.kind == Task::Kind::body && task.body == TaskKind::transition) {
    if (auto undo = undo_of(*request)) {
      task.undone_by = register_undo(id, std::move(undo));
      if (auto* restore = running.undos.back().request->as<effect::RestoreFile>())
        restore->of = token(task);  // the registration took a sequence number of its own
    }
  }
  send(id, std::move(request));
}

void Executor::Impl::roll_back(StepId id, std::string message) {
  if (is_dry()) return end(id, Outcome::unchanged, std::move(message));
  Running& running = at(id);
  running.message = std::move(message);
  tell(Progress::Kind::effect, id, "rolling back: " + running.message);
  if (halted.empty()) {
    halt(fmt::format("{}@{} failed: {}", step(id).service, step(id).host, running.message));
    culprit = id;
  }
  if (interrupts > 0) return park(id, "interrupted before it was rolled back");
  compensate(id);
}

void Executor::Impl::compensate(StepId id) {
  Running& running = at(id);
  if (!running.undos.empty()) {
    Undo undo = std::move(running.undos.back());
    running.undos.pop_back();
    phase(id, Phase::compensating);
    std::string path = fmt::format("c{}", undo.serial);
    if (!undo.request) return start_body(id, TaskKind::compensation, undo.serial, std::move(path));
    const TaskId task = spawn({.step = id, .kind = Task::Kind::undo, .path = std::move(path)});
    auto request = std::make_unique<Request>(std::move(*undo.request));
    if (request->as<effect::Undrain>()) return take_apart(task, std::move(request));
    // What was stopped is started. Only where the stop failed may it be up already.
    request->idempotent =
        !request->as<effect::Start>() || undo.has_failed || request->definition()->is_daemon();
    return dispatch(task, std::move(request));
  }
  // What an ended run left may still be what answers: nothing can be verified beside it.
  if (left_over_may_run(id)) {
    running.message += fmt::format("; {}, which run {} may have left running, was not stopped",
                                   step(id).left_over->title(), entries.run_before(id));
    return finish(id, Outcome::failed);
  }
  if (!running.touched) return finish(id, Outcome::unchanged);
  verify(id);
}

void Executor::Impl::compensated(StepId id, const std::string& failure) {
  if (!failure.empty()) {
    at(id).message += fmt::format("; rolling back failed: {}", failure);
    return finish(id, Outcome::roll_back_failed);
  }
  if (interrupts > 0) return park(id, "interrupted while it was rolled back");
  compensate(id);
}

void Executor::Impl::verify(StepId id) {
  const DefinitionPtr& old = step(id).old_definition;
  const DefinitionPtr& fresh = step(id).new_definition;
  phase(id, Phase::verifying);
  if (old && old->is_daemon() && at(id).runs == Runs::fresh && !same_running(id)) {
    at(id).message +=
        fmt::format("; after rolling back, {} runs instead of {}", fresh->title(), old->title());
    return finish(id, Outcome::roll_back_failed);
  }
  // What nothing can tell about must be known to run: it was alive, or was started, and not stopped since.
  if (old && !old->one_shot && !old->is_daemon() && !old->has_hook("alive") && !old->has_hook("validate") &&
      at(id).runs != Runs::former && !(at(id).runs == Runs::fresh && same_running(id))) {
    at(id).message +=
        fmt::format("; after rolling back, nobody knows whether {} runs: it was not started again, "
                    "and has neither alive? nor validate",
                    old->title());
    return finish(id, Outcome::roll_back_failed);
  }
  Task task{.step = id, .kind = Task::Kind::verify, .path = "v"};
  const auto ask_alive = [&](const DefinitionPtr& service) {
    task.own.emplace_back([service] { return Request{.effect = effect::Run{service->hook("alive")}}; });
  };
  if (old) {
    // Its validation may know nothing of whether it lives.
    if (old->has_hook("alive") && old->has_hook("validate") && !old->is_daemon() && !old->one_shot)
      ask_alive(old);
    task.own.emplace_back([old] { return Request{.effect = effect::Validate{old}}; });
  } else if (fresh->is_daemon()) {
    // Stopping is idempotent: what still lives is ended, what is gone is success.
    task.own.emplace_back([fresh] { return Request{.effect = effect::Stop{fresh}, .idempotent = true}; });
  } else if (fresh->has_hook("alive")) {
    ask_alive(fresh);
  } else {
    return finish(id, Outcome::rolled_back);  // nothing tells
  }
  next_own(spawn(std::move(task)));
}

void Executor::Impl::verify_answered(TaskId id, const Request& request, const Result& result) {
  Task& task = at(id);
  const StepId step_id = task.step;
  const DefinitionPtr& old = step(step_id).old_definition;
  const std::string title = (old ? old : step(step_id).new_definition)->title();
  const bool asks_alive = request.as<effect::Run>() != nullptr;
  std::string wrong;
  if (asks_alive && !result.succeeded && !says_no(result))
    wrong = fmt::format("nobody knows whether {} lives: {}", title, failure_text(task.text, result));
  else if (!old && asks_alive && result.succeeded)
    wrong = fmt::format("something of {} is left: {} still lives", title, title);
  else if (!old && !asks_alive && !result.succeeded)
    wrong = fmt::format("something of {} is left: {}", title, failure_text(task.text, result));
  else if (old && !result.succeeded)
    wrong = fmt::format("{} does not {}: {}", title, asks_alive ? "live" : "validate",
                        failure_text(task.text, result));
  if (wrong.empty() && !task.own.empty()) {
    if (interrupts == 0) return next_own(id);
    task.live = false;
    return park(step_id, "interrupted while it was verified");
  }
  task.live = false;
  if (wrong.empty()) return finish(step_id, Outcome::rolled_back);
  at(step_id).message += "; after rolling back, " + wrong;
  finish(step_id, Outcome::roll_back_failed);
}

}  // namespace tutti
