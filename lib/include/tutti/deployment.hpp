// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// A site, its fleet, and the world that it is deployed through: what a program that deploys holds.
//
//   Deployment deployment = Deployment::open(site, "shop/state.db");
//   const Plan plan = deployment.plan();
//   std::cout << deployment.execute(plan);
//
// Threads: one thread owns it; interrupt() may come from another or from a signal handler.

#include <filesystem>
#include <functional>
#include <memory>

#include <tutti/engine/executor.hpp>
#include <tutti/engine/log.hpp>
#include <tutti/engine/on_host.hpp>
#include <tutti/transition.hpp>

namespace tutti {

struct PlanOptions {
  bool accept_names = false;  ///< a host that has another name in this site gets the one of the inventory
};

struct ExecuteOptions {
  bool take_over = false;  ///< displace the lineages that hold the hosts, as the plan read them
  bool dry_run = false;  ///< run the transitions with every effect taken to succeed; touch and record nothing
  /// How many runs are kept whole: their journals here, their records and outputs on hosts, as each host
  /// takes part in a run again. All since the last complete one are kept too, at most ten times as many.
  /// Ten times as many generations keep their definitions and program, and those that manifests name.
  int keep = 20;
};

struct Status {
  std::vector<HostReading> hosts;  ///< in the fleet's order
  std::optional<Generation> unfinished;
  std::string holder = {};  ///< of other processes, who executes that one now; empty: nobody
  Fleet fleet;
  std::vector<std::string> notes = {};  ///< what a person should know besides
  double time = 0;                      ///< when the hosts were asked, in seconds since the epoch
  std::string site = {};
  /// 0: all hosts answered. 5: one did not. 3: all did, and a service is failing (Upkeep::is_failing).
  [[nodiscard]] TUTTI_EXPORT int exit_status() const noexcept;
  [[nodiscard]] TUTTI_EXPORT std::string to_text() const;
  /// {"format_version":1,"site":…,"time":…,"hosts":[…],"unfinished":…,"holder":…,"notes":[…]}; new members
  /// may come, none goes. Each host has its "entries", with what its manifest says ("state") and whether it
  /// lives ("life").
  [[nodiscard]] TUTTI_EXPORT std::string to_json() const;
};

/// One object in one line: of a run of the history, and of what happens in a run that is under way. New
/// members may come, none goes.
[[nodiscard]] TUTTI_EXPORT std::string to_json(const Generation&);
[[nodiscard]] TUTTI_EXPORT std::string to_json(const Progress&);

/// What a deployment acts through. All is borrowed for the deployment's life.
struct World {
  State& state;
  Transport& transport;
  const Clock& clock = real_clock();
};

class TUTTI_EXPORT Deployment {
 public:
  /// Asks the inventory once, opens the state file, and reaches hosts as the platform says. Touches no host.
  /// Throws Error.
  [[nodiscard]] static Deployment open(Site, std::filesystem::path state_file);
  /// The same, but the state file is opened by the first call that needs it, which throws what opening
  /// throws.
  [[nodiscard]] static Deployment open_late(Site, std::filesystem::path state_file);
  /// The same as open().
  Deployment(Site site, std::filesystem::path state_file)
      : Deployment(open(std::move(site), std::move(state_file))) {}
  /// Of a fleet that look_up gave for the site, in a world that the caller owns.
  Deployment(Site, Fleet, World);
  ~Deployment();
  /// What begin() and log() gave stays valid. Nobody may interrupt meanwhile. A moved one can only be
  /// destroyed or assigned to.
  Deployment(Deployment&&) noexcept;
  Deployment& operator=(Deployment&&) noexcept;

  [[nodiscard]] const Site& site() const noexcept;
  [[nodiscard]] const Fleet& fleet() const noexcept;
  [[nodiscard]] State& state();  ///< throws Error when it can't be opened
  [[nodiscard]] Transport& transport() noexcept;

  /// The plan as though nothing were deployed yet: is the site right? Asks no host, opens no state. Throws
  /// Error.
  [[nodiscard]] Plan check() const;
  [[nodiscard]] Plan check(const Desired&) const;
  /// Elaborates, reads the manifests, plans. Changes nothing anywhere. Throws Error: also when a host has
  /// another name in this site than the inventory says, and when two hosts turn out to be one machine.
  [[nodiscard]] Plan plan(const PlanOptions& = {});
  /// The same for a site whose settings were computed elsewhere.
  [[nodiscard]] Plan plan(const Desired&, const PlanOptions& = {});
  /// Foreign lineages that hold hosts of the plan: "h1 is held by lineage 12ab… of root@laptop, epoch 7".
  [[nodiscard]] std::vector<std::string> foreign(const Plan&) const;

  /// Hosts of the plan that have another name in this site get theirs; executing it does this too. Nothing
  /// when there is none. Throws Error: locked, or what the host said.
  void take_names(const Plan&, const ExecuteOptions& = {});
  /// Executes; a generation is recorded. A dry run says what each transition would do if nothing failed and
  /// programs printed nothing, whatever the policy. Throws Error before anything is touched: locked (an
  /// unfinished run, another process, a foreign lineage), moved (a manifest changed since).
  Report execute(const Plan&, const std::function<void(const Progress&)>& on_progress = {},
                 const ExecuteOptions& = {});
  /// The same for another driver: begin, pull the executor until Finished, finish.
  [[nodiscard]] Executor& begin(const Plan&, const ExecuteOptions& = {});
  Report finish();

  /// Ends an unfinished run without touching hosts: what it left open, or nothing when there is none.
  std::vector<std::string> abandon();
  [[nodiscard]] Status status();
  /// What is known of a host that is in no class any more is forgotten: plans do not tell of it any longer.
  /// What it held when it was last seen. Throws Error for a host that is in a class, and for an unknown one.
  std::vector<std::string> forget(const std::string& host);
  /// What a run did and printed; 0: the last run. Throws Error; see RunLog. Valid while this lives.
  [[nodiscard]] RunLog log(int run = 0, LogOptions = {});
  /// For effects on one host outside of a run. Throws Error: locked, or misuse while a plan is executed.
  [[nodiscard]] OnHost on_host();
  /// Nothing new starts in the run that is under way, or in the next one; a second time it does not wait for
  /// what is under way. From any thread or a signal handler, as long as this lives.
  void interrupt() noexcept;
  /// Closes the state file, unless the world is the caller's. Nothing that needs it may be called any more.
  void close() noexcept;

 private:
  struct Impl;
  explicit Deployment(std::unique_ptr<Impl>);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tutti
