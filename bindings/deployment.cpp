// SPDX-License-Identifier: LGPL-3.0-or-later
// Deployments: a site with its state and its transport. What talks to hosts blocks outside of guile mode.

#include <tutti/deployment.hpp>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <iterator>

#include "data.hpp"

namespace tutti::guile {
namespace {

SCM text(const std::string& value) { return from_string(value); }

SCM close_deployment(SCM handle) {
  return gate("%close-deployment!", [&] {
    const bool is_open = is<DeploymentBox>(handle) && scm_foreign_object_ref(handle, 0);
    if (is_open) {
      DeploymentBox& box = *unwrap<DeploymentBox>(handle, 1);
      if (box.run) throw Error(ErrorCode::misuse, "a run of this deployment is under way");
      box.deployment.close();  // other handles may keep the box, and its fleet
    }
    close<DeploymentBox>(handle, 1);
  });
}

SCM check(SCM handle, SCM desired) {
  return gate("%deployment-check", [&] {
    const Deployment& deployment = unwrap<DeploymentBox>(handle, 1)->deployment;
    return wrap(
        std::make_shared<PlanBox>(PlanBox{deployment.check(unwrap<DesiredBox>(desired, 2)->desired)}));
  });
}

SCM plan(SCM handle, SCM desired, SCM accept_names) {
  return gate("%deployment-plan", [&] {
    const auto box = unwrap<DeploymentBox>(handle, 1);
    const auto wanted = unwrap<DesiredBox>(desired, 2);
    const PlanOptions options{.accept_names = scm_is_true(accept_names)};
    std::shared_ptr<PlanBox> made;
    without_guile(
        [&] { made = std::make_shared<PlanBox>(PlanBox{box->deployment.plan(wanted->desired, options)}); });
    return wrap(std::move(made));
  });
}

SCM take_names(SCM handle, SCM plan, SCM take_over) {
  return gate("%deployment-take-names!", [&] {
    const auto box = unwrap<DeploymentBox>(handle, 1);
    const auto made = unwrap<PlanBox>(plan, 2);
    const ExecuteOptions options{.take_over = scm_is_true(take_over)};
    without_guile([&] { box->deployment.take_names(made->plan, options); });
  });
}

SCM forget(SCM handle, SCM host) {
  return gate("%deployment-forget!", [&] {
    return list(unwrap<DeploymentBox>(handle, 1)->deployment.forget(to_string(host, 2)), text);
  });
}

SCM foreign(SCM handle, SCM plan) {
  return gate("%deployment-foreign", [&] {
    return list(unwrap<DeploymentBox>(handle, 1)->deployment.foreign(unwrap<PlanBox>(plan, 2)->plan), text);
  });
}

SCM begin(SCM handle, SCM plan, SCM take_over, SCM dry_run, SCM keep) {
  return gate("%deployment-begin!", [&] {
    const auto box = unwrap<DeploymentBox>(handle, 1);
    auto run = std::make_shared<RunBox>();
    run->plan = unwrap<PlanBox>(plan, 2);
    ExecuteOptions options{.take_over = scm_is_true(take_over), .dry_run = scm_is_true(dry_run)};
    if (scm_is_true(keep)) options.keep = static_cast<int>(std::min(to_unsigned(keep, 5), 1'000'000'000U));
    if (box->run) throw Error(ErrorCode::misuse, "a run of this deployment is under way");
    without_guile([&] { run->executor = &box->deployment.begin(run->plan->plan, options); });
    box->run = run;
    return wrap(std::move(run));
  });
}

SCM finish(SCM handle) {
  return gate("%deployment-finish!", [&] {
    const auto box = unwrap<DeploymentBox>(handle, 1);
    if (!box->run) throw Error(ErrorCode::misuse, "no run of this deployment is under way");
    const auto run = std::move(box->run);
    box->run = nullptr;
    run->executor = nullptr;  // whatever happens, nobody may use it from here
    auto made = std::make_shared<ReportBox>();
    without_guile([&] { made->report = box->deployment.finish(); });
    return wrap(std::move(made));
  });
}

SCM abandon(SCM handle) {
  return gate("%deployment-abandon!",
              [&] { return list(unwrap<DeploymentBox>(handle, 1)->deployment.abandon(), text); });
}

/// A pair: what `write` makes of the status, and the exit status that it asks for.
SCM status_as(SCM handle, std::string (Status::*write)() const) {
  const auto box = unwrap<DeploymentBox>(handle, 1);
  Status status;
  without_guile([&] { status = box->deployment.status(); });
  return scm_cons(text((status.*write)()), scm_from_int(status.exit_status()));
}

SCM status(SCM handle) {
  return gate("%deployment-status", [&] { return status_as(handle, &Status::to_text); });
}

SCM status_json(SCM handle) {
  return gate("%deployment-status-json", [&] { return status_as(handle, &Status::to_json); });
}

SCM from_generation(const Generation& g) {
  return vector(scm_from_int(g.number), scm_from_double(g.started), scm_from_double(g.ended), text(g.by),
                text(g.status), text(g.summary), text(g.source_hash));
}

SCM history(SCM handle) {
  return gate("%deployment-history", [&] {
    return list(unwrap<DeploymentBox>(handle, 1)->deployment.state().history(), from_generation);
  });
}

SCM unfinished(SCM handle) {
  return gate("%deployment-unfinished", [&] {
    const auto generation = unwrap<DeploymentBox>(handle, 1)->deployment.state().unfinished();
    return generation ? from_generation(*generation) : SCM_BOOL_F;
  });
}

SCM lineage(SCM handle) {
  return gate("%deployment-lineage",
              [&] { return text(unwrap<DeploymentBox>(handle, 1)->deployment.state().lineage()); });
}

SCM frames(SCM handle) {
  return gate("%deployment-frames", [&] {
    return scm_from_uint64(unwrap<DeploymentBox>(handle, 1)->deployment.transport().frames_sent());
  });
}

/// #((SERVICE STATE OLD NEW) …), or #f when the host did not answer.
SCM read_host(SCM handle, SCM name) {
  return gate("%deployment-read", [&] {
    const auto box = unwrap<DeploymentBox>(handle, 1);
    const Host host = box->deployment.fleet().at(to_string(name, 2));
    std::vector<HostReading> readings;
    without_guile([&] { readings = box->deployment.transport().read({host}); });
    if (readings.empty() || !readings.front().reached)
      throw Error(ErrorCode::unreachable,
                  "host '" + host.name + "' does not answer" +
                      (readings.empty() || readings.front().why.empty() ? std::string()
                                                                        : ": " + readings.front().why));
    return list(readings.front().entries, [](const HostReading::Entry& e) {
      const char* state = e.entry.state == ManifestEntry::State::deployed   ? "deployed"
                          : e.entry.state == ManifestEntry::State::changing ? "changing"
                                                                            : "failed";
      return vector(text(e.entry.service), scm_from_utf8_symbol(state),
                    from_definition(e.entry.old_definition), from_definition(e.entry.new_definition));
    });
  });
}

// ---- Signals. A handler of Guile's would not run while next() blocks.

std::atomic<Deployment*> interrupted{nullptr};
std::atomic<int> times{0};
std::atomic<bool> hung_up{false};
constexpr int signals[] = {SIGINT, SIGTERM, SIGHUP};
struct sigaction previous[std::size(signals)];

void on_signal(int signal) {
  // A terminal that dies is told of by the kernel and by the shell: that is one wish to end, not two.
  if (signal == SIGHUP && hung_up.exchange(true)) return;
  if (times.fetch_add(1) >= 2) {  // it does not react any more
    ::signal(signal, SIG_DFL);
    ::raise(signal);
  } else if (Deployment* deployment = interrupted.load()) {
    deployment->interrupt();
  }
}

SCM catch_signals(SCM handle) {
  return gate("%catch-signals!", [&] {
    Deployment* deployment = &unwrap<DeploymentBox>(handle, 1)->deployment;
    if (interrupted.load()) throw Error(ErrorCode::misuse, "signals are caught already");
    times = 0;
    hung_up = false;
    interrupted = deployment;
    struct sigaction action {};
    action.sa_handler = on_signal;
    sigemptyset(&action.sa_mask);
    for (std::size_t k = 0; k < std::size(signals); ++k) {
      sigaction(signals[k], nullptr, &previous[k]);
      const bool is_nohup = signals[k] == SIGHUP && previous[k].sa_handler == SIG_IGN;
      if (!is_nohup) sigaction(signals[k], &action, nullptr);
    }
  });
}

SCM release_signals() {
  return gate("%release-signals!", [&] {
    if (!interrupted.load()) return;
    for (std::size_t k = 0; k < std::size(signals); ++k) sigaction(signals[k], &previous[k], nullptr);
    interrupted = nullptr;
  });
}

SCM times_interrupted() {
  return gate("%times-interrupted", [] { return scm_from_int(times.load()); });
}

SCM interrupt(SCM handle) {
  return gate("%deployment-interrupt!", [&] { unwrap<DeploymentBox>(handle, 1)->deployment.interrupt(); });
}

const Primitive table[] = {
    {"%close-deployment!", 1, subr(close_deployment), "Close DEPLOYMENT: its connections and its state."},
    {"%deployment-check", 2, subr(check), "Return a plan of DESIRED as though nothing were deployed yet."},
    {"%deployment-plan", 3, subr(plan),
     "Read the hosts' manifests and return the plan for DESIRED, hosts getting other names than they have in "
     "the "
     "site only if ACCEPT-NAMES? is true."},
    {"%deployment-take-names!", 3, subr(take_names),
     "Give the hosts of PLAN that have other names in the site those of the inventory, displacing other "
     "lineages if "
     "TAKE-OVER? is true."},
    {"%deployment-forget!", 2, subr(forget),
     "Forget what is known of HOST, a name, which has left the site; return what it held."},
    {"%deployment-foreign", 2, subr(foreign),
     "Return which hosts of PLAN other lineages hold, as sentences."},
    {"%deployment-begin!", 5, subr(begin),
     "Begin to execute PLAN, displacing other lineages if TAKE-OVER? is true, only as if if DRY-RUN? is "
     "true, keeping "
     "the last KEEP runs (#f: as many as is usual); return a run."},
    {"%deployment-finish!", 1, subr(finish),
     "End the run under way after its last event; return its report."},
    {"%deployment-abandon!", 1, subr(abandon), "End an unfinished run; return what it left open."},
    {"%deployment-status", 1, subr(status),
     "Return a pair: what runs where, as people read it, and the exit status that it asks for."},
    {"%deployment-status-json", 1, subr(status_json),
     "Return the same pair, with JSON in place of the text."},
    {"%deployment-history", 1, subr(history),
     "Return the generations, newest first: #(NUMBER STARTED ENDED BY STATUS SUMMARY SOURCE-HASH)."},
    {"%deployment-unfinished", 1, subr(unfinished),
     "Return the run that has not ended, as in the history, or #f."},
    {"%deployment-lineage", 1, subr(lineage), "Return the lineage of the state of DEPLOYMENT."},
    {"%deployment-frames", 1, subr(frames), "Return how many request frames were sent so far."},
    {"%deployment-read", 2, subr(read_host),
     "Return the manifest of the host NAME: #(SERVICE STATE OLD NEW) for each instance."},
    {"%deployment-interrupt!", 1, subr(interrupt), "Interrupt the run of DEPLOYMENT, as Ctrl-C does."},
    {"%catch-signals!", 1, subr(catch_signals),
     "Let SIGINT, SIGTERM and SIGHUP, unless that is ignored, interrupt the run of DEPLOYMENT."},
    {"%release-signals!", 0, subr(release_signals), "Handle signals as before %catch-signals!."},
    {"%times-interrupted", 0, subr(times_interrupted), "Return how many signals came since %catch-signals!."},
};

}  // namespace

template <> HandleType Handle<DeploymentBox>::type{"deployment"};

void define_deployment() {
  define_handle<DeploymentBox>("<deployment-handle>");
  define_primitives(table);
}

}  // namespace tutti::guile
