// Order. For `A requires B`: B changes before A changes; and what required B, by the definitions that
// are deployed, changes or goes before B goes. Order between services runs through joins, so steps
// and edges stay linear in instances and requirements.
#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "graph/graph.hpp"
#include "planner/diff.hpp"
#include "support/text.hpp"
#include <tutti/error.hpp>

namespace tutti {
namespace {

/// What joins stand between: all changes of a service, all its removals, all that of it is let go.
enum class Part { change, removal, undrain };
struct Group {
  std::string service;
  Part part = Part::change;
  std::vector<std::uint32_t> steps = {};                          // index into the diff
  std::vector<std::pair<std::uint32_t, std::string>> after = {};  // groups before this one, and why
  bool is_live = false;   // has steps, or comes after a group that is live
  bool has_join = false;  // a live group comes after it
};

/// The groups of a plan and the order among them.
class Order {
 public:
  Order(const Desired& desired, const std::vector<Step>& steps, std::vector<std::string>& notes) {
    for (const auto& [name, service] : desired.services) (void)group(name, Part::change);
    for (std::uint32_t i = 0; i < steps.size(); ++i) {
      const Action action = steps[i].action;
      if (action == Action::record) continue;
      const Part part = action == Action::remove    ? Part::removal
                        : action == Action::undrain ? Part::undrain
                                                    : Part::change;
      groups_[group(steps[i].service, part)].steps.push_back(i);
    }
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

    for (const auto& [name, service] : desired.services)
      for (const Requirement& one : service->requirements)
        if (one.service != name)
          edge(group(one.service, Part::change), group(name, Part::change),
               fmt::format("'{}' requires '{}'{}", name, one.service,
                           one.declared.at.empty() ? "" : fmt::format(" ({})", one.declared.at)));
    recorded(steps, notes);
    live();
  }

  std::vector<Group>& groups() noexcept { return groups_; }

 private:
  std::uint32_t group(const std::string& service, Part part) {
    const auto [found, fresh] =
        index_.emplace(std::pair(service, part), static_cast<std::uint32_t>(groups_.size()));
    if (fresh) groups_.push_back({.service = service, .part = part});
    return found->second;
  }

  void edge(std::uint32_t before, std::uint32_t after, std::string why) {
    auto& list = groups_[after].after;
    if (std::none_of(list.begin(), list.end(), [&](const auto& one) { return one.first == before; }))
      list.emplace_back(before, std::move(why));
  }

  /// Removals, by what the definitions that are deployed say.
  void recorded(const std::vector<Step>& steps, std::vector<std::string>& notes) {
    std::set<std::pair<std::string, std::string>> relations;
    std::map<std::string, std::string> seen_on;
    for (const Step& step : steps) {
      if (!step.old_definition) continue;
      for (const std::string& required : step.old_definition->requirements)
        if (required != step.service && relations.emplace(step.service, required).second)
          seen_on.emplace(step.service + " " + required, step.host);
    }
    std::set<std::string> removed;
    for (const Group& one : std::vector<Group>(groups_))
      if (one.part == Part::removal) removed.insert(one.service);
    for (const std::string& service : removed)
      edge(group(service, Part::change), group(service, Part::removal),
           fmt::format("'{}' goes where it is not wanted once it is where it is", service));
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

  void live() {
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

  std::vector<Group> groups_;
  std::map<std::pair<std::string, Part>, std::uint32_t> index_;
};

/// Lays steps and joins out: ids follow phase, then fleet, then name.
void lay_out(Plan& plan, std::vector<Step> steps, std::vector<Group>& groups) {
  const auto instances = static_cast<std::uint32_t>(steps.size());
  std::vector<std::uint32_t> join_of(groups.size());
  for (std::size_t g = 0; g < groups.size(); ++g) {
    if (!groups[g].has_join) continue;
    join_of[g] = static_cast<std::uint32_t>(steps.size());
    steps.push_back(
        {.action = Action::join,
         .service = groups[g].service,
         .why = groups[g].part == Part::removal ? "all that go are gone" : "all that change are ready"});
  }

  struct Raw {
    std::uint32_t before, after;
    std::string why;
  };
  std::vector<Raw> edges;
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

  Graph graph(steps.size());
  for (const Raw& edge : edges) graph.add_edge(edge.before, edge.after);
  std::vector<std::vector<std::uint32_t>> after(steps.size());
  for (const Raw& edge : edges) after[edge.before].push_back(edge.after);
  for (const std::uint32_t node : graph.order())
    for (const std::uint32_t next : after[node])
      steps[next].phase = std::max(steps[next].phase, steps[node].phase + (node >= instances ? 1 : 0));

  std::map<std::string, std::size_t> rank;
  for (std::size_t i = 0; i < plan.fleet.hosts.size(); ++i) rank.emplace(plan.fleet.hosts[i].name, i);
  std::vector<std::uint32_t> order(steps.size());
  for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  const auto key = [&](std::uint32_t i) {
    const Step& step = steps[i];
    const bool is_join = step.action == Action::join;
    return std::tuple(step.phase, is_join, is_join ? 0 : rank.at(step.host), step.service, i);
  };
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) { return key(a) < key(b); });
  std::vector<std::uint32_t> place(steps.size());
  for (std::uint32_t i = 0; i < order.size(); ++i) place[order[i]] = i;

  for (const std::uint32_t i : order) plan.steps.push_back(std::move(steps[i]));
  for (Raw& edge : edges)
    plan.edges.push_back({StepId{place[edge.before]}, StepId{place[edge.after]}, std::move(edge.why)});
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
  std::map<std::string, std::vector<std::string>> gone;
  for (const auto& [instance, entry] : last_known)
    if (!plan.fleet.find(instance.host) && entry.new_definition)
      gone[instance.host].push_back(entry.new_definition->title());
  for (const auto& [host, held] : gone)
    plan.notes.push_back(
        fmt::format("host '{}' is in no class any more; when last seen it held {}: it is left alone", host,
                    fmt::join(held, ", ")));
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
  std::vector<Step> steps = diff(desired, plan.readings, last_known, plan.notes);
  Order order(desired, steps, plan.notes);
  lay_out(plan, std::move(steps), order.groups());
  check_policy(plan, site);
  note_what_is_odd(plan, site, desired, last_known);
  return plan;
}

}  // namespace tutti
