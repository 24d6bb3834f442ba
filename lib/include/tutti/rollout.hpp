// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// The live state of a rollout, as policies see it. Borrowed: valid while its executor lives.
// Threads: to be read on the thread that drives the executor.

#include <string>
#include <vector>

#include <tutti/site.hpp>

namespace tutti {

enum class HostState {
  pending,        ///< has steps that have not begun
  in_transition,  ///< between the first and the last effect of a phase
  done,           ///< nothing left to do, and nothing went wrong
  failed,         ///< an instance failed here (rolled back or not)
  unreachable,    ///< does not answer, or was lost on the way
};
[[nodiscard]] TUTTI_EXPORT const char* to_string(HostState) noexcept;

class TUTTI_EXPORT Rollout {
 public:
  virtual ~Rollout() = default;
  /// All hosts of the fleet, in its order.
  [[nodiscard]] virtual const std::vector<Host>& hosts() const = 0;
  /// Throws Error for a host that is not in the fleet.
  [[nodiscard]] virtual HostState state(const std::string& host) const = 0;
  /// In transition, or known to be down (dead when probed, not rolled back, or unreachable).
  [[nodiscard]] virtual bool unavailable(const std::string& host) const = 0;
  /// Of how many hosts whose label `key` is `value` that holds; and how many there are.
  [[nodiscard]] virtual int unavailable(const std::string& key, const std::string& value) const = 0;
  [[nodiscard]] virtual int hosts(const std::string& key, const std::string& value) const = 0;
  /// Seconds since the epoch.
  [[nodiscard]] virtual double time() const = 0;
  [[nodiscard]] virtual bool simulated() const = 0;

  /// Hosts in one of these states, in the fleet's order.
  [[nodiscard]] std::vector<Host> hosts_in(std::initializer_list<HostState> states) const;
};

}  // namespace tutti
