// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// Cases of the runner: each runs under every shell, on a host of its own.

#include <string>
#include <utility>

#include <doctest/doctest.h>

#include <grp.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/host.hpp"

namespace tutti::frames::testing {

/// A case that runs under every shell, each time on a host of its own: `Host& host` is in its scope.
#define RUNNER_CASE_NAMED(title, function)                                                                   \
  void function(Host& host);                                                                                 \
  TEST_CASE(title) {                                                                                         \
    for (const auto& shell : shells()) SUBCASE(shell.name.c_str()) {                                         \
        Host host(shell);                                                                                    \
        function(host);                                                                                      \
      }                                                                                                      \
  }                                                                                                          \
  void function([[maybe_unused]] Host& host)
#define RUNNER_CASE(title) RUNNER_CASE_NAMED(title, DOCTEST_ANONYMOUS(runner_case_))

/// May we run programs as other users, as root may, but not in every container? Says so if not.
inline bool is_root() {
  static const bool can = [] {
    const pid_t child = fork();
    if (child == 0) _exit(setgroups(0, nullptr) == 0 && setgid(65534) == 0 && setuid(65534) == 0 ? 0 : 1);
    int status = 1;
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
  }();
  if (!can) MESSAGE("skipped: programs can't be run as another user here");
  return can;
}

inline Put put_of(std::string token, std::string path, std::string bytes, unsigned mode = 0644) {
  const auto digest = tutti::sha256(bytes);
  return {.token = std::move(token),
          .path = std::move(path),
          .bytes = std::move(bytes),
          .sha256 = digest,
          .mode = mode};
}

inline Item item_of(std::string name, std::string bytes, unsigned mode = 0444) {
  const auto digest = tutti::sha256(bytes);
  return {.name = std::move(name), .bytes = std::move(bytes), .sha256 = digest, .mode = mode};
}

inline unsigned mode_of(const std::string& path) {
  struct stat status {};
  REQUIRE(lstat(path.c_str(), &status) == 0);
  return status.st_mode & 07777U;
}

}  // namespace tutti::frames::testing
