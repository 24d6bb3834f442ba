// SPDX-License-Identifier: LGPL-3.0-or-later
// What runs of an instance, by what its host answered; and what is asked when that proves too little.
#include <fmt/format.h>

#include "executor/outcome.hpp"
#include "executor/step.hpp"

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

bool StepRun::same_running() const {
  return step_.old_definition && step_.new_definition &&
         running_hash(*step_.old_definition) == running_hash(*step_.new_definition);
}

Runs StepRun::which(const DefinitionPtr& definition) const {
  const auto is = [&](const DefinitionPtr& one) { return one && (one == definition || *one == *definition); };
  if (is(step_.new_definition)) return Runs::fresh;
  return is(step_.old_definition) ? Runs::former : Runs::unknown;
}

void StepRun::observe(const Request& request, const Result& result) {
  if (request.host != step_.host) return;
  const bool is_program = request.as<effect::Run>() || request.as<effect::WaitUntil>();
  if (is_program && work_.path.kind != TaskPath::Kind::verification && result.succeeded) has_run_ = true;
  // Whatever came after the start or the validation took its time: what was seen then is asked once more.
  const bool validates = request.as<effect::Validate>() != nullptr;
  if (!validates) is_proven_ = false;
  const DefinitionPtr& about = request.definition();
  if (!about || about->service != step_.service) return;
  const Runs one = which(about);
  const bool starts = request.as<effect::Start>() != nullptr;
  if (starts || request.as<effect::Reload>()) {
    if (result.how == How::busy) return;  // nothing was done
    runs_ = result.succeeded ? one : Runs::unknown;
    is_proven_ = result.succeeded && one == Runs::fresh && starts;
    is_settled_ = false;
    begun_here_ = starts && result.how == How::exit ? runs_ : Runs::unknown;
  } else if (request.as<effect::Stop>()) {
    if (!result.succeeded) {
      runs_ = Runs::unknown;
      return;
    }
    // A daemon is stopped by its name, whichever version of it runs; a program stops its own version.
    if (about->is_daemon() || runs_ != Runs::fresh || one == Runs::fresh) runs_ = Runs::nothing;
    if (about->is_daemon() || one == Runs::fresh) may_be_left_ = false;
  } else if (validates && result.succeeded && one == Runs::fresh) {
    is_proven_ = true;
    if (request.as<effect::Validate>()->settle > 0) is_settled_ = true;
  }
}

double StepRun::left_to_settle() const {
  return facts_.is_dry || is_settled_ || !step_.new_definition ? 0 : step_.new_definition->settle_seconds();
}

void StepRun::prove() {
  const DefinitionPtr& fresh = step_.new_definition;
  if (left_over_may_run() && !has_run_ && !(fresh && running_hash(*fresh) == running_hash(*step_.left_over)))
    return roll_back("the transition ended without stopping what was left over");
  if (!fresh) return prove_gone();
  if (fresh->one_shot) return finish(Outcome::upgraded);
  const bool can_tell = fresh->is_daemon() || fresh->has_hook("alive");
  if (!is_touched_ && step_.old_definition && can_tell && !is_proven_)
    return roll_back(
        fmt::format("the transition did nothing: it neither started {} nor validated it", fresh->title()));
  // A daemon of the service may live and be the old one: only a start, or a reload, makes it the new one.
  const auto is_same = [this] { return !step_.left_over && runs_ != Runs::nothing && same_running(); };
  if (fresh->is_daemon() && runs_ != Runs::fresh && !is_same())
    return roll_back(fmt::format("the transition ended, but {} does not live: it was not started, or was "
                                 "stopped again",
                                 fresh->title()));
  const double settle = left_to_settle();
  if (!can_tell || (is_proven_ && settle == 0)) return finish(Outcome::upgraded);
  // To settle is to stay valid, by the service's own validation.
  Request proof = settle > 0 ? Request{.effect = effect::Validate{fresh}} : ask_whether_it_lives(*fresh);
  proof.as<effect::Validate>()->settle = settle;
  proof.as<effect::Validate>()->is_started = begun_here_ == Runs::fresh;
  start_own(TaskPath::Kind::proof, {std::move(proof)});
}

void StepRun::prove_gone() {
  const DefinitionPtr& old = step_.old_definition;
  if (facts_.is_dry || runs_ == Runs::nothing || old->one_shot ||
      !(old->is_daemon() || old->has_hook("alive")))
    return finish(Outcome::upgraded);
  start_own(TaskPath::Kind::proof, {old->is_daemon() ? ask_whether_it_lives(*old)
                                                     : Request{.effect = effect::Run{old->hook("alive")}}});
}

void StepRun::proof_answered(const Request& request, const Result& result) {
  if (const DefinitionPtr& fresh = step_.new_definition) {
    if (result.succeeded) return finish(Outcome::upgraded);
    return roll_back(fmt::format("the transition ended, but {} does not live: {}: {}", fresh->title(),
                                 work_.text, reason(result)));
  }
  const std::string title = step_.old_definition->title();
  if (request.as<effect::Stop>() && result.succeeded) return finish(Outcome::upgraded);
  if (result.succeeded) return roll_back(fmt::format("the transition ended, but {} still lives", title));
  if (request.as<effect::Validate>() && result.how == How::died) {
    // Its keeper would start it again: only what is stopped is gone.
    work_.own.emplace_back(
        [old = step_.old_definition] { return Request{.effect = effect::Stop{old}, .idempotent = true}; });
    return next_own(work_);
  }
  if (!request.as<effect::Validate>() && says_no(result)) return finish(Outcome::upgraded);
  roll_back(fmt::format("the transition ended, but nobody knows whether {} is gone: {}", title,
                        failure_text(work_.text, result)));
}

}  // namespace tutti
