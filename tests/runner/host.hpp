// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// What the cases need of a host: a scratch directory in which runners live under one of several shells.
// Threads: one thread uses a Host and its Runners.

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/types.h>

#include "runner/line.hpp"
#include "support/text.hpp"
#include "transport/frames.hpp"

namespace tutti::frames::testing {

/// A shell that the runner must work under.
struct Shell {
  std::string name;
  std::vector<std::string> command;
  std::string path;  ///< the PATH the runner gets
};

/// dash, bash, and busybox with a PATH of its applets only; or what TUTTI_SHELLS="dash posix" names (posix:
/// bash as it is where it is sh).
[[nodiscard]] const std::vector<Shell>& shells();

/// A runner, and our end of its standard input and output. Ends, at the latest, with this object.
class Runner final : public Line {
 public:
  Runner(const std::vector<std::string>& command, const std::vector<std::string>& environment);
  Runner(Runner&& other) noexcept;
  Runner& operator=(Runner&&) = delete;
  ~Runner() override;

  void send(std::string_view bytes);
  /// The next reply; none at the end of its output. Throws when nothing comes for half a minute.
  std::optional<Reply> next() override;
  /// Closes our ends, as a coordinator does that dies.
  void hang_up() override;
  void kill() override;
  /// Waits for its end; its status as of waitpid().
  int wait();
  [[nodiscard]] bool living();
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }

 private:
  void deliver(Frame frame) override { send(encode(frame)); }
  pid_t pid_ = -1;
  int input_ = -1;
  int output_ = -1;
  int status_ = 0;
  ReplyParser parser_;
};

/// A scratch directory (with a blank in its name) that stands for a host. In the end everything that was
/// started there is killed.
class Host {
 public:
  explicit Host(const Shell& shell);
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;
  ~Host();

  [[nodiscard]] const std::string& folder() const noexcept { return folder_; }
  [[nodiscard]] std::string path(std::string_view name) const { return folder_ + '/' + std::string(name); }
  [[nodiscard]] std::string store() const { return path("the store"); }
  /// A file of the site's state.
  [[nodiscard]] std::string state(std::string_view name) const {
    return path("state/site-shop/") + std::string(name);
  }
  [[nodiscard]] const Shell& shell() const noexcept { return shell_; }

  /// A new runner that was greeted. `prefix`: a command to run it under.
  Runner connect(const std::vector<std::string>& prefix = {}, const std::string& site = "shop");
  /// A new runner that holds the lock, with the next epoch.
  Runner lock(const std::vector<std::string>& prefix = {});
  /// Kills everything that was started there, and what comes later finds another boot.
  void reboot();
  /// What the host runs once after a boot. Its status as of waitpid().
  int boot();
  /// A LOCK of our lineage.
  [[nodiscard]] Lock authority(std::int64_t epoch) const;

  std::string nonce = {};
  std::int64_t epoch = 0;
  std::vector<std::string> environment = {};  ///< more of it, for the runners

 private:
  [[nodiscard]] Runner start(const std::vector<std::string>& prefix, const std::vector<std::string>& more);
  void kill_all();

  const Shell& shell_;
  std::string folder_;
  int boots_ = 0;
};

[[nodiscard]] std::string noise(std::size_t size);  ///< bytes of every value
[[nodiscard]] bool is_alive(pid_t pid);
[[nodiscard]] std::vector<pid_t> bearers(std::string_view mark);  ///< who lives with that in its environment
[[nodiscard]] bool exists(const std::string& path);
[[nodiscard]] std::string contents(const std::string& path);
void write(const std::string& path, std::string_view bytes);
[[nodiscard]] std::vector<std::string> words(std::string_view text);
[[nodiscard]] pid_t pid_in(std::string_view text);  ///< the first word, as a number
/// Waits until `condition` holds, half a minute at most.
template <typename Condition> [[nodiscard]] bool eventually(Condition condition);
void pause(std::chrono::milliseconds);

template <typename Condition> bool eventually(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    pause(std::chrono::milliseconds(10));
  }
  return true;
}

}  // namespace tutti::frames::testing
