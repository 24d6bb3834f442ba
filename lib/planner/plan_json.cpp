// SPDX-License-Identifier: LGPL-3.0-or-later
// A plan as JSON, both ways. Definitions are written once, in their canonical form, under the SHA-256 of it;
// steps and manifest entries name them by that. Items are named only: a name holds the hash of its bytes.
#include <tutti/plan.hpp>

#include <algorithm>
#include <array>
#include <unordered_map>

#include <fmt/format.h>

#include "model/canonical.hpp"
#include "support/json.hpp"
#include "support/text.hpp"

namespace tutti {
namespace {

constexpr int format = 1;
constexpr std::size_t id_length = 32;  // of the SHA-256 of a definition, in hexadecimal digits

constexpr std::array lives{std::pair{HostReading::Life::alive, "alive"},
                           std::pair{HostReading::Life::dead, "dead"},
                           std::pair{HostReading::Life::unknown, "unknown"}};
constexpr std::array founds{std::pair{Found::What::file, "file"},
                            std::pair{Found::What::link, "link"},
                            std::pair{Found::What::directory, "directory"},
                            std::pair{Found::What::other, "other"},
                            std::pair{Found::What::unreachable, "unreachable"},
                            std::pair{Found::What::service, "service"},
                            std::pair{Found::What::site, "site"}};

constexpr std::array origins{std::pair{Origin::built_in, "built in"}, std::pair{Origin::site, "the site"}};

template <class Names> const char* name_of(const Names& names, typename Names::value_type::first_type value) {
  return std::find_if(names.begin(), names.end(), [&](const auto& one) { return one.first == value; })
      ->second;
}
template <class Names> auto value_of(const Names& names, const std::string& name) {
  const auto found =
      std::find_if(names.begin(), names.end(), [&](const auto& one) { return name == one.second; });
  if (found == names.end())
    throw Error(ErrorCode::misuse, fmt::format("malformed plan: '{}'", escaped(name)));
  return found->first;
}

/// The definitions of a plan, by the name that they have in its JSON.
class Definitions {
 public:
  const std::string& id(const DefinitionPtr& definition) {
    const auto [found, fresh] = ids_.try_emplace(definition);
    if (fresh) {
      found->second = sha256(forms_.of(definition)).substr(0, id_length);
      by_id_.emplace(found->second, definition);
    }
    return found->second;
  }
  void write(std::string& out) {
    ObjectWriter json(out);
    for (const auto& [id, definition] : by_id_) (json.key(id) += '\n') += forms_.of(definition);
  }

 private:
  CanonicalForms forms_;
  std::unordered_map<DefinitionPtr, std::string> ids_;
  std::map<std::string, DefinitionPtr> by_id_;
};

/// An array, each element in a line of its own.
template <class Range, class F> void write_array(std::string& out, const Range& range, F&& write) {
  out += '[';
  bool is_first = true;
  for (const auto& one : range) {
    out += is_first ? "\n" : ",\n";
    is_first = false;
    write(one);
  }
  out += ']';
}

void write_upkeep(std::string& out, const Upkeep& upkeep) {
  const auto whole = [](std::uint64_t number) { return static_cast<std::int64_t>(number); };
  ObjectWriter json(out);
  if (upkeep.boot) json.flag("boot", *upkeep.boot);
  if (upkeep.keeper) json.text("keeper", *upkeep.keeper);
  if (upkeep.last) json.integer("last", whole(*upkeep.last));
  if (!upkeep.note.empty()) json.text("note", upkeep.note);
  if (upkeep.recent > 0) json.integer("recent", whole(upkeep.recent));
  if (upkeep.restarts > 0) json.integer("restarts", whole(upkeep.restarts));
}

Upkeep upkeep_from(const Json& json) {
  Upkeep upkeep{.restarts = json.value("restarts", std::uint64_t{0}),
                .recent = json.value("recent", std::uint64_t{0}),
                .note = json.value("note", "")};
  if (json.contains("keeper")) upkeep.keeper = json["keeper"].get<std::string>();
  if (json.contains("last")) upkeep.last = json["last"].get<std::uint64_t>();
  if (json.contains("boot")) upkeep.boot = json["boot"].get<bool>();
  return upkeep;
}

void write_reading(std::string& out, const HostReading& reading, Definitions& definitions) {
  ObjectWriter json(out);
  if (!reading.digest.empty()) json.text("digest", reading.digest);
  if (!reading.entries.empty()) {
    write_array(json.key("entries"), reading.entries, [&](const HostReading::Entry& one) {
      ObjectWriter entry(out);
      entry.key("entry") += to_json(one.entry, "", "");
      entry.text("life", name_of(lives, one.life));
      if (one.entry.new_definition) entry.text("new", definitions.id(one.entry.new_definition));
      if (one.entry.old_definition) entry.text("old", definitions.id(one.entry.old_definition));
      if (!(one.upkeep == Upkeep{})) write_upkeep(entry.key("upkeep"), one.upkeep);
    });
  }
  if (!(reading.fence == Fence{})) {
    ObjectWriter fence(json.key("fence"));
    fence.integer("epoch", reading.fence.epoch);
    if (!reading.fence.holder.empty()) fence.text("holder", to_utf8(reading.fence.holder));
    fence.text("lineage", to_utf8(reading.fence.lineage));
  }
  if (!reading.name.empty()) json.text("name", to_utf8(reading.name));
  if (!reading.nonce.empty()) json.text("nonce", to_utf8(reading.nonce));
  if (!reading.paths.empty()) {
    ObjectWriter paths(json.key("paths"));
    for (const auto& [path, found] : reading.paths) {
      ObjectWriter one(paths.key(path));
      if (!found.service.empty()) one.text("service", found.service);
      if (!found.site.empty()) one.text("site", found.site);
      one.text("what", name_of(founds, found.what));
    }
  }
}

void write_host(std::string& out, const Host& host, const HostReading& reading, Definitions& definitions) {
  ObjectWriter json(out);
  if (!host.address.empty()) json.text("address", to_utf8(host.address));
  if (!host.become.empty()) json.text("become", to_utf8(host.become));
  json.text("class", host.host_class);
  if (!host.labels.empty()) json.texts("labels", host.labels);
  json.text("name", host.name);
  if (host.port != 0) json.integer("port", host.port);
  json.flag("reached", reading.reached);
  write_reading(json.key("reading"), reading, definitions);
  if (!host.user.empty()) json.text("user", to_utf8(host.user));
  if (!reading.why.empty()) json.text("why", to_utf8(reading.why));
}

void write_step(std::string& out, std::uint32_t id, const Step& step, Definitions& definitions) {
  ObjectWriter json(out);
  json.text("action", to_string(step.action));
  if (!step.host.empty()) json.text("host", step.host);
  json.integer("id", id);
  if (step.keeps_anew) json.flag("keeps_anew", true);
  if (step.left_over) json.text("left_over", definitions.id(step.left_over));
  if (step.new_definition) {
    json.text("new", definitions.id(step.new_definition));
    json.text("new_version", step.new_definition->version);
  }
  if (step.old_definition) {
    json.text("old", definitions.id(step.old_definition));
    json.text("old_version", step.old_definition->version);
  }
  json.integer("phase", step.phase);
  json.text("service", step.service);
  if (!step.transition.empty()) {
    json.text("transition", to_utf8(step.transition));
    json.text("transition_from", to_string(step.transition_from));
  }
  if (step.unreachable) json.flag("unreachable", true);
  if (!step.was_alive) json.flag("was_alive", false);
  json.text("why", to_utf8(step.why));
}

/// Reads a plan; definitions are shared as they were.
class PlanReader {
 public:
  explicit PlanReader(const Json& json) : json_(json) {
    if (json.value("format_version", 0) != format)
      throw Error(ErrorCode::misuse, fmt::format("a plan of format {} was met; this version knows {}",
                                                 json.value("format_version", 0), format));
    if (!json.contains("definitions"))
      throw Error(ErrorCode::misuse, "this plan was written by an older Tutti, which kept no definitions: "
                                     "it can be shown, and not be executed");
    for (const auto& [id, form] : json.at("definitions").items())
      definitions_.emplace(id, std::make_shared<const Definition>(definition_from_json(form.dump())));
  }

  Plan plan() const {
    Plan plan{.site = json_.at("site")};
    for (const Json& host : json_.at("hosts")) read_host(host, plan);
    for (const Json& one : json_.at("steps")) plan.steps.push_back(step(one));
    for (const Json& edge : json_.at("edges"))
      plan.edges.push_back({.before = id(edge.at("before")),
                            .after = id(edge.at("after")),
                            .why = edge.at("why"),
                            .makes_room = edge.value("makes_room", false)});
    for (const Json& name : json_.at("items")) plan.items.emplace(name.get<std::string>(), nullptr);
    plan.notes = json_.at("notes");
    for (const Json& wave : json_.at("waves")) {
      plan.waves.emplace_back();
      for (const Json& one : wave) plan.waves.back().push_back(id(one));
    }
    plan.policy = json_.at("policy");
    plan.source = json_.at("source").get<Source>();
    plan.generation = json_.at("generation");
    check(plan);
    return plan;
  }

 private:
  static StepId id(const Json& number) { return StepId{number.get<std::uint32_t>()}; }

  DefinitionPtr definition(const Json& owner, const char* key) const {
    if (!owner.contains(key)) return {};
    const auto found = definitions_.find(owner[key].get<std::string>());
    if (found == definitions_.end())
      throw Error(ErrorCode::misuse,
                  fmt::format("malformed plan: there is no definition {}", escaped(owner[key].dump())));
    return found->second;
  }

  void read_host(const Json& json, Plan& plan) const {
    Host host{.name = json.at("name"),
              .address = json.value("address", ""),
              .port = json.value("port", 0),
              .user = json.value("user", ""),
              .become = json.value("become", "")};
    host.labels = json.value("labels", host.labels);
    host.host_class = json.at("class");
    const Json& from = json.at("reading");
    HostReading reading{.host = host.name, .reached = json.at("reached"), .why = json.value("why", "")};
    if (from.contains("fence"))
      reading.fence = {.lineage = from["fence"].at("lineage"),
                       .epoch = from["fence"].at("epoch"),
                       .holder = from["fence"].value("holder", "")};
    reading.name = from.value("name", "");
    reading.nonce = from.value("nonce", "");
    const Json paths = from.value("paths", Json::object());
    for (const auto& [path, found] : paths.items())
      reading.paths.emplace(path, Found{.what = value_of(founds, found.at("what").get<std::string>()),
                                        .service = found.value("service", ""),
                                        .site = found.value("site", "")});
    reading.digest = from.value("digest", "");
    for (const Json& one : from.value("entries", Json::array())) reading.entries.push_back(entry(one));
    plan.readings.emplace(host.name, std::move(reading));
    plan.fleet.hosts.push_back(std::move(host));
  }

  HostReading::Entry entry(const Json& json) const {
    // The two definitions are named beside it, so that each stands in the plan once.
    ManifestEntry entry =
        manifest_entry_from_json(json.at("entry").dump(), definition(json, "old"), definition(json, "new"));
    return {.entry = std::move(entry),
            .life = value_of(lives, json.at("life").get<std::string>()),
            .upkeep = upkeep_from(json.value("upkeep", Json::object()))};
  }

  Step step(const Json& json) const {
    Step step{.action = action_from_string(json.at("action").get<std::string>()),
              .service = json.at("service"),
              .host = json.value("host", ""),
              .old_definition = definition(json, "old"),
              .new_definition = definition(json, "new"),
              .left_over = definition(json, "left_over")};
    step.transition = json.value("transition", "");
    step.transition_from =
        value_of(origins, json.value("transition_from", std::string(tutti::to_string(Origin::built_in))));
    step.was_alive = json.value("was_alive", true);
    step.unreachable = json.value("unreachable", false);
    step.keeps_anew = json.value("keeps_anew", false);
    step.phase = json.at("phase");
    step.why = json.at("why");
    return step;
  }

  static Action action_from_string(const std::string& name) {
    for (const Action action : {Action::install, Action::upgrade, Action::reload, Action::remove,
                                Action::repair, Action::record, Action::undrain, Action::join})
      if (name == tutti::to_string(action)) return action;
    throw Error(ErrorCode::misuse, fmt::format("malformed plan: action '{}'", escaped(name)));
  }

  const Json& json_;
  std::map<std::string, DefinitionPtr> definitions_;
};

}  // namespace

std::string Plan::to_json() const {
  std::string out;
  Definitions definitions;
  {
    // By key, as in every JSON of ours, but for the definitions: they are known once all else is written.
    ObjectWriter json(out);
    write_array(json.key("edges"), edges, [&](const Edge& edge) {
      ObjectWriter one(out);
      one.integer("after", static_cast<std::uint32_t>(edge.after));
      one.integer("before", static_cast<std::uint32_t>(edge.before));
      if (edge.makes_room) one.flag("makes_room", true);
      one.text("why", to_utf8(edge.why));
    });
    json.integer("format_version", format);
    json.integer("generation", generation);
    write_array(json.key("hosts"), fleet.hosts,
                [&](const Host& host) { write_host(out, host, readings.at(host.name), definitions); });
    write_array(json.key("items"), items, [&](const auto& item) { append_json(out, item.first); });
    write_array(json.key("notes"), notes, [&](const std::string& note) { append_json(out, to_utf8(note)); });
    json.text("policy", to_utf8(policy));
    json.text("site", site);
    json.texts("source", source);
    std::uint32_t id = 0;
    write_array(json.key("steps"), steps,
                [&](const Step& step) { write_step(out, id++, step, definitions); });
    write_array(json.key("waves"), waves, [&](const std::vector<StepId>& wave) {
      out += '[';
      for (const StepId& step : wave)
        out += fmt::format("{}{}", &step == &wave.front() ? "" : ",", static_cast<std::uint32_t>(step));
      out += ']';
    });
    definitions.write(json.key("definitions"));
  }
  return out;
}

Plan plan_from_json(std::string_view text) {
  const Json json = parse_json(text, "plan");
  try {
    return PlanReader(json).plan();
  } catch (const Json::exception& e) {
    throw Error(ErrorCode::misuse, fmt::format("malformed plan: {}", e.what()));
  }
}

}  // namespace tutti
