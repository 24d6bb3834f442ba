// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// What the cases of the protocol need of a host, and the two kinds of it: a real runner under a shell, and
// the model (tests/simulation). A case does not know which one it has. Threads: one thread uses a TestHost.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "runner/case.hpp"
#include "runner/line.hpp"
#include "simulation/script.hpp"

namespace tutti::frames::testing {

using simulation::Script;

class TestHost {
 public:
  virtual ~TestHost() = default;
  /// A runner that was greeted.
  virtual std::unique_ptr<Line> connect(const std::string& site = "shop") = 0;
  [[nodiscard]] virtual std::string path(const std::string& name) const = 0;
  [[nodiscard]] virtual std::string store() const = 0;
  /// The argv of a program that does so.
  virtual std::vector<std::string> program(const Script& script) = 0;
  virtual void put(const std::string& path, const std::string& bytes, unsigned mode = 0644) = 0;
  virtual void remove(const std::string& path) = 0;
  virtual void make_folder(const std::string& path) = 0;
  [[nodiscard]] virtual std::optional<std::string> content(const std::string& path) const = 0;
  [[nodiscard]] virtual unsigned mode(const std::string& path) const = 0;
  [[nodiscard]] virtual bool has_state() const = 0;
  virtual void lose_fence() = 0;
  virtual void lose_records() = 0;
  /// Waits until `condition` holds. False: it never will.
  [[nodiscard]] virtual bool eventually(const std::function<bool()>& condition) = 0;

  /// A runner that holds the lock, with the next epoch.
  std::unique_ptr<Line> lock();
  /// A LOCK of our lineage.
  [[nodiscard]] Lock authority(std::int64_t of_epoch) const {
    return {.lineage = "L1", .epoch = of_epoch, .nonce = nonce, .holder = "anna@desk"};
  }
  /// Waits until the effect has begun.
  [[nodiscard]] bool begun(const std::string& token);
  [[nodiscard]] bool exists(const std::string& path) const { return content(path).has_value(); }
  std::string nonce = {};
  std::int64_t epoch = 0;
};

[[nodiscard]] std::unique_ptr<TestHost> real_host(const Shell& shell);
[[nodiscard]] std::unique_ptr<TestHost> model_host();

/// A case that the model and the runner under every shell pass, each time on a host of its own: `TestHost&
/// host` is in its scope.
#define PROTOCOL_CASE_NAMED(title, function)                                                                 \
  void function(TestHost& host);                                                                             \
  TEST_CASE(title) {                                                                                         \
    SUBCASE("model") { function(*model_host()); }                                                            \
    for (const auto& shell : shells()) SUBCASE(shell.name.c_str()) {                                         \
        function(*real_host(shell));                                                                         \
      }                                                                                                      \
  }                                                                                                          \
  void function([[maybe_unused]] TestHost& host)
#define PROTOCOL_CASE(title) PROTOCOL_CASE_NAMED(title, DOCTEST_ANONYMOUS(protocol_case_))

}  // namespace tutti::frames::testing
