// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// The tables of a state file, and how those of older versions become these. lib/doc/journal.md describes
// them.

#include <string>

#include "state/database.hpp"
#include <tutti/world.hpp>

namespace tutti {

inline constexpr int schema_version = 3;

/// The value of a key of the table `meta`; "" when there is none.
[[nodiscard]] std::string meta(Database&, const char* key);
void set_meta(Database&, const char* key, const std::string& value);

/// The row of the table `content` that has this text, made when there is none: each text stands there once.
[[nodiscard]] std::int64_t content_id(Database&, std::string_view text);

enum class Schema { fresh, older, current };
/// What is in the file. Throws Error(system) when it is of a newer Tutti or of another program: such a file
/// is left as it is.
[[nodiscard]] Schema schema_of(Database&, const std::string& file);
/// Makes the tables of a fresh file with a lineage of its own, or brings those of an older one up to date, in
/// one transaction. Another process may be faster.
void prepare(Database&, const std::string& file, Entropy&);

}  // namespace tutti
