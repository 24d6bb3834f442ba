// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// A child process with its three standard streams: ssh, or the shell of a host on this machine.
// Threads: one thread owns a Child. The child is in a session of its own.

#include <sys/types.h>

#include <string>
#include <vector>

namespace tutti {

/// Owns the child and our ends of its streams. Dropping it kills the child, if it still runs, and
/// waits for it: no zombie is left.
class Child {
 public:
  /// Starts `argv` (looked up in PATH). Throws Error(system).
  explicit Child(const std::vector<std::string>& argv);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  /// Our ends, given away: the caller closes them. Close-on-exec.
  [[nodiscard]] int take_input() noexcept;   ///< a Unix socket: writing never raises SIGPIPE
  [[nodiscard]] int take_output() noexcept;  ///< a pipe
  [[nodiscard]] int take_error() noexcept;   ///< a pipe

  /// Waits for its end for at most `seconds`; whether it has ended.
  bool ended_within(double seconds) noexcept;
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }

 private:
  pid_t pid_ = -1;  ///< -1: ended and reaped
  int input_ = -1;
  int output_ = -1;
  int error_ = -1;
};

}  // namespace tutti
