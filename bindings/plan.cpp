// SPDX-License-Identifier: LGPL-3.0-or-later
// Plans and reports: text for people, JSON for programs, and the steps as vectors.

#include <tutti/plan.hpp>
#include <tutti/report.hpp>

#include "data.hpp"

namespace tutti::guile {
namespace {

const Plan& plan(SCM handle) { return unwrap<PlanBox>(handle, 1)->plan; }
const Report& report(SCM handle) { return unwrap<ReportBox>(handle, 1)->report; }
SCM text(const std::string& value) { return from_string(value); }
SCM symbol(const char* name) { return scm_from_utf8_symbol(name); }

SCM plan_text(SCM handle) {
  return gate("%plan-text", [&] { return text(plan(handle).to_text()); });
}
SCM plan_json(SCM handle) {
  return gate("%plan-json", [&] { return text(plan(handle).to_json()); });
}
SCM plan_explain(SCM handle, SCM service) {
  return gate("%plan-explain", [&] { return text(plan(handle).explain(to_string(service, 2))); });
}
SCM plan_summary(SCM handle) {
  return gate("%plan-summary", [&] {
    const Plan& p = plan(handle);
    return vector(text(p.site), scm_from_int(p.generation), scm_from_size_t(p.waves.size()),
                  list(p.notes, text), list(p.unreachable(), text), text(p.policy),
                  scm_from_size_t(p.fleet.hosts.size()));
  });
}
SCM plan_steps(SCM handle) {
  return gate("%plan-steps", [&] {
    return list(plan(handle).steps, [](const Step& step) {
      return vector(symbol(to_string(step.action)), text(step.service), text(step.host),
                    from_definition(step.old_definition), from_definition(step.new_definition),
                    text(step.transition), symbol(step.transition_from == Origin::site ? "site" : "built-in"),
                    scm_from_int(step.phase), text(step.why), scm_from_bool(step.unreachable));
    });
  });
}
SCM plan_waves(SCM handle) {
  return gate("%plan-waves", [&] {
    return list(plan(handle).waves, [](const std::vector<StepId>& wave) {
      return list(wave, [](StepId id) { return scm_from_uint32(static_cast<std::uint32_t>(id)); });
    });
  });
}
SCM plan_deployed(SCM handle, SCM host, SCM service) {
  return gate("%plan-deployed", [&] {
    const Plan& p = plan(handle);
    const std::string h = to_string(host, 2), s = to_string(service, 3);
    for (const Step& step : p.steps)
      if (step.host == h && step.service == s && step.action != Action::join)
        return from_definition(step.new_definition ? step.new_definition : step.old_definition);
    const auto reading = p.readings.find(h);
    if (reading != p.readings.end())
      for (const HostReading::Entry& e : reading->second.entries)
        if (e.entry.service == s && e.entry.new_definition) return from_definition(e.entry.new_definition);
    return SCM_BOOL_F;
  });
}

SCM report_text(SCM handle) {
  return gate("%report-text", [&] { return text(report(handle).to_text()); });
}
SCM report_json(SCM handle) {
  return gate("%report-json", [&] { return text(report(handle).to_json()); });
}
SCM one_line(SCM message) {
  return gate("%one-line", [&] { return text(in_one_line(to_string(message, 1))); });
}
SCM report_exit_status(SCM handle) {
  return gate("%report-exit-status", [&] { return scm_from_int(report(handle).exit_status()); });
}
SCM report_summary(SCM handle) {
  return gate("%report-summary", [&] {
    const Report& r = report(handle);
    return vector(text(r.site), scm_from_int(r.run), scm_from_int(r.generation), scm_from_bool(r.interrupted),
                  text(r.halted), scm_from_uint64(r.frames), list(r.unreachable, text));
  });
}
SCM report_steps(SCM handle) {
  return gate("%report-steps", [&] {
    return list(report(handle).steps, [](const StepReport& step) {
      return vector(symbol(to_string(step.action)), text(step.service), text(step.host),
                    text(step.old_version), text(step.new_version), symbol(to_string(step.outcome)),
                    text(step.message), list(step.effects, text));
    });
  });
}

const Primitive table[] = {
    {"%plan-text", 1, subr(plan_text), "Return PLAN as people read it."},
    {"%plan-json", 1, subr(plan_json), "Return PLAN as JSON."},
    {"%plan-explain", 2, subr(plan_explain),
     "Return why PLAN has each step of SERVICE, and what it comes after."},
    {"%plan-summary", 1, subr(plan_summary),
     "Return #(SITE GENERATION WAVES NOTES UNREACHABLE POLICY HOSTS) of PLAN."},
    {"%plan-steps", 1, subr(plan_steps),
     "Return the steps of PLAN, each #(ACTION SERVICE HOST OLD NEW TRANSITION FROM PHASE WHY UNREACHABLE?)."},
    {"%plan-waves", 1, subr(plan_waves), "Return the waves of PLAN, lists of the numbers of steps."},
    {"%plan-deployed", 3, subr(plan_deployed),
     "Return the definition that is or will be deployed on HOST for SERVICE by PLAN, or #f."},
    {"%report-text", 1, subr(report_text), "Return REPORT as people read it: a table and a sentence."},
    {"%report-json", 1, subr(report_json), "Return REPORT as JSON."},
    {"%one-line", 1, subr(one_line), "Return MESSAGE, of several lines, in one: what failed, and why."},
    {"%report-exit-status", 1, subr(report_exit_status), "Return the exit status that REPORT asks for."},
    {"%report-summary", 1, subr(report_summary),
     "Return #(SITE RUN GENERATION INTERRUPTED? HALTED FRAMES UNREACHABLE) of REPORT."},
    {"%report-steps", 1, subr(report_steps),
     "Return the steps of REPORT, each #(ACTION SERVICE HOST OLD NEW OUTCOME MESSAGE EFFECTS)."},
};

}  // namespace

template <> HandleType Handle<PlanBox>::type{"plan"};
template <> HandleType Handle<ReportBox>::type{"report"};

void define_plans() {
  define_handle<PlanBox>("<plan>");
  define_handle<ReportBox>("<report>");
  define_primitives(table);
}

}  // namespace tutti::guile
