// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// Which Tutti this is. The build reads the three numbers from here.
// Threads: constants.

#include <string_view>

#include <tutti/export.hpp>

#define TUTTI_VERSION_MAJOR 0
#define TUTTI_VERSION_MINOR 2
#define TUTTI_VERSION_PATCH 0
/// To compare with: 10000 × major + 100 × minor + patch.
#define TUTTI_VERSION (TUTTI_VERSION_MAJOR * 10000 + TUTTI_VERSION_MINOR * 100 + TUTTI_VERSION_PATCH)

namespace tutti {

/// "0.2.0": of the library that is loaded. TUTTI_VERSION is of the headers that were compiled with. Versions
/// 0.N and 0.M do not work together: the shared library of each has a name of its own.
[[nodiscard]] TUTTI_EXPORT std::string_view version() noexcept;

}  // namespace tutti
