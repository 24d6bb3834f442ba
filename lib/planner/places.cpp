// SPDX-License-Identifier: LGPL-3.0-or-later
#include "planner/places.hpp"

#include <algorithm>
#include <map>
#include <tuple>

#include <fmt/format.h>

#include "support/text.hpp"
#include <tutti/error.hpp>

namespace tutti {
namespace {

bool has_file(const DefinitionPtr& definition, const std::string& path) {
  return definition && std::any_of(definition->files.begin(), definition->files.end(),
                                   [&](const InstalledFile& file) { return file.path == path; });
}

const char* name(Found::What what) {
  switch (what) {
    case Found::What::file: return "a file";
    case Found::What::link: return "a link";
    case Found::What::directory: return "a directory";
    case Found::What::other: return "a device, a socket or a FIFO";
    case Found::What::unreachable:
    case Found::What::service:
    case Found::What::site: break;
  }
  return "";
}

/// "web@h1", "web on h1, h2", "web on 12 hosts (h1, h2, h3, …)".
std::string instances(const std::string& service, std::vector<std::string> hosts) {
  constexpr std::size_t most = 3;
  if (hosts.size() == 1) return service + "@" + hosts.front();
  if (hosts.size() <= most) return fmt::format("{} on {}", service, fmt::join(hosts, ", "));
  const std::size_t all = hosts.size();
  hosts.resize(most);
  return fmt::format("{} on {} hosts ({}, …)", service, all, fmt::join(hosts, ", "));
}

}  // namespace

void note_places(Plan& plan) {
  // Hosts about which the same is to be said are told together.
  std::map<std::tuple<std::string, std::string, Found::What>, std::vector<std::string>> found;
  for (const Step& step : plan.steps) {
    if (step.action == Action::join || !step.new_definition) continue;
    const auto& paths = plan.readings.at(step.host).paths;
    for (const InstalledFile& file : step.new_definition->files) {
      const auto there = paths.find(file.path);
      if (there == paths.end() || has_file(step.old_definition, file.path) ||
          has_file(step.left_over, file.path))
        continue;
      if (there->second.what == Found::What::site)
        throw Error(
            ErrorCode::misuse,
            fmt::format(
                "host '{}': '{}' is to have the file '{}', which '{}' of the site '{}' has there: a path "
                "belongs to one service of one site. Give one of them another path",
                step.host, step.service, file.path, escaped(there->second.service),
                escaped(there->second.site)));
      found[{step.service, file.path, there->second.what}].push_back(step.host);
    }
  }
  for (const auto& [what, hosts] : found) {
    const auto& [service, path, kind] = what;
    if (kind == Found::What::file || kind == Found::What::link)
      plan.notes.push_back(
          fmt::format("{} takes over {} ({} is there): it is kept and comes back when {} goes",
                      instances(service, hosts), path, name(kind), service));
    if (kind == Found::What::directory || kind == Found::What::other)
      plan.notes.push_back(fmt::format("{} is to have the file {}, but {} is there: move it away first",
                                       instances(service, hosts), path, name(kind)));
  }
}

}  // namespace tutti
