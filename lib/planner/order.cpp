// SPDX-License-Identifier: LGPL-3.0-or-later
#include "planner/order.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "graph/graph.hpp"

namespace tutti {
namespace {

bool is_change(Action action) {
  return action == Action::install || action == Action::upgrade || action == Action::repair;
}

bool has_file(const DefinitionPtr& definition, const std::string& path) {
  return definition && std::any_of(definition->files.begin(), definition->files.end(),
                                   [&](const InstalledFile& file) { return file.path == path; });
}

}  // namespace

Order::Order(const Desired& desired, const std::vector<Step>& steps, std::vector<std::string>& notes) {
  for (const auto& [name, service] : desired.services) (void)group(name, Part::change);
  for (std::uint32_t i = 0; i < steps.size(); ++i)
    if (steps[i].action != Action::record) groups_[group_of(steps[i])].steps.push_back(i);
  undrains(desired);
  for (const auto& [name, service] : desired.services)
    for (const Requirement& one : service->requirements)
      if (one.service != name)
        edge(group(one.service, Part::change), group(name, Part::change),
             fmt::format("'{}' requires '{}'{}", name, one.service,
                         one.declared.at.empty() ? "" : fmt::format(" ({})", one.declared.at)));
  recorded(steps, notes);
  make_room(steps);
  moves(notes);
  live();
}

std::uint32_t Order::group(const std::string& service, Part part) {
  const auto [found, fresh] =
      index_.emplace(std::pair(service, part), static_cast<std::uint32_t>(groups_.size()));
  if (fresh) groups_.push_back({.service = service, .part = part});
  return found->second;
}

std::uint32_t Order::group_of(const Step& step) {
  return group(step.service, step.action == Action::remove    ? Part::removal
                             : step.action == Action::undrain ? Part::undrain
                                                              : Part::change);
}

void Order::edge(std::uint32_t before, std::uint32_t after, std::string why) {
  auto& list = groups_[after].after;
  if (std::none_of(list.begin(), list.end(), [&](const auto& one) { return one.first == before; }))
    list.emplace_back(before, std::move(why));
}

void Order::undrains(const Desired& desired) {
  // Who was held back is let go once it is changed itself, and all that it uses are.
  for (const Group& one : std::vector<Group>(groups_)) {
    if (one.part != Part::undrain) continue;
    const std::uint32_t self = group(one.service, Part::undrain);
    edge(group(one.service, Part::change), self,
         fmt::format("'{}' is let go once it is as it should be", one.service));
    const auto found = desired.services.find(one.service);
    if (found == desired.services.end()) continue;
    for (const auto* relations : {&found->second->requirements, &found->second->connections})
      for (const Requirement& used : *relations)
        edge(group(used.service, Part::change), self,
             fmt::format("'{}' uses '{}'", one.service, used.service));
  }
}

void Order::recorded(const std::vector<Step>& steps, std::vector<std::string>& notes) {
  std::set<std::pair<std::string, std::string>> relations;
  std::map<std::string, std::string> seen_on;
  for (const Step& step : steps) {
    if (!step.old_definition) continue;
    for (const std::string& required : step.old_definition->requirements)
      if (required != step.service && relations.emplace(step.service, required).second)
        seen_on.emplace(step.service + " " + required, step.host);
  }
  std::set<std::string> removed;
  for (const Group& one : groups_)
    if (one.part == Part::removal) removed.insert(one.service);
  for (const auto& [from, to] : relations) {
    if (!removed.contains(to)) continue;
    const std::string why =
        fmt::format("'{}' required '{}', as recorded on {}", from, to, seen_on.at(from + " " + to));
    edge(group(from, Part::change), group(to, Part::removal), why);
    if (!removed.contains(from)) continue;
    Graph graph(groups_.size());  // hosts at different versions may have required each other both ways
    for (std::uint32_t g = 0; g < groups_.size(); ++g)
      for (const auto& [before, ignored] : groups_[g].after) graph.add_edge(before, g);
    if (graph.reaches(group(to, Part::removal), group(from, Part::removal)))
      notes.push_back(fmt::format("{}; but that would close a loop of removals: left out", why));
    else
      edge(group(from, Part::removal), group(to, Part::removal), why);
  }
}

std::vector<bool> Order::before(std::uint32_t node) const {
  std::vector<bool> found(nodes_.size());
  std::vector<std::uint32_t> reach{node};
  found[node] = true;
  while (!reach.empty()) {
    const std::uint32_t next = reach.back();
    reach.pop_back();
    for (const std::uint32_t one : nodes_[next])
      if (!found[one]) {
        found[one] = true;
        reach.push_back(one);
      }
  }
  return found;
}

void Order::make_room(const std::vector<Step>& steps) {
  for (const Step& step : steps)
    if (step.action == Action::remove) (void)group(step.service, Part::change);  // moves() asks for it
  nodes_.resize(groups_.size());
  for (std::uint32_t g = 0; g < groups_.size(); ++g)
    for (const auto& [before, why] : groups_[g].after) nodes_[g].push_back(before);
  for (std::uint32_t i = 0; i < steps.size();) {  // the steps of a host are neighbours
    const std::string& host = steps[i].host;
    std::vector<std::uint32_t> removals, changes;
    for (; i < steps.size() && steps[i].host == host; ++i) {
      if (steps[i].action == Action::remove) removals.push_back(i);
      if (is_change(steps[i].action)) changes.push_back(i);
    }
    if (!removals.empty() && !changes.empty()) make_room(steps, host, removals, changes);
    if (!changes.empty()) hand_over(steps, host, changes);
  }
}

void Order::make_room(const std::vector<Step>& steps, const std::string& host,
                      const std::vector<std::uint32_t>& removals, const std::vector<std::uint32_t>& changes) {
  std::pair<Services, Services> services;
  for (const std::uint32_t step : removals) services.first.push_back(steps[step].service);
  for (const std::uint32_t step : changes) services.second.push_back(steps[step].service);
  const auto [found, is_new] = decided_.try_emplace(services);
  Decided& decided = found->second;
  if (is_new) {
    // All those that make room for all come before one node, which comes before all changes.
    const auto middle = static_cast<std::uint32_t>(nodes_.size());
    nodes_.emplace_back();
    for (const std::uint32_t change : changes) nodes_[group_of(steps[change])].push_back(middle);
    for (std::size_t r = 0; r < removals.size(); ++r) {
      const std::uint32_t removal = group_of(steps[removals[r]]);
      const std::vector<bool> earlier = before(removal);
      decided.all.push_back(!earlier[middle]);
      if (!earlier[middle]) {
        nodes_[middle].push_back(removal);
        continue;
      }
      for (std::size_t c = 0; c < changes.size(); ++c)
        if (const std::uint32_t change = group_of(steps[changes[c]]); !earlier[change]) {
          decided.some.emplace_back(r, c);
          nodes_[change].push_back(removal);
        }
    }
  }
  const auto why = [&](std::uint32_t removal) {
    return fmt::format("'{}' goes from {} first, to make room", steps[removal].service, host);
  };
  Room all{.host = host,
           .before = {},
           .after = changes,
           .why = fmt::format("what goes from {} makes room first", host)};
  for (std::size_t r = 0; r < removals.size(); ++r)
    if (decided.all[r]) all.before.push_back(removals[r]);
  if (all.before.size() == 1) all.why = why(all.before.front());
  if (!all.before.empty()) rooms_.push_back(std::move(all));
  for (const auto& [r, c] : decided.some)
    rooms_.push_back({host, {removals[r]}, {changes[c]}, why(removals[r])});
}

void Order::hand_over(const std::vector<Step>& steps, const std::string& host,
                      const std::vector<std::uint32_t>& changes) {
  std::map<std::string, std::uint32_t> given_up;
  for (const std::uint32_t step : changes)
    if (steps[step].old_definition)
      for (const InstalledFile& file : steps[step].old_definition->files)
        if (!has_file(steps[step].new_definition, file.path)) given_up.emplace(file.path, step);
  if (given_up.empty()) return;
  std::set<std::pair<std::uint32_t, std::uint32_t>> known;
  for (const std::uint32_t step : changes) {
    if (!steps[step].new_definition) continue;
    for (const InstalledFile& file : steps[step].new_definition->files) {
      const auto from = given_up.find(file.path);
      if (from == given_up.end() || from->second == step || !known.emplace(from->second, step).second)
        continue;
      const std::uint32_t giver = group_of(steps[from->second]), taker = group_of(steps[step]);
      if (before(giver)[taker]) continue;  // a requirement says otherwise
      nodes_[taker].push_back(giver);
      rooms_.push_back({host,
                        {from->second},
                        {step},
                        fmt::format("'{}' takes {}, which '{}' gives up", steps[step].service, file.path,
                                    steps[from->second].service)});
    }
  }
}

bool Order::wait(std::uint32_t group, std::uint32_t earlier) {
  auto& known = nodes_[group];
  if (std::find(known.begin(), known.end(), earlier) != known.end()) return true;
  if (before(earlier)[group]) return false;
  known.push_back(earlier);
  return true;
}

void Order::moves(std::vector<std::string>& notes) {
  for (std::uint32_t g = 0; g < groups_.size(); ++g) {
    if (groups_[g].part != Part::removal) continue;
    const std::string& service = groups_[g].service;
    const std::uint32_t change = group(service, Part::change);
    if (groups_[change].steps.empty() && groups_[change].after.empty()) continue;  // nothing to wait for
    if (before(change)[g]) {
      if (groups_[change].steps.empty()) continue;
      notes.push_back(
          fmt::format("'{}' goes where it is not wanted before it is where it is wanted: on one host what "
                      "goes makes room first",
                      service));
      continue;
    }
    edge(change, g, fmt::format("'{}' goes where it is not wanted once it is where it is", service));
    nodes_[g].push_back(change);
  }
}

void Order::live() {
  Graph graph(groups_.size());
  for (std::uint32_t g = 0; g < groups_.size(); ++g)
    for (const auto& [before, why] : groups_[g].after) graph.add_edge(before, g);
  for (const std::uint32_t g : graph.order()) {
    groups_[g].is_live = !groups_[g].steps.empty();
    for (const auto& [before, why] : groups_[g].after)
      groups_[g].is_live = groups_[g].is_live || groups_[before].is_live;
  }
  for (Group& one : groups_)
    for (const auto& [before, why] : one.after)
      if (one.is_live && groups_[before].is_live) groups_[before].has_join = true;
}

}  // namespace tutti
