// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// Which host may be asked next, which step comes next on it, and what an ended step means for others.
// No processes, no clock of its own: the executor and the preview both drive it.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include <tutti/engine/executor.hpp>

namespace tutti {

class Scheduler final : public Rollout {
 public:
  /// Borrows both.
  Scheduler(const Plan&, const Clock&, bool simulated);

  /// Hosts with a step that is ready and that are not in transition, in the plan's order.
  [[nodiscard]] std::vector<std::string> candidates() const;
  /// Whom a policy that admits nobody counts, and what to do about it: "" or ": down, and counted, is h2
  /// (app). …".
  [[nodiscard]] std::string down() const;
  [[nodiscard]] bool is_candidate(const std::string& host) const;
  /// The host enters transition, in the phase of its first ready step.
  void admit(const std::string& host);
  /// Its next ready step of that phase, which begins; none: the host leaves transition.
  [[nodiscard]] std::optional<StepId> next_step(const std::string& host);
  /// The step ended. What depends on a step that did not do its work is skipped, with a reason:
  /// returned, as they end by this.
  struct Skipped {
    StepId step;
    std::string why;
  };
  std::vector<Skipped> end(StepId, Outcome);
  /// Those on its host that the step makes room for.
  [[nodiscard]] std::vector<StepId> rooms(StepId) const;
  /// The step did its work and made room, but has not ended: what waits for the room may begin.
  void made_room(StepId);
  /// The host was lost, or can't be reached: whatever was being done there.
  void lose(const std::string& host);
  /// The host leaves transition before its phase is over (the run halts, or the host was lost).
  void leave(const std::string& host);
  /// Every instance step that has not begun: in the plan's order.
  [[nodiscard]] std::vector<StepId> not_begun() const;
  [[nodiscard]] bool all_ended() const noexcept { return open_ == 0; }
  [[nodiscard]] int in_transition() const noexcept { return in_transition_; }

  // Rollout
  [[nodiscard]] const std::vector<Host>& hosts() const override { return plan_.fleet.hosts; }
  [[nodiscard]] const Host& host(const std::string& name) const { return *slot(name).host; }
  [[nodiscard]] HostState state(const std::string& host) const override;
  [[nodiscard]] bool unavailable(const std::string& host) const override;
  [[nodiscard]] int unavailable(const std::string& key, const std::string& value) const override;
  [[nodiscard]] int hosts(const std::string& key, const std::string& value) const override;
  [[nodiscard]] double time() const override { return time_ ? *time_ : clock_.now(); }
  [[nodiscard]] bool simulated() const override { return simulated_; }
  void at(double time) { time_ = time; }  ///< a preview's own time

 private:
  struct Slot {  // one host
    const Host* host = nullptr;
    bool in_transition = false, failed = false, unreachable = false;
    std::set<std::string> down = {};     // services that are
    std::set<std::uint32_t> ready = {};  // its steps that may begin
    int phase = 0;
    int open = 0;  // steps that have not ended
    [[nodiscard]] bool unavailable() const { return in_transition || !down.empty() || unreachable; }
  };
  struct Count {
    int all = 0, unavailable = 0;
  };
  enum class Progress : std::uint8_t { waiting, ready, begun, ended };

  Slot& slot(const std::string& host) { return slots_.at(host); }
  [[nodiscard]] const Slot& slot(const std::string& host) const;  // throws Error
  template <class F> void change(Slot& host, F f);                // keeps the counts
  void ready(StepId);
  void let(const std::vector<StepId>& next);  // one less to wait for
  void not_ready(StepId);
  const std::map<std::string, Count>& index(const std::string& key) const;

  const Plan& plan_;
  const Clock& clock_;
  bool simulated_;
  std::optional<double> time_;
  std::vector<Progress> progress_;
  std::vector<std::uint32_t> waiting_for_;
  std::vector<std::vector<StepId>> after_;
  std::vector<std::vector<StepId>> room_;  // besides: those that it makes room for
  std::set<StepId> made_room_;             // of those that have not ended
  std::set<std::uint32_t> ready_;          // instance steps, in the plan's order
  std::unordered_map<std::string, Slot> slots_;
  std::vector<Slot*> of_step_;  // nullptr for a join
  std::size_t open_ = 0;
  int in_transition_ = 0;
  mutable std::map<std::string, std::map<std::string, Count>>
      counts_;  // by label key, by value; made when asked for
};

}  // namespace tutti
