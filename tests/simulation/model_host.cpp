// SPDX-License-Identifier: LGPL-3.0-or-later
#include "simulation/model_host.hpp"

#include <utility>

#include "simulation/model_site.hpp"

namespace tutti::simulation {

void ModelRunner::ask(frames::Frame frame, std::function<void(frames::Answer)> answered) {
  site_.ask(shared_from_this(), std::move(frame),
            [self = shared_from_this(), answered = std::move(answered)](frames::Answer answer) {
              if (self->living_) answered(std::move(answer));
            });
}

void ModelRunner::kill() {
  if (!std::exchange(living_, false)) return;
  held_ = false;
  if (on_end) on_end();
}

ModelHost::ModelHost(Agenda& agenda, std::string root) : agenda_(agenda), root_(std::move(root)) {
  folders.insert(root_.empty() ? "/" : root_);
  folders.insert("/");
}
ModelHost::~ModelHost() {
  for (const auto& process : processes) process->then = nullptr;  // each holds the effect that holds it
}

ModelSite& ModelHost::site(const std::string& name) {
  auto& one = sites_[name];
  if (!one) one = std::make_unique<ModelSite>(*this, name);
  return *one;
}

std::shared_ptr<ModelRunner> ModelHost::connect(const std::string& name) {
  return std::make_shared<ModelRunner>(*this, site(name), ++last_pid_);
}

void ModelHost::lose_records(const std::string& name) { site(name).lose_records(); }
void ModelHost::lose_fence(const std::string& name) { site(name).fence.reset(); }
bool ModelHost::has_state() const {
  for (const auto& [name, one] : sites_)
    if (!one->nonce.empty()) return true;
  return false;
}

const std::map<std::string, std::string>& ModelHost::manifest(const std::string& name) {
  return site(name).manifest();
}
void ModelHost::write_manifest(const std::string& name, const std::map<std::string, std::string>& entries) {
  site(name).write_manifest(entries);
}
bool ModelHost::is_running(const std::string& name, const std::string& service) {
  return site(name).daemon_lives(service);
}
void ModelHost::run_daemon(const std::string& name, const std::string& service,
                           const std::string& definition) {
  site(name).run_daemon(service, definition, {});
}
void ModelHost::end_daemon(const std::string& name, const std::string& service) {
  site(name).end_daemon(service);
}

bool ModelHost::is_folder(const std::string& path) const { return folders.contains(path); }

void ModelHost::make_folder(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  if (path.empty() || !folders.insert(path).second) return;
  make_folder(path.substr(0, path.rfind('/')));
}

const File* ModelHost::find_item(const std::string& name) {
  if (const auto found = items.find(name); found != items.end()) return &found->second;
  auto invented = invent_item ? invent_item(name) : std::nullopt;
  return invented ? &(items[name] = std::move(*invented)) : nullptr;
}

ProcessPtr ModelHost::start(const frames::Program& program, std::string input, bool is_daemon) {
  auto process = std::make_shared<Process>();
  processes.push_back(process);
  process->name = program.argv.empty() ? "" : program.argv.back();
  process->input = std::move(input);
  std::optional<Script> script;
  if (const auto known = programs.find(program.argv); known != programs.end()) script = known->second;
  const std::string first = program.argv.empty() ? "" : program.argv.front();
  if (!script && first == "true") script = Script{};
  if (!script && first == "false") script = Script{leave(1)};
  if (!script && first == "cat") script = Script{copy_input()};
  if (!script && first == "sleep") script = Script{nap(std::stod(program.argv.at(1)))};
  if (!script && otherwise) script = otherwise(program.argv, is_daemon);
  if (!script) script = Script{complain(first + ": not found\n"), leave(127)};
  // It is there before it does anything: whoever starts it can know it first.
  agenda_.after(
      0, [this, process, script = std::move(*script)]() mutable { play(process, std::move(script), 0); });
  return process;
}

void ModelHost::play(const ProcessPtr& process, Script script, std::size_t from) {
  for (std::size_t i = from; process->living && i < script.size(); ++i) {
    const Act& act = script[i];
    switch (act.kind) {
      case Act::Kind::say: process->out += act.text; break;
      case Act::Kind::complain: process->err += act.text; break;
      case Act::Kind::copy_input: process->out += process->input; break;
      case Act::Kind::append: files[act.path].bytes += act.text; break;
      case Act::Kind::remove: files.erase(act.path); break;
      case Act::Kind::need:
        if (!files.contains(act.path)) end(process, 1);
        break;
      case Act::Kind::leave: end(process, act.status); break;
      case Act::Kind::nap:
        return agenda_.after(act.seconds, [this, process, script = std::move(script), i]() mutable {
          play(process, std::move(script), i + 1);
        });
    }
  }
  end(process, 0);
}

void ModelHost::end(const ProcessPtr& process, int status) {
  if (!process->living) return;
  process->living = false;
  process->status = status;
  std::erase(processes, process);
  if (const auto then = std::exchange(process->then, nullptr)) then();
}

}  // namespace tutti::simulation
