// Inventories that hold their hosts themselves: a list in the program, a data file.
#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>

#include <fmt/format.h>

#include "model/site_json.hpp"
#include "support/json.hpp"
#include <tutti/site.hpp>

namespace tutti {

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
      std::ifstream file(path, std::ios::binary);
      std::ostringstream bytes;  // a folder opens, and only reading it fails
      if (!file || !(bytes << file.rdbuf()))
        throw Error(ErrorCode::misuse, fmt::format("inventory '{}' can't be read: is there such a file?", path));
      const std::string text = std::move(bytes).str();
      const Json json = parse_json(text, path);
      const Reader reader(json, path, {"format_version", "hosts"});
      if (!reader.has("format_version") || reader.integer("format_version", 0) != 1)
        throw Error(ErrorCode::misuse, fmt::format("{}: 'format_version' must be 1", path));
      if (!reader.has("hosts")) throw Error(ErrorCode::misuse, fmt::format("{}: 'hosts' is missing", path));
      std::vector<Host> all;
      for (const Json& host : reader.array("hosts")) all.push_back(host_from_json(host, fmt::format("{}: host {}", path, all.size() + 1)));
      *hosts = std::move(all);
      *is_read = true;
    }
    std::vector<Host> answer;
    for (const Host& host : *hosts)
      if (host.host_class == host_class) answer.push_back(host);
    return answer;
  };
}

}  // namespace tutti
