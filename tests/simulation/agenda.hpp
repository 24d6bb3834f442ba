// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// Virtual time: what is to happen, in order. Nothing waits; the time is that of what happened last.
// Threads: one thread owns an Agenda. Times are in seconds.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <utility>

namespace tutti::simulation {

class Agenda {
 public:
  explicit Agenda(double& now) : now_(now) {}
  [[nodiscard]] double now() const noexcept { return now_; }
  /// Calls `what` at now() + `seconds`, after all that was asked for earlier and is due then too.
  void after(double seconds, std::function<void()> what) {
    entries_.emplace(std::pair{now_ + seconds, ++count_}, std::move(what));
  }
  /// Another one each time, for what must differ between hosts.
  [[nodiscard]] int number() noexcept { return ++numbers_; }
  /// When the next thing happens; none: never.
  [[nodiscard]] std::optional<double> next() const {
    return entries_.empty() ? std::nullopt : std::optional(entries_.begin()->first.first);
  }
  /// Goes to the next moment at which something happens, and does all of that moment. False: nothing will.
  bool step() {
    if (entries_.empty()) return false;
    const double moment = entries_.begin()->first.first;
    if (moment > now_) now_ = moment;
    while (!entries_.empty() && entries_.begin()->first.first <= now_) {
      const auto what = std::move(entries_.begin()->second);
      entries_.erase(entries_.begin());
      what();
    }
    return true;
  }
  /// Nothing happens until `moment`.
  void pass_until(double moment) {
    if (moment > now_) now_ = moment;
  }

 private:
  int numbers_ = 0;
  double& now_;
  std::uint64_t count_ = 0;
  std::map<std::pair<double, std::uint64_t>, std::function<void()>> entries_;
};

}  // namespace tutti::simulation
