// SPDX-License-Identifier: LGPL-3.0-or-later
#include "model/check.hpp"

#include <algorithm>
#include <set>
#include <tuple>

#include <fmt/format.h>

#include "graph/graph.hpp"
#include "model/hooks.hpp"
#include "model/keeping.hpp"
#include "support/text.hpp"
#include <tutti/engine/not_built.hpp>
#include <tutti/error.hpp>

namespace tutti {
namespace {

std::string at(const Declared& declared) { return declared.at.empty() ? "" : declared.at + ": "; }

[[noreturn]] void misuse(const Declared& declared, const std::string& what) {
  throw Error(ErrorCode::misuse, at(declared) + what);
}

constexpr const char* name_rule =
    "a name has letters, digits and any of `._-`, at most 64, and begins with a letter or digit";

bool is_printable(const std::string& text) { return !text.empty() && is_utf8(text) && escaped(text) == text; }

bool is_variable(const std::string& name) {
  return !name.empty() && !(name[0] >= '0' && name[0] <= '9') &&
         name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") ==
             std::string::npos;
}

void check_relations(const Service& service, const std::vector<Requirement>& relations, const char* kind) {
  for (const Requirement& one : relations) {
    const std::string what = fmt::format("service '{}', {} '{}'", service.name, kind, escaped(one.service));
    if (one.versions != "*") throw_not_built("#:versions other than \"*\"", at(one.declared) + what);
    if (one.on_change != "nothing") throw_not_built("#:on-change", at(one.declared) + what);
    if (one.scope != "site") throw_not_built("#:scope", at(one.declared) + what);
  }
}

void check_service(const Service& s) {
  const std::string what = fmt::format("service '{}'", escaped(s.name));
  const auto wrong = [&](const std::string& why) { misuse(s.declared, what + ": " + why); };
  if (!is_name(s.name)) wrong(name_rule);
  if (!is_printable(s.version) || s.version.size() > 100)
    wrong("version is empty or has unprintable characters; give a string such as \"7\"");
  if (s.slots != 1) throw_not_built("slots other than 1", at(s.declared) + what);
  if (!s.user.empty() && !is_user(s.user)) wrong(fmt::format("user '{}' is no user name", escaped(s.user)));
  if (!(s.limit > 0 && s.limit <= 7 * 86400))
    wrong("limit is a number of seconds, more than 0 and at most a week");

  std::set<std::string> seen;
  for (const Endpoint& endpoint : s.endpoints) {
    if (!is_name(endpoint.name)) wrong(fmt::format("endpoint '{}': {}", escaped(endpoint.name), name_rule));
    if (!seen.insert(endpoint.name).second)
      wrong(fmt::format("endpoint '{}' is declared twice", endpoint.name));
  }
  for (const auto& [name, value] : s.environment)
    if (!is_variable(name))
      wrong(fmt::format("'{}' can't name an environment variable", escaped(name)));
    else if (name.starts_with("TUTTI_"))
      wrong(fmt::format("environment variable '{}': names that begin with TUTTI_ are the runner's", name));
  for (const File& file : s.files) {
    if (is_decimal_mode(file.mode))
      wrong(fmt::format("mode {} of a file is decimal, which is {:o} in octal: write 0{} or #o{}", file.mode,
                        file.mode, file.mode, file.mode));
    else if (file.mode > 07777)
      wrong(fmt::format("mode {:o} of a file is no mode: give e.g. 644 in octal", file.mode));
    if (!file.owner.empty() && !is_user(file.owner))
      wrong(fmt::format("owner '{}' of a file is no user name", escaped(file.owner)));
  }

  if (s.start.is_unit && s.stop) wrong("its start is a unit of systemd, which systemd stops: leave stop out");
  if (s.start.is_unit && s.one_shot) wrong("a unit can't be one-shot: give start a program that ends");
  if (s.start.is_daemon && s.stop)
    wrong("its start is a daemon, which the runner stops by itself (TERM, then KILL): leave stop out");
  if (s.start && !s.start.is_daemon && !s.start.is_unit && !s.stop && !s.one_shot)
    wrong("its start is a program that returns, so stop is required: give it a stop program, or make start a "
          "daemon, or the service one-shot");
  if (s.one_shot && s.start.is_daemon) wrong("a daemon can't be one-shot: give start a program that ends");
  if (s.one_shot && !s.start) wrong("it is one-shot but has no start");
  const auto check_limit = [&](const std::string& name, const Program& program) {
    if (program.limit && !(*program.limit > 0 && *program.limit <= 7 * 86400))
      wrong(fmt::format("the limit of {} is a number of seconds, more than 0 and at most a week", name));
  };
  for (const HookField& hook : hook_fields) {
    const std::string name = hook.program == &Service::alive ? "alive?" : hook.name;  // as people write it
    const Program& program = s.*hook.program;
    if (hook.program != &Service::start && program.is_daemon)
      wrong(fmt::format("{} can't be a daemon: only start can", name));
    if (hook.program != &Service::start && program.is_unit)
      wrong(fmt::format("{} can't be a unit: only start can", name));
    check_limit(name, program);
  }
  if (static_cast<bool>(s.drain) != static_cast<bool>(s.undrain))
    wrong(fmt::format("it has {} without {}: give both, so that what is held back is let go again",
                      s.drain ? "drain" : "undrain", s.drain ? "undrain" : "drain"));
  for (const auto& [name, program] : s.hooks) {
    if (!is_name(name)) wrong(fmt::format("hook '{}': {}", escaped(name), name_rule));
    if (std::any_of(std::begin(hook_fields), std::end(hook_fields),
                    [&](const HookField& hook) { return hook.name == name; }))
      wrong(fmt::format("hook '{}' has a field of its own: ({} …)", name, name));
    if (program.is_daemon) wrong(fmt::format("hook '{}' can't be a daemon: only start can", name));
    if (program.is_unit) wrong(fmt::format("hook '{}' can't be a unit: only start can", name));
    check_limit(fmt::format("hook '{}'", name), program);
  }
  try {
    check_keeping(s);
  } catch (const Error& error) { wrong(error.what()); }
  for (const TransitionProcedure* procedure : {&s.switch_to_service, &s.switch_back, &s.remove_service})
    if (!is_printable(procedure->name))
      wrong(fmt::format("'{}' can't name a transition", escaped(procedure->name)));
  if (s.switch_back.name != "same") throw_not_built("switch-back", at(s.declared) + what);
  check_relations(s, s.requirements, "requirement");
  check_relations(s, s.connections, "connection");
}

/// Whether two declarations say the same, as far as that can be compared: functions can't be.
bool is_same(const Service& a, const Service& b) {
  const auto names = [](const std::vector<Requirement>& relations) {
    std::set<std::string> all;
    for (const Requirement& one : relations) all.insert(one.service);
    return all;
  };
  const auto fields = [](const Service& s) {
    return std::tie(s.version, s.payload, s.settings.fixed(), s.environment, s.user, s.slots, s.one_shot,
                    s.hooks, s.switch_to_service.name, s.switch_back.name, s.remove_service.name, s.limit,
                    s.restart, s.ready, s.log, s.stop_signal, s.grace, s.settle, s.limits,
                    s.working_directory, s.umask, s.nice);
  };
  const auto same_file = [](const File& x, const File& y) {
    return std::tie(x.path, x.content, x.mode, x.owner) == std::tie(y.path, y.content, y.mode, y.owner);
  };
  const auto same_endpoint = [](const Endpoint& x, const Endpoint& y) {
    return std::tie(x.name, x.port) == std::tie(y.name, y.port);
  };
  const auto same_hook = [&](const HookField& hook) { return a.*hook.program == b.*hook.program; };
  return a.declared.at == b.declared.at && fields(a) == fields(b) &&
         std::all_of(std::begin(hook_fields), std::end(hook_fields), same_hook) &&
         names(a.requirements) == names(b.requirements) && names(a.connections) == names(b.connections) &&
         std::equal(a.files.begin(), a.files.end(), b.files.begin(), b.files.end(), same_file) &&
         std::equal(a.endpoints.begin(), a.endpoints.end(), b.endpoints.begin(), b.endpoints.end(),
                    same_endpoint);
}

void check_loops(const ServiceIndex& index, const std::string& site) {
  std::vector<const Service*> nodes;
  std::map<std::string, std::uint32_t> number;
  for (const auto& [name, entry] : index.services) {
    number.emplace(name, static_cast<std::uint32_t>(nodes.size()));
    nodes.push_back(entry.service);
  }
  Graph graph(nodes.size());
  for (const Service* service : nodes)
    for (const Requirement& one : service->requirements)
      if (one.service != service->name) graph.add_edge(number.at(service->name), number.at(one.service));
  const std::vector<std::uint32_t> loop = graph.loop();
  if (loop.empty()) return;
  std::string text = fmt::format("site '{}': requirements form a loop, so nothing can start first:", site);
  for (std::size_t i = 0; i < loop.size(); ++i) {
    const Service& from = *nodes[loop[i]];
    const std::string& to = nodes[loop[(i + 1) % loop.size()]]->name;
    const auto edge = std::find_if(from.requirements.begin(), from.requirements.end(),
                                   [&](const Requirement& r) { return r.service == to; });
    text += fmt::format("\n  '{}' requires '{}'{}", from.name, to,
                        edge->declared.at.empty() ? "" : fmt::format("  ({})", edge->declared.at));
  }
  throw Error(ErrorCode::misuse,
              text + "\nMake one of them a connection: it binds addresses and orders nothing.");
}

}  // namespace

const ServiceIndex::Entry& ServiceIndex::at(const std::string& name, const std::string& site,
                                            const std::string& where) const {
  if (const auto found = services.find(name); found != services.end()) return found->second;
  std::vector<std::string> known;
  for (const auto& [other, entry] : services) known.push_back(other);
  throw Error(ErrorCode::misuse, fmt::format("{}no service '{}' in site '{}'.{}", where, escaped(name), site,
                                             suggestion(name, known)));
}

ServiceIndex check(const Site& site) {
  if (!is_name(site.name))
    throw Error(ErrorCode::misuse, fmt::format("site '{}': {}", escaped(site.name), name_rule));
  ServiceIndex index;
  std::map<std::string, Declared> classes;
  for (const HostClass& host_class : site.host_classes) {
    const std::string what = fmt::format("host class '{}'", escaped(host_class.name));
    if (!is_name(host_class.name)) misuse(host_class.declared, what + ": " + name_rule);
    if (const auto [other, fresh] = classes.emplace(host_class.name, host_class.declared); !fresh)
      misuse(host_class.declared, fmt::format("{} is declared twice, here and at {}: give one another name",
                                              what, other->second.at));
    if (!host_class.requirements.empty())
      throw_not_built("requirements of a class", at(host_class.declared) + what);
    for (const Service& service : host_class.services) {
      check_service(service);
      auto [entry, fresh] = index.services.try_emplace(service.name, ServiceIndex::Entry{&service, {}});
      const Service& first = *entry->second.service;
      const bool in_this_class = !fresh && entry->second.classes.back() == host_class.name;
      // One service may be listed in several classes; a procedure may have made several at one place.
      if (in_this_class || (!fresh && !is_same(first, service)))
        misuse(service.declared,
               fmt::format("service '{}' is declared twice{}, here and at {}: give one another name",
                           service.name, in_this_class ? fmt::format(" in class '{}'", host_class.name) : "",
                           first.declared.at.empty() ? "another place" : first.declared.at));
      entry->second.classes.push_back(host_class.name);
    }
  }
  for (const auto& [name, entry] : index.services) {
    for (const Requirement& one : entry.service->requirements)
      (void)index.at(one.service, site.name,
                     fmt::format("{}'{}' requires '{}': ", at(one.declared), name, escaped(one.service)));
    for (const Requirement& one : entry.service->connections)
      (void)index.at(one.service, site.name,
                     fmt::format("{}'{}' connects to '{}': ", at(one.declared), name, escaped(one.service)));
  }
  check_loops(index, site.name);
  return index;
}

}  // namespace tutti
