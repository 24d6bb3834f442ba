// SPDX-License-Identifier: LGPL-3.0-or-later
// The parts of the bench `effects` that are C++: hosts that answer at once, the C++ way, and a Guile that
// runs effects.scm with the bindings and these.
//
// usage: as guile's

#include <tutti/tutti.hpp>

#include "data.hpp"

extern "C" void tutti_init_guile();

namespace tutti::guile {
namespace {

/// Hosts that have done an effect when it is sent; a program prints a line.
class InstantTransport final : public Transport {
 public:
  [[nodiscard]] std::vector<HostReading> read(const std::vector<Host>&, const WantedPaths&) override {
    return {};
  }
  [[nodiscard]] Piece fetch(const Host&, const Kept&, std::uint64_t, std::uint64_t) override { return {}; }
  void authorise(const Host&, Authority) override {}
  void offer(const Items&) override {}
  void send(const std::string& token, const std::string& host, const Request& request) override {
    ++sent_;
    Completion& done = completed_.emplace_back(Completion{.token = token});
    done.result.output.host = host;
    done.result.output.token = token;
    if (!request.as<effect::Run>()) return;
    done.result.output.text = "done\n";
    done.result.output.size = 5;
  }
  void wait(std::vector<Completion>& into, std::optional<double>) override {
    into.swap(completed_);  // it is empty
  }
  void wake() noexcept override {}
  [[nodiscard]] std::uint64_t frames_sent() const noexcept override { return sent_; }

 private:
  std::vector<Completion> completed_;
  std::uint64_t sent_ = 0;
};

/// The ten effects of effects.scm, in C++.
Transition switch_app(Context c, Change app) {
  co_await c.run(command("/opt/app/bin/check", "--disk"));
  co_await c.run(app.old_service->hook("backup"));
  co_await c.stop(*app.old_service);
  co_await c.put_file("/etc/app.conf", "mode = production\n");
  co_await c.run(app.new_service.hook("migrate"));
  co_await c.start(app.new_service);
  co_await c.validate(app.new_service);
  co_await c.run(command("/opt/app/bin/warm-up"));
  co_await c.run(command("/opt/app/bin/report", "--new"));
  co_await c.run(command("/opt/app/bin/tidy"));
}

/// What one execution needs besides its plan.
struct Parts {
  const Clock& clock = real_clock();
  InstantTransport transport;
  std::unique_ptr<State> state;  // for the real journal
  std::unique_ptr<Journal> journal;
  int run = 1;

  /// With the journal in `file`, or none for "".
  Parts(const Plan& plan, const std::string& file) {
    if (file.empty()) return;
    state = std::make_unique<State>(file);
    run = state->begin_run(plan.to_json(), "", "", 0, 1);
    journal = state->journal(run);
  }
};

constexpr const char* lineage = "0123456789abcdef";

std::unique_ptr<Parts> prepared;    // for the next execution
std::shared_ptr<RunBox> under_way;  // from Scheme

SCM prepare(SCM plan, SCM state_file) {
  return gate("%bench-prepare!", [&] {
    prepared = std::make_unique<Parts>(unwrap<PlanBox>(plan, 1)->plan, to_string(state_file, 2));
  });
}

SCM run_cpp(SCM handle) {
  return gate("%bench-c++", [&] {
    const Plan& plan = unwrap<PlanBox>(handle, 1)->plan;
    const auto parts = std::move(prepared);
    Executor executor(plan, at_most_percent(100), parts->run, lineage, parts->journal.get(), parts->transport,
                      parts->clock);
    Driver driver(executor, plan, [](const Step&) { return switch_app; });
    driver.run();
    if (parts->journal) parts->journal->commit();
    return wrap(std::make_shared<ReportBox>(ReportBox{executor.report()}));
  });
}

// In the place of those of the library, for executions from Scheme: no host is read again, nothing is
// authorised, and the journal is as prepared.

struct Execution : RunBox {
  std::unique_ptr<Parts> parts;
  std::unique_ptr<Executor> owned;
};

SCM begin(SCM, SCM plan, SCM, SCM, SCM) {
  return gate("%deployment-begin!", [&] {
    auto run = std::make_shared<Execution>();
    run->plan = unwrap<PlanBox>(plan, 2);
    run->parts = std::move(prepared);
    Parts& p = *run->parts;
    run->owned = std::make_unique<Executor>(run->plan->plan, at_most_percent(100), p.run, lineage,
                                            p.journal.get(), p.transport, p.clock);
    run->executor = run->owned.get();
    under_way = run;
    return wrap<RunBox>(std::move(run));
  });
}

SCM finish(SCM) {
  return gate("%deployment-finish!", [&] {
    auto& run = static_cast<Execution&>(*under_way);
    if (run.parts->journal) run.parts->journal->commit();
    auto made = std::make_shared<ReportBox>(ReportBox{run.owned->report()});
    run.executor = nullptr;
    run.owned.reset();
    run.parts.reset();
    under_way.reset();
    return wrap(std::move(made));
  });
}

SCM sent(SCM handle, SCM effects) {
  return gate("%bench-sent", [&] {
    const Report& report = unwrap<ReportBox>(handle, 1)->report;
    if (report.exit_status() != 0) throw Error(ErrorCode::system, report.to_text());
    for (const StepReport& step : report.steps)
      if (step.effects.size() != to_unsigned(effects, 2))
        throw Error(ErrorCode::system, "a transition had other effects");
    return scm_from_uint64(report.frames);
  });
}

/// From what `before` has on every host to what `desired` has.
SCM make(SCM site, SCM desired, SCM before) {
  return gate("%bench-plan", [&] {
    const Deployment& deployment = unwrap<DeploymentBox>(site, 1)->deployment;
    std::map<std::string, HostReading> readings;
    for (const auto& [instance, definition] : unwrap<DesiredBox>(before, 3)->desired.definitions) {
      HostReading& reading = readings[instance.host];
      reading.host = instance.host;
      reading.reached = true;
      // A copy for each: so it is when hosts have said it.
      reading.entries.push_back(
          {{.service = instance.service, .new_definition = std::make_shared<const Definition>(*definition)},
           HostReading::Life::alive});
    }
    std::vector<HostReading> all;
    for (const Host& host : deployment.fleet().hosts) all.push_back(readings.at(host.name));
    return wrap(std::make_shared<PlanBox>(
        PlanBox{make_plan(deployment.site(), unwrap<DesiredBox>(desired, 2)->desired, std::move(all))}));
  });
}

const Primitive table[] = {
    {"%bench-plan", 3, subr(make), "Return a plan from what BEFORE has on the hosts of SITE to DESIRED."},
    {"%bench-prepare!", 2, subr(prepare),
     "Let the next execution of PLAN have its journal in STATE-FILE, or none if that is \"\"."},
    {"%bench-c++", 1, subr(run_cpp), "Execute PLAN by the C++ driver; return its report."},
    {"%bench-sent", 2, subr(sent),
     "Return how many effects were sent; raise an error unless all was done, by EFFECTS in each transition."},
    {"%deployment-begin!", 5, subr(begin), "Begin to execute PLAN, as prepared; return a run."},
    {"%deployment-finish!", 1, subr(finish), "End the run under way; return its report."},
};

}  // namespace
}  // namespace tutti::guile

int main(int argc, char** argv) {
  // What (tutti private bindings) loads, here: the bindings, then what the bench has in their place.
  scm_c_register_extension(
      nullptr, "tutti_init_guile",
      [](void*) {
        tutti_init_guile();
        tutti::guile::define_primitives(tutti::guile::table);
      },
      nullptr);
  scm_boot_guile(
      argc, argv, [](void*, int count, char** words) { scm_shell(count, words); }, nullptr);
}
