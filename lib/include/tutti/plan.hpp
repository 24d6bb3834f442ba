// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// A plan: the steps that take what is deployed to what is desired, and their order.
// Threads: a value, immutable once made.

#include <cstdint>
#include <iosfwd>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <tutti/engine/transport.hpp>
#include <tutti/service.hpp>

namespace tutti {

enum class StepId : std::uint32_t {};  ///< index into Plan::steps

enum class Action : std::uint8_t {
  install,  ///< nothing was there
  upgrade,  ///< what runs changes
  reload,   ///< only files change, and the service can reload
  remove,   ///< nothing shall be there
  repair,   ///< dead, failed, or left half-done by a run that ended
  record,   ///< only handling data changed: the manifest is rewritten
  undrain,  ///< it holds back for a service whose run ended: it is let go
  join,     ///< no work: all its predecessors are done
};
[[nodiscard]] TUTTI_EXPORT const char* to_string(Action) noexcept;

/// One node of the plan. All but joins are an instance's.
struct Step {
  Action action = Action::join;
  std::string service = {};
  std::string host = {};
  DefinitionPtr old_definition = {};  ///< none: nothing was there
  DefinitionPtr new_definition = {};  ///< none: a removal
  DefinitionPtr left_over = {};       ///< repair: what an ended run may have left running besides
  bool keeps_anew = false;            ///< record: its host is told how to keep the daemon, which goes on
  // Which transition runs is chosen when the plan is made, and nowhere else.
  std::string transition = {};  ///< the procedure's name, for people
  Origin transition_from = Origin::built_in;
  bool was_alive = true;
  bool unreachable = false;  ///< the host did not answer: what is there is a guess
  int phase = 0;             ///< joins on the longest way here
  std::string why = {};      ///< why it is in the plan

  /// By value: definitions are compared, not where they are.
  TUTTI_EXPORT bool operator==(const Step&) const;
};

struct Edge {
  StepId before;
  StepId after;
  std::string why;          ///< "'web' requires 'db' (shop.scm:12)"
  bool makes_room = false;  ///< on one host: what `before` has there would be in the way of `after`
  bool operator==(const Edge&) const = default;
};

struct TUTTI_EXPORT Plan {
  std::string site = {};
  Fleet fleet = {};
  std::vector<Step> steps = {};                      ///< in the order in which hosts are admitted
  std::vector<Edge> edges = {};                      ///< by `after`, then `before`
  std::map<std::string, HostReading> readings = {};  ///< by host
  Items items = {};
  std::vector<std::string> notes = {};
  std::vector<std::vector<StepId>> waves = {};  ///< as the policy is expected to admit them; empty: not known
  std::string policy = {};                      ///< described
  Source source = {};                           ///< of the site program
  int generation = 0;                           ///< the highest seen anywhere

  [[nodiscard]] bool empty() const noexcept { return steps.empty(); }
  [[nodiscard]] const Step& at(StepId id) const { return steps.at(static_cast<std::size_t>(id)); }
  /// Hosts that did not answer, by name.
  [[nodiscard]] std::vector<std::string> unreachable() const;
  /// Why each step of the service is there and what it comes after, for people.
  /// Throws Error for a name that is not in the plan.
  [[nodiscard]] std::string explain(const std::string& service) const;
  /// For people: waves, steps, notes.
  [[nodiscard]] std::string to_text() const;
  /// {"format_version":1,…}; new members may come, none goes. All that the plan is, but for the bytes of its
  /// items, which are named.
  [[nodiscard]] std::string to_json() const;
  /// By value; items by name, which holds the hash of their bytes.
  bool operator==(const Plan&) const;
};
/// Throws Error(misuse) unless an executor can take it as it is: each step's host is in the fleet and has a
/// reading, edges and waves name steps, and the edges form no loop.
TUTTI_EXPORT void check(const Plan&);
/// Reads what `to_json` wrote; items have their names and no bytes. Throws Error(misuse).
[[nodiscard]] TUTTI_EXPORT Plan plan_from_json(std::string_view json);
TUTTI_EXPORT std::ostream& operator<<(std::ostream&, const Plan&);

/// Pure and deterministic: same input, same plan. `readings`: one for each host of the fleet.
/// `last_known`: entries of hosts that did not answer. Throws Error.
[[nodiscard]] TUTTI_EXPORT Plan make_plan(const Site&, const Desired&, std::vector<HostReading> readings,
                                          const std::map<Instance, ManifestEntry>& last_known = {});

}  // namespace tutti
