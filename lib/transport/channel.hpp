// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// The seam above the socket: how frames, as values, reach the runner of a host and come back answered. Real
// hosts implement it (session, sockets), and so does a model of a host in tests, which plays virtual time.
// Threads: all on the thread that calls Network::run_until; only Network::wake() may come from another or
// from a signal handler. Times are in seconds.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "transport/frames.hpp"
#include <tutti/platform.hpp>
#include <tutti/site.hpp>

namespace tutti {

/// A connection to the runner of one host. It calls back from Network::run_until, never from within a call.
/// Shared: what is still under way for it holds it until it ends.
class Channel {
 public:
  /// The connection ended before the answer came.
  struct Lost {
    std::string why;
  };
  using Reply = std::variant<frames::Answer, Lost>;

  virtual ~Channel() = default;
  /// Connects and greets; then calls `opened`, once, with "" or with why it failed.
  virtual void open(std::function<void(std::string why)> opened) = 0;
  /// Sends a frame, whose id the channel sets; then calls `answered`, once. `seconds`: how long after the
  /// last byte was taken the answer may be, before the connection is given up. One at a time, only while it
  /// is up(). Throws std::invalid_argument for what can't be sent (see frames::encode); then nothing was
  /// sent.
  virtual void ask(frames::Frame frame, double seconds, std::function<void(Reply)> answered) = 0;
  /// Whether a frame may be sent now. Looks: an end that was not handled yet counts.
  [[nodiscard]] virtual bool up() noexcept = 0;
  /// Leaves, politely where that is possible, and calls nobody any more. Whether the other side may now be
  /// expected to end by itself; see `reap`.
  virtual bool hang_up() noexcept = 0;
  /// Waits at most `seconds` for the other side's end, then kills it.
  virtual void reap(double seconds) noexcept = 0;
};

/// Where the hosts are, and the loop in which all that comes from them is handled.
class Network {
 public:
  virtual ~Network() = default;
  [[nodiscard]] virtual Layout layout(const Host& host) const = 0;
  [[nodiscard]] virtual std::shared_ptr<Channel> channel(const Host& host) = 0;
  /// What time it is, in seconds since 1970.
  [[nodiscard]] virtual double time() const = 0;
  /// Calls `then` after `seconds`.
  virtual void after(double seconds, std::function<void()> then) = 0;
  /// Handles what is ready. Goes on with what comes until `done` holds or `seconds` are over (none: never).
  virtual void run_until(const std::function<bool()>& done, std::optional<double> seconds) = 0;
  /// Makes run_until look at `done` again. Async-signal-safe.
  virtual void wake() noexcept = 0;
  /// Whether wake() was called and its call has been handled, since this was asked last.
  [[nodiscard]] virtual bool was_woken() noexcept = 0;
};

}  // namespace tutti
