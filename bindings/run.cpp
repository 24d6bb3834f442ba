// SPDX-License-Identifier: LGPL-3.0-or-later
// A run: the driver in Scheme pulls its events and answers them.

#include <tutti/engine/executor.hpp>

#include <iterator>

#include "data.hpp"

namespace tutti::guile {
namespace {

SCM s_start, s_drop, s_ask, s_progress, s_finished, s_transition, s_compensation;
SCM kind_symbols[4], outcome_symbols[9];  // of progress, by value

SCM text(const std::string& value) { return from_string(value); }
SCM task_id(TaskId task) { return scm_from_uint32(static_cast<std::uint32_t>(task)); }
TaskId to_task(SCM value) { return TaskId{to_unsigned(value, 2)}; }

SCM kind_symbol(TaskKind kind) {
  switch (kind) {
    case TaskKind::transition: return s_transition;
    case TaskKind::compensation: return s_compensation;
  }
  return s_transition;
}

struct ToScheme {
  SCM operator()(const StartTask& e) const {
    return vector(s_start, task_id(e.task), scm_from_uint32(static_cast<std::uint32_t>(e.step)),
                  kind_symbol(e.kind), scm_from_uint32(e.serial));
  }
  SCM operator()(const ResumeTask& e) const { return from_result(task_id(e.task), e.result); }
  SCM operator()(const DropTask& e) const { return vector(s_drop, task_id(e.task), text(e.reason)); }
  SCM operator()(const AskPolicy& e) const { return vector(s_ask, text(e.host), scm_from_uint32(e.number)); }
  SCM operator()(const Progress& e) const {
    return vector(s_progress, kind_symbols[static_cast<std::size_t>(e.kind)], text(e.host), text(e.service),
                  text(e.text), outcome_symbols[static_cast<std::size_t>(e.outcome)]);
  }
  SCM operator()(const Finished& e) const { return vector(s_finished, scm_from_bool(e.interrupted)); }
};

Executor& executor(SCM run) { return unwrap<RunBox>(run, 1)->get(); }

SCM next_events(SCM run, SCM limit, SCM progress) {
  return gate("%next-events", [&] {
    const auto box = unwrap<RunBox>(run, 1);
    const std::size_t most = to_unsigned(limit, 2);
    std::span<const Event> events;
    without_guile([&] { events = box->get().next(most); });
    SCM all = SCM_EOL;
    for (auto event = events.rbegin(); event != events.rend(); ++event)
      if (scm_is_true(progress) || !std::holds_alternative<Progress>(*event))
        all = scm_cons(std::visit(ToScheme{}, *event), all);
    return all;
  });
}

SCM perform(SCM run, SCM task, SCM operation, SCM subject, SCM a, SCM b, SCM c, SCM host) {
  return gate("%perform!", [&] {
    executor(run).perform(to_task(task),
                          std::make_unique<Request>(to_request(operation, subject, a, b, c, host, 3)));
  });
}

SCM on_roll_back(SCM run, SCM task) {
  return gate("%on-roll-back!", [&] {
    const auto serial = executor(run).on_roll_back(to_task(task));
    return serial ? scm_from_uint32(*serial) : SCM_BOOL_F;
  });
}

SCM done(SCM run, SCM task) {
  return gate("%done!", [&] { executor(run).done(to_task(task)); });
}

SCM raised(SCM run, SCM task, SCM message) {
  return gate("%raised!", [&] { executor(run).raised(to_task(task), to_string(message, 3)); });
}

SCM policy_failed(SCM run, SCM message) {
  return gate("%policy-failed!", [&] { executor(run).policy_failed(to_string(message, 2)); });
}

SCM close_run(SCM run) {
  return gate("%close-run!", [&] { close<RunBox>(run, 1); });
}

const Primitive table[] = {
    {"%next-events", 3, subr(next_events),
     "Wait for events of RUN and return at most LIMIT of them, those of progress only if PROGRESS? is true: "
     "#(start TASK STEP KIND SERIAL), "
     "#(resume TASK SUCCEEDED? STATUS HOW OUTPUT ERROR), #(drop TASK REASON), #(ask HOST NUMBER), "
     "#(progress KIND HOST SERVICE TEXT OUTCOME), #(finished INTERRUPTED?)."},
    {"%perform!", 8, subr(perform),
     "Answer for TASK of RUN: perform OPERATION on SUBJECT with A, B, C and HOST, then resume the task."},
    {"%on-roll-back!", 2, subr(on_roll_back),
     "Register a compensation of TASK; return its serial, or #f when the task was dropped."},
    {"%done!", 2, subr(done), "Answer that TASK has come to its end."},
    {"%raised!", 3, subr(raised), "Answer that TASK has ended by an error, which MESSAGE describes."},
    {"%policy-failed!", 2, subr(policy_failed),
     "Answer that the policy can't be asked, for the reason MESSAGE."},
    {"%close-run!", 1, subr(close_run), "Close the handle RUN."},
};

}  // namespace

template <> HandleType Handle<RunBox>::type{"run"};

void define_runs() {
  const auto intern = [](const char* name) { return scm_permanent_object(scm_from_utf8_symbol(name)); };
  s_start = intern("start");
  s_drop = intern("drop");
  s_ask = intern("ask");
  s_progress = intern("progress");
  s_finished = intern("finished");
  s_transition = intern("transition");
  s_compensation = intern("compensation");
  const char* const kinds[] = {"effect", "outcome", "host", "run"};
  for (std::size_t k = 0; k < std::size(kinds); ++k) kind_symbols[k] = intern(kinds[k]);
  for (std::size_t k = 0; k < std::size(outcome_symbols); ++k)
    outcome_symbols[k] = intern(to_string(static_cast<Outcome>(k)));
  define_handle<RunBox>("<run>");
  define_primitives(table);
}

}  // namespace tutti::guile
