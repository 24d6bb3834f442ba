#pragma once
// The manifest entries that a run writes, and the requests that write them.

#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include <tutti/executor.hpp>

namespace tutti {

class Entries {
 public:
  /// Borrows the plan.
  Entries(const Plan&, int run, std::string lineage);

  /// The executor's own effects before a transition: the entry says `changing`; data directories are made.
  /// Until `go_on` the entry names what an ended run left over, if anything, as what may run besides the old.
  [[nodiscard]] std::vector<Request> begin(StepId, double now) const;
  /// What was left over is stopped: from now on the entry names what is started next.
  [[nodiscard]] Request go_on(StepId, double now);
  /// Nothing of the new service can be there: if going back fails, the entry does not name it.
  void nothing_left(StepId id) { nothing_left_.insert(id); }
  /// Those after it: the service has the files of what is there then, unless it is known to (`has`: the
  /// definition whose files it was given last, if any); the entry says what is.
  [[nodiscard]] std::optional<Request> files(StepId, Outcome, const DefinitionPtr& has) const;
  [[nodiscard]] Request end(StepId, Outcome, double now) const;
  /// All there is to a step that only records.
  [[nodiscard]] std::vector<Request> record(StepId, double now) const;

  /// All there is to a step that lets go what an ended run held back, as the marks are now.
  [[nodiscard]] std::vector<Request> let_go(StepId);

  /// Who requires or connects to `service`, is deployed, and can drain: on hosts that answered.
  [[nodiscard]] std::vector<Instance> consumers(const std::string& service) const;
  /// Who holds back for `about` ("SERVICE@HOST").
  [[nodiscard]] std::vector<Instance> holding(const std::string& about) const;
  /// The requests that mark a consumer and drain it; that undrain it and take the mark away. The
  /// entry is written as it is when the request is taken: others may mark the same consumer.
  [[nodiscard]] Request mark(const Instance& consumer, const std::string& about, const std::string& address);
  [[nodiscard]] Request drain(const Instance& consumer, const std::string& address) const;
  [[nodiscard]] Request undrain(const Instance& consumer, const std::string& about) const;
  [[nodiscard]] Request unmark(const Instance& consumer, const std::string& about);

  /// The run that wrote the entry which the step found.
  [[nodiscard]] int run_before(StepId) const;

  // What a host holds once it has done all that was sent to it.
  void begun(StepId, double now);             ///< the entry that begin() made is on the host
  void written(StepId, Outcome, double now);  ///< the one that end() or record() made is
  void not_begun(StepId);                     ///< it could not be written
  /// Of hosts to which something was written.
  [[nodiscard]] std::vector<HostReading> readings() const;

 private:
  [[nodiscard]] ManifestEntry entry(StepId, ManifestEntry::State, double now) const;
  /// What the entry will be: nothing when it goes.
  [[nodiscard]] std::optional<ManifestEntry> final_entry(StepId, Outcome, double now) const;
  [[nodiscard]] const HostReading::Entry* recorded(StepId) const;
  [[nodiscard]] const HostReading& reading(const std::string& host) const { return hosts_.at(host).now(); }
  [[nodiscard]] const ManifestEntry* current(const Instance&) const;
  [[nodiscard]] const ManifestEntry* current(StepId) const;
  [[nodiscard]] Request rewrite(ManifestEntry, const std::string& host, std::string mark);

  /// What a host holds.
  struct Known {
    const HostReading* planned;               // as the plan has it
    std::optional<HostReading> written = {};  // once something was written there: that, and the rest
    [[nodiscard]] const HostReading& now() const { return written ? *written : *planned; }
    void put(const std::string& service, std::optional<ManifestEntry>, HostReading::Life);
  };
  [[nodiscard]] Known& host_of(StepId id) const { return *of_step_[static_cast<std::size_t>(id)]; }

  [[nodiscard]] DefinitionPtr may_run(StepId) const;

  const Plan& plan_;
  std::set<StepId> gone_on_, nothing_left_;
  int run_;
  std::string lineage_;
  std::unordered_map<std::string, Known> hosts_;
  std::vector<Known*> of_step_;  // nullptr for a join
};

}  // namespace tutti
