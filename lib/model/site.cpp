// SPDX-License-Identifier: LGPL-3.0-or-later
#include <tutti/site.hpp>

#include <arpa/inet.h>

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "model/check.hpp"
#include "support/describe.hpp"
#include "support/json.hpp"
#include "support/text.hpp"
#include <tutti/error.hpp>

namespace tutti {
namespace {

constexpr int ssh_port = 22;

/// One spelling of an address: `[::1]`, `0:0::1` and `::1` are one, and so are `DB1.example.` and
/// `db1.example`.
std::string in_one_spelling(std::string address) {
  if (address.size() > 2 && address.front() == '[' && address.back() == ']')
    address = address.substr(1, address.size() - 2);
  in6_addr bytes{};
  char text[INET6_ADDRSTRLEN] = {};
  if (::inet_pton(AF_INET6, address.c_str(), &bytes) == 1 &&
      ::inet_ntop(AF_INET6, &bytes, text, sizeof text) != nullptr)
    return text;
  if (address.ends_with('.')) address.pop_back();
  for (char& c : address)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return address;
}

/// Two names for one machine would each take away what the other one installed.
void check_addresses(const Fleet& fleet, const Platform& platform) {
  const bool is_local = platform.kind == Platform::Kind::local;
  std::map<std::pair<std::string, int>, const Host*> at;
  for (const Host& host : fleet.hosts) {
    const std::string& address = host.address.empty() ? host.name : host.address;
    const int port = host.port == 0 ? ssh_port : host.port;
    const auto [other, is_new] = at.emplace(std::pair(in_one_spelling(address), port), &host);
    if (is_new) continue;
    throw Error(
        ErrorCode::misuse,
        fmt::format("host '{}' of class '{}' and host '{}' of class '{}' have one address, {}{}: one "
                    "machine has one name and one class. Take one of them out, or correct its address",
                    other->second->name, other->second->host_class, host.name, host.host_class, address,
                    is_local ? "" : fmt::format(", and one port, {}", port)));
  }
}

}  // namespace

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

Inventory::Answer ask(const Site& site, const std::vector<std::string>& classes) {
  try {
    return site.host_class_to_hosts.ask(classes);
  } catch (const Error&) {
    throw;  // it says what and where
  } catch (...) {
    throw Error(ErrorCode::callback, fmt::format("the inventory of site '{}' failed: {}", escaped(site.name),
                                                 describe(std::current_exception())));
  }
}

}  // namespace

Fleet look_up(const Site& site) {
  if (!site.host_class_to_hosts)
    throw Error(ErrorCode::misuse,
                fmt::format("site '{}' has no inventory: give it one, such as a list of hosts or a file",
                            escaped(site.name)));
  std::vector<std::string> classes;
  for (const HostClass& host_class : site.host_classes) classes.push_back(host_class.name);
  Inventory::Answer answer = ask(site, classes);
  Fleet fleet{.notes = std::move(answer.notes)};
  std::map<std::string, std::string> class_of;
  for (const HostClass& host_class : site.host_classes) {
    for (Host& host : answer.hosts) {
      if (host.host_class != host_class.name) continue;
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
      host.labels.insert(host_class.labels.begin(), host_class.labels.end());
      fleet.hosts.push_back(host);
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
  check_addresses(fleet, site.platform);
  return fleet;
}

std::string source_hash(const Source& source) {
  return source.empty() ? "" : sha256(Json(source).dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace tutti
