// Inventories that hold their hosts themselves: a list in the program, a data file.
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <memory>

#include <fmt/format.h>

#include "model/check.hpp"
#include "model/site_json.hpp"
#include "support/json.hpp"
#include "support/text.hpp"
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
  return [inventories = std::move(inventories)](const std::string& host_class) {
    std::vector<Host> all;
    for (const Inventory& inventory : inventories) {
      std::vector<Host> some = inventory(host_class);
      all.insert(all.end(), std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
    }
    return all;
  };
}

Inventory inventory_file(std::string path) {
  // Read once, when first asked: one fleet is one answer.
  auto hosts = std::make_shared<std::vector<Host>>();  // shared: an Inventory is copied with its Site
  auto is_read = std::make_shared<bool>(false);
  return [path = std::move(path), hosts, is_read](const std::string& host_class) {
    if (!*is_read) {
      *hosts = hosts_in_file(path);
      *is_read = true;
    }
    std::vector<Host> answer;
    for (const Host& host : *hosts)
      if (host.host_class == host_class) answer.push_back(host);
    return answer;
  };
}

}  // namespace tutti
