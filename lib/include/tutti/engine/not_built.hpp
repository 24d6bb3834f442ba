// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// What the vocabulary has and this version has not: one table, which C++ and Scheme refuse by.
// Threads: all of it is constant.

#include <span>
#include <string>
#include <string_view>

#include <tutti/export.hpp>

namespace tutti {

/// A word that is refused, and what to do instead: "use …", "leave it out".
struct NotBuilt {
  std::string_view name;
  std::string_view remedy;
};

/// The whole table.
[[nodiscard]] TUTTI_EXPORT std::span<const NotBuilt> not_built();

/// Throws Error(not_built): "WHERE: NAME is not built yet: REMEDY". `name` is one of the table. `where` names
/// what has it, such as "service 'web'"; empty, it is left out.
[[noreturn]] TUTTI_EXPORT void throw_not_built(std::string_view name, const std::string& where = {});

}  // namespace tutti
