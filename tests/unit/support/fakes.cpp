// SPDX-License-Identifier: LGPL-3.0-or-later
#include "unit/support/fakes.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "transport/transport.hpp"
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

namespace {

constexpr auto site_name = "shop";

/// What a service that is a program has while it is up.
std::string flag_of(const std::string& service) { return "/run/" + service; }

/// "start web 2" → web, 2.
std::pair<std::string, std::string> service_in(const std::string& sentence) {
  const auto first = sentence.find(' ');
  const auto second = sentence.find(' ', first + 1);
  if (first == std::string::npos || second == std::string::npos) return {};
  return {sentence.substr(first + 1, second - first - 1),
          sentence.substr(second + 1, sentence.find(' ', second + 1) - second - 1)};
}

}  // namespace

RecordingTransport::RecordingTransport(FakeClock& clock, const FakeJournal& journal)
    : journal_(journal), agenda_(clock.time) {
  auto network = std::make_unique<simulation::ModelNetwork>(agenda_, site_name);
  network_ = network.get();
  network_->on_host = [this](simulation::ModelHost& host) { furnish(host); };
  network_->why_not = [this](const std::string& host) {
    return machines[host].reached ? "" : host + ": no route to host";
  };
  hosts_ = make_transport(std::move(network));
}

void RecordingTransport::furnish(simulation::ModelHost& host) {
  host.effect_seconds = 1;
  host.daemon_seconds = 0;
  host.knows_users = true;
  host.make_folder("/etc");
  host.otherwise = [](const auto&, bool is_daemon) {
    return is_daemon ? simulation::Script{simulation::nap(1e9)} : simulation::Script{};
  };
  host.invent_item = [](const std::string& item) { return simulation::File{item, 0444}; };
  host.instead = [this](const std::string& token) -> std::optional<frames::Answer> {
    const auto sent = under_way_.find(token);
    const Fault* fault = sent == under_way_.end() ? nullptr : fault_of(sent->second.what);
    if (!fault) return std::nullopt;
    return frames::Done{
        .how = frames::How::exit, .status = 1, .output = {}, .error = {}};  // wait() says what it came to
  };
}

const Fault* RecordingTransport::fault_of(const std::string& what) const {
  const auto found = faults.find(what);
  return found == faults.end() ? nullptr : &found->second;
}

void RecordingTransport::push(const std::string& name) {
  Machine& machine = machines[name];
  Machine& before = pulled_[name];
  if (machine == before) return;
  auto& host = network_->host(name);
  if (machine.manifest != before.manifest) host.write_manifest(site_name, machine.manifest);
  for (const auto& [path, content] : before.files)
    if (!machine.files.contains(path)) host.files.erase(path);
  for (const auto& [path, content] : machine.files)
    if (!before.files.contains(path) || before.files.at(path) != content) host.files[path] = {content, 0644};
  for (const auto& [service, version] : before.running) {
    if (machine.running.contains(service)) continue;
    host.end_daemon(site_name, service);
    host.files.erase(flag_of(service));
  }
  for (const auto& [service, version] : machine.running) {
    if (before.running.contains(service) && before.running.at(service) == version) continue;
    if (!host.is_running(site_name, service)) host.run_daemon(site_name, service, version);
    versions_[name][service] = version;
  }
  before = machine;
}

void RecordingTransport::pull(const std::string& name) {
  auto& host = network_->host(name);
  Machine& machine = machines[name];
  machine.manifest = host.manifest(site_name);
  machine.running.clear();
  for (const auto& [service, version] : versions_[name])
    if (host.is_running(site_name, service) || host.files.contains(flag_of(service)))
      machine.running[service] = version;
  machine.files.clear();
  for (const auto& [path, file] : host.files)
    if (!path.starts_with("/run/")) machine.files[path] = file.bytes;
  pulled_[name] = machine;
}

std::vector<HostReading> RecordingTransport::read(const std::vector<Host>& hosts, const WantedPaths& wanted) {
  for (const Host& host : hosts) push(host.name);
  return hosts_->read(hosts, wanted);
}

Piece RecordingTransport::fetch(const Host& host, const Kept& what, std::uint64_t offset,
                                std::uint64_t most) {
  push(host.name);
  return hosts_->fetch(host, what, offset, most);
}

void RecordingTransport::authorise(const Host& host, Authority authority) {
  hosts_->authorise(host, std::move(authority));
}

void RecordingTransport::wake() noexcept {
  ++woken;
  hosts_->wake();
}

void RecordingTransport::count() {
  if (machines.size() > 100) return;  // it is not quick
  std::set<std::string> unavailable = in_transition_;
  for (const auto& [name, machine] : machines) {
    bool down = !machine.reached;
    for (const auto& [service, entry] : machine.manifest) down = down || !machine.running.contains(service);
    if (down) unavailable.insert(name);
  }
  most_unavailable = std::max(most_unavailable, unavailable.size());
}

void RecordingTransport::teach(const std::string& host, const Request& request) {
  const DefinitionPtr& definition = request.definition();
  if (!definition || definition->is_daemon()) return;
  auto& programs = network_->host(host).programs;
  const std::string flag = flag_of(definition->service);
  for (const auto& [hook, script] : {std::pair{"start", simulation::Script{simulation::append(flag, "up")}},
                                     std::pair{"stop", simulation::Script{simulation::remove(flag)}},
                                     std::pair{"alive", simulation::Script{simulation::need(flag)}}})
    if (const auto program = definition->programs.find(hook); program != definition->programs.end())
      programs[program->second.argv] = script;
}

void RecordingTransport::send(const std::string& token, const std::string& host, const Request& request) {
  push(host);
  Request shown = request;
  shown.host.clear();
  const std::string sentence = shown.describe();
  log.push_back(host + ": " + sentence);
  tokens.push_back(token);
  requests.push_back(request);
  if (!journal_.intends(token)) sent_too_early.push_back(log.back());
  teach(host, request);
  under_way_[token] = {host, log.back()};
  most_at_once = std::max(most_at_once, static_cast<int>(under_way_.size()));
  if (sentence.starts_with("begin ")) in_transition_.insert(host);
  count();
  hosts_->send(token, host, request);
}

void RecordingTransport::wait(std::vector<Completion>& into, std::optional<double> seconds) {
  std::vector<Completion> came;
  hosts_->wait(came, seconds);
  for (const Completion& completion : came) pull(under_way_.at(completion.token).host);
  for (Completion& completion : came) {
    const auto sent = under_way_.extract(completion.token).mapped();
    if (const Fault* fault = fault_of(sent.what))
      completion = {
          .token = completion.token, .kind = fault->kind, .result = fault->result, .why = fault->why};
    take_note(sent, completion);
    if (completion.kind == Completion::Kind::answered) results[completion.token] = completion.result;
    into.push_back(std::move(completion));
    if (!on_answer) continue;
    on_answer(sent.what);
    for (const auto& [name, machine] : machines) push(name);  // what it changed
  }
}

void RecordingTransport::take_note(const Sent& sent, const Completion& completion) {
  const std::string sentence = sent.what.substr(sent.host.size() + 2);
  const auto [service, version] = service_in(sentence);
  Machine& machine = machines[sent.host];
  const bool succeeded = completion.kind == Completion::Kind::answered && completion.result.succeeded;
  if (succeeded && sentence.starts_with("start ")) {
    versions_[sent.host][service] = version;
    pull(sent.host);
  }
  if (sentence.starts_with("end ") || completion.kind != Completion::Kind::answered)
    in_transition_.erase(sent.host);
  if (sentence.starts_with("begin ") && succeeded && machine.manifest.contains(service) &&
      ManifestEntry::from_json(machine.manifest.at(service)).state == ManifestEntry::State::deployed)
    in_transition_.erase(sent.host);  // it only recorded
  count();
}

std::vector<std::string> RecordingTransport::of(const std::string& host) const {
  std::vector<std::string> found;
  for (const std::string& line : log)
    if (line.starts_with(host + ": ")) found.push_back(line.substr(host.size() + 2));
  return found;
}

// -- the world

Plan World::plan(const Site& site) {
  const Fleet fleet = look_up(site);
  authorise(fleet);
  return make_plan(site, elaborate(site, fleet), transport.read(fleet.hosts));
}

void World::authorise(const Fleet& fleet) {
  for (const Host& host : fleet.hosts)
    transport.authorise(host, {.lineage = lineage, .epoch = run + 1, .holder = "me@here"});
}

Report World::execute(const Plan& plan, const Policy& policy,
                      std::function<Transition(Context, Change)> with) {
  journal.clear();
  authorise(plan.fleet);
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
