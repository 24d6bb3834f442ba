// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// What hosts hold, as far as this run knows: the manifest entries that were read, and those that it writes.
// The requests that write them are made here.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <tutti/engine/executor.hpp>

namespace tutti {

class Ledger {
 public:
  /// Borrows fleet and readings.
  Ledger(const Fleet&, const std::map<std::string, HostReading>& readings, int run, std::string lineage);

  [[nodiscard]] const Fleet& fleet() const noexcept { return fleet_; }

  /// The executor's own effects before a transition: the entry says `changing`; data directories are made.
  /// Until `go_on` the entry names what an ended run left over, if anything, as what may run besides the old.
  [[nodiscard]] std::vector<Request> begin(const Step&, double now) const;
  /// What was left over is stopped: from now on the entry names what is started next.
  [[nodiscard]] Request go_on(const Step&, double now);
  /// Nothing of the new service can be there: if going back fails, the entry does not name it.
  void nothing_left(const Step&);
  /// Those after it: the service has the files of what is there then, unless it is known to (`has`: the
  /// definition whose files it was given last, if any); the entry says what is.
  [[nodiscard]] std::optional<Request> files(const Step&, Outcome, const DefinitionPtr& has) const;
  [[nodiscard]] Request end(const Step&, Outcome, double now) const;
  /// All there is to a step that only records.
  [[nodiscard]] std::vector<Request> record(const Step&, double now) const;

  /// All there is to a step that lets go what an ended run held back, as the marks are now.
  [[nodiscard]] std::vector<Request> let_go(const Step&);

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
  [[nodiscard]] int run_before(const Step&) const;

  // What a host holds once it has done all that was sent to it.
  void begun(const Step&, double now);             ///< the entry that begin() made is on the host
  void written(const Step&, Outcome, double now);  ///< the one that end() or record() made is
  void not_begun(const Step&);                     ///< it could not be written
  /// Of hosts to which something was written.
  [[nodiscard]] std::vector<HostReading> readings() const;

 private:
  [[nodiscard]] ManifestEntry entry(const Step&, ManifestEntry::State, double now) const;
  /// What the entry will be: nothing when it goes.
  [[nodiscard]] std::optional<ManifestEntry> final_entry(const Step&, Outcome, double now) const;
  [[nodiscard]] const HostReading::Entry* recorded(const Step&) const;
  [[nodiscard]] const HostReading& reading(const std::string& host) const { return hosts_.at(host).now(); }
  [[nodiscard]] const ManifestEntry* current(const Instance&) const;
  [[nodiscard]] Request rewrite(ManifestEntry, const std::string& host, std::string mark);
  [[nodiscard]] DefinitionPtr may_run(const Step&) const;

  /// What a host holds.
  struct Known {
    const HostReading* planned;               // as the plan has it
    std::optional<HostReading> written = {};  // once something was written there: that, and the rest
    [[nodiscard]] const HostReading& now() const { return written ? *written : *planned; }
    void put(const std::string& service, std::optional<ManifestEntry>, HostReading::Life);
  };

  const Fleet& fleet_;
  std::set<Instance> gone_on_, nothing_left_;
  int run_;
  std::string lineage_;
  std::map<std::string, Known> hosts_;
};

}  // namespace tutti
