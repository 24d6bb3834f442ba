// SPDX-License-Identifier: LGPL-3.0-or-later
#include <tutti/definition.hpp>

#include <algorithm>
#include <tuple>

#include <fmt/format.h>

#include "model/canonical.hpp"
#include "support/json.hpp"
#include "support/text.hpp"

namespace tutti {
namespace {

constexpr int format = 1;

bool is_running(const std::string& program) { return program == "start" || program == "stop"; }

void write(std::string& out, const Command& command) {
  ObjectWriter json(out);
  json.texts("argv", command.argv);
  if (command.is_daemon) json.flag("daemon", true);
  if (command.is_unit) json.flag("unit", true);
}

void write(std::string& out, const InstalledFile& file) {
  ObjectWriter json(out);
  json.text("item", file.item);
  json.integer("mode", file.mode);
  if (!file.owner.empty()) json.text("owner", file.owner);
  json.text("path", file.path);
}

void write_running(std::string& out, const Definition& d) {
  ObjectWriter json(out);
  if (!d.data_directories.empty()) json.texts("data_directories", d.data_directories);
  if (!d.directory.empty()) json.text("directory", d.directory);
  if (!d.endpoints.empty()) json.texts("endpoints", d.endpoints);
  if (!d.environment.empty()) json.texts("environment", d.environment);
  if (!d.files.empty()) {
    json.key("files") += '[';
    for (const InstalledFile& file : d.files) {
      if (&file != &d.files.front()) out += ',';
      write(out, file);
    }
    out += ']';
  }
  if (!d.limits.empty()) {
    ObjectWriter limits(json.key("limits"));
    for (const auto& [name, value] : d.limits) limits.integer(name, static_cast<std::int64_t>(value));
  }
  if (d.nice) json.integer("nice", *d.nice);
  if (d.one_shot) json.flag("one_shot", true);
  if (!d.payload.empty()) json.texts("payload", d.payload);
  json.text("service", d.service);
  for (const std::string name : {"start", "stop"})
    if (const auto program = d.programs.find(name); program != d.programs.end())
      write(json.key(name), program->second);
  if (d.stop_signal != "TERM") json.text("stop_signal", d.stop_signal);
  if (d.umask) json.integer("umask", *d.umask);
  if (!d.user.empty()) json.text("user", d.user);
  json.text("version", d.version);
}

void write_handling(std::string& out, const Definition& d) {
  const auto has_limit = [&](const auto& program) { return program.second.limit != d.limit; };
  const auto is_handling = [](const auto& program) { return !is_running(program.first); };
  ObjectWriter json(out);
  if (!d.connections.empty()) json.texts("connections", d.connections);
  if (d.grace != 10) json.number("grace", d.grace);
  if (!d.hook_items.empty()) json.texts("items", d.hook_items);
  if (d.limit != 600) json.number("limit", d.limit);
  if (std::any_of(d.programs.begin(), d.programs.end(), has_limit)) {
    ObjectWriter limits(json.key("limits"));
    for (const auto& program : d.programs)
      if (has_limit(program)) limits.number(program.first, program.second.limit);
  }
  if (d.log != LogTo::file) json.text("log", to_string(d.log));
  if (std::any_of(d.programs.begin(), d.programs.end(), is_handling)) {
    ObjectWriter programs(json.key("programs"));
    for (const auto& program : d.programs)
      if (is_handling(program)) write(programs.key(program.first), program.second);
  }
  if (d.ready.when == Ready::When::told) json.text("ready", "notify");
  if (d.ready.when == Ready::When::port) json.text("ready", d.ready.endpoint);
  if (d.remove_service != "remove-service") json.text("remove_service", d.remove_service);
  if (!d.requirements.empty()) json.texts("requirements", d.requirements);
  if (d.restart != Restart::always) json.text("restart", to_string(d.restart));
  if (d.settle) json.number("settle", *d.settle);
  if (d.switch_back != "same") json.text("switch_back", d.switch_back);
  if (d.switch_to_service != "replace-service") json.text("switch_to_service", d.switch_to_service);
}

void write_whole(std::string& out, const Definition& d) {
  ObjectWriter json(out);
  json.integer("format", format);
  write_handling(json.key("handling"), d);
  write_running(json.key("running"), d);
}

Restart restart_from(const std::string& text) {
  return text == "always" ? Restart::always : text == "on-failure" ? Restart::on_failure : Restart::never;
}

Ready ready_from(const std::string& text) {
  if (text == "notify") return {.when = Ready::When::told};
  return {.when = Ready::When::port, .endpoint = text};
}

Definition from_json(const Json& json) {
  if (json.value("format", 0) != format)
    throw Error(ErrorCode::misuse, fmt::format("a definition of format {} was met; this version knows {}",
                                               json.value("format", 0), format));
  const Json& r = json.at("running");
  const Json& h = json.at("handling");
  Definition d{.service = r.at("service"), .version = r.at("version")};
  d.payload = r.value("payload", d.payload);
  for (const Json& file : r.value("files", Json::array()))
    d.files.push_back({.path = file.at("path"),
                       .item = file.at("item"),
                       .mode = file.at("mode"),
                       .owner = file.value("owner", "")});
  d.data_directories = r.value("data_directories", d.data_directories);
  d.environment = r.value("environment", d.environment);
  d.user = r.value("user", "");
  d.directory = r.value("directory", "");
  d.endpoints = r.value("endpoints", d.endpoints);
  d.one_shot = r.value("one_shot", false);
  d.limits = r.value("limits", d.limits);
  if (r.contains("umask")) d.umask = r.at("umask").get<unsigned>();
  if (r.contains("nice")) d.nice = r.at("nice").get<int>();
  d.stop_signal = r.value("stop_signal", d.stop_signal);
  d.hook_items = h.value("items", d.hook_items);
  d.requirements = h.value("requirements", d.requirements);
  d.connections = h.value("connections", d.connections);
  d.switch_to_service = h.value("switch_to_service", d.switch_to_service);
  d.switch_back = h.value("switch_back", d.switch_back);
  d.remove_service = h.value("remove_service", d.remove_service);
  d.limit = h.value("limit", d.limit);
  d.restart = restart_from(h.value("restart", "always"));
  if (h.contains("ready")) d.ready = ready_from(h.at("ready"));
  if (h.value("log", "file") == "journal") d.log = LogTo::journal;
  d.grace = h.value("grace", d.grace);
  if (h.contains("settle")) d.settle = h.at("settle").get<double>();
  const Json programs = h.value("programs", Json::object());
  const Json limits = h.value("limits", Json::object());
  const auto take = [&](const std::string& name, const Json& program) {
    d.programs[name] = {.argv = program.at("argv"),
                        .environment = d.environment,
                        .user = d.user,
                        .directory = d.directory,
                        .limit = limits.value(name, d.limit),
                        .service = d.title(),
                        .hook = name,
                        .is_daemon = program.value("daemon", false),
                        .is_unit = program.value("unit", false)};
  };
  for (const auto& [name, program] : programs.items()) take(name, program);
  for (const char* name : {"start", "stop"})
    if (r.contains(name)) take(name, r[name]);
  return d;
}

/// The number of a run: one that can be counted on from.
int counted(const Json& json, const char* key) {
  constexpr std::int64_t most = 1'000'000'000;
  const Json number = json.value(key, Json(0));
  if (!number.is_number_integer() || number < 0 || number > most)
    throw Error(ErrorCode::misuse,
                fmt::format("a manifest entry whose {} is {}", key, escaped(number.dump())));
  return number.get<int>();
}

}  // namespace

const char* to_string(ManifestEntry::State state) noexcept {
  switch (state) {
    case ManifestEntry::State::deployed: return "deployed";
    case ManifestEntry::State::changing: return "changing";
    case ManifestEntry::State::failed: return "failed";
  }
  return "failed";
}

Command Definition::hook(const std::string& name) const {
  if (const auto found = programs.find(name); found != programs.end()) return found->second;
  std::vector<std::string> known;
  for (const auto& [hook, program] : programs) known.push_back(hook);
  std::string list = known.empty() ? "none" : fmt::format("{}", fmt::join(known, ", "));
  const std::string near = nearest(name, known);
  throw Error(ErrorCode::misuse,
              fmt::format("{} has no hook '{}'; it has {}.{}", title(), escaped(name), list,
                          near.empty() ? "" : fmt::format(" Did you mean '{}'?", near)));
}

Command Definition::hook_about(const std::string& name, const std::string& address) const {
  Command command = hook(name);
  for (std::string& word : command.argv)
    for (auto at = word.find(drained_mark); at != std::string::npos;
         at = word.find(drained_mark, at + address.size()))
      word.replace(at, drained_mark.size(), address);
  return command;
}

bool Definition::is_daemon() const {
  const auto start = programs.find("start");
  return start != programs.end() && (start->second.is_daemon || start->second.is_unit);
}

const std::string* Definition::unit() const {
  const auto start = programs.find("start");
  return start != programs.end() && start->second.is_unit ? &start->second.argv.front() : nullptr;
}

double Definition::settle_seconds() const {
  return settle.value_or(one_shot || has_hook("validate") ? 0 : 1);
}

std::vector<std::string> Definition::items() const {
  std::vector<std::string> all = payload;
  all.insert(all.end(), hook_items.begin(), hook_items.end());
  for (const InstalledFile& file : files) all.push_back(file.item);
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

std::string canonical(const Definition& d) {
  thread_local std::string text;  // kept: what grows piece by piece takes as long as writing it
  text.clear();
  write_whole(text, d);
  return text;
}
std::string running_hash(const Definition& d) {
  std::string text;
  write_running(text, d);
  return sha256(text);
}

Definition definition_from_json(std::string_view text) {
  const Json json = parse_json(text, "definition");
  try {
    return from_json(json);
  } catch (const Json::exception& e) {
    throw Error(ErrorCode::misuse, fmt::format("malformed definition: {}", e.what()));
  }
}

std::string ManifestEntry::to_json() const {
  return tutti::to_json(*this, old_definition ? canonical(*old_definition) : "",
                        new_definition ? canonical(*new_definition) : "");
}

std::string to_json(const ManifestEntry& entry, const std::string& old_form, const std::string& new_form) {
  std::string text;
  text.reserve(old_form.size() + new_form.size() + 256);
  {
    ObjectWriter json(text);
    if (!entry.drained.empty()) json.texts("drained", entry.drained);
    json.integer("format", format);
    json.integer("generation", entry.generation);
    json.text("lineage", entry.lineage);
    if (!new_form.empty()) json.key("new") += new_form;
    if (!old_form.empty()) json.key("old") += old_form;
    json.integer("run", entry.run);
    json.text("service", entry.service);
    json.text("state", to_string(entry.state));
    json.number("time", entry.time);
    json.text("transition", entry.transition);
  }
  return text;
}

namespace {

/// `definition` gives what the entry holds under "old" and "new".
template <class F> ManifestEntry read_entry(std::string_view text, F&& definition) {
  const Json json = parse_json(text, "manifest entry");
  try {
    if (json.value("format", 0) != format)
      throw Error(ErrorCode::misuse,
                  fmt::format("a manifest entry of format {} was met; this version knows {}: was "
                              "it written by a newer Tutti?",
                              json.value("format", 0), format));
    ManifestEntry entry{.service = json.at("service"),
                        .transition = json.value("transition", ""),
                        .lineage = json.value("lineage", ""),
                        .run = counted(json, "run"),
                        .generation = counted(json, "generation"),
                        .time = json.value("time", 0.0)};
    entry.drained = json.value("drained", entry.drained);
    const std::string state = json.at("state");
    entry.state = state == "deployed"   ? ManifestEntry::State::deployed
                  : state == "changing" ? ManifestEntry::State::changing
                                        : ManifestEntry::State::failed;
    entry.old_definition = definition(json, "old");
    entry.new_definition = definition(json, "new");
    // What a host says is only what a host says.
    if (entry.state == ManifestEntry::State::deployed && !entry.new_definition)
      throw Error(ErrorCode::misuse, "a manifest entry says `deployed`, and not what");
    for (const DefinitionPtr& one : {entry.old_definition, entry.new_definition})
      if (one && one->service != entry.service)
        throw Error(ErrorCode::misuse, fmt::format("the manifest entry of '{}' holds a definition of '{}'",
                                                   escaped(entry.service), escaped(one->service)));
    return entry;
  } catch (const Json::exception& e) {
    throw Error(ErrorCode::misuse, fmt::format("malformed manifest entry: {}", e.what()));
  }
}

bool is_same(const DefinitionPtr& a, const DefinitionPtr& b) { return a == b || (a && b && *a == *b); }

}  // namespace

ManifestEntry ManifestEntry::from_json(std::string_view text) {
  return read_entry(text, [](const Json& json, const char* key) {
    return json.contains(key) ? std::make_shared<const Definition>(tutti::from_json(json[key]))
                              : DefinitionPtr{};
  });
}

ManifestEntry manifest_entry_from_json(std::string_view text, DefinitionPtr old_definition,
                                       DefinitionPtr new_definition) {
  return read_entry(text, [&](const Json&, std::string_view key) {
    return std::move(key == "old" ? old_definition : new_definition);
  });
}

bool ManifestEntry::operator==(const ManifestEntry& other) const {
  const auto rest = [](const ManifestEntry& e) {
    return std::tie(e.state, e.service, e.transition, e.lineage, e.run, e.generation, e.time, e.drained);
  };
  return rest(*this) == rest(other) && is_same(old_definition, other.old_definition) &&
         is_same(new_definition, other.new_definition);
}

}  // namespace tutti
