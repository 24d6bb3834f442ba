// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// What the coordinator keeps: the journal of runs, the generations, and a cache of manifests. The
// hosts are the truth; losing this loses history.
// Threads: one thread owns a State. Two processes may share a file: `hold` says who may deploy.

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <tutti/engine/journal.hpp>
#include <tutti/engine/transport.hpp>
#include <tutti/world.hpp>

namespace tutti {

struct Generation {
  int number = 0;
  double started = 0;
  double ended = 0;          ///< 0: not ended
  std::string by = {};       ///< user@machine
  std::string status = {};   ///< running, complete, incomplete, abandoned
  std::string summary = {};  ///< "db 1→2, web 1→2", and what came of it when it is not complete
  std::string source_hash = {};
  std::int64_t epoch = 0;  ///< of the run; 0: of a Tutti that did not keep it
};

/// What an instance of the site is at after a run.
struct InstanceAt {
  /// Of what its host has deployed. None: nothing is there, or, by the outcome, nobody knows what is.
  DefinitionPtr definition = {};
  std::optional<Outcome> outcome = {};  ///< of its step; none: no step of the run was about it
  /// By value: definitions are compared, not where they are.
  TUTTI_EXPORT bool operator==(const InstanceAt&) const;
};

class TUTTI_EXPORT State {
 public:
  /// Opens or creates the file (mode 0600, its folder 0700), and brings one of an older Tutti up to date. One
  /// that we have no right to write, or that an older Tutti deploys with now, is only read, or taken for
  /// empty when it can't even be read: see `why_read_only`. The clock and the entropy are borrowed for its
  /// life. Throws Error(system).
  explicit State(std::filesystem::path file, const Clock& clock = real_clock(),
                 Entropy& entropy = real_entropy());
  ~State();
  /// Closes the database: nothing else may be called any more.
  void close() noexcept;
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  [[nodiscard]] const std::filesystem::path& file() const noexcept;
  /// Why nothing is written here, a sentence; empty: it is. What deploys throws it as an Error(system).
  [[nodiscard]] const std::string& why_read_only() const noexcept;
  /// Names this database on the hosts; made when the file is.
  [[nodiscard]] std::string lineage() const;
  /// One more than ever given out.
  [[nodiscard]] std::int64_t next_epoch();
  /// The last epoch that we know the host to have had.
  [[nodiscard]] std::int64_t seen(const std::string& host) const;
  void saw(const std::string& host, std::int64_t epoch);

  /// Takes the right to deploy with this file until `release`, or throws Error(locked) that names
  /// the holder.
  void hold(const std::string& why);
  void release() noexcept;
  /// Who holds it, of other processes: "root@here (process 7, deploying shop)". Empty: nobody.
  [[nodiscard]] std::string holder() const;

  /// Begins a run under that epoch; its number, one more than `seen_generation` and any here, is its
  /// generation's too.
  [[nodiscard]] int begin_run(const std::string& plan_json, const std::string& source_hash,
                              const std::string& summary, int seen_generation, std::int64_t epoch);
  [[nodiscard]] std::unique_ptr<Journal> journal(int run);
  /// `result` is put after its summary in the history.
  void end_run(int run, const std::string& status, const std::string& result, const std::string& report_json);
  /// The run that has not ended, if any.
  [[nodiscard]] std::optional<Generation> unfinished() const;
  /// What the journal says of an unfinished run's steps: "web@h1: last sent was `start web 2`".
  [[nodiscard]] std::vector<std::string> left_open(int run) const;
  void abandon(int run);
  [[nodiscard]] std::vector<Generation> history() const;  ///< newest first

  /// What the journal has of a run: what was appended, in order. None: there is no such run, it did nothing,
  /// or it was forgotten. Throws Error(system) for a record that can't be read.
  [[nodiscard]] std::vector<Record> records(int run) const;
  /// The plan of a run as JSON. Throws Error when there is no such run, or it was forgotten.
  [[nodiscard]] std::string plan_of(int run) const;
  /// The first run that is kept whole when the last `keep` are, and all from the last complete one on, at
  /// most ten times as many. 0 when there are no more than that: what others did on the hosts is kept then,
  /// too.
  [[nodiscard]] int first_kept(int keep) const;
  /// Of the runs before `run` only their line in the history is kept.
  void forget_before(int run);

  /// Keeps with a generation what its instances are at and the site program. It stays when the run is
  /// forgotten.
  void keep_generation(int generation, const std::map<Instance, InstanceAt>& instances, const Source& source);
  /// What was kept so. Throws Error(misuse) when there is no such generation, or nothing was kept of it.
  [[nodiscard]] std::map<Instance, InstanceAt> instances_of(int generation) const;
  /// The same, of the instances whose definition is known.
  [[nodiscard]] std::map<Instance, DefinitionPtr> definitions_of(int generation) const;
  [[nodiscard]] Source source_of(int generation) const;
  /// Of generations before the last `keep` only their line in the history is kept, but for those that a
  /// manifest of the cache names.
  void forget_generations(std::int64_t keep);

  /// The cache of manifests, for hosts that do not answer. Nothing is remembered where nothing is written.
  void remember(const HostReading&);
  [[nodiscard]] std::map<Instance, ManifestEntry> last_known() const;
  /// What is known of that host is forgotten: its manifest, and the last epoch that it had.
  void forget_host(const std::string& host);

 private:
  struct Impl;
  void open_to_write();
  std::unique_ptr<Impl> impl_;
};

}  // namespace tutti
