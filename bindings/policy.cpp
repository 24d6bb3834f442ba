// SPDX-License-Identifier: LGPL-3.0-or-later
// Views of a rollout, previews of a plan's waves, and the answers of policies that Scheme decides.

#include <tutti/engine/executor.hpp>
#include <tutti/rollout.hpp>
#include <tutti/site.hpp>

#include "data.hpp"

namespace tutti::guile {
namespace {

const Rollout& rollout(SCM handle) { return unwrap<RolloutBox>(handle, 1)->get(); }

SCM of(SCM owner) {
  return gate("%rollout", [&] {
    auto box = std::make_shared<RolloutBox>();
    if (is<PreviewBox>(owner))
      box->preview = unwrap<PreviewBox>(owner, 1);
    else
      box->run = unwrap<RunBox>(owner, 1);
    return wrap(std::move(box));
  });
}

SCM state_symbol(HostState state) {
  return scm_from_utf8_symbol(state == HostState::in_transition ? "in-transition" : to_string(state));
}

SCM state(SCM handle, SCM host) {
  return gate("%rollout-state", [&] { return state_symbol(rollout(handle).state(to_string(host, 2))); });
}

SCM hosts_in(SCM handle, SCM states) {
  return gate("%rollout-hosts-in", [&] {
    bool wanted[5] = {};
    each(states, 2, [&](SCM symbol) {
      const std::string name = to_symbol(symbol, 2);
      bool found = false;
      for (int k = 0; k < 5; ++k) {
        const auto candidate = static_cast<HostState>(k);
        if (name == (candidate == HostState::in_transition ? "in-transition" : to_string(candidate)))
          found = wanted[k] = true;
      }
      if (!found) throw WrongType{2, symbol, "state of a host"};
    });
    SCM names = SCM_EOL;
    const Rollout& live = rollout(handle);
    for (const Host& host : live.hosts())
      if (wanted[static_cast<int>(live.state(host.name))]) names = scm_cons(from_string(host.name), names);
    return scm_reverse_x(names, SCM_EOL);
  });
}

SCM time(SCM handle) {
  return gate("%rollout-time", [&] { return scm_from_double(rollout(handle).time()); });
}

SCM simulated(SCM handle) {
  return gate("%rollout-simulated?", [&] { return scm_from_bool(rollout(handle).simulated()); });
}

Answer to_answer(SCM kind, SCM time, int position) {
  const std::string name = to_symbol(kind, position);
  if (name == "yes") return {Answer::Kind::yes};
  if (name == "no") return {Answer::Kind::no};
  if (name == "wait") return {Answer::Kind::wait};
  if (name == "not-before") return {Answer::Kind::not_before, to_double(time, position + 1)};
  throw WrongType{position, kind, "yes, no, wait or not-before"};
}

SCM answer(SCM owner, SCM kind, SCM time) {
  return gate("%answer!", [&] {
    const Answer given = to_answer(kind, time, 2);
    if (is<PreviewBox>(owner))
      unwrap<PreviewBox>(owner, 1)->preview.answer(given);
    else
      unwrap<RunBox>(owner, 1)->get().answer(given);
  });
}

SCM title(SCM json) {
  return gate("%policy-title", [&] { return from_string(policy_from_json(to_string(json, 1)).describe()); });
}

SCM make_preview(SCM deployment, SCM plan) {
  return gate("%make-preview", [&] {
    const Policy& policy = unwrap<DeploymentBox>(deployment, 1)->deployment.site().policy;
    return wrap(std::make_shared<PreviewBox>(unwrap<PlanBox>(plan, 2), policy));
  });
}

SCM preview_next(SCM handle) {
  return gate("%preview-next", [&] {
    const auto ask = unwrap<PreviewBox>(handle, 1)->preview.next();
    return ask ? scm_cons(from_string(ask->host), scm_from_uint32(ask->number)) : SCM_BOOL_F;
  });
}

SCM preview_finish(SCM handle) {
  return gate("%preview-finish!", [&] {
    const auto& box = unwrap<PreviewBox>(handle, 1);
    box->preview.give(box->plan->plan);
  });
}

SCM add_note(SCM plan, SCM note) {
  return gate("%plan-add-note!", [&] { unwrap<PlanBox>(plan, 1)->plan.notes.push_back(to_string(note, 2)); });
}

const Primitive table[] = {
    {"%rollout", 1, subr(of), "Return a view of the rollout of OWNER, a run or a preview."},
    {"%rollout-state", 2, subr(state), "Return the state of HOST, a name, as a symbol."},
    {"%rollout-hosts-in", 2, subr(hosts_in),
     "Return the names of the hosts that are in one of STATES, symbols."},
    {"%rollout-time", 1, subr(time), "Return the time, in seconds since the epoch."},
    {"%rollout-simulated?", 1, subr(simulated), "Return true in a preview."},
    {"%answer!", 3, subr(answer),
     "Answer OWNER, a run or a preview, for the policy: KIND is yes, no, wait or not-before TIME."},
    {"%make-preview", 2, subr(make_preview),
     "Begin to find the waves of PLAN with the policy of DEPLOYMENT."},
    {"%preview-next", 1, subr(preview_next),
     "Return what must be asked: a pair of a host and the number of the term; #f at the end."},
    {"%preview-finish!", 1, subr(preview_finish),
     "Give the plan its waves, and a note when the policy does not admit all."},
    {"%policy-title", 1, subr(title), "Return how plans call the policy that is written in JSON."},
    {"%plan-add-note!", 2, subr(add_note), "Add the sentence NOTE to PLAN."},
};

}  // namespace

template <> HandleType Handle<RolloutBox>::type{"rollout"};
template <> HandleType Handle<PreviewBox>::type{"preview"};

void define_policies() {
  define_handle<RolloutBox>("<rollout>");
  define_handle<PreviewBox>("<preview>");
  define_primitives(table);
}

}  // namespace tutti::guile
