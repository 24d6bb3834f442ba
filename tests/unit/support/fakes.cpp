#include "unit/support/fakes.hpp"

#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>

#include <tutti/error.hpp>

namespace tutti::fake {

// -- the journal

void FakeJournal::commit() {
  for (; committed < records.size(); ++committed)
    if (const auto* intent = std::get_if<record::Intent>(&records[committed].what))
      durable_.insert(fmt::format("{}.{}.{}", static_cast<std::uint32_t>(intent->at.step),
                                  to_string(intent->at.path), intent->at.sequence));
  ++commits;
  if (also) also->commit();
}

void FakeJournal::clear() {
  records.clear();
  durable_.clear();
  committed = 0;
  commits = 0;
}

bool FakeJournal::intends(const std::string& token) const {
  return durable_.contains(token.substr(token.find('.', token.find('.') + 1) + 1));  // less lineage and run
}

std::string FakeJournal::intents(std::uint32_t step) const {
  std::string text;
  for (const record::Intent& one : of<record::Intent>())
    if (one.at.step == StepId{step})
      text += fmt::format("{}{}.{} {}", text.empty() ? "" : ", ", to_string(one.at.path), one.at.sequence,
                          one.text);
  return text;
}

// -- the hosts

Piece FakeTransport::fetch(const Host& host, const Kept& what, std::uint64_t offset, std::uint64_t most) {
  if (!machines[host.name].reached) return {.why = host.name + ": no route to host"};
  const char* suffix = what.kind == Kept::Kind::log ? " log" : what.kind == Kept::Kind::error ? " error" : "";
  const auto found = kept.find(host.name + ": " + what.of + suffix);
  const std::string all = found == kept.end() ? "" : found->second;
  return {.found = true, .size = all.size(), .bytes = offset < all.size() ? all.substr(offset, most) : ""};
}

std::vector<HostReading> FakeTransport::read(const std::vector<Host>& hosts, const WantedPaths&) {
  std::vector<HostReading> all;
  for (const Host& host : hosts) {
    Machine& machine = machines[host.name];
    HostReading reading{.host = host.name, .reached = machine.reached};
    if (!machine.reached) reading.why = host.name + ": no route to host";
    for (const auto& [service, json] : machine.manifest) {
      if (!machine.reached) break;
      const ManifestEntry entry = ManifestEntry::from_json(json);
      reading.entries.push_back(
          {entry, machine.running.contains(service) ? HostReading::Life::alive : HostReading::Life::dead});
    }
    all.push_back(std::move(reading));
  }
  return all;
}

void FakeTransport::count() {
  if (machines.size() > 100) return;  // it is not quick
  std::set<std::string> unavailable = in_transition_;
  for (const auto& [name, machine] : machines) {
    bool down = !machine.reached;
    for (const auto& [service, entry] : machine.manifest) down = down || !machine.running.contains(service);
    if (down) unavailable.insert(name);
  }
  most_unavailable = std::max(most_unavailable, unavailable.size());
}

void FakeTransport::send(const std::string& token, const std::string& host, const Request& request) {
  Request shown = request;
  shown.host.clear();
  log.push_back(host + ": " + shown.describe());
  tokens.push_back(token);
  requests.push_back(request);
  if (!journal_.intends(token)) sent_too_early.push_back(log.back());
  double& busy = busy_until_[host];
  busy = std::max(busy, clock_.time) + 1;
  pending_.push_back({busy, token, host, shown});
  most_at_once = std::max(most_at_once, static_cast<int>(pending_.size()));
  if (request.as<effect::WriteEntry>() && request.as<effect::WriteEntry>()->is_first) in_transition_.insert(host);
  count();
}

void FakeTransport::wait(std::vector<Completion>& into, std::optional<double> seconds) {
  const auto next = std::min_element(pending_.begin(), pending_.end(),
                                     [](const auto& a, const auto& b) { return a.at < b.at; });
  if (next == pending_.end() && !seconds)
    throw std::logic_error("the executor waits for ever: nothing is under way");
  if (next == pending_.end() || (seconds && clock_.time + *seconds < next->at)) {
    clock_.time += *seconds;
    return;
  }
  clock_.time = std::max(clock_.time, next->at);
  std::vector<Pending> due;  // all that come at this moment, together
  for (auto one = pending_.begin(); one != pending_.end();) {
    if (one->at <= clock_.time) {
      due.push_back(*one);
      one = pending_.erase(one);
    } else {
      ++one;
    }
  }
  for (const Pending& one : due) answer(one, into);
}

void FakeTransport::answer(const Pending& done, std::vector<Completion>& into) {
  const std::string what = done.host + ": " + done.request.describe();
  Machine& machine = machines[done.host];
  const auto fault = faults.find(what);
  const Fault outcome = fault != faults.end() ? fault->second : !machine.reached ? unreachable() : Fault{};
  Completion completion{
      .token = done.token, .kind = outcome.kind, .result = outcome.result, .why = outcome.why};
  if (outcome.kind == Completion::Kind::answered && outcome.result.succeeded)
    completion.result = act(machine, done);
  const auto* write = done.request.as<effect::WriteEntry>();
  const bool only_recorded = write && write->is_first && completion.result.succeeded &&
                             write->entry->state == ManifestEntry::State::deployed;
  if ((write && !write->is_first) || only_recorded || outcome.kind != Completion::Kind::answered)
    in_transition_.erase(done.host);
  count();
  into.push_back(std::move(completion));
  if (on_answer) on_answer(what);
}

void FakeTransport::Machine::give(const std::string& service, const DefinitionPtr& definition, bool beside) {
  if (!beside)
    std::erase_if(holders,
                  [&](const auto& one) { return one.second == service && files.erase(one.first) > 0; });
  if (!definition) return;
  for (const InstalledFile& file : definition->files) {
    files[file.path] = file.item;
    holders[file.path] = service;
  }
}

Result FakeTransport::act(Machine& machine, const Pending& done) {
  const Request& request = done.request;
  Result result;
  result.output.host = done.host;
  result.output.token = done.token;
  if (const auto* write = request.as<effect::WriteEntry>()) {
    if (write->entry)
      machine.manifest[write->entry->service] = write->entry->to_json();
    else
      machine.manifest.erase(write->about->service);
  } else if (const auto* start = request.as<effect::Start>()) {
    machine.running[start->definition->service] = start->definition->version;
    machine.give(start->definition->service, start->definition, start->beside);
  } else if (const auto* reload = request.as<effect::Reload>()) {
    machine.give(reload->definition->service, reload->definition, false);
  } else if (const auto* stop = request.as<effect::Stop>()) {
    machine.running.erase(stop->definition->service);
  } else if (const auto* install = request.as<effect::InstallFiles>()) {
    machine.give(install->service, install->definition, false);
  } else if (const auto* put = request.as<effect::PutFile>()) {
    const auto before = machine.files.find(put->path);
    kept_[done.token] = before == machine.files.end() ? std::nullopt : std::optional(before->second);
    machine.files[put->path] = put->content;
  } else if (const auto* restore = request.as<effect::RestoreFile>()) {
    const auto kept = kept_.find(restore->of);
    if (kept == kept_.end())
      result.how = How::absent;
    else if (kept->second)
      machine.files[restore->path] = *kept->second;
    else
      machine.files.erase(restore->path);
  } else if (const auto* get = request.as<effect::GetFile>()) {
    result.output.text = machine.files[get->path];
  } else if (request.as<effect::Now>()) {
    result.output.text = fmt::format("{}", clock_.time);
  }
  return result;
}

std::vector<std::string> FakeTransport::of(const std::string& host) const {
  std::vector<std::string> found;
  for (const std::string& line : log)
    if (line.starts_with(host + ": ")) found.push_back(line.substr(host.size() + 2));
  return found;
}

// -- the world

Plan World::plan(const Site& site) {
  const Fleet fleet = look_up(site);
  return make_plan(site, elaborate(site, fleet), transport.read(fleet.hosts));
}

Report World::execute(const Plan& plan, const Policy& policy,
                      std::function<Transition(Context, Change)> with) {
  journal.clear();
  Executor executor(plan, policy, ++run, lineage, &journal, transport, clock);
  if (on_executor) on_executor(executor);
  Driver driver(executor, plan, [&](const Step& step) -> std::function<Transition(Context, Change)> {
    if (with) return with;
    return built_in_transition(step.transition);
  });
  driver.run([&](const Progress& progress) {
    std::string what = progress.text;
    if (progress.kind == Progress::Kind::outcome) what = to_string(progress.outcome);
    told.push_back(progress.service.empty() ? what
                                            : fmt::format("{}@{} {}", progress.service, progress.host, what));
  });
  readings = executor.readings();
  return executor.report();
}

Service service(const std::string& name, const std::string& version, const std::vector<std::string>& needs) {
  Service made{.name = name,
               .version = version,
               .start = daemon({"/opt/" + name}),
               .validate = program({"check-" + name}),
               .declared = Declared("shop.scm:" + name)};
  for (const std::string& needed : needs)
    made.requirements.push_back({.service = needed, .declared = made.declared});
  return made;
}

Site site(const std::vector<Class>& classes) {
  Site made{.name = "shop"};
  std::map<std::string, std::vector<Host>> inventory;
  for (const Class& one : classes) {
    made.host_classes.push_back(
        {.name = one.name, .services = one.services, .declared = Declared("shop.scm:class-" + one.name)});
    for (const std::string& host : one.hosts) inventory[one.name].push_back({.name = host});
  }
  made.host_class_to_hosts = inventory_list(std::move(inventory));
  return made;
}

std::vector<std::string> hosts(int n, const std::string& prefix) {
  std::vector<std::string> names;
  for (int i = 1; i <= n; ++i) names.push_back(prefix + std::to_string(i));
  return names;
}

// -- looking at what came of it

std::vector<std::string> outcomes(const Report& report) {
  std::vector<std::string> lines;
  for (const StepReport& step : report.steps)
    lines.push_back(fmt::format("{}@{} {}", step.service, step.host, to_string(step.outcome)));
  return lines;
}

std::vector<std::string> actions(const Plan& plan) {
  std::vector<std::string> lines;
  for (const Step& step : plan.steps)
    if (step.action != Action::join)
      lines.push_back(fmt::format("{} {}@{}", to_string(step.action), step.service, step.host));
  return lines;
}

const StepReport& step_of(const Report& report, const std::string& service, const std::string& host) {
  for (const StepReport& step : report.steps)
    if (step.service == service && step.host == host) return step;
  throw std::logic_error("the report has no step " + service + "@" + host);
}

StepId id_of(const Plan& plan, const std::string& service, const std::string& host) {
  for (std::uint32_t i = 0; i < plan.steps.size(); ++i)
    if (plan.steps[i].service == service && plan.steps[i].host == host) return StepId{i};
  throw std::logic_error("the plan has no step " + service + "@" + host);
}

bool comes_after(const Plan& plan, StepId after, StepId before) {
  std::set<StepId> seen;
  std::vector<StepId> reach{after};
  while (!reach.empty()) {
    const StepId one = reach.back();
    reach.pop_back();
    for (const Edge& edge : plan.edges) {
      if (edge.after != one || !seen.insert(edge.before).second) continue;
      if (edge.before == before) return true;
      reach.push_back(edge.before);
    }
  }
  return false;
}

std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) { return error.what(); }
  return "";
}

std::optional<ErrorCode> code_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) { return error.code(); }
  return {};
}

Transition plain_replace(Context c, Change change) {
  if (change.old_service) co_await c.stop(*change.old_service);
  co_await c.start(change.new_service);
  co_await c.validate(change.new_service);
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace tutti::fake
