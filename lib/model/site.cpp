#include <tutti/site.hpp>

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "model/check.hpp"
#include "support/describe.hpp"
#include "support/json.hpp"
#include "support/text.hpp"
#include <tutti/error.hpp>

namespace tutti {

void check(const Host& host, const std::string& where) {
  const auto wrong = [&](const std::string& what) {
    throw Error(ErrorCode::misuse, fmt::format("{}: {}", where, what));
  };
  constexpr const char* rule =
      "a name has letters, digits and any of `._-`, at most 64, and begins with a letter or digit";
  if (!is_name(host.name)) wrong(rule);
  if (!host.host_class.empty() && !is_name(host.host_class))
    wrong(fmt::format("class '{}': {}", escaped(host.host_class), rule));
  if (!host.address.empty() && !is_address(host.address))
    wrong(fmt::format("'{}' is no address: give a host name or an IP address", escaped(host.address)));
  if (host.port < 0 || host.port > 65535) wrong(fmt::format("{} is no port: give 1 to 65535", host.port));
  if (!host.user.empty() && !is_user(host.user))
    wrong(fmt::format("'{}' is no user name", escaped(host.user)));
  for (const char* word : {"class", "site"})
    if (host.labels.contains(word))
      wrong(fmt::format("'{}' can't be a label: it has a meaning of its own", word));
  if (!host.become.empty() && host.become != "sudo" && host.become != "doas")
    wrong(fmt::format("become is '{}'; 'sudo' or 'doas' is wanted", escaped(host.become)));
}

std::string Host::label(const std::string& key) const {
  if (key == "class") return host_class;
  const auto found = labels.find(key);
  return found == labels.end() ? "" : found->second;
}

const Host* Fleet::find(const std::string& name) const noexcept {
  const auto found = std::find_if(hosts.begin(), hosts.end(), [&](const Host& h) { return h.name == name; });
  return found == hosts.end() ? nullptr : &*found;
}

const Host& Fleet::at(const std::string& name) const {
  if (const Host* host = find(name)) return *host;
  std::vector<std::string> known;
  for (const Host& host : hosts) known.push_back(host.name);
  throw Error(ErrorCode::misuse,
              fmt::format("no host '{}' in the fleet.{}", escaped(name), suggestion(name, known)));
}

namespace {

std::vector<Host> ask(const Site& site, const std::string& host_class) {
  try {
    return site.host_class_to_hosts(host_class);
  } catch (const Error&) {
    throw;  // it says what and where
  } catch (...) {
    throw Error(ErrorCode::callback,
                fmt::format("the inventory of site '{}' failed for class '{}': {}", escaped(site.name),
                            host_class, tutti::describe(std::current_exception())));
  }
}

}  // namespace

Fleet look_up(const Site& site) {
  if (!site.host_class_to_hosts)
    throw Error(
        ErrorCode::misuse,
        fmt::format(
            "site '{}' has no inventory: give host-class->hosts, e.g. (inventory-file \"hosts.json\")",
            escaped(site.name)));
  Fleet fleet;
  std::map<std::string, std::string> class_of;
  for (const HostClass& host_class : site.host_classes) {
    for (Host host : ask(site, host_class.name)) {
      check(host, fmt::format("host '{}' of class '{}'", escaped(host.name), host_class.name));
      const auto [before, is_new] = class_of.emplace(host.name, host_class.name);
      if (!is_new && before->second == host_class.name)
        throw Error(ErrorCode::misuse, fmt::format("the inventory names host '{}' of class '{}' twice",
                                                   host.name, host_class.name));
      if (!is_new)
        throw Error(
            ErrorCode::misuse,
            fmt::format("host '{}' is in two classes, '{}' and '{}': a host has exactly one. Make one class "
                        "of both roles, or take the host out of one",
                        host.name, before->second, host_class.name));
      host.host_class = host_class.name;
      host.labels.insert(host_class.labels.begin(), host_class.labels.end());
      fleet.hosts.push_back(std::move(host));
    }
  }
  if (site.platform.kind == Platform::Kind::local) {
    int n = 0;
    for (Host& host : fleet.hosts) {
      ++n;
      if (host.address.empty())
        host.address = fmt::format("127.0.{}.{}", 1 + (n - 1) / 254, 1 + (n - 1) % 254);
    }
  }
  return fleet;
}

std::string source_hash(const Source& source) {
  return source.empty() ? "" : sha256(Json(source).dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace tutti
