// SPDX-License-Identifier: LGPL-3.0-or-later
#include <tutti/service.hpp>

namespace tutti {

namespace {

bool is_usual_mode(unsigned mode) noexcept {
  constexpr unsigned read = 4, write = 2;
  const unsigned owner = mode >> 6U & 7U, group = mode >> 3U & 7U, others = mode & 7U;
  const auto can_read = [](unsigned who) { return (who & write) == 0 || (who & read) != 0; };
  return (owner & read) != 0 && (group & ~owner) == 0 && (others & ~group) == 0 && can_read(owner) &&
         can_read(group) && can_read(others);
}

}  // namespace

bool is_decimal_mode(unsigned mode) noexcept {
  unsigned meant = 0;
  unsigned shift = 0;
  for (unsigned rest = mode; rest > 0; rest /= 10, shift += 3) {
    if (rest % 10 > 7) return false;
    meant |= rest % 10 << shift;
  }
  return mode >= 100 && meant <= 07777 && is_usual_mode(meant) && !(mode <= 07777 && is_usual_mode(mode));
}

Declared::Declared(std::source_location here) {
  std::string file = here.file_name();
  at = file.substr(file.rfind('/') + 1) + ":" + std::to_string(here.line());
}

LateSettings LateSettings::elsewhere() {
  LateSettings settings;
  settings.elsewhere_ = true;
  return settings;
}

const char* to_string(Origin origin) noexcept { return origin == Origin::built_in ? "built in" : "the site"; }

}  // namespace tutti
