#pragma once
// Cases of the runner: each runs under every shell, on a host of its own.

#include <string>
#include <utility>

#include <doctest/doctest.h>

#include <sys/stat.h>
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

/// Prints that a case can only be run by root.
inline bool is_root() {
  if (geteuid() == 0) return true;
  MESSAGE("skipped: needs root");
  return false;
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
