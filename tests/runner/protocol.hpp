// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// Frames that the cases of the protocol have in common.

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "runner/test_host.hpp"

namespace tutti::frames::testing {

using simulation::nap;

inline constexpr double for_ever = 300;

inline Start daemon_of(TestHost& host, std::string token, Script script = {nap(for_ever)}) {
  return {.token = std::move(token),
          .service = "web",
          .definition = "d1",
          .daemon = true,
          .program = {.argv = host.program(script)},
          .limit = 20};
}

inline Stop stop_of(std::string token) {
  return {.token = std::move(token), .service = "web", .daemon = true, .limit = 20, .grace = 1};
}

inline Entry entry_of(std::string token, std::string service, Probe probe,
                      std::vector<std::string> argv = {}) {
  return {.token = std::move(token),
          .service = service,
          .json = "{\"service\": \"" + service + "\"}",
          .probe = probe,
          .program = {.argv = std::move(argv)},
          .limit = 1};
}

inline Files files_of(std::string token, std::vector<InstalledFile> files, std::string service = "web") {
  return {.token = std::move(token), .service = std::move(service), .files = std::move(files)};
}

inline Life life_of(const Manifest& manifest, std::string_view service) {
  for (const auto& entry : manifest.entries)
    if (entry.service == service) return entry.life;
  throw std::runtime_error("no entry " + std::string(service));
}

/// A runner, and the items a and b in its store.
inline std::unique_ptr<Line> with_items(TestHost& host) {
  auto runner = host.lock();
  runner->call<ItemStored>(item_of("a", "of a\n"));
  runner->call<ItemStored>(item_of("b", "of b\n"));
  return runner;
}

/// What was kept aside of a path, where a line of standard error says so.
inline std::optional<std::string> kept_aside(const TestHost& host, const Done& done,
                                             const std::string& path) {
  const std::string begin = "kept aside: " + path + ", changed since we wrote it, is now ";
  const auto at = done.error.preview.find(begin);
  if (at == std::string::npos) return std::nullopt;
  const auto end = done.error.preview.find('\n', at);
  return host.content(done.error.preview.substr(at + begin.size(), end - at - begin.size()));
}

}  // namespace tutti::frames::testing
