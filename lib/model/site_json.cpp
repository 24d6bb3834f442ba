// SPDX-License-Identifier: LGPL-3.0-or-later
#include "model/site_json.hpp"

#include <set>
#include <utility>

#include <fmt/format.h>

#include "model/hooks.hpp"
#include "support/text.hpp"
#include <tutti/engine/not_built.hpp>

namespace tutti {
namespace {

std::string as_written(std::string key) {
  for (char& c : key)
    if (c == '_') c = '-';
  return key;
}

Text text_from_json(const Json& json, const std::string& where);

Item item_from_json(const Json& json, const std::string& where) {
  const Reader reader(json, where, {"name", "content", "executable", "local_file"});
  if (reader.has("local_file")) {
    try {
      return local_file(reader.text("local_file"));
    } catch (Error& error) { throw error.in(where); }
  }
  Text content = text_from_json(reader.at("content"), where);
  Item item;
  try {
    item = mixed_text_file(reader.text("name"), std::move(content));
  } catch (Error& error) { throw error.in(where); }
  item.executable = reader.flag("executable", false);
  return item;
}

Text text_from_json(const Json& json, const std::string& where) {
  if (json.is_string()) return json.get<std::string>();
  if (json.is_array()) {
    Text text;
    for (const Json& piece : json) text += text_from_json(piece, where);
    return text;
  }
  if (!json.is_object())
    throw Error(ErrorCode::misuse,
                fmt::format("{}: {} stands where a string is wanted", where, escaped(json.dump())));
  for (const char* later : {"secret", "by_slot", "guix_package", "nix_package"})
    if (json.contains(later)) throw_not_built(as_written(later), where);
  const Reader reader(json, where, {"setting", "data_directory", "item"});
  if (reader.has("setting")) return Setting{reader.text("setting")};
  if (reader.has("data_directory")) return DataDirectory{reader.text("data_directory")};
  return item_from_json(reader.at("item"), where);
}

Program program_from_json(const Json& json, const std::string& where) {
  if (json.is_object())
    if (json.contains("guix_service")) throw_not_built("guix-service", where);
  const Reader reader(json, where, {"argv", "script", "daemon", "unit", "limit"});
  std::vector<Text> argv;
  for (const Json& word : reader.array("argv")) argv.push_back(text_from_json(word, where));
  Program result = reader.has("script") ? script(item_from_json(reader.at("script"), where), std::move(argv))
                                        : program(std::move(argv));
  if (!result) throw Error(ErrorCode::misuse, where + ": a program needs at least the file to run");
  result.is_daemon = reader.flag("daemon", false);
  result.is_unit = reader.flag("unit", false);
  if (reader.has("limit")) result.limit = reader.number("limit", 0);
  return result;
}

std::vector<Requirement> requirements_from_json(const Json& json, const std::string& where,
                                                const std::string& declared) {
  std::vector<Requirement> requirements;
  for (const Json& one : json) {
    const Reader reader(one, where, {"service", "versions", "on_change", "scope", "label", "declared"});
    if (reader.has("label")) throw_not_built("#:label", where);
    requirements.push_back({.service = reader.text("service"),
                            .versions = reader.text("versions", "*"),
                            .on_change = reader.text("on_change", "nothing"),
                            .scope = reader.text("scope", "site"),
                            .declared = Declared(reader.text("declared", declared))});
  }
  return requirements;
}

std::map<std::string, std::string> strings_from_json(const Json& object, const std::string& where) {
  std::map<std::string, std::string> strings;
  for (const auto& [key, value] : object.items()) {
    if (!value.is_string())
      throw Error(ErrorCode::misuse, fmt::format("{}: '{}' is {}; a string is wanted", where, escaped(key),
                                                 escaped(value.dump())));
    strings.emplace(key, value.get<std::string>());
  }
  return strings;
}

std::vector<std::string> service_members() {
  std::vector<std::string> members{"name",
                                   "version",
                                   "payload",
                                   "files",
                                   "settings",
                                   "late_settings",
                                   "environment",
                                   "user",
                                   "endpoints",
                                   "slots",
                                   "one_shot",
                                   "hooks",
                                   "requirements",
                                   "connections",
                                   "placement",
                                   "switch_to_service",
                                   "switch_back",
                                   "remove_service",
                                   "before_rollout",
                                   "after_rollout",
                                   "limit",
                                   "declared",
                                   "own_transitions",
                                   "restart",
                                   "ready",
                                   "log",
                                   "stop_signal",
                                   "grace",
                                   "settle",
                                   "limits",
                                   "working_directory",
                                   "umask",
                                   "nice"};
  for (const HookField& hook : hook_fields) members.push_back(json_member(hook));
  return members;
}

/// One of `known` by its text.
template <class E, std::size_t n>
E one_of(const Reader& reader, const char* field, const E (&known)[n], E otherwise) {
  if (!reader.has(field)) return otherwise;
  const std::string given = reader.text(field);
  std::vector<std::string> names;
  for (const E one : known) {
    if (given == to_string(one)) return one;
    names.emplace_back(to_string(one));
  }
  reader.wrong(field, fmt::format("one of {}", fmt::join(names, ", ")).c_str());
}

void read_keeping(const Reader& reader, Service& service, const std::string& where) {
  service.restart =
      one_of(reader, "restart", {Restart::always, Restart::on_failure, Restart::never}, Restart::always);
  service.log = one_of(reader, "log", {LogTo::file, LogTo::journal}, LogTo::file);
  if (reader.has("ready")) {
    const Json& ready = reader.at("ready");
    if (ready == "notify")
      service.ready.when = Ready::When::told;
    else if (ready.is_object() && ready.contains("port") && ready["port"].is_string())
      service.ready = {.when = Ready::When::port, .endpoint = ready["port"].get<std::string>()};
    else if (ready != "validate")
      reader.wrong("ready", "\"validate\", \"notify\" or {\"port\": ENDPOINT}");
  }
  service.stop_signal = reader.text("stop_signal", service.stop_signal);
  service.grace = reader.number("grace", service.grace);
  if (reader.has("settle")) service.settle = reader.number("settle", 0);
  for (const auto& [name, value] : reader.object("limits").items()) {
    const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    try {
      service.limits.emplace(name, resource_limit(name, text));
    } catch (Error& error) { throw error.in(where); }
  }
  if (reader.has("working_directory"))
    service.working_directory = text_from_json(reader.at("working_directory"), where + ": working-directory");
  if (reader.has("umask")) service.umask = static_cast<unsigned>(reader.integer("umask", 0, 0, 07777));
  if (reader.has("nice")) service.nice = static_cast<int>(reader.integer("nice", 0, -100, 100));
}

Service service_from_json(const Json& json) {
  const std::string name = json.is_object() && json.contains("name") && json["name"].is_string()
                               ? json["name"].get<std::string>()
                               : "?";
  const std::string declared = json.is_object() && json.contains("declared") && json["declared"].is_string()
                                   ? fmt::format(" ({})", escaped(json["declared"].get<std::string>()))
                                   : "";
  const Reader reader(json, fmt::format("service '{}'{}", escaped(name), declared), service_members());
  const auto where = [&](const char* field) {
    return fmt::format("{}: {}", reader.where(), as_written(field));
  };
  for (const char* later : {"placement", "before_rollout", "after_rollout"})
    if (reader.has(later)) throw_not_built(as_written(later), reader.where());

  Service service{.name = reader.text("name"), .version = reader.text("version")};
  service.declared = Declared(reader.text("declared", ""));
  for (const Json& item : reader.array("payload"))
    service.payload.push_back(item_from_json(item, where("payload")));
  for (const Json& one : reader.array("files")) {
    const Reader file(one, where("files"), {"path", "content", "mode", "owner"});
    service.files.push_back({.path = text_from_json(file.at("path"), where("files")),
                             .content = text_from_json(file.at("content"), where("files")),
                             .mode = static_cast<unsigned>(file.integer("mode", 0644, 0, 07777)),
                             .owner = file.text("owner", "")});
  }
  service.settings = reader.flag("late_settings", false)
                         ? LateSettings::elsewhere()
                         : LateSettings(strings_from_json(reader.object("settings"), where("settings")));
  for (const auto& [key, value] : reader.object("environment").items())
    service.environment.emplace(key, text_from_json(value, where("environment")));
  service.user = reader.text("user", "");
  for (const Json& one : reader.array("endpoints")) {
    const Reader endpoint(one, where("endpoints"), {"name", "port"});
    service.endpoints.push_back(
        {endpoint.text("name"), text_from_json(endpoint.at("port"), where("endpoints"))});
  }
  service.slots = static_cast<int>(reader.integer("slots", 1, 1, 100));
  service.one_shot = reader.flag("one_shot", false);
  for (const HookField& hook : hook_fields)
    if (const std::string member = json_member(hook); reader.has(member.c_str()))
      service.*hook.program = program_from_json(reader.at(member.c_str()), where(member.c_str()));
  for (const auto& [key, value] : reader.object("hooks").items())
    service.hooks.emplace(key, program_from_json(value, where("hooks")));
  service.requirements =
      requirements_from_json(reader.array("requirements"), where("requirements"), service.declared.at);
  service.connections =
      requirements_from_json(reader.array("connections"), where("connections"), service.declared.at);
  // Transitions are named. Those of the site that have the name of a built-in one are listed.
  std::set<std::string> own;
  for (const Json& field : reader.array("own_transitions")) {
    if (!field.is_string()) reader.wrong("own_transitions", "a list of fields");
    own.insert(field.get<std::string>());
  }
  const auto transition = [&](const char* field, TransitionProcedure otherwise) {
    if (!reader.has(field)) return otherwise;
    TransitionProcedure procedure(reader.text(field));
    if (is_built_in(procedure.name) && !own.contains(field)) procedure.origin = Origin::built_in;
    return procedure;
  };
  service.switch_to_service = transition("switch_to_service", service.switch_to_service);
  service.switch_back = transition("switch_back", service.switch_back);
  service.remove_service = transition("remove_service", service.remove_service);
  service.limit = reader.number("limit", service.limit);
  read_keeping(reader, service, reader.where());
  return service;
}

HostClass host_class_from_json(const Json& json) {
  const Reader reader(json, "host class",
                      {"name", "services", "requirements", "labels", "declared", "size", "platform", "image",
                       "operating_system", "capacity", "change"});
  HostClass host_class{.name = reader.text("name")};
  const std::string where = fmt::format("host class '{}'", escaped(host_class.name));
  for (const char* later : {"size", "platform", "image", "operating_system", "capacity", "change"})
    if (reader.has(later)) throw_not_built(as_written(later), where);
  host_class.declared = Declared(reader.text("declared", ""));
  for (const Json& service : reader.array("services"))
    host_class.services.push_back(service_from_json(service));
  for (const Json& name : reader.array("requirements")) {
    if (!name.is_string()) reader.wrong("requirements", "a list of class names");
    host_class.requirements.push_back(name.get<std::string>());
  }
  host_class.labels = strings_from_json(reader.object("labels"), where + ": labels");
  return host_class;
}

Platform platform_from_json(const Json& json) {
  const Reader reader(json, "platform", {"kind", "directory", "user", "config"});
  if (reader.text("kind") == "local") return local_platform(reader.text("directory"));
  if (reader.text("kind") == "ssh") return ssh_platform(reader.text("user", ""), reader.text("config", ""));
  throw_not_built("platform", fmt::format("the kind '{}'", escaped(reader.text("kind"))));
}

Policy policy_from_json(const Json& json) {
  std::vector<Policy::Term> terms;
  const auto add = [&](const Policy& policy) {
    terms.insert(terms.end(), policy.terms().begin(), policy.terms().end());
  };
  for (const Json& term : json) {
    const Reader reader(term, "policy", {"at_most", "percent", "of", "ask", "number", "for_class", "policy"});
    if (reader.has("ask")) {
      const auto number = static_cast<std::uint32_t>(reader.integer("number", 0, 0, 1'000'000));
      terms.emplace_back(Policy::Ask{.name = reader.text("ask"), .number = number});
      continue;
    }
    if (reader.has("for_class")) {
      add(for_class(reader.text("for_class"), policy_from_json(reader.array("policy"))));
      continue;
    }
    const double bound = reader.number("at_most", 0);
    const std::string of = reader.text("of", "class");
    add(reader.flag("percent", false)
            ? at_most_percent(bound, of)
            : at_most(static_cast<int>(reader.integer("at_most", 0, 1, 1'000'000'000)), of));
  }
  return Policy(std::move(terms));
}

}  // namespace

Policy policy_from_json(std::string_view text) {
  const Json json = parse_json(text, "policy");
  if (!json.is_array()) throw Error(ErrorCode::misuse, "policy: a list of terms is wanted");
  return policy_from_json(json);
}

Host host_from_json(const Json& json, const std::string& where) {
  const bool is_named = json.is_object() && json.contains("name") && json["name"].is_string();
  const std::string named =
      is_named ? fmt::format("{} ('{}')", where, escaped(json["name"].get<std::string>())) : where;
  const Reader again(json, named, {"name", "class", "address", "port", "user", "become", "labels"});
  Host host{.name = again.text("name")};
  host.host_class = again.text("class");
  if (host.host_class.empty()) again.wrong("class", "the name of a host class");
  host.address = again.text("address", "");
  host.port = static_cast<int>(again.integer("port", 0, 0, 65535));
  host.user = again.text("user", "");
  host.become = again.text("become", "");
  host.labels = strings_from_json(again.object("labels"), named + ": labels");
  return host;
}

namespace {

/// Hosts that are written in `file`, which somebody else has read.
Inventory inventory_of(std::string file, std::vector<Host> hosts) {
  return Inventory(
      [file = std::move(file), hosts = std::move(hosts)](const std::vector<std::string>& classes) {
        return Inventory::Answer{.hosts = hosts, .notes = notes_on_classes(file, hosts, classes)};
      });
}

/// Each element is a host, or a file that has hosts: {"file": …}, a hosts.json, which is read when the
/// inventory is asked; {"file": …, "hosts": […]}, another one.
Inventory inventory_from_json(const Json& array) {
  std::vector<Inventory> parts;
  std::vector<Host> given;
  const auto end_of_given = [&] {
    if (given.empty()) return;
    parts.emplace_back([hosts = std::exchange(given, {})](const std::vector<std::string>&) {
      return Inventory::Answer{.hosts = hosts};
    });
  };
  for (const Json& one : array) {
    if (!one.is_object() || !one.contains("file")) {
      given.push_back(host_from_json(one, "the inventory"));
      continue;
    }
    end_of_given();
    const Reader reader(one, "the inventory", {"file", "hosts"});
    std::string file = reader.text("file");
    if (!reader.has("hosts")) {
      parts.push_back(inventory_file(std::move(file)));
      continue;
    }
    std::vector<Host> hosts;
    for (const Json& host : reader.array("hosts")) hosts.push_back(host_from_json(host, file));
    parts.push_back(inventory_of(std::move(file), std::move(hosts)));
  }
  end_of_given();
  return inventory_append(std::move(parts));
}

}  // namespace

Site site_from_json(std::string_view text) {
  const Json json = parse_json(text, "site");
  const Reader reader(
      json, "site",
      {"name", "host_classes", "services", "hosts", "platform", "policy", "source", "store", "state"});
  Site site{.name = reader.text("name")};
  const std::string where = fmt::format("site '{}'", escaped(site.name));
  if (!reader.array("services").empty())
    throw_not_built("a service that is listed in no class (placement)", where);
  for (const char* later : {"store", "state"})
    if (reader.has(later)) throw_not_built(later, where);
  try {
    for (const Json& host_class : reader.array("host_classes"))
      site.host_classes.push_back(host_class_from_json(host_class));
    site.host_class_to_hosts = inventory_from_json(reader.array("hosts"));
    if (reader.has("platform")) site.platform = platform_from_json(reader.at("platform"));
    if (reader.has("policy")) site.policy = policy_from_json(reader.array("policy"));
  } catch (Error& error) { throw error.in(where); }
  for (const auto& [file, text] : reader.object("source").items()) {
    if (!text.is_string()) reader.wrong("source", "an object of texts");
    site.source.emplace(file, text.get<std::string>());
  }
  return site;
}

}  // namespace tutti
