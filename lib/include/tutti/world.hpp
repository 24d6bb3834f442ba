// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// What the library takes from outside besides hosts: the time and random bytes. Tests play them.
// Threads: the real ones may be used by any thread at once; of another one its maker says so.

#include <cstddef>
#include <string>

#include <tutti/export.hpp>

namespace tutti {

/// The time, in seconds since the epoch.
class TUTTI_EXPORT Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual double now() const = 0;
};

/// Random bytes: of names that nobody else may ever get.
class TUTTI_EXPORT Entropy {
 public:
  virtual ~Entropy() = default;
  /// So many bytes. Throws Error(system).
  [[nodiscard]] virtual std::string bytes(std::size_t count) = 0;
  /// Two lower-case hexadecimal digits for each of `count` bytes. Throws Error(system).
  [[nodiscard]] std::string hex(std::size_t count);
};

/// Those of this machine. They live as long as the process.
[[nodiscard]] TUTTI_EXPORT const Clock& real_clock() noexcept;
[[nodiscard]] TUTTI_EXPORT Entropy& real_entropy() noexcept;

}  // namespace tutti
