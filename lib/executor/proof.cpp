// What runs of an instance, by what its host answered; and what is asked when that proves too little.
#include <fmt/format.h>

#include "executor/machine.hpp"
#include "executor/outcome.hpp"

namespace tutti {
namespace {

constexpr double proof_seconds = 10;  // for an `alive` program to succeed once more

/// Asks only whether a daemon lives, or an `alive` program succeeds within `proof_seconds`. The service's own
/// validation may be slow, and was not asked for.
Request ask_whether_it_lives(const Definition& service) {
  auto bare = std::make_shared<Definition>(service);
  bare->programs.erase("validate");
  return {.effect = effect::Validate{bare}, .limit = proof_seconds};
}

}  // namespace

bool Executor::Impl::same_running(StepId id) const {
  const Step& here = step(id);
  return here.old_definition && here.new_definition &&
         running_hash(*here.old_definition) == running_hash(*here.new_definition);
}

bool Executor::Impl::left_over_may_run(StepId id) const {
  return step(id).left_over && !steps[static_cast<std::size_t>(id)].left_over_is_stopped;
}

Runs Executor::Impl::which(StepId id, const DefinitionPtr& definition) const {
  const auto is = [&](const DefinitionPtr& one) { return one && (one == definition || *one == *definition); };
  if (is(step(id).new_definition)) return Runs::fresh;
  return is(step(id).old_definition) ? Runs::former : Runs::unknown;
}

void Executor::Impl::observe(const Task& task, const Request& request, const Result& result) {
  const Step& here = step(task.step);
  Running& running = at(task.step);
  if (request.host != here.host) return;
  const bool is_program = request.as<effect::Run>() || request.as<effect::WaitUntil>();
  if (is_program && task.kind != Task::Kind::verify && result.succeeded) running.ran = true;
  // Whatever came after the start or the validation took its time: what was seen then is asked once more.
  const bool validates = request.as<effect::Validate>() != nullptr;
  if (!validates) running.proven = false;
  const DefinitionPtr& about = request.definition();
  if (!about || about->service != here.service) return;
  const Runs one = which(task.step, about);
  const bool starts = request.as<effect::Start>() != nullptr;
  if (starts || request.as<effect::Reload>()) {
    if (result.how == How::busy) return;  // nothing was done
    running.runs = result.succeeded ? one : Runs::unknown;
    running.proven = result.succeeded && one == Runs::fresh && starts;
  } else if (request.as<effect::Stop>()) {
    if (!result.succeeded) {
      running.runs = Runs::unknown;
      return;
    }
    // A daemon is stopped by its name, whichever version of it runs; a program stops its own version.
    if (about->is_daemon() || running.runs != Runs::fresh || one == Runs::fresh) running.runs = Runs::nothing;
    if (about->is_daemon() || one == Runs::fresh) running.may_be_left = false;
  } else if (validates && result.succeeded && one == Runs::fresh) {
    running.proven = true;
  }
}

void Executor::Impl::prove(StepId id) {
  const Step& here = step(id);
  Running& running = at(id);
  const DefinitionPtr& fresh = here.new_definition;
  if (left_over_may_run(id) && !running.ran &&
      !(fresh && running_hash(*fresh) == running_hash(*here.left_over)))
    return roll_back(id, "the transition ended without stopping what was left over");
  if (!fresh) return prove_gone(id);
  if (fresh->one_shot) return finish(id, Outcome::upgraded);
  if (!running.touched && here.old_definition && (fresh->is_daemon() || fresh->has_hook("alive")) &&
      !running.proven)
    return roll_back(id, fmt::format("the transition did nothing: it neither started {} nor validated it",
                                     fresh->title()));
  // A daemon of the service may live and be the old one: only a start, or a reload, makes it the new one.
  const bool is_same = same_running(id) && !here.left_over;
  if (fresh->is_daemon() && running.runs != Runs::fresh && !(is_same && running.runs != Runs::nothing))
    return roll_back(id, fmt::format("the transition ended, but {} does not live: it was not started, or was "
                                     "stopped again",
                                     fresh->title()));
  if (running.proven || !(fresh->is_daemon() || fresh->has_hook("alive")))
    return finish(id, Outcome::upgraded);
  Task task{.step = id, .kind = Task::Kind::proof, .path = "p"};
  task.own.emplace_back([fresh] { return ask_whether_it_lives(*fresh); });
  next_own(spawn(std::move(task)));
}

void Executor::Impl::prove_gone(StepId id) {
  const DefinitionPtr& old = step(id).old_definition;
  if (is_dry() || at(id).runs == Runs::nothing || old->one_shot ||
      !(old->is_daemon() || old->has_hook("alive")))
    return finish(id, Outcome::upgraded);
  Task task{.step = id, .kind = Task::Kind::proof, .path = "p"};
  if (old->is_daemon())
    task.own.emplace_back([old] { return ask_whether_it_lives(*old); });
  else
    task.own.emplace_back([old] { return Request{.effect = effect::Run{old->hook("alive")}}; });
  next_own(spawn(std::move(task)));
}

void Executor::Impl::proof_answered(TaskId id, const Request& request, const Result& result) {
  Task& task = at(id);
  const StepId step_id = task.step;
  task.live = false;
  const DefinitionPtr& fresh = step(step_id).new_definition;
  if (fresh) {
    if (result.succeeded) return finish(step_id, Outcome::upgraded);
    return roll_back(step_id, fmt::format("the transition ended, but {} does not live: {}: {}",
                                          fresh->title(), task.text, reason(result)));
  }
  const std::string title = step(step_id).old_definition->title();
  if (result.succeeded)
    return roll_back(step_id, fmt::format("the transition ended, but {} still lives", title));
  const bool is_gone = request.as<effect::Validate>() ? result.how == How::died : says_no(result);
  if (is_gone) return finish(step_id, Outcome::upgraded);
  roll_back(step_id, fmt::format("the transition ended, but nobody knows whether {} is gone: {}", title,
                                 failure_text(task.text, result)));
}

}  // namespace tutti
