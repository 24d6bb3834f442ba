#include <tutti/deployment.hpp>

#include <atomic>
#include <set>

#include <fmt/format.h>

#include "support/text.hpp"
#include <tutti/error.hpp>

namespace tutti {
namespace {

/// "db 1→2, web 1→2": what a run is to do, for the history.
std::string summary(const Plan& plan) {
  std::set<std::string> parts;
  for (const Step& step : plan.steps) {
    if (step.action == Action::join) continue;
    const std::string from = step.old_definition ? step.old_definition->version : "";
    const std::string to = step.new_definition ? step.new_definition->version : "gone";
    parts.insert(fmt::format("{} {}", step.service, from.empty() || from == to ? to : from + "→" + to));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace

struct Deployment::Impl {
  Site site;
  Fleet fleet;
  State state;
  std::unique_ptr<Transport> transport;
  Clock clock;

  // of the run that is under way
  std::optional<Plan> plan;
  std::unique_ptr<Journal> journal;
  std::unique_ptr<Executor> executor;
  int run = 0;
  ExecuteOptions options;
  std::unique_ptr<Transport> dry;
  std::atomic<Executor*> interruptible{nullptr};

  Impl(Site s, std::filesystem::path file)
      : site(std::move(s)),
        fleet(look_up(site)),
        state(std::move(file)),
        transport(make_transport(site.name, site.platform)) {}

  /// The body of the transition that the plan says; throws Error.
  std::function<Transition(Context, Change)> transition_of(const Step& step) const {
    if (step.transition_from == Origin::built_in)
      if (auto body = built_in_transition(step.transition)) return body;
    for (const HostClass& host_class : site.host_classes)
      for (const Service& service : host_class.services) {
        if (service.name != step.service) continue;
        const TransitionProcedure& wanted =
            step.action == Action::remove ? service.remove_service : service.switch_to_service;
        if (wanted.body) return wanted.body;
      }
    throw Error(
        ErrorCode::misuse,
        fmt::format(
            "service '{}' names the transition '{}', which is neither built in nor given as a function",
            step.service, step.transition));
  }

  /// Keeps what a host said: its manifest, and the last epoch of ours that it has. Nothing else may
  /// say the latter: a host that never took our lock would be taken for one restored from an old image.
  void take_note(const HostReading& reading) {
    state.remember(reading);
    if (reading.reached && reading.fence.lineage == state.lineage())
      state.saw(reading.host, reading.fence.epoch);
  }

  /// All hosts: those without a step may be drained.
  void refuse_if_moved(const Plan& plan_) {
    std::vector<Host> hosts;
    for (const Host& host : plan_.fleet.hosts)
      if (plan_.readings.at(host.name).reached) hosts.push_back(host);
    for (const HostReading& now : transport->read(hosts)) {
      const HostReading& then = plan_.readings.at(now.host);
      if (now.reached && (now.digest != then.digest || now.fence.lineage != then.fence.lineage))
        throw Error(
            ErrorCode::moved,
            fmt::format("the manifest of {} is not what the plan was made from: somebody deployed there "
                        "meanwhile. Plan again",
                        now.host));
    }
  }
};

Deployment::Deployment(Site site, std::filesystem::path state_file)
    : impl_(std::make_unique<Impl>(std::move(site), std::move(state_file))) {}
Deployment::~Deployment() = default;

const Site& Deployment::site() const noexcept { return impl_->site; }
const Fleet& Deployment::fleet() const noexcept { return impl_->fleet; }
State& Deployment::state() noexcept { return impl_->state; }
Transport& Deployment::transport() noexcept { return *impl_->transport; }

Plan Deployment::plan() { return plan(elaborate(impl_->site, impl_->fleet)); }

Plan Deployment::plan(const Desired& desired) {
  const auto last_known = impl_->state.last_known();
  std::vector<HostReading> readings = impl_->transport->read(impl_->fleet.hosts);
  for (const HostReading& reading : readings) impl_->take_note(reading);
  Plan plan = make_plan(impl_->site, desired, std::move(readings), last_known);
  (void)expect_waves(plan, impl_->site.policy, impl_->clock);
  return plan;
}

std::vector<std::string> Deployment::foreign(const Plan& plan) const {
  const std::string mine = impl_->state.lineage();
  std::vector<std::string> lines;
  for (const auto& [host, reading] : plan.readings) {
    const Fence& fence = reading.fence;
    if (!reading.reached || fence.lineage.empty() || fence.lineage == mine) continue;
    lines.push_back(fmt::format("{} is held by lineage {}{}, epoch {}", host, escaped(fence.lineage),
                                fence.holder.empty() ? "" : " of " + escaped(fence.holder), fence.epoch));
  }
  return lines;
}

Executor& Deployment::begin(const Plan& plan, const ExecuteOptions& options) {
  Impl& d = *impl_;
  if (d.executor) throw Error(ErrorCode::misuse, "this deployment executes a plan already");
  d.options = options;
  if (!options.dry_run) d.state.hold("deploying " + d.site.name);
  try {
    if (const auto open = d.state.unfinished())
      throw Error(
          ErrorCode::locked,
          fmt::format(
              "run {} of {} was not finished: `tutti abandon` ends it without touching hosts, the next "
              "deploy repairs what it left",
              open->number, open->by));
    const std::vector<std::string> others = foreign(plan);
    if (!others.empty() && !options.take_over)
      throw Error(
          ErrorCode::locked,
          fmt::format(
              "another state file deployed here:\n  {}\nUse that one; if it is lost, `deploy --take-over` "
              "displaces it",
              fmt::join(others, "\n  ")));
    const std::string lineage = d.state.lineage();
    d.plan = plan;
    if (options.dry_run) {
      d.dry = make_dry_transport(d.clock);
      d.executor = std::make_unique<Executor>(*d.plan, Policy{}, plan.generation + 1, lineage, nullptr,
                                              *d.dry, d.clock);
      d.interruptible = d.executor.get();
      return *d.executor;
    }
    d.refuse_if_moved(plan);
    const std::int64_t epoch = d.state.next_epoch();
    d.run = d.state.begin_run(plan.to_json(), plan.source, summary(plan), plan.generation);
    const int first_kept = d.state.first_kept(options.keep);
    for (const Host& host : plan.fleet.hosts) {
      const Fence& fence = plan.readings.at(host.name).fence;
      const bool is_foreign = !fence.lineage.empty() && fence.lineage != lineage;
      // Whom we displace by intent, we may know to have had a later epoch of ours.
      d.transport->authorise(
          host, {.lineage = lineage,
                 .epoch = epoch,
                 .holder = whoami(),
                 .seen = is_foreign ? 0 : d.state.seen(host.name),
                 .displace = is_foreign && options.take_over ? std::optional(fence) : std::nullopt,
                 .ends_others = true,
                 .forget_before = first_kept});
    }
    d.transport->offer(d.plan->items);
    d.journal = d.state.journal(d.run);
    d.executor = std::make_unique<Executor>(*d.plan, d.site.policy, d.run, lineage, d.journal.get(),
                                            *d.transport, d.clock);
  } catch (...) {
    d.journal.reset();
    d.plan.reset();
    d.state.release();
    throw;
  }
  d.interruptible = d.executor.get();
  return *d.executor;
}

Report Deployment::finish() {
  Impl& d = *impl_;
  if (!d.executor) throw Error(ErrorCode::misuse, "no plan is being executed");
  d.interruptible = nullptr;
  Report report = d.executor->report();
  const std::vector<HostReading> readings = d.executor->readings();
  d.executor.reset();
  if (d.options.dry_run) {
    d.plan.reset();
    d.dry.reset();
    return report;
  }
  try {
    d.journal->commit();
    d.journal.reset();
    for (const HostReading& reading : readings) d.state.remember(reading);
    bool is_open = false;
    for (const StepReport& step : report.steps)
      is_open = is_open || step.outcome == Outcome::unknown || step.outcome == Outcome::none;
    const bool is_complete = report.exit_status() == 0;
    if (!is_open)
      d.state.end_run(d.run, is_complete ? "complete" : "incomplete", is_complete ? "" : report.sums(),
                      report.to_json());
  } catch (const Error& error) {
    report.not_recorded = error.what();  // what happened on the hosts happened all the same
  }
  try {
    d.state.forget_before(d.state.first_kept(d.options.keep));
  } catch (const Error&) {  // that is for the next run, then
  }
  d.journal.reset();
  d.plan.reset();
  d.state.release();
  return report;
}

Report Deployment::execute(const Plan& plan, const std::function<void(const Progress&)>& on_progress,
                           const ExecuteOptions& options) {
  for (const Step& step : plan.steps)
    if (!step.transition.empty()) (void)impl_->transition_of(step);
  if (plan.empty()) {
    Report report{.site = plan.site, .generation = plan.generation, .unreachable = plan.unreachable()};
    report.frames = impl_->transport->frames_sent();
    return report;
  }
  Executor& executor = begin(plan, options);
  try {
    Driver(executor, *impl_->plan, [this](const Step& step) {
      return impl_->transition_of(step);
    }).run(on_progress);
  } catch (...) {
    // The run stays unfinished, as it would had we died: `abandon` ends it.
    impl_->interruptible = nullptr;
    impl_->executor.reset();
    impl_->journal.reset();
    impl_->plan.reset();
    impl_->state.release();
    throw;
  }
  return finish();
}

std::vector<std::string> Deployment::abandon() {
  State& state = impl_->state;
  state.hold("abandoning a run");
  std::vector<std::string> open;
  if (const auto run = state.unfinished()) {
    open = state.left_open(run->number);
    open.insert(open.begin(), fmt::format("run {} of {}", run->number, run->by));
    state.abandon(run->number);
  }
  state.release();
  return open;
}

Status Deployment::status() {
  Status status{.hosts = impl_->transport->read(impl_->fleet.hosts),
                .unfinished = impl_->state.unfinished(),
                .fleet = impl_->fleet};
  for (const HostReading& reading : status.hosts) impl_->take_note(reading);
  if (status.unfinished) status.holder = impl_->state.holder();
  return status;
}

RunLog Deployment::log(int run, LogOptions options) {
  if (run == 0)
    if (const std::vector<Generation> all = impl_->state.history(); !all.empty()) run = all.front().number;
  return {impl_->state, *impl_->transport, impl_->fleet, run, std::move(options)};
}

void Deployment::interrupt() noexcept {
  if (Executor* executor = impl_->interruptible) executor->interrupt();
}

}  // namespace tutti
