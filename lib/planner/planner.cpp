// SPDX-License-Identifier: LGPL-3.0-or-later
// From the steps that the diff found, and their order, to a plan.
#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "graph/graph.hpp"
#include "planner/diff.hpp"
#include "planner/order.hpp"
#include "planner/places.hpp"
#include "support/text.hpp"
#include <tutti/error.hpp>

namespace tutti {
namespace {

struct Raw {
  std::uint32_t before, after;
  std::string why;
  bool makes_room = false;
};

/// Sets the phase of each step: the joins, which stand from `first_join` on, on the longest way to it.
/// Returns the steps, each after all that come before it.
std::vector<std::uint32_t> set_phases(std::vector<Step>& steps, const std::vector<Raw>& edges,
                                      std::uint32_t first_join) {
  Graph graph(steps.size());
  for (const Raw& edge : edges) graph.add_edge(edge.before, edge.after);
  std::vector<std::vector<std::uint32_t>> after(steps.size());
  for (const Raw& edge : edges) after[edge.before].push_back(edge.after);
  std::vector<std::uint32_t> sorted = graph.order();
  for (const std::uint32_t node : sorted)
    for (const std::uint32_t next : after[node])
      steps[next].phase = std::max(steps[next].phase, steps[node].phase + (node >= first_join ? 1 : 0));
  return sorted;
}

/// What makes room does so when what needs it can begin, not long before: it waits for the same joins.
void wait_for_what_comes(const std::vector<Step>& steps, std::vector<Raw>& edges, Order& order,
                         const std::vector<std::uint32_t>& join_of) {
  const std::vector<Group>& groups = order.groups();
  std::vector<std::uint32_t> group_of(steps.size());
  for (std::uint32_t g = 0; g < groups.size(); ++g)
    for (const std::uint32_t step : groups[g].steps) group_of[step] = g;
  for (const Room& room : order.rooms()) {
    int soonest = steps[room.after.front()].phase;
    for (const std::uint32_t after : room.after) soonest = std::min(soonest, steps[after].phase);
    std::map<std::uint32_t, std::string> joins;  // groups, and why
    for (const std::uint32_t after : room.after) {
      if (steps[after].phase != soonest) continue;
      for (const auto& [before, why] : groups[group_of[after]].after)
        if (groups[before].is_live)
          joins.emplace(before, fmt::format("it makes room for '{}': {}", steps[after].service, why));
    }
    for (const std::uint32_t before : room.before) {
      if (steps[before].phase >= soonest) continue;
      const auto& known = groups[group_of[before]].after;
      for (const auto& [join, why] : joins)
        if (std::none_of(known.begin(), known.end(), [&](const auto& one) { return one.first == join; }) &&
            order.wait(group_of[before], join))
          edges.push_back({join_of[join], before, why});
    }
  }
}

/// Lays steps and joins out: ids follow phase, then fleet, then what makes room, then name.
void lay_out(Plan& plan, std::vector<Step> steps, Order& order_of) {
  std::vector<Raw> edges;
  // Between the steps of one host there is a join where that makes fewer edges. It begins no phase.
  for (const Room& room : order_of.rooms()) {
    if (room.before.size() * room.after.size() <= room.before.size() + room.after.size()) {
      for (const std::uint32_t before : room.before)
        for (const std::uint32_t after : room.after) edges.push_back({before, after, room.why, true});
      continue;
    }
    const auto join = static_cast<std::uint32_t>(steps.size());
    steps.push_back({.action = Action::join, .host = room.host, .why = "there is room"});
    for (const std::uint32_t before : room.before)
      edges.push_back({before, join, "it is one of those", true});
    for (const std::uint32_t after : room.after) edges.push_back({join, after, room.why, true});
  }
  const auto first_join = static_cast<std::uint32_t>(steps.size());
  const std::vector<Group>& groups = order_of.groups();
  std::vector<std::uint32_t> join_of(groups.size());
  for (std::size_t g = 0; g < groups.size(); ++g) {
    if (!groups[g].has_join) continue;
    join_of[g] = static_cast<std::uint32_t>(steps.size());
    steps.push_back(
        {.action = Action::join,
         .service = groups[g].service,
         .why = groups[g].part == Part::removal ? "all that go are gone" : "all that change are ready"});
  }
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const Group& one = groups[g];
    if (!one.is_live) continue;
    if (one.has_join)
      for (const std::uint32_t step : one.steps)
        edges.push_back({step, join_of[g], fmt::format("'{}' is one of those", one.service)});
    for (const auto& [before, why] : one.after) {
      if (!groups[before].is_live) continue;
      for (const std::uint32_t step : one.steps) edges.push_back({join_of[before], step, why});
      if (one.steps.empty() && one.has_join) edges.push_back({join_of[before], join_of[g], why});
    }
  }

  (void)set_phases(steps, edges, first_join);
  wait_for_what_comes(steps, edges, order_of, join_of);
  const std::vector<std::uint32_t> sorted = set_phases(steps, edges, first_join);
  std::vector<std::vector<std::uint32_t>> after(steps.size());
  for (const Raw& edge : edges) after[edge.before].push_back(edge.after);
  std::vector<std::size_t> turn(steps.size());  // on its host, in its phase
  for (const std::uint32_t node : sorted)
    for (const std::uint32_t next : after[node])
      if (steps[next].phase == steps[node].phase) turn[next] = std::max(turn[next], turn[node] + 1);

  std::map<std::string, std::size_t> rank;
  for (std::size_t i = 0; i < plan.fleet.hosts.size(); ++i) rank.emplace(plan.fleet.hosts[i].name, i);
  std::vector<std::uint32_t> order(steps.size());
  for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  const auto key = [&](std::uint32_t i) {
    const Step& step = steps[i];
    const bool is_join = i >= first_join;
    return std::tuple(step.phase, is_join, is_join ? 0 : rank.at(step.host), is_join ? 0 : turn[i],
                      step.service, i);
  };
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) { return key(a) < key(b); });
  std::vector<std::uint32_t> place(steps.size());
  for (std::uint32_t i = 0; i < order.size(); ++i) place[order[i]] = i;

  for (const std::uint32_t i : order) plan.steps.push_back(std::move(steps[i]));
  for (Raw& edge : edges)
    plan.edges.push_back(
        {StepId{place[edge.before]}, StepId{place[edge.after]}, std::move(edge.why), edge.makes_room});
  std::sort(plan.edges.begin(), plan.edges.end(), [](const Edge& a, const Edge& b) {
    return std::pair(a.after, a.before) < std::pair(b.after, b.before);
  });
}

/// A label that no host has is a slip of the pen: the bound would be one for the whole site.
void check_label(Plan& plan, const Policy& policy, const Policy::AtMost& at_most) {
  if (at_most.of == "class" || at_most.of == "site" || plan.fleet.hosts.empty()) return;
  std::vector<std::string> without;
  std::set<std::string> known;
  for (const Host& host : plan.fleet.hosts) {
    if (!host.labels.contains(at_most.of)) without.push_back(host.name);
    for (const auto& [label, value] : host.labels) known.insert(label);
  }
  if (without.size() == plan.fleet.hosts.size())
    throw Error(ErrorCode::misuse,
                fmt::format("policy '{}': no host has the label '{}'.{}", policy.describe(),
                            escaped(at_most.of), suggestion(at_most.of, {known.begin(), known.end()})));
  if (!without.empty())
    plan.notes.push_back(fmt::format(
        "policy '{}': host '{}'{} no label '{}', and count{} as one group", policy.describe(),
        without.front(), without.size() > 1 ? fmt::format(" and {} more have", without.size() - 1) : " has",
        escaped(at_most.of), without.size() > 1 ? "" : "s"));
}

/// What a policy names must be there.
void check_policy(Plan& plan, const Site& site) {
  std::vector<std::string> classes;
  for (const HostClass& one : site.host_classes) classes.push_back(one.name);
  site.policy.each_term([&](const Policy::Term& term) {
    if (const auto* at_most = std::get_if<Policy::AtMost>(&term)) check_label(plan, site.policy, *at_most);
    const auto* one = std::get_if<Policy::ForClass>(&term);
    if (one && std::find(classes.begin(), classes.end(), one->host_class) == classes.end())
      throw Error(ErrorCode::misuse,
                  fmt::format("site '{}': policy: for-class: no host class '{}'.{}", site.name,
                              escaped(one->host_class), suggestion(one->host_class, classes)));
  });
}

void note_what_is_odd(Plan& plan, const Site& site, const Desired& desired,
                      const std::map<Instance, ManifestEntry>& last_known) {
  std::set<std::string> populated;
  for (const Host& host : plan.fleet.hosts) populated.insert(host.host_class);
  for (const HostClass& host_class : site.host_classes)
    if (!populated.contains(host_class.name))
      plan.notes.push_back(fmt::format("class '{}' has no host: its services run nowhere", host_class.name));
  if (site.host_classes.empty()) plan.notes.push_back("the site has no host class: nothing runs");
  std::set<std::string> placed;
  for (const auto& [instance, definition] : desired.definitions) placed.insert(instance.service);
  for (const auto& [name, service] : desired.services)
    for (const Requirement& one : service->requirements)
      if (placed.contains(name) && !placed.contains(one.service))
        plan.notes.push_back(fmt::format("'{}' requires '{}', which is on no host", name, one.service));
  std::set<std::string> renamed;
  for (const auto& [host, reading] : plan.readings) {
    if (!reading.reached || reading.name.empty() || reading.name == host) continue;
    renamed.insert(reading.name);
    plan.notes.push_back(fmt::format("host '{}' was called '{}' in this site until now: it gets the new name",
                                     host, reading.name));
  }
  std::map<std::string, std::vector<std::string>> gone;
  for (const auto& [instance, entry] : last_known)
    if (!plan.fleet.find(instance.host) && entry.new_definition && !renamed.contains(instance.host))
      gone[instance.host].push_back(entry.new_definition->title());
  for (const auto& [host, held] : gone)
    plan.notes.push_back(fmt::format(
        "host '{}' is in no class any more; when last seen it held {}: it is left alone. `forget {}` "
        "ends this note",
        host, fmt::join(held, ", "), host));
}

}  // namespace

Plan make_plan(const Site& site, const Desired& desired, std::vector<HostReading> readings,
               const std::map<Instance, ManifestEntry>& last_known) {
  Plan plan{.site = site.name, .fleet = desired.fleet};
  for (HostReading& reading : readings) {
    for (const HostReading::Entry& entry : reading.entries)
      plan.generation = std::max(plan.generation, entry.entry.generation);
    std::string host = reading.host;
    plan.readings.emplace(std::move(host), std::move(reading));
  }
  for (const Host& host : plan.fleet.hosts)
    if (!plan.readings.contains(host.name))
      throw Error(ErrorCode::misuse, fmt::format("make_plan: no reading of host '{}'", host.name));
  plan.items = desired.items;
  plan.policy = site.policy.describe();
  plan.source = site.source;
  plan.notes = plan.fleet.notes;
  std::vector<Step> steps = diff(desired, plan.readings, last_known, plan.notes);
  Order order(desired, steps, plan.notes);
  lay_out(plan, std::move(steps), order);
  check_policy(plan, site);
  note_what_is_odd(plan, site, desired, last_known);
  note_places(plan);
  return plan;
}

}  // namespace tutti
