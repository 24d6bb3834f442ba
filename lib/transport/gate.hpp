// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// A bound on what goes on at once: connections being opened, bytes being uploaded.
// Threads: one thread owns a Gate.

#include <algorithm>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <utility>

namespace tutti {

/// Lets callers through in order while the sum of their weights is within the capacity. What weighs
/// more than the whole capacity goes alone.
class Gate {
 public:
  explicit Gate(std::size_t capacity) : capacity_(capacity) {}
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  /// A place inside, given back when it is dropped. The gate must outlive it.
  class Pass {
   public:
    Pass() = default;
    Pass(Pass&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)), weight_(other.weight_) {}
    Pass& operator=(Pass&& other) noexcept {
      drop();
      gate_ = std::exchange(other.gate_, nullptr);
      weight_ = other.weight_;
      return *this;
    }
    ~Pass() { drop(); }
    void drop() {
      if (Gate* gate = std::exchange(gate_, nullptr)) gate->leave(weight_);
    }

   private:
    friend class Gate;
    Pass(Gate* gate, std::size_t weight) : gate_(gate), weight_(weight) {}
    Gate* gate_ = nullptr;
    std::size_t weight_ = 0;
  };

  /// Calls `then` with a pass, now or when others have left.
  void enter(std::size_t weight, std::function<void(Pass)> then) {
    waiting_.push_back({std::min(weight, capacity_), std::move(then)});
    admit();
  }
  /// Forgets who waits, for the end.
  void close() { waiting_.clear(); }

 private:
  struct Waiting {
    std::size_t weight;
    std::function<void(Pass)> then;
  };
  void leave(std::size_t weight) {
    inside_ -= weight;
    admit();
  }
  void admit() {
    if (admitting_) return;  // `then` may enter or leave; the loop below sees it
    admitting_ = true;
    while (!waiting_.empty() && inside_ + waiting_.front().weight <= capacity_) {
      Waiting next = std::move(waiting_.front());
      waiting_.pop_front();
      inside_ += next.weight;
      next.then(Pass(this, next.weight));
    }
    admitting_ = false;
  }

  std::size_t capacity_;
  std::size_t inside_ = 0;
  bool admitting_ = false;
  std::deque<Waiting> waiting_;
};

}  // namespace tutti
