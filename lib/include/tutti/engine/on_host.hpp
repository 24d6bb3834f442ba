// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// Effects on one host, outside of a run: each takes the host's lock and a token, as in a run. None is
// journaled, compensated or resumed. Threads: one thread owns it, that of its Deployment, which outlives it.

#include <memory>
#include <string>

#include <tutti/engine/effect.hpp>

namespace tutti {

/// While one lives, nobody else may deploy with this state file, and its deployment executes no plan. Several
/// may live at once.
class TUTTI_EXPORT OnHost {
 public:
  ~OnHost();
  OnHost(OnHost&&) noexcept;
  OnHost& operator=(OnHost&&) noexcept;

  /// Performs it on that host, and blocks until it has ended. An effect that failed is a Result. Throws
  /// Error: unreachable, lost (nobody knows what became of it), locked (the host refused us), misuse (no such
  /// host).
  Result perform(const std::string& host, const Request& request);
  /// Of the last effect that was sent; empty: none was.
  [[nodiscard]] const std::string& last_token() const noexcept;

 private:
  friend class Deployment;
  struct Impl;
  explicit OnHost(std::unique_ptr<Impl>);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tutti
