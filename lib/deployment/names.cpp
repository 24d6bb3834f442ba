// SPDX-License-Identifier: LGPL-3.0-or-later
#include "deployment/names.hpp"

#include <map>

#include <fmt/format.h>

#include <tutti/error.hpp>

namespace tutti {
namespace {

std::string with_address(const Host& host) {
  return host.address.empty() || host.address == host.name
             ? fmt::format("'{}'", host.name)
             : fmt::format("'{}' ({})", host.name, host.address);
}

std::string other_name(const Fleet& fleet, const HostReading& reading) {
  return fmt::format("host {} is called '{}' in this site", with_address(fleet.at(reading.host)),
                     reading.name);
}

}  // namespace

bool has_other_name(const HostReading& reading) noexcept {
  return reading.reached && !reading.name.empty() && reading.name != reading.host;
}

void check_names(const Site& site, const Fleet& fleet, const std::vector<HostReading>& readings,
                 bool accept_names) {
  std::map<std::string, const HostReading*> by_nonce;  // which a host makes once for each site
  for (const HostReading& reading : readings) {
    if (!reading.reached || reading.nonce.empty()) continue;
    const auto [other, is_new] = by_nonce.emplace(reading.nonce, &reading);
    if (is_new) continue;
    const Host &one = fleet.at(other->second->host), &two = fleet.at(reading.host);
    throw Error(
        ErrorCode::misuse,
        fmt::format("hosts {} and {} are one machine: take one of them out of the inventory, or correct its "
                    "address. If one is a copy of the other's disk, remove {}/site-{} there",
                    with_address(one), with_address(two), site.platform.layout(two).state, site.name));
  }
  if (accept_names) return;
  for (const HostReading& reading : readings)
    if (has_other_name(reading))
      throw Error(ErrorCode::misuse,
                  fmt::format("{}: if it is that machine under a new name, accept the name; else correct its "
                              "address",
                              other_name(fleet, reading)),
                  Remedy::accept_names);
}

std::vector<std::string> notes_on_names(const Fleet& fleet, const std::vector<HostReading>& readings) {
  std::vector<std::string> notes;
  for (const HostReading& reading : readings)
    if (has_other_name(reading)) notes.push_back(other_name(fleet, reading));
  return notes;
}

}  // namespace tutti
