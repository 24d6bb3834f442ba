// SPDX-License-Identifier: LGPL-3.0-or-later
// Inventories that hold their hosts themselves: a list in the program, a data file.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <map>
#include <memory>

#include <fmt/format.h>

#include "model/check.hpp"
#include "model/site_json.hpp"
#include "support/json.hpp"
#include "support/text.hpp"
#include <tutti/error.hpp>
#include <tutti/site.hpp>

namespace tutti {
namespace {

std::string contents(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  std::string text;
  std::array<char, 65536> chunk{};
  while (file) {
    const std::size_t n = std::fread(chunk.data(), 1, chunk.size(), file.get());
    text.append(chunk.data(), n);
    if (n == 0 && !std::ferror(file.get())) return text;
    if (n == 0) break;  // a folder opens, and only reading it fails
  }
  throw Error(ErrorCode::misuse,
              fmt::format("{}: the inventory can't be read: {}", path, std::strerror(errno)));
}

}  // namespace

std::vector<Host> hosts_in_file(const std::string& path) {
  const Json json = parse_written_json(contents(path), path);
  const Reader reader(json, path, {"format_version", "hosts"});
  (void)reader.at("format_version");
  if (reader.integer("format_version", 0) != 1)
    reader.wrong("format_version", "1, which is all that this version reads,");
  (void)reader.at("hosts");
  std::vector<Host> all;
  std::map<std::string, std::size_t> position;
  for (const Json& one : reader.array("hosts")) {
    Host host = host_from_json(one, fmt::format("{}: host {}", path, all.size() + 1));
    check(host, fmt::format("{}: host {} ('{}')", path, all.size() + 1, escaped(host.name)));
    const auto [before, is_new] = position.emplace(host.name, all.size() + 1);
    if (!is_new)
      throw Error(
          ErrorCode::misuse,
          fmt::format(
              "{}: host {} ('{}'): host {} has that name already: a host is named once, and has one class",
              path, all.size() + 1, host.name, before->second));
    all.push_back(std::move(host));
  }
  return all;
}

Inventory inventory_list(std::map<std::string, std::vector<Host>> hosts) {
  return [hosts = std::move(hosts)](const std::string& host_class) {
    const auto found = hosts.find(host_class);
    return found == hosts.end() ? std::vector<Host>{} : found->second;
  };
}

Inventory inventory_append(std::vector<Inventory> inventories) {
  return Inventory([inventories = std::move(inventories)](const std::vector<std::string>& classes) {
    Inventory::Answer all;
    for (const Inventory& inventory : inventories) {
      Inventory::Answer some = inventory.ask(classes);
      std::move(some.hosts.begin(), some.hosts.end(), std::back_inserter(all.hosts));
      std::move(some.notes.begin(), some.notes.end(), std::back_inserter(all.notes));
    }
    return all;
  });
}

Inventory inventory_file(std::string path) {
  return Inventory([path = std::move(path)](const std::vector<std::string>& classes) {
    Inventory::Answer answer{.hosts = hosts_in_file(path)};
    answer.notes = notes_on_classes(path, answer.hosts, classes);
    return answer;
  });
}

std::vector<std::string> notes_on_classes(const std::string& where, const std::vector<Host>& hosts,
                                          const std::vector<std::string>& classes) {
  std::vector<std::string> foreign;  // in the order of their first hosts
  std::map<std::string, std::vector<std::string>> names;
  for (const Host& host : hosts) {
    if (std::find(classes.begin(), classes.end(), host.host_class) != classes.end()) continue;
    if (names[host.host_class].empty()) foreign.push_back(host.host_class);
    names[host.host_class].push_back(host.name);
  }
  std::vector<std::string> notes;
  for (const std::string& host_class : foreign) {
    const std::vector<std::string>& of_class = names[host_class];
    const std::string near = nearest(host_class, classes);
    notes.push_back(fmt::format("{}: host '{}'{} is of class '{}', which this site does not have{}", where,
                                of_class.front(),
                                of_class.size() == 1 ? "" : fmt::format(" and {} more", of_class.size() - 1),
                                host_class, near.empty() ? "" : fmt::format("; did you mean '{}'?", near)));
  }
  return notes;
}

}  // namespace tutti
