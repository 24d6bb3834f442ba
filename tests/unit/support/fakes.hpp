// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// A world to deploy to that is not there: the production transport over model hosts (tests/simulation), a
// clock that is played, a journal in memory. What can be checked of the executor by the way, is.

#include <doctest/doctest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "simulation/model_network.hpp"
#include <tutti/engine/elaborate.hpp>
#include <tutti/engine/executor.hpp>
#include <tutti/error.hpp>
#include <tutti/site.hpp>
#include <tutti/transition.hpp>

namespace tutti::fake {

class FakeClock final : public Clock {
 public:
  [[nodiscard]] double now() const override { return time; }
  double time = 1000;
};

class FakeJournal final : public Journal {
 public:
  void append(const Record& record) override {
    records.push_back(record);
    if (also) also->append(record);
  }
  void commit() override;
  void clear();
  /// Whether the INTENT of the effect with this token is durable.
  [[nodiscard]] bool intends(const std::string& token) const;
  /// All records of a type, in order.
  template <class What> [[nodiscard]] std::vector<What> of() const {
    std::vector<What> found;
    for (const Record& record : records)
      if (const auto* one = std::get_if<What>(&record.what)) found.push_back(*one);
    return found;
  }
  /// The intents of a step, in order: "b.0 begin web 2, t.1 stop web 1, …".
  [[nodiscard]] std::string intents(std::uint32_t step) const;
  std::vector<Record> records;
  std::size_t committed = 0;
  int commits = 0;
  Journal* also = nullptr;  ///< gets all the same

 private:
  std::set<std::string> durable_;
};

/// How an effect goes other than the host would have it.
struct Fault {
  Completion::Kind kind = Completion::Kind::answered;
  Result result = {};
  std::string why = {};
};
inline Fault fails(std::string error, int status = 1) {
  return {.result = {.succeeded = false, .status = status, .error = std::move(error)}};
}
inline Fault succeeds() { return {}; }
inline Fault lost() { return {.kind = Completion::Kind::lost, .why = "the connection is gone"}; }
inline Fault unreachable() { return {.kind = Completion::Kind::unreachable, .why = "no route to host"}; }
inline Fault refused() { return {.kind = Completion::Kind::refused, .why = "held by somebody"}; }
inline Fault fenced() {
  return {.kind = Completion::Kind::refused, .why = "h1: another deployment took the host over"};
}

/// The production transport over model hosts, on which each effect takes a second; it keeps what was seen.
class RecordingTransport final : public Transport {
 public:
  RecordingTransport(FakeClock& clock, const FakeJournal& journal);

  /// What is on a host, to look at and to change.
  struct Machine {
    bool reached = true;
    std::map<std::string, std::string> manifest;  // service → entry
    std::map<std::string, std::string> running;   // service → version
    std::map<std::string, std::string> files;     // path → content; an item's content is its name
    bool operator==(const Machine&) const = default;
  };
  std::map<std::string, Machine> machines;
  /// "h1: validate web 2" → what it comes to.
  std::map<std::string, Fault> faults;
  /// Called with "h1: validate web 2" when that effect is answered.
  std::function<void(const std::string&)> on_answer;

  // What was seen.
  std::vector<std::string> log;                                // "h1: start web 2", as sent
  std::vector<std::string> tokens;                             // the same
  std::vector<Request> requests;                               // the same
  std::map<std::string, Result> results;                       // of what was answered, by token
  std::vector<std::string> sent_too_early;                     // before their INTENT was durable
  std::size_t most_unavailable = 0;                            // hosts in transition or down, at any moment
  int most_at_once = 0;                                        // effects under way
  std::vector<std::string> of(const std::string& host) const;  // its part of the log, without "h1: "
  int woken = 0;

  using Transport::read;
  [[nodiscard]] std::vector<HostReading> read(const std::vector<Host>& hosts, const WantedPaths&) override;
  [[nodiscard]] Piece fetch(const Host& host, const Kept& what, std::uint64_t offset,
                            std::uint64_t most) override;
  void authorise(const Host& host, Authority authority) override;
  void offer(const Items& items) override { hosts_->offer(items); }
  void send(const std::string& token, const std::string& host, const Request& request) override;
  void wait(std::vector<Completion>& into, std::optional<double> seconds) override;
  void wake() noexcept override;
  [[nodiscard]] std::uint64_t frames_sent() const noexcept override { return hosts_->frames_sent(); }

 private:
  struct Sent {
    std::string host;
    std::string what;  // "h1: start web 2"
  };
  void furnish(simulation::ModelHost&);
  [[nodiscard]] const Fault* fault_of(const std::string& what) const;
  void teach(const std::string& host, const Request& request);  // what the programs of the service do
  void push(const std::string& host);                           // what was changed in `machines`, to the host
  void pull(const std::string& host);                           // and back
  void take_note(const Sent&, const Completion&);
  void count();

  const FakeJournal& journal_;
  simulation::Agenda agenda_;
  simulation::ModelNetwork* network_;  // of hosts_
  std::unique_ptr<Transport> hosts_;
  std::map<std::string, Sent> under_way_;                               // by token
  std::map<std::string, Machine> pulled_;                               // as pull() left them
  std::map<std::string, std::map<std::string, std::string>> versions_;  // host → service → started last
  std::set<std::string> in_transition_;
};

/// All of it, and one site in it after the other. The journal is that of the last run.
struct World {
  FakeClock clock;
  FakeJournal journal;
  RecordingTransport transport{clock, journal};
  std::string lineage = "0123456789abcdef";
  int run = 0;

  [[nodiscard]] Plan plan(const Site& site);
  /// The next run may act on these hosts; plan() and execute() say so too.
  void authorise(const Fleet& fleet);
  /// Executes with tutti::Driver. `with`: another transition for every step.
  Report execute(const Plan& plan, const Policy& policy = {},
                 std::function<Transition(Context, Change)> with = {});
  /// Plans and executes; all hosts at once.
  Report deploy(const Site& site) { return execute(plan(site)); }

  /// Called with the executor before its driver pulls.
  std::function<void(Executor&)> on_executor;
  std::vector<HostReading> readings;  // of the last executor
  std::vector<std::string> told;      // progress: "web@h1 upgraded" or an effect's text
};

/// A daemon of that name.
[[nodiscard]] Service service(const std::string& name, const std::string& version,
                              const std::vector<std::string>& needs = {});
/// Classes of services, each on hosts: {"front", {web}, {"h1", "h2"}}.
struct Class {
  std::string name;
  std::vector<Service> services;
  std::vector<std::string> hosts;
};
[[nodiscard]] Site site(const std::vector<Class>& classes);
/// h1 … hN.
[[nodiscard]] std::vector<std::string> hosts(int n, const std::string& prefix = "h");

/// "web@h1 upgraded", "db@d1 skipped" …, in the plan's order.
[[nodiscard]] std::vector<std::string> outcomes(const Report&);
/// "install web@h1" …, joins left out, in the plan's order.
[[nodiscard]] std::vector<std::string> actions(const Plan&);
[[nodiscard]] const StepReport& step_of(const Report&, const std::string& service, const std::string& host);
[[nodiscard]] StepId id_of(const Plan&, const std::string& service, const std::string& host);
/// Whether `after` comes after `before` by edges, whatever joins lie between.
[[nodiscard]] bool comes_after(const Plan&, StepId after, StepId before);
/// The message of the Error that `f` throws; "" when it throws none.
[[nodiscard]] std::string error_of(const std::function<void()>& f);
[[nodiscard]] std::optional<ErrorCode> code_of(const std::function<void()>& f);
[[nodiscard]] bool has(const std::string& text, const std::string& part);
/// Stop, start, validate: a transition whose effects are these and no others.
[[nodiscard]] Transition plain_replace(Context, Change);

}  // namespace tutti::fake

/// So that a failed comparison of lines shows them.
template <> struct doctest::StringMaker<std::vector<std::string>> {
  static doctest::String convert(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) text += "\n    " + line;
    return text.c_str();
  }
};
