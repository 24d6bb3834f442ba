// SPDX-License-Identifier: LGPL-3.0-or-later
// The way back of a step whose transition failed: what its effects undo, last first, then what runs now.
#include <fmt/format.h>

#include "executor/outcome.hpp"
#include "executor/step.hpp"

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

std::uint32_t StepRun::register_undo(std::optional<Request> request) {
  const std::uint32_t serial = ++serials_;
  if (!work_.is_transition()) return serial;  // what undoes is not undone itself
  write([&] { return record::Registered{place(work_), serial}; });
  ++work_.sequence;
  undos_.push_back({.serial = serial, .request = std::move(request)});
  return serial;
}

void StepRun::dispatch(std::unique_ptr<Request> request) {
  const bool is_here = request->host.empty() || request->host == step_.host;
  const bool is_own = is_here && request->definition() && request->definition()->service == step_.service;
  give_files(*request);
  const Runs one = is_own ? which(request->definition()) : Runs::unknown;
  // That it does not validate says nothing of a version that never did.
  if (auto* stop = request->as<effect::Stop>()) stop->untried = one == Runs::fresh && !same_running();
  if (auto* validate = request->as<effect::Validate>();
      validate && one == Runs::fresh && work_.is_transition())
    validate->settle = left_to_settle();
  if (is_own && request->as<effect::Start>() && runs_ == Runs::nothing && !request->definition()->is_daemon())
    request->idempotent = false;  // it is known not to run: nothing that says otherwise is asked
  if ((is_own && one != Runs::former && !request->as<effect::Stop>() && !request->as<effect::Validate>()) ||
      (is_here && request->as<effect::Run>()))
    may_be_left_ = true;
  work_.undone_by = 0;
  if (work_.is_transition()) {
    if (auto undo = undo_of(*request)) {
      work_.undone_by = register_undo(std::move(undo));
      // The registration took a sequence number of its own.
      if (auto* restore = undos_.back().request->as<effect::RestoreFile>()) {
        restore->of = facts_.token_prefix;
        add_token_end(restore->of, place(work_));
      }
    }
  }
  send(work_, std::move(request));
}

void StepRun::roll_back(std::string message) {
  if (facts_.is_dry) return end(Outcome::unchanged, std::move(message));
  message_ = std::move(message);
  order(Tell{"rolling back: " + message_});
  order(Failed{message_});
  if (moment_.is_interrupted) return park("interrupted before it was rolled back");
  compensate();
}

void StepRun::compensate() {
  if (!undos_.empty()) {
    Undo undo = std::move(undos_.back());
    undos_.pop_back();
    enter(Stage::compensating);
    const TaskPath path{.kind = TaskPath::Kind::compensation, .serial = undo.serial};
    if (!undo.request) return start_body(path);
    start(path);
    auto request = std::make_unique<Request>(std::move(*undo.request));
    if (request->as<effect::Undrain>()) return take_apart(std::move(request));
    // What was stopped is started. Only where the stop failed may it be up already.
    request->idempotent =
        !request->as<effect::Start>() || undo.has_failed || request->definition()->is_daemon();
    return dispatch(std::move(request));
  }
  // What an ended run left may still be what answers: nothing can be verified beside it.
  if (left_over_may_run()) {
    message_ += fmt::format("; {}, which run {} may have left running, was not stopped",
                            step_.left_over->title(), ledger_.run_before(step_));
    return finish(Outcome::failed);
  }
  if (!is_touched_) return finish(Outcome::unchanged);
  verify();
}

void StepRun::compensated(const std::string& failure) {
  if (!failure.empty()) {
    message_ += fmt::format("; rolling back failed: {}", failure);
    return finish(Outcome::roll_back_failed);
  }
  if (moment_.is_interrupted) return park("interrupted while it was rolled back");
  compensate();
}

void StepRun::verify() {
  const DefinitionPtr& old = step_.old_definition;
  const DefinitionPtr& fresh = step_.new_definition;
  enter(Stage::verifying);
  if (old && old->is_daemon() && runs_ == Runs::fresh && !same_running()) {
    message_ += fmt::format("; after rolling back, {} runs instead of {}", fresh->title(), old->title());
    return finish(Outcome::roll_back_failed);
  }
  // What nothing can tell about must be known to run: it was alive, or was started, and not stopped since.
  if (old && !old->one_shot && !old->is_daemon() && !old->has_hook("alive") && !old->has_hook("validate") &&
      runs_ != Runs::former && !(runs_ == Runs::fresh && same_running())) {
    message_ += fmt::format("; after rolling back, nobody knows whether {} runs: it was not started again, "
                            "and has neither alive? nor validate",
                            old->title());
    return finish(Outcome::roll_back_failed);
  }
  Work& work = start({.kind = TaskPath::Kind::verification});
  const auto ask_alive = [&](const DefinitionPtr& service) {
    work.own.emplace_back([service] { return Request{.effect = effect::Run{service->hook("alive")}}; });
  };
  if (old) {
    // Its validation may know nothing of whether it lives.
    if (old->has_hook("alive") && old->has_hook("validate") && !old->is_daemon() && !old->one_shot)
      ask_alive(old);
    work.own.emplace_back([old] { return Request{.effect = effect::Validate{old}}; });
  } else if (fresh->is_daemon()) {
    // Stopping is idempotent: what still lives is ended, what is gone is success.
    work.own.emplace_back([fresh] { return Request{.effect = effect::Stop{fresh}, .idempotent = true}; });
  } else if (fresh->has_hook("alive")) {
    ask_alive(fresh);
  } else {
    return finish(Outcome::rolled_back);  // nothing tells
  }
  next_own(work);
}

void StepRun::verify_answered(const Request& request, const Result& result) {
  const DefinitionPtr& old = step_.old_definition;
  const std::string title = (old ? old : step_.new_definition)->title();
  const bool asks_alive = request.as<effect::Run>() != nullptr;
  std::string wrong;
  if (asks_alive && !result.succeeded && !says_no(result))
    wrong = fmt::format("nobody knows whether {} lives: {}", title, failure_text(work_.text, result));
  else if (!old && asks_alive && result.succeeded)
    wrong = fmt::format("something of {} is left: {} still lives", title, title);
  else if (!old && !asks_alive && !result.succeeded)
    wrong = fmt::format("something of {} is left: {}", title, failure_text(work_.text, result));
  else if (old && !result.succeeded)
    wrong = fmt::format("{} does not {}: {}", title, asks_alive ? "live" : "validate",
                        failure_text(work_.text, result));
  if (wrong.empty() && !work_.own.empty())
    return moment_.is_interrupted ? park("interrupted while it was verified") : next_own(work_);
  if (wrong.empty()) return finish(Outcome::rolled_back);
  message_ += "; after rolling back, " + wrong;
  finish(Outcome::roll_back_failed);
}

}  // namespace tutti
