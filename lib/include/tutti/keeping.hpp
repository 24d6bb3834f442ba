// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// How a host keeps a service that was started: what becomes of it after a crash, what its process is given.
// Threads: values.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <tutti/export.hpp>

namespace tutti {

/// When a daemon that ended by itself is started again.
enum class Restart : std::uint8_t { always, on_failure, never };
[[nodiscard]] TUTTI_EXPORT const char* to_string(Restart) noexcept;  ///< "on-failure"

/// Where what a daemon prints goes.
enum class LogTo : std::uint8_t {
  file,     ///< of ours, which is cut
  journal,  ///< the host's, if systemd keeps the daemon; else the file
};
[[nodiscard]] TUTTI_EXPORT const char* to_string(LogTo) noexcept;

/// When a daemon that was started counts as up. Then it is validated.
struct Ready {
  enum class When : std::uint8_t {
    started,  ///< it lives: `validate` says the rest
    told,     ///< it said so to systemd (sd_notify); on other hosts as `started`
    port,     ///< something listens on the port
  };
  When when = When::started;
  std::string endpoint = {};  ///< of `port`: its name, in a service; in a definition the port, "8080"
  bool operator==(const Ready&) const = default;
};

/// What a service may use, by name: "open-files", "processes", "memory" (bytes), "cpu" (percent of one
/// processor).
using ResourceLimits = std::map<std::string, std::uint64_t>;

/// What a host says of how it keeps a service that was started.
struct Upkeep {
  /// "systemd", "unit", "cgroup" or "plain"; empty: nothing keeps it; none: nobody said.
  std::optional<std::string> keeper = {};
  std::uint64_t restarts = 0;              ///< since it was started
  std::uint64_t recent = 0;                ///< restarts of the last ten minutes
  std::optional<std::uint64_t> last = {};  ///< seconds since the last restart; none: none since boot
  std::optional<bool> boot = {};           ///< whether it will come back after a reboot; none: it is not to
  std::string note = {};  ///< what somebody changed by hand, or why nothing is known: a sentence

  static constexpr std::uint64_t most_restarts = 5;  ///< in ten minutes, of a service that is well
  [[nodiscard]] bool is_failing() const noexcept { return recent > most_restarts; }
  bool operator==(const Upkeep&) const = default;
};

/// The number that a person writes for the limit `name`: "4096"; for memory "512M" (or K, G, of 1024); for
/// cpu "150%". Throws Error that says what is wanted.
[[nodiscard]] TUTTI_EXPORT std::uint64_t resource_limit(std::string_view name, std::string_view text);

}  // namespace tutti
