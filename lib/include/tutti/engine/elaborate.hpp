// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// Elaboration: site and fleet in, definitions out. Late-bound settings are computed here.
// Threads: none; settings are called on the caller's thread.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <tutti/definition.hpp>
#include <tutti/site.hpp>

namespace tutti {

/// A service on a host.
struct Instance {
  std::string service;
  std::string host;
  auto operator<=>(const Instance&) const = default;
};

/// An item's bytes, by the name it has in the stores: HASH-NAME, HASH the first 32 hexadecimal
/// digits of SHA-256("file\n" + ("x" if executable) + "\n" + content).
struct ItemContent {
  std::string bytes;
  bool executable = false;
};
using Items = std::map<std::string, std::shared_ptr<const ItemContent>>;  // shared: may be large

/// What is wanted on every host: values only.
struct Desired {
  std::string site;
  Fleet fleet = {};
  std::map<Instance, DefinitionPtr> definitions = {};
  Items items = {};
  std::map<std::string, const Service*> services = {};  ///< borrowed from the Site
};

/// Computes definitions, settings on demand. Settings that are computed elsewhere are
/// asked for by `unsettled` and given by `settle`; all others are computed by `finish`.
class TUTTI_EXPORT Elaboration {
 public:
  /// Checks the site: names, requirements, connections, loops, what is not built. Throws Error.
  /// Borrows both until `finish` has returned.
  Elaboration(const Site&, const Fleet&);
  ~Elaboration();
  Elaboration(const Elaboration&) = delete;
  Elaboration& operator=(const Elaboration&) = delete;

  /// Every instance whose settings are computed elsewhere, in order.
  [[nodiscard]] std::vector<Instance> elsewhere() const;
  /// Of the instances whose endpoint `name` reads settings, those not settled yet; for reading
  /// endpoints of `service` in the settings of `reader`. Throws Error when `reader` declares
  /// neither a requirement nor a connection to it, or when their settings wait for each other.
  [[nodiscard]] std::vector<Instance> unsettled(const Instance& reader, const std::string& service);
  void begin(const Instance&);  ///< its settings are being computed now: for finding loops
  void settle(const Instance&, Settings);

  /// What settings may read. `reader` empty: anything (a transition, a person).
  [[nodiscard]] std::vector<Host> hosts_of(const std::string& reader, const std::string& service) const;
  [[nodiscard]] Host host_of(const std::string& reader, const std::string& service) const;
  [[nodiscard]] std::string endpoint(const std::string& reader, const std::string& service,
                                     const std::string& name);
  [[nodiscard]] std::vector<std::string> endpoints_of(const std::string& reader, const std::string& service,
                                                      const std::string& name);

  /// Renders every definition. Throws Error that names service, host and field.
  [[nodiscard]] Desired finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The site as the settings of one service see it: what that service requires or connects to.
class TUTTI_EXPORT SiteView {
 public:
  SiteView(Elaboration& elaboration, std::string reader)
      : elaboration_(&elaboration), reader_(std::move(reader)) {}
  [[nodiscard]] std::vector<Host> hosts_of(const std::string& service) const;
  /// Throws Error unless there is exactly one.
  [[nodiscard]] Host host_of(const std::string& service) const;
  /// "ADDRESS:PORT"; throws Error unless there is exactly one host.
  [[nodiscard]] std::string endpoint(const std::string& service, const std::string& name) const;
  [[nodiscard]] std::vector<std::string> endpoints_of(const std::string& service,
                                                      const std::string& name) const;

 private:
  Elaboration* elaboration_;
  std::string reader_;
};

/// The whole way for a site whose settings are all computed here.
[[nodiscard]] TUTTI_EXPORT Desired elaborate(const Site&, const Fleet&);

}  // namespace tutti
