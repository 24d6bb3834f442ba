// SPDX-License-Identifier: LGPL-3.0-or-later
// What the steps order, and what hosts answer.
#include "executor/machine.hpp"

#include <charconv>

#include <fmt/format.h>

#include "executor/outcome.hpp"

namespace tutti {
namespace {

constexpr std::size_t flush_after = 512;  // intents gathered before a commit is forced

}  // namespace

Executor::Impl::Impl(const Plan& p, Policy policy, int r, std::string l, Journal* j, Transport& t,
                     const Clock& c)
    : plan(p),
      run(r),
      lineage(std::move(l)),
      journal(j),
      transport(t),
      clock(c),
      token_prefix(tutti::token_prefix(lineage, run)),
      scheduler(p, c, false),
      admission(scheduler, std::move(policy)),
      ledger(p.fleet, p.readings, run, lineage),
      body_of(p.steps.size()) {
  for (std::uint32_t i = 0; i < plan.steps.size(); ++i) {
    const Step& one = plan.steps[i];
    const bool makes_room = one.action == Action::remove && !scheduler.rooms(StepId{i}).empty();
    steps.emplace_back(
        StepId{i}, one, ledger, forms,
        StepRun::Facts{.makes_room = makes_room, .is_dry = is_dry(), .token_prefix = token_prefix});
  }
  for (std::uint32_t i = 0; i < plan.steps.size(); ++i)
    if (plan.steps[i].action != Action::join && plan.steps[i].unreachable && !steps[i].is_over())
      follow(StepId{i}, steps[i].unreachable(plan.readings.at(plan.steps[i].host).why, moment()));
}

void Executor::Impl::tell(Progress::Kind kind, StepId id, std::string text, Outcome outcome) {
  ready.emplace_back(Progress{kind, step(id).host, step(id).service, std::move(text), outcome});
}

// ------------------------------------------------------------------ orders

void Executor::Impl::follow(StepId id, StepRun::Orders orders) {
  for (StepRun::Order& one : orders) std::visit([&](auto& order) { follow(id, order); }, one);
}

void Executor::Impl::follow(StepId, StepRun::Write& order) {
  if (journal) journal->append({order.time, std::move(order.what)});
}

void Executor::Impl::follow(StepId id, StepRun::Send& order) {
  unsent.push_back({id, order.at});
  if (unsent.size() >= flush_after) flush();
}

void Executor::Impl::flush() {
  if (journal) journal->commit();
  for (const Sent& one : unsent) {
    const Request& request = *at(one.step).under_way(one.at);
    transport.send(at(one.step).token(one.at), request.host, request);
    ++under_way;
  }
  unsent.clear();
}

void Executor::Impl::follow(StepId id, StepRun::StartBody& order) {
  const TaskId task{static_cast<std::uint32_t>(bodies.size())};
  bodies.push_back(id);
  body_of[static_cast<std::size_t>(id)] = task;
  ready.emplace_back(StartTask{task, id, order.kind, order.serial});
  ++unanswered;
}

void Executor::Impl::follow(StepId id, StepRun::ResumeBody& order) {
  ready.emplace_back(
      ResumeTask{body_of[static_cast<std::size_t>(id)], std::move(order.result), std::move(order.request)});
  ++unanswered;
}

void Executor::Impl::follow(StepId id, StepRun::DropBody& order) {
  ready.emplace_back(DropTask{body_of[static_cast<std::size_t>(id)], std::move(order.why)});
}

void Executor::Impl::follow(StepId id, StepRun::Tell& order) {
  tell(Progress::Kind::effect, id, std::move(order.text));
}

void Executor::Impl::follow(StepId id, StepRun::Failed& order) {
  admission.judge_failure(id, fmt::format("{}@{} failed: {}", step(id).service, step(id).host, order.why));
}

void Executor::Impl::follow(StepId id, StepRun::MadeRoom&) { open_room(id); }

void Executor::Impl::follow(StepId id, StepRun::Over&) {
  const StepRun& it = at(id);
  const Outcome outcome = it.outcome();
  tell(Progress::Kind::outcome, id, it.message(), outcome);
  for (const Scheduler::Skipped& one : scheduler.end(id, is_dry() ? Outcome::upgraded : outcome))
    skip(one.step, one.why);
  admission.changed();
  const bool is_failure = outcome == Outcome::rolled_back || outcome == Outcome::roll_back_failed ||
                          outcome == Outcome::failed || outcome == Outcome::unchanged;
  if (is_failure && !is_dry())
    admission.judge_failure(id, fmt::format("{}@{} is {}: {}", step(id).service, step(id).host,
                                            to_string(outcome), it.message()));
  if (outcome == Outcome::skipped) admission.halt(it.message());  // its host refused us
  if (it.has_begun()) go_on(step(id).host);
}

void Executor::Impl::skip(StepId id, const std::string& why) { follow(id, at(id).skip(why, moment())); }

void Executor::Impl::go_on(const std::string& host) {
  if (const auto one = to_settle(host)) return settle(*one);
  if (!admission.halted().empty() || interrupts > 0) return scheduler.leave(host);
  if (const auto next = scheduler.next_step(host)) follow(*next, at(*next).begin(moment()));
}

std::optional<StepId> Executor::Impl::of_body(TaskId task) {
  const StepId id = bodies.at(static_cast<std::size_t>(task));
  return at(id).has_body() && body_of[static_cast<std::size_t>(id)] == task ? std::optional(id)
                                                                            : std::nullopt;
}

// ------------------------------------------------------------------ answers

std::optional<Executor::Impl::Sent> Executor::Impl::find(std::string_view token) {
  if (!token.starts_with(token_prefix)) return {};
  const char* const end = token.data() + token.size();
  std::uint32_t index = 0;
  const auto number = std::from_chars(token.data() + token_prefix.size(), end, index);
  if (number.ec != std::errc{} || index >= steps.size() || number.ptr == end) return {};
  const auto place = steps[index].place_of(token);
  if (!place) return {};
  return Sent{StepId{index}, *place};
}

void Executor::Impl::answered(Completion& completion) {
  const auto one = find(completion.token);
  if (!one) return;
  --under_way;
  StepRun& it = at(one->step);
  const std::string& host = it.under_way(one->at)->host;
  if (journal && !completion.nonce.empty() && met[host] != completion.nonce) {
    met[host] = completion.nonce;
    journal->append(
        {clock.now(), record::Met{.host = host, .epoch = completion.epoch, .nonce = completion.nonce}});
  }
  using Kind = Completion::Kind;
  const bool was_lost = completion.kind == Kind::refused && scheduler.state(host) == HostState::unreachable;
  if (!it.is_over() && (completion.kind == Kind::lost || completion.kind == Kind::unreachable))
    scheduler.lose(host);
  follow(one->step, it.answered(one->at, std::move(completion), was_lost, moment()));
}

}  // namespace tutti
