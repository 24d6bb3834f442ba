// SPDX-License-Identifier: LGPL-3.0-or-later
// A plan, as people and programs read it.
#include <tutti/plan.hpp>

#include <algorithm>
#include <ostream>
#include <set>
#include <span>
#include <tuple>

#include <fmt/format.h>

#include "graph/graph.hpp"
#include "support/table.hpp"
#include "support/text.hpp"
#include <tutti/error.hpp>

namespace tutti {
namespace {

std::string title(const Step& step) { return step.service + "@" + step.host; }

std::string versions(const Step& step) {
  const std::string from = step.old_definition ? step.old_definition->version : "";
  const std::string to = step.new_definition ? step.new_definition->version : "";
  if (from.empty()) return to;
  if (to.empty()) return from + " → gone";
  return from == to ? to : from + " → " + to;
}

/// The steps that a step waits for, joins looked through, with why. The steps of a service come
/// after the same joins, so each list is made once.
class WaitsFor {
 public:
  using List = std::vector<std::pair<std::string, std::string>>;
  explicit WaitsFor(const Plan& plan) : plan_(plan) {}

  const List& of(StepId id) {
    std::vector<StepId> key;
    for (const Edge& edge : edges_to(id)) key.push_back(edge.before);
    const auto [list, fresh] = known_.try_emplace(std::move(key));
    if (fresh) list->second = make(id);
    return list->second;
  }

 private:
  [[nodiscard]] std::span<const Edge> edges_to(StepId id) const {
    const auto [first, last] =
        std::equal_range(plan_.edges.begin(), plan_.edges.end(), Edge{{}, id, {}},
                         [](const Edge& a, const Edge& b) { return a.after < b.after; });
    return {first, last};
  }
  [[nodiscard]] List make(StepId id) const {
    List found;
    std::set<StepId> seen;
    for (const Edge& edge : edges_to(id)) {
      std::vector<StepId> reach{edge.before};
      while (!reach.empty()) {
        const StepId before = reach.back();
        reach.pop_back();
        if (!seen.insert(before).second) continue;
        if (plan_.at(before).action != Action::join)
          found.emplace_back(title(plan_.at(before)), edge.why);
        else
          for (const Edge& other : edges_to(before)) reach.push_back(other.before);
      }
    }
    std::sort(found.begin(), found.end());
    return found;
  }

  const Plan& plan_;
  std::map<std::vector<StepId>, List> known_;
};

/// "after db@db1: 'web' requires 'db'"; many are counted.
std::string after(const WaitsFor::List& all) {
  std::string text;
  std::string why;
  int n = 0;
  for (const auto& [step, reason] : all) {
    if (++n <= 2) text += (n > 1 ? ", " : "") + step;
    why = reason;
  }
  if (n == 0) return "";
  if (n > 2) text += fmt::format(" and {} more", n - 2);
  return fmt::format("after {}: {}", text, why);
}

}  // namespace

const char* to_string(Action action) noexcept {
  switch (action) {
    case Action::install: return "install";
    case Action::upgrade: return "upgrade";
    case Action::reload: return "reload";
    case Action::remove: return "remove";
    case Action::repair: return "repair";
    case Action::record: return "record";
    case Action::undrain: return "undrain";
    case Action::join: return "join";
  }
  return "?";
}

std::vector<std::string> Plan::unreachable() const {
  std::vector<std::string> hosts;
  for (const Host& host : fleet.hosts)
    if (!readings.at(host.name).reached) hosts.push_back(host.name);
  return hosts;
}

std::string Plan::explain(const std::string& service) const {
  std::string text;
  std::vector<std::string> known;
  WaitsFor waits_for(*this);
  for (std::uint32_t i = 0; i < steps.size(); ++i) {
    const Step& step = steps[i];
    if (step.action == Action::join) continue;
    known.push_back(step.service);
    if (step.service != service && title(step) != service) continue;
    text +=
        fmt::format("{}: {} {}, because {}\n", title(step), to_string(step.action), versions(step), step.why);
    if (!step.transition.empty())
      text += fmt::format("  by {} ({})\n", step.transition, to_string(step.transition_from));
    for (const auto& [before, why] : waits_for.of(StepId{i}))
      text += fmt::format("  after {}: {}\n", before, why);
  }
  if (!text.empty()) return escaped(text, true);
  std::sort(known.begin(), known.end());
  known.erase(std::unique(known.begin(), known.end()), known.end());
  throw Error(ErrorCode::misuse,
              fmt::format("the plan has no step for '{}'.{}", escaped(service),
                          known.empty() ? " It has nothing to do." : suggestion(service, known)));
}

std::string Plan::to_text() const {
  std::string text;
  for (const auto& [host, reading] : readings)
    if (!reading.reached) text += fmt::format("unreachable: {}\n", escaped(reading.why));
  for (const std::string& note : notes) text += "note: " + escaped(note) + "\n";
  if (empty()) return text + fmt::format("plan for {}: nothing to do\n", site);

  std::map<std::string, int> counts;
  for (const Step& step : steps)
    if (step.action != Action::join) ++counts[to_string(step.action)];
  std::vector<std::string> summary;
  for (const char* action : {"install", "upgrade", "reload", "repair", "remove", "record", "undrain"})
    if (counts.contains(action)) summary.push_back(fmt::format("{} {}", counts[action], action));
  text += fmt::format(
      "plan for {}: {}{}; policy: {}\n", site, fmt::join(summary, ", "),
      waves.empty() ? "" : fmt::format(", {} wave{}", waves.size(), waves.size() == 1 ? "" : "s"), policy);

  Table table({"wave", "instance", "action", "version", "transition", "why"});
  WaitsFor waits_for(*this);
  const auto add = [&](const std::string& wave, StepId id) {
    const Step& step = at(id);
    std::string why = step.why;
    if (const std::string order = after(waits_for.of(id)); !order.empty()) why += "; " + order;
    if (step.unreachable) why += "; its host does not answer";
    table.row({wave, title(step), to_string(step.action), versions(step),
               step.transition.empty()
                   ? ""
                   : fmt::format("{}{}", step.transition,
                                 step.transition_from == Origin::built_in ? "" : " (site)"),
               why});
  };
  std::set<StepId> shown;
  for (std::size_t wave = 0; wave < waves.size(); ++wave)
    for (const StepId id : waves[wave]) add(std::to_string(wave + 1), id), shown.insert(id);
  for (std::uint32_t i = 0; i < steps.size(); ++i)
    if (steps[i].action != Action::join && !shown.contains(StepId{i})) add("-", StepId{i});
  return text + table.to_text();
}

bool Step::operator==(const Step& other) const {
  const auto rest = [](const Step& s) {
    return std::tie(s.action, s.service, s.host, s.transition, s.transition_from, s.was_alive, s.unreachable,
                    s.keeps_anew, s.phase, s.why);
  };
  const auto is_same = [](const DefinitionPtr& a, const DefinitionPtr& b) {
    return a == b || (a && b && *a == *b);
  };
  return rest(*this) == rest(other) && is_same(old_definition, other.old_definition) &&
         is_same(new_definition, other.new_definition) && is_same(left_over, other.left_over);
}

bool Plan::operator==(const Plan& other) const {
  const auto rest = [](const Plan& p) {
    return std::tie(p.site, p.fleet.hosts, p.steps, p.edges, p.readings, p.notes, p.waves, p.policy, p.source,
                    p.generation);
  };
  return rest(*this) == rest(other) &&
         std::equal(items.begin(), items.end(), other.items.begin(), other.items.end(),
                    [](const auto& a, const auto& b) { return a.first == b.first; });
}

void check(const Plan& plan) {
  const auto wrong = [](const std::string& what) {
    throw Error(ErrorCode::misuse, fmt::format("malformed plan: {}", what));
  };
  std::set<std::string> hosts;
  for (const Host& host : plan.fleet.hosts) {
    if (!hosts.insert(host.name).second) wrong(fmt::format("host '{}' stands twice", escaped(host.name)));
    if (!plan.readings.contains(host.name)) wrong(fmt::format("host '{}' was not read", escaped(host.name)));
  }
  for (const Step& step : plan.steps) {
    if (step.action == Action::join) continue;
    if (!hosts.contains(step.host))
      wrong(fmt::format("a step of '{}' is on host '{}', which is not in its fleet", escaped(step.service),
                        escaped(step.host)));
    if (!step.new_definition && !step.old_definition)
      wrong(fmt::format("the step of '{}' on '{}' has no definition", escaped(step.service),
                        escaped(step.host)));
  }
  const auto is_step = [&](StepId id) {
    const auto index = static_cast<std::uint32_t>(id);
    if (index >= plan.steps.size()) wrong(fmt::format("there is no step {}", index));
    return index;
  };
  Graph graph(plan.steps.size());
  for (const Edge& edge : plan.edges) graph.add_edge(is_step(edge.before), is_step(edge.after));
  for (const auto& wave : plan.waves)
    for (const StepId id : wave) (void)is_step(id);
  if (const auto loop = graph.loop(); !loop.empty())
    wrong(fmt::format("its edges form a loop through step {}", loop.front()));
}

std::ostream& operator<<(std::ostream& out, const Plan& plan) { return out << plan.to_text(); }

}  // namespace tutti
