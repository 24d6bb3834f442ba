// SPDX-License-Identifier: LGPL-3.0-or-later
#include <tutti/version.hpp>

#define TUTTI_TEXT_OF(x) #x
#define TUTTI_TEXT(x) TUTTI_TEXT_OF(x)

namespace tutti {

std::string_view version() noexcept {
  return TUTTI_TEXT(TUTTI_VERSION_MAJOR) "." TUTTI_TEXT(TUTTI_VERSION_MINOR) "." TUTTI_TEXT(
      TUTTI_VERSION_PATCH);
}

}  // namespace tutti
