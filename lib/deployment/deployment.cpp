// SPDX-License-Identifier: LGPL-3.0-or-later
#include <tutti/deployment.hpp>

#include <algorithm>
#include <atomic>
#include <set>

#include <fmt/format.h>

#include "deployment/generation.hpp"
#include "deployment/names.hpp"
#include "deployment/on_host.hpp"
#include "support/text.hpp"
#include <tutti/error.hpp>

namespace tutti {
namespace {

/// So many generations keep their definitions for each run that is kept whole.
constexpr std::int64_t generations_for_each_run = 10;

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
  std::filesystem::path file;  // of our own state
  std::unique_ptr<State> own_state;
  std::unique_ptr<Transport> own_transport;
  State* given_state = nullptr;
  Transport* transport;
  const Clock& clock;

  // of the run that is under way
  std::optional<Plan> plan;
  std::unique_ptr<Journal> journal;
  std::unique_ptr<Executor> executor;
  int run = 0;
  ExecuteOptions options;
  std::unique_ptr<Transport> dry;
  std::atomic<int> interrupts{0};  // since the last run ended
  int on_hosts = 0;                // how many OnHost there are

  Impl(Site s, Fleet f, const World& world)
      : site(std::move(s)),
        fleet(std::move(f)),
        given_state(&world.state),
        transport(&world.transport),
        clock(world.clock) {}
  Impl(Site s, std::filesystem::path state_file)
      : site(std::move(s)),
        fleet(look_up(site)),
        file(std::move(state_file)),
        own_transport(make_transport(site.name, site.platform)),
        transport(own_transport.get()),
        clock(real_clock()) {}

  State& state() {
    if (given_state) return *given_state;
    if (!own_state) own_state = std::make_unique<State>(file);
    return *own_state;
  }

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
    state().remember(reading);
    if (reading.reached && reading.fence.lineage == state().lineage())
      state().saw(reading.host, reading.fence.epoch);
  }

  /// With what authority the run with this epoch acts on a host.
  Authority authority(const Host& host, const HostReading& reading, std::int64_t epoch) {
    const Fence& fence = reading.fence;
    const std::string lineage = state().lineage();
    const bool is_foreign = !fence.lineage.empty() && fence.lineage != lineage;
    // Whom we displace by intent, we may know to have had a later epoch of ours.
    return {.lineage = lineage,
            .epoch = epoch,
            .holder = whoami(),
            .seen = is_foreign ? 0 : state().seen(host.name),
            .displace = is_foreign && options.take_over ? std::optional(fence) : std::nullopt,
            .name = host.name,
            .was = reading.name,
            .nonce = reading.nonce};
  }

  /// Hosts that have another name in this site than the plan says get that one.
  void rename(const Plan& wanted) {
    for (const Host& host : wanted.fleet.hosts) {
      const HostReading& reading = wanted.readings.at(host.name);
      if (!has_other_name(reading)) continue;
      const std::int64_t epoch = state().next_epoch();
      transport->authorise(host, authority(host, reading, epoch));
      // The name is kept when the lock is taken, and that is taken with the first effect.
      transport->send(fmt::format("i.{}.{}-1", state().lineage().substr(0, 12), epoch), host.name,
                      {.effect = effect::Run{command("true")}});
      std::vector<Completion> came;
      while (came.empty()) transport->wait(came, std::nullopt);
      if (came.front().kind != Completion::Kind::answered) throw Error(ErrorCode::locked, came.front().why);
      if (!fleet.find(reading.name)) state().forget_host(reading.name);
    }
  }

  /// A plan of another site, fleet or program: what it says is not what this deployment would do.
  void refuse_if_of_another(const Plan& plan_) const {
    const auto moved = [&](const std::string& what) {
      throw Error(ErrorCode::moved,
                  fmt::format("the plan is not of this deployment of '{}': {}. Plan again", site.name, what));
    };
    if (plan_.site != site.name) moved(fmt::format("it is of site '{}'", escaped(plan_.site)));
    if (plan_.fleet.hosts != fleet.hosts) moved("its fleet is another one");
    if (source_hash(plan_.source) != source_hash(site.source)) moved("it was made from another program");
    std::set<std::string> services;
    for (const HostClass& host_class : site.host_classes)
      for (const Service& service : host_class.services)
        services.insert(service.name + " " + service.version);
    for (const Step& step : plan_.steps)
      if (step.new_definition && !services.contains(step.new_definition->title()))
        moved(fmt::format("the site has no {}", step.new_definition->title()));
  }

  /// All hosts: those without a step may be drained.
  void refuse_if_moved(const Plan& plan_) {
    std::vector<Host> hosts;
    for (const Host& host : plan_.fleet.hosts)
      if (plan_.readings.at(host.name).reached) hosts.push_back(host);
    for (const HostReading& now : transport->read(hosts)) {
      const HostReading& then = plan_.readings.at(now.host);
      const bool is_held_by_another =
          now.fence.lineage != then.fence.lineage && now.fence.lineage != state().lineage();
      if (now.reached && (now.digest != then.digest || is_held_by_another))
        throw Error(
            ErrorCode::moved,
            fmt::format("the manifest of {} is not what the plan was made from: somebody deployed there "
                        "meanwhile. Plan again",
                        now.host));
    }
  }
};

Deployment::Deployment(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Deployment::Deployment(Site site, Fleet fleet, World world)
    : impl_(std::make_unique<Impl>(std::move(site), std::move(fleet), world)) {}
Deployment::~Deployment() = default;
Deployment::Deployment(Deployment&&) noexcept = default;
Deployment& Deployment::operator=(Deployment&&) noexcept = default;

Deployment Deployment::open_late(Site site, std::filesystem::path state_file) {
  return Deployment(std::make_unique<Impl>(std::move(site), std::move(state_file)));
}

Deployment Deployment::open(Site site, std::filesystem::path state_file) {
  Deployment deployment = open_late(std::move(site), std::move(state_file));
  (void)deployment.state();
  return deployment;
}

const Site& Deployment::site() const noexcept { return impl_->site; }
const Fleet& Deployment::fleet() const noexcept { return impl_->fleet; }
State& Deployment::state() { return impl_->state(); }
Transport& Deployment::transport() noexcept { return *impl_->transport; }

void Deployment::close() noexcept {
  if (impl_->own_state) impl_->own_state->close();
}

Plan Deployment::check() const { return check(elaborate(impl_->site, impl_->fleet)); }

Plan Deployment::check(const Desired& desired) const {
  std::vector<HostReading> readings;
  for (const Host& host : impl_->fleet.hosts) readings.push_back({.host = host.name, .reached = true});
  Plan plan = make_plan(impl_->site, desired, std::move(readings));
  (void)expect_waves(plan, impl_->site.policy, impl_->clock);
  return plan;
}

Plan Deployment::plan(const PlanOptions& options) {
  return plan(elaborate(impl_->site, impl_->fleet), options);
}

namespace {

WantedPaths wanted_paths(const Desired& desired) {
  WantedPaths wanted;
  for (const auto& [instance, definition] : desired.definitions)
    for (const InstalledFile& file : definition->files)
      wanted[instance.host].push_back({.service = instance.service, .path = file.path});
  return wanted;
}

}  // namespace

Plan Deployment::plan(const Desired& desired, const PlanOptions& options) {
  const auto last_known = impl_->state().last_known();
  std::vector<HostReading> readings = impl_->transport->read(impl_->fleet.hosts, wanted_paths(desired));
  check_names(impl_->site, impl_->fleet, readings, options.accept_names);
  for (const HostReading& reading : readings) impl_->take_note(reading);
  Plan plan = make_plan(impl_->site, desired, std::move(readings), last_known);
  if (const std::string& why = impl_->state().why_read_only(); !why.empty())
    plan.notes.push_back(why + ", to deploy; what the hosts say is not kept");
  (void)expect_waves(plan, impl_->site.policy, impl_->clock);
  return plan;
}

std::vector<std::string> Deployment::foreign(const Plan& plan) const {
  const std::string mine = impl_->state().lineage();
  std::vector<std::string> lines;
  for (const auto& [host, reading] : plan.readings) {
    const Fence& fence = reading.fence;
    if (!reading.reached || fence.lineage.empty() || fence.lineage == mine) continue;
    lines.push_back(fmt::format("{} is held by lineage {}{}, epoch {}", host, escaped(fence.lineage),
                                fence.holder.empty() ? "" : " of " + escaped(fence.holder), fence.epoch));
  }
  return lines;
}

void Deployment::take_names(const Plan& plan, const ExecuteOptions& options) {
  if (std::none_of(plan.readings.begin(), plan.readings.end(),
                   [](const auto& one) { return has_other_name(one.second); }))
    return;
  impl_->options = options;
  impl_->state().hold("renaming hosts");
  try {
    impl_->rename(plan);
  } catch (...) {
    impl_->state().release();
    throw;
  }
  impl_->state().release();
}

Executor& Deployment::begin(const Plan& plan, const ExecuteOptions& options) {
  Impl& d = *impl_;
  tutti::check(plan);
  d.refuse_if_of_another(plan);
  if (d.executor) throw Error(ErrorCode::misuse, "this deployment executes a plan already");
  if (d.on_hosts > 0)
    throw Error(ErrorCode::misuse, "a plan can't be executed while one acts on a host outside of a run");
  d.options = options;
  if (!options.dry_run) d.state().hold("deploying " + d.site.name);
  try {
    if (const auto open = d.state().unfinished())
      throw Error(ErrorCode::locked,
                  fmt::format("run {} of {} was not finished: abandon it, which touches no host; the next "
                              "plan repairs what it "
                              "left",
                              open->number, open->by),
                  Remedy::abandon);
    // A dry run touches nobody, and who can't read the state file can't know what is his.
    const bool knows_lineage = !options.dry_run || d.state().why_read_only().empty();
    const std::vector<std::string> others = foreign(plan);
    if (!others.empty() && !options.take_over && knows_lineage)
      throw Error(ErrorCode::locked,
                  fmt::format("another state file deployed here:\n  {}\nUse that one; if it is lost, take "
                              "over, which displaces "
                              "it",
                              fmt::join(others, "\n  ")),
                  Remedy::take_over);
    const std::string lineage = d.state().lineage();
    d.plan = plan;
    if (options.dry_run) {
      d.dry = make_dry_transport(d.clock);
      d.executor = std::make_unique<Executor>(*d.plan, Policy{}, plan.generation + 1, lineage, nullptr,
                                              *d.dry, d.clock, &d.interrupts);
      return *d.executor;
    }
    d.refuse_if_moved(plan);
    d.rename(plan);
    const std::int64_t epoch = d.state().next_epoch();
    d.run =
        d.state().begin_run(plan.to_json(), source_hash(plan.source), summary(plan), plan.generation, epoch);
    const int first_kept = d.state().first_kept(options.keep);
    for (const Host& host : plan.fleet.hosts) {
      Authority authority = d.authority(host, plan.readings.at(host.name), epoch);
      authority.ends_others = true;
      authority.forget_before = first_kept;
      d.transport->authorise(host, std::move(authority));
    }
    d.transport->offer(d.plan->items);
    d.journal = d.state().journal(d.run);
    d.executor = std::make_unique<Executor>(*d.plan, d.site.policy, d.run, lineage, d.journal.get(),
                                            *d.transport, d.clock, &d.interrupts);
  } catch (...) {
    d.journal.reset();
    d.plan.reset();
    d.state().release();
    throw;
  }
  return *d.executor;
}

Report Deployment::finish() {
  Impl& d = *impl_;
  if (!d.executor) throw Error(ErrorCode::misuse, "no plan is being executed");
  Report report = d.executor->report();
  d.interrupts = 0;
  const std::vector<HostReading> readings = d.executor->readings();
  d.executor.reset();
  if (d.options.dry_run) {
    report.dry_run = true;
    d.plan.reset();
    d.dry.reset();
    return report;
  }
  try {
    d.journal->commit();
    d.journal.reset();
    for (const HostReading& reading : readings) d.state().remember(reading);
    d.state().keep_generation(d.run, instances_after(*d.plan, readings, d.state().last_known(), report),
                              d.plan->source);
    bool is_open = false;
    for (const StepReport& step : report.steps)
      is_open = is_open || step.outcome == Outcome::unknown || step.outcome == Outcome::none;
    const bool is_complete = report.exit_status() == 0;
    if (!is_open)
      d.state().end_run(d.run, is_complete ? "complete" : "incomplete", is_complete ? "" : report.sums(),
                        report.to_json());
  } catch (const Error& error) {
    report.not_recorded = error.what();  // what happened on the hosts happened all the same
  }
  try {
    d.state().forget_before(d.state().first_kept(d.options.keep));
    d.state().forget_generations(generations_for_each_run * std::max(d.options.keep, 1));
  } catch (const Error&) {  // that is for the next run, then
  }
  d.journal.reset();
  d.plan.reset();
  d.state().release();
  return report;
}

Report Deployment::execute(const Plan& plan, const std::function<void(const Progress&)>& on_progress,
                           const ExecuteOptions& options) {
  for (const Step& step : plan.steps)
    if (!step.transition.empty()) (void)impl_->transition_of(step);
  if (plan.empty()) {
    impl_->interrupts = 0;
    if (!options.dry_run) take_names(plan, options);
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
    impl_->interrupts = 0;
    impl_->executor.reset();
    impl_->journal.reset();
    impl_->plan.reset();
    impl_->state().release();
    throw;
  }
  return finish();
}

std::vector<std::string> Deployment::abandon() {
  State& state = impl_->state();
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
                .unfinished = impl_->state().unfinished(),
                .fleet = impl_->fleet,
                .time = impl_->clock.now(),
                .site = impl_->site.name};
  for (const HostReading& reading : status.hosts) impl_->take_note(reading);
  if (status.unfinished) status.holder = impl_->state().holder();
  status.notes = notes_on_names(impl_->fleet, status.hosts);
  if (const std::string& why = impl_->state().why_read_only(); !why.empty())
    status.notes.push_back(why + ", to deploy; what the hosts say is not kept");
  return status;
}

std::vector<std::string> Deployment::forget(const std::string& host) {
  Impl& d = *impl_;
  if (const Host* there = d.fleet.find(host))
    throw Error(
        ErrorCode::misuse,
        fmt::format("host '{}' is of class '{}': take it out of the inventory first, then what it held is "
                    "forgotten",
                    host, there->host_class));
  std::set<std::string> known;
  std::vector<std::string> held;
  for (const auto& [instance, entry] : d.state().last_known()) {
    if (!d.fleet.find(instance.host)) known.insert(instance.host);
    if (instance.host != host) continue;
    const DefinitionPtr& any = entry.new_definition ? entry.new_definition : entry.old_definition;
    held.push_back(any ? any->title() : instance.service);
  }
  if (!known.contains(host))
    throw Error(ErrorCode::misuse,
                fmt::format("nothing is known of a host '{}' that has left.{}", escaped(host),
                            suggestion(host, {known.begin(), known.end()})));
  d.state().hold("forgetting a host");
  d.state().forget_host(host);
  d.state().release();
  return held;
}

RunLog Deployment::log(int run, LogOptions options) {
  if (run == 0)
    if (const std::vector<Generation> all = impl_->state().history(); !all.empty()) run = all.front().number;
  return {impl_->state(), *impl_->transport, impl_->fleet, run, std::move(options)};
}

OnHost Deployment::on_host() {
  Impl& d = *impl_;
  if (d.executor)
    throw Error(ErrorCode::misuse, "a run is under way: what acts on a host in it belongs in a transition");
  return OnHost(std::make_unique<OnHost::Impl>(d.state(), *d.transport, d.fleet, d.on_hosts));
}

void Deployment::interrupt() noexcept {
  ++impl_->interrupts;
  impl_->transport->wake();
}

}  // namespace tutti
