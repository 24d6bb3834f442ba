// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// Static checks of a site: what can be said to be wrong before any host is known.

#include <map>
#include <string>
#include <vector>

#include <tutti/site.hpp>

namespace tutti {

/// Every service of the site by name, and the classes that list it.
struct ServiceIndex {
  struct Entry {
    const Service* service;
    std::vector<std::string> classes;
  };
  std::map<std::string, Entry> services;

  /// Throws Error "no service 'bd' in site 'shop'. Did you mean 'db'?", beginning with `where`.
  [[nodiscard]] const Entry& at(const std::string& name, const std::string& site,
                                const std::string& where = {}) const;
};

/// Checks what can be said of a host by itself; the Error begins with `where`.
void check(const Host&, const std::string& where);

/// Checks names, fields, relations and what is not built yet; throws Error that names the culprit,
/// where it was declared and what to do. A loop of requirements is printed edge by edge.
[[nodiscard]] ServiceIndex check(const Site&);

}  // namespace tutti
