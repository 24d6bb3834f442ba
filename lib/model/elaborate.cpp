// SPDX-License-Identifier: LGPL-3.0-or-later
#include <tutti/engine/elaborate.hpp>

#include <algorithm>

#include <fmt/format.h>

#include "model/check.hpp"
#include "model/render.hpp"
#include "support/describe.hpp"
#include "support/text.hpp"
#include <tutti/error.hpp>

namespace tutti {

struct Elaboration::Impl {
  struct Late {
    const Service* service;
    const Host* host;
    bool begun = false;
    std::optional<Settings> settings;
  };

  const Site& site;
  const Fleet& fleet;
  ServiceIndex index;
  std::map<Instance, Late> instances;
  std::vector<Instance> under_way;  // settings that wait for the next one's

  Impl(const Site& s, const Fleet& f) : site(s), fleet(f), index(check(s)) {
    for (const auto& [name, entry] : index.services)
      for (const Host& host : fleet.hosts)
        if (std::find(entry.classes.begin(), entry.classes.end(), host.host_class) != entry.classes.end())
          instances.emplace(Instance{name, host.name}, Late{entry.service, &host, false, std::nullopt});
  }

  const ServiceIndex::Entry& readable(const std::string& reader, const std::string& service) const {
    const auto& entry =
        index.at(service, site.name, reader.empty() ? "" : fmt::format("the settings of '{}': ", reader));
    if (reader.empty() || reader == service) return entry;
    const Service& from = *index.services.at(reader).service;
    const auto names = [&](const std::vector<Requirement>& relations) {
      return std::any_of(relations.begin(), relations.end(),
                         [&](const Requirement& r) { return r.service == service; });
    };
    if (!names(from.requirements) && !names(from.connections))
      throw Error(
          ErrorCode::misuse,
          fmt::format(
              "{}{}the settings of '{}' read '{}', which it declares neither as a requirement (needs it "
              "running) nor as a connection (talks to it): add (connections '(\"{}\"))",
              from.declared.at, from.declared.at.empty() ? "" : ": ", reader, service, service));
    return entry;
  }

  std::vector<const Host*> hosts(const ServiceIndex::Entry& entry) const {
    std::vector<const Host*> found;
    for (const Host& host : fleet.hosts)
      if (std::find(entry.classes.begin(), entry.classes.end(), host.host_class) != entry.classes.end())
        found.push_back(&host);
    return found;
  }

  const Host& only(const std::string& service, const std::vector<const Host*>& hosts) const {
    if (hosts.size() == 1) return *hosts.front();
    throw Error(ErrorCode::misuse,
                fmt::format("'{}' is on {} hosts, exactly one is wanted here{}", service, hosts.size(),
                            hosts.empty() ? ": give its class a host in the inventory"
                                          : ": use hosts-of or endpoints-of"));
  }

  static const Endpoint& endpoint(const Service& service, const std::string& name) {
    std::vector<std::string> known;
    for (const Endpoint& one : service.endpoints) {
      if (one.name == name) return one;
      known.push_back(one.name);
    }
    throw Error(ErrorCode::misuse,
                fmt::format("service '{}' has no endpoint '{}'.{}", service.name, escaped(name),
                            known.empty() ? " It has none." : suggestion(name, known)));
  }

  static bool reads_settings(const Endpoint& endpoint) {
    return std::any_of(endpoint.port.pieces().begin(), endpoint.port.pieces().end(),
                       [](const Text::Piece& piece) { return std::holds_alternative<Setting>(piece); });
  }

  void begin(const Instance& instance) {
    Late& late = instances.at(instance);
    if (late.begun) {
      std::string way;
      bool in_loop = false;
      for (const Instance& one : under_way) {
        in_loop = in_loop || one == instance;
        if (in_loop) way += fmt::format("{} on {} → ", one.service, one.host);
      }
      throw Error(
          ErrorCode::misuse,
          fmt::format("settings wait for each other: {}{} on {}. Give one of the endpoints a fixed port", way,
                      instance.service, instance.host));
    }
    late.begun = true;
    under_way.push_back(instance);
  }

  void settle(const Instance& instance, Settings settings) {
    instances.at(instance).settings = std::move(settings);
    std::erase(under_way, instance);
  }

  const Settings& settings(Elaboration& self, const Instance& instance) {
    Late& late = instances.at(instance);
    if (late.settings) return *late.settings;
    const LateSettings& source = late.service->settings;
    if (source.is_elsewhere())
      throw std::logic_error(
          fmt::format("the settings of {} on {} were not given", instance.service, instance.host));
    begin(instance);
    try {
      settle(instance, source.function() ? source.function()(SiteView(self, instance.service), *late.host)
                                         : source.fixed());
    } catch (Error& error) {
      throw error.in(fmt::format("settings of '{}' on host '{}'", instance.service, instance.host));
    } catch (...) {
      throw Error(ErrorCode::callback, fmt::format("settings of '{}' on host '{}': {}", instance.service,
                                                   instance.host, describe(std::current_exception())));
    }
    return *late.settings;
  }

  std::string address(Elaboration& self, const Service& service, const Host& host, const Endpoint& endpoint) {
    static const Settings none;
    const Settings& known = reads_settings(endpoint) ? settings(self, {service.name, host.name}) : none;
    const std::string& address = host.address.empty() ? host.name : host.address;
    const bool is_ipv6 = address.find(':') != std::string::npos && address[0] != '[';
    return fmt::format("{}{}{}:{}", is_ipv6 ? "[" : "", address, is_ipv6 ? "]" : "",
                       number_of(render_port(service, endpoint, host, known)));
  }

  /// What only one service of a host can have: files, ports, and a unit. Throws Error that names both.
  class Claims {
   public:
    void add(const Host& host, const Definition& definition) {
      for (const InstalledFile& file : definition.files)
        claim(host, definition.service, file.path, "both write the file '{}': give it to one of them");
      for (const auto& [name, port] : definition.endpoints)
        claim(host, definition.service, port,
              "both have an endpoint at port {}: give one of them another port");
      if (const std::string* unit = definition.unit())
        claim(host, definition.service, *unit, "both start the unit '{}': let one of them do so");
    }

   private:
    void claim(const Host& host, const std::string& service, const std::string& what, const char* remedy) {
      const auto [other, fresh] = owners_.emplace(std::pair(host.name, what), service);
      if (fresh || other->second == service) return;
      throw Error(ErrorCode::misuse,
                  fmt::format("host '{}' of class '{}': '{}' and '{}' {}", host.name, host.host_class,
                              other->second, service, fmt::format(fmt::runtime(remedy), what)));
    }
    std::map<std::pair<std::string, std::string>, std::string>
        owners_;  // a path begins with '/', a port with a digit, a unit ends with ".service"
  };

  /// The same for classes that have no host yet, as far as it stands there without settings.
  void check_empty_classes() const {
    for (const HostClass& host_class : site.host_classes) {
      const auto is_of_class = [&](const Host& host) { return host.host_class == host_class.name; };
      if (std::any_of(fleet.hosts.begin(), fleet.hosts.end(), is_of_class)) continue;
      std::map<std::string, std::string> owners;  // of ports
      for (const Service& service : host_class.services)
        for (const Endpoint& endpoint : service.endpoints) {
          if (reads_settings(endpoint)) continue;
          const std::string port =
              render_port(service, endpoint, Host{.name = "of class " + host_class.name}, {});
          const auto [other, fresh] = owners.emplace(port, service.name);
          if (!fresh && other->second != service.name)
            throw Error(
                ErrorCode::misuse,
                fmt::format(
                    "host class '{}': '{}' and '{}' both have an endpoint at port {}: give one of them "
                    "another port",
                    host_class.name, other->second, service.name, port));
        }
    }
  }
};

Elaboration::Elaboration(const Site& site, const Fleet& fleet) : impl_(std::make_unique<Impl>(site, fleet)) {}
Elaboration::~Elaboration() = default;

std::vector<Instance> Elaboration::elsewhere() const {
  std::vector<Instance> all;
  for (const auto& [instance, late] : impl_->instances)
    if (late.service->settings.is_elsewhere()) all.push_back(instance);
  return all;
}

std::vector<Instance> Elaboration::unsettled(const Instance& reader, const std::string& service) {
  const auto& entry = impl_->readable(reader.service, service);
  std::vector<Instance> waiting;
  if (!entry.service->settings.is_elsewhere()) return waiting;
  if (std::none_of(entry.service->endpoints.begin(), entry.service->endpoints.end(), Impl::reads_settings))
    return waiting;
  for (const Host* host : impl_->hosts(entry))
    if (Instance instance{service, host->name}; !impl_->instances.at(instance).settings)
      waiting.push_back(std::move(instance));
  return waiting;
}

void Elaboration::begin(const Instance& instance) { impl_->begin(instance); }
void Elaboration::settle(const Instance& instance, Settings settings) {
  impl_->settle(instance, std::move(settings));
}

std::vector<Host> Elaboration::hosts_of(const std::string& reader, const std::string& service) const {
  std::vector<Host> hosts;
  for (const Host* host : impl_->hosts(impl_->readable(reader, service))) hosts.push_back(*host);
  return hosts;
}

Host Elaboration::host_of(const std::string& reader, const std::string& service) const {
  return impl_->only(service, impl_->hosts(impl_->readable(reader, service)));
}

std::string Elaboration::endpoint(const std::string& reader, const std::string& service,
                                  const std::string& name) {
  const auto& entry = impl_->readable(reader, service);
  const Endpoint& wanted = Impl::endpoint(*entry.service, name);
  return impl_->address(*this, *entry.service, impl_->only(service, impl_->hosts(entry)), wanted);
}

std::vector<std::string> Elaboration::endpoints_of(const std::string& reader, const std::string& service,
                                                   const std::string& name) {
  const auto& entry = impl_->readable(reader, service);
  const Endpoint& wanted = Impl::endpoint(*entry.service, name);
  std::vector<std::string> all;
  for (const Host* host : impl_->hosts(entry))
    all.push_back(impl_->address(*this, *entry.service, *host, wanted));
  return all;
}

Desired Elaboration::finish() {
  Desired desired{.site = impl_->site.name, .fleet = impl_->fleet};
  Impl::Claims claims;
  DefinitionPtr last;
  for (auto& [instance, late] : impl_->instances) {
    const Settings& settings = impl_->settings(*this, instance);
    DefinitionPtr definition = std::make_shared<const Definition>(
        render(impl_->site, *late.service, *late.host, settings, desired.items));
    claims.add(*late.host, *definition);
    // Hosts where a service is the same share its definition: instances come by service.
    if (last && *last == *definition) definition = last;
    last = definition;
    desired.definitions.emplace(instance, std::move(definition));
  }
  impl_->check_empty_classes();
  for (const auto& [name, entry] : impl_->index.services) desired.services.emplace(name, entry.service);
  return desired;
}

std::vector<Host> SiteView::hosts_of(const std::string& service) const {
  return elaboration_->hosts_of(reader_, service);
}
Host SiteView::host_of(const std::string& service) const { return elaboration_->host_of(reader_, service); }
std::string SiteView::endpoint(const std::string& service, const std::string& name) const {
  return elaboration_->endpoint(reader_, service, name);
}
std::vector<std::string> SiteView::endpoints_of(const std::string& service, const std::string& name) const {
  return elaboration_->endpoints_of(reader_, service, name);
}

Desired elaborate(const Site& site, const Fleet& fleet) { return Elaboration(site, fleet).finish(); }

}  // namespace tutti
