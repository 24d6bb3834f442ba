#include <tutti/definition.hpp>

#include <algorithm>

#include <fmt/format.h>

#include "support/json.hpp"
#include "support/text.hpp"

namespace tutti {
namespace {

constexpr int format = 1;

bool is_running(const std::string& program) { return program == "start" || program == "stop"; }

Json to_json(const Command& command) {
  Json json{{"argv", command.argv}};
  if (command.is_daemon) json["daemon"] = true;
  return json;
}

template <class T>
void put(Json& json, const char* key, const T& value, const T& otherwise = {}) {
  if (value != otherwise) json[key] = value;
}

Json running(const Definition& d) {
  Json json{{"service", d.service}, {"version", d.version}};
  put(json, "payload", d.payload);
  for (const InstalledFile& file : d.files) {
    Json one{{"path", file.path}, {"item", file.item}, {"mode", file.mode}};
    put(one, "owner", file.owner);
    json["files"].push_back(std::move(one));
  }
  put(json, "data_directories", d.data_directories);
  put(json, "environment", d.environment);
  put(json, "user", d.user);
  put(json, "directory", d.directory);
  put(json, "endpoints", d.endpoints);
  put(json, "one_shot", d.one_shot);
  for (const auto& [name, program] : d.programs)
    if (is_running(name)) json[name] = to_json(program);
  return json;
}

Json handling(const Definition& d) {
  Json json = Json::object();
  for (const auto& [name, program] : d.programs) {
    if (!is_running(name)) json["programs"][name] = to_json(program);
    if (program.limit != d.limit) json["limits"][name] = program.limit;
  }
  put(json, "items", d.hook_items);
  put(json, "requirements", d.requirements);
  put(json, "connections", d.connections);
  put<std::string>(json, "switch_to_service", d.switch_to_service, "replace-service");
  put<std::string>(json, "switch_back", d.switch_back, "same");
  put<std::string>(json, "remove_service", d.remove_service, "remove-service");
  put(json, "limit", d.limit, 600.0);
  return json;
}

Json whole(const Definition& d) {
  return {{"format", format}, {"running", running(d)}, {"handling", handling(d)}};
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
    d.files.push_back({.path = file.at("path"), .item = file.at("item"), .mode = file.at("mode"), .owner = file.value("owner", "")});
  d.data_directories = r.value("data_directories", d.data_directories);
  d.environment = r.value("environment", d.environment);
  d.user = r.value("user", "");
  d.directory = r.value("directory", "");
  d.endpoints = r.value("endpoints", d.endpoints);
  d.one_shot = r.value("one_shot", false);
  d.hook_items = h.value("items", d.hook_items);
  d.requirements = h.value("requirements", d.requirements);
  d.connections = h.value("connections", d.connections);
  d.switch_to_service = h.value("switch_to_service", d.switch_to_service);
  d.switch_back = h.value("switch_back", d.switch_back);
  d.remove_service = h.value("remove_service", d.remove_service);
  d.limit = h.value("limit", d.limit);
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
                        .is_daemon = program.value("daemon", false)};
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
    throw Error(ErrorCode::misuse, fmt::format("a manifest entry whose {} is {}", key, escaped(number.dump())));
  return number.get<int>();
}

const char* to_string(ManifestEntry::State state) {
  switch (state) {
    case ManifestEntry::State::deployed: return "deployed";
    case ManifestEntry::State::changing: return "changing";
    case ManifestEntry::State::failed: return "failed";
  }
  return "failed";
}

}  // namespace

Command Definition::hook(const std::string& name) const {
  if (const auto found = programs.find(name); found != programs.end()) return found->second;
  std::vector<std::string> known;
  for (const auto& [hook, program] : programs) known.push_back(hook);
  std::string list = known.empty() ? "none" : fmt::format("{}", fmt::join(known, ", "));
  const std::string near = nearest(name, known);
  throw Error(ErrorCode::misuse, fmt::format("{} has no hook '{}'; it has {}.{}", title(), escaped(name), list,
                                             near.empty() ? "" : fmt::format(" Did you mean '{}'?", near)));
}

Command Definition::hook_about(const std::string& name, const std::string& address) const {
  Command command = hook(name);
  for (std::string& word : command.argv)
    for (auto at = word.find(drained_mark); at != std::string::npos; at = word.find(drained_mark, at + address.size()))
      word.replace(at, drained_mark.size(), address);
  return command;
}

bool Definition::is_daemon() const {
  const auto start = programs.find("start");
  return start != programs.end() && start->second.is_daemon;
}

std::vector<std::string> Definition::items() const {
  std::vector<std::string> all = payload;
  all.insert(all.end(), hook_items.begin(), hook_items.end());
  for (const InstalledFile& file : files) all.push_back(file.item);
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

std::string canonical(const Definition& d) { return whole(d).dump(); }
std::string running_hash(const Definition& d) { return sha256(running(d).dump()); }

Definition definition_from_json(std::string_view text) {
  const Json json = parse_json(text, "definition");
  try {
    return from_json(json);
  } catch (const Json::exception& e) {
    throw Error(ErrorCode::misuse, fmt::format("malformed definition: {}", e.what()));
  }
}

std::string ManifestEntry::to_json() const {
  Json json{{"format", format},     {"service", service}, {"state", to_string(state)}, {"transition", transition},
            {"lineage", lineage},   {"run", run},         {"generation", generation},  {"time", time}};
  if (!drained.empty()) json["drained"] = drained;
  if (old_definition) json["old"] = whole(*old_definition);
  if (new_definition) json["new"] = whole(*new_definition);
  return json.dump();
}

ManifestEntry ManifestEntry::from_json(std::string_view text) {
  const Json json = parse_json(text, "manifest entry");
  try {
    if (json.value("format", 0) != format)
      throw Error(ErrorCode::misuse, fmt::format("a manifest entry of format {} was met; this version knows {}: was "
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
    entry.state = state == "deployed"   ? State::deployed
                  : state == "changing" ? State::changing
                                        : State::failed;
    const auto definition = [&](const char* key) {
      return json.contains(key) ? std::make_shared<const Definition>(tutti::from_json(json[key])) : DefinitionPtr{};
    };
    entry.old_definition = definition("old");
    entry.new_definition = definition("new");
    // What a host says is only what a host says.
    if (entry.state == State::deployed && !entry.new_definition)
      throw Error(ErrorCode::misuse, "a manifest entry says `deployed`, and not what");
    for (const DefinitionPtr& one : {entry.old_definition, entry.new_definition})
      if (one && one->service != entry.service)
        throw Error(ErrorCode::misuse, fmt::format("the manifest entry of '{}' holds a definition of '{}'", escaped(entry.service),
                                                   escaped(one->service)));
    return entry;
  } catch (const Json::exception& e) {
    throw Error(ErrorCode::misuse, fmt::format("malformed manifest entry: {}", e.what()));
  }
}

}  // namespace tutti
