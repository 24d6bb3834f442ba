// SPDX-License-Identifier: LGPL-3.0-or-later
// The order of versions.
#include <tutti/definition.hpp>

#include <algorithm>

namespace tutti {
namespace {

constexpr std::string_view separators = ".-+~_";

/// Takes the first part off.
std::string_view next_part(std::string_view& version) {
  const auto end = std::min(version.find_first_of(separators), version.size());
  const std::string_view part = version.substr(0, end);
  version.remove_prefix(std::min(end + 1, version.size()));
  return part;
}

bool is_number(std::string_view part) {
  return !part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos;
}

/// Below 0, 0 or above it: `a` before, like or after `b`. Numbers of any length.
int compare(std::string_view a, std::string_view b) {
  if (is_number(a) != is_number(b)) return is_number(a) ? 1 : -1;
  if (is_number(a)) {
    a.remove_prefix(std::min(a.find_first_not_of('0'), a.size()));
    b.remove_prefix(std::min(b.find_first_not_of('0'), b.size()));
    if (a.size() != b.size()) return a.size() < b.size() ? -1 : 1;
  }
  return a.compare(b);
}

}  // namespace

bool version_less(std::string_view a, std::string_view b) noexcept {
  while (!a.empty() && !b.empty())
    if (const int order = compare(next_part(a), next_part(b)); order != 0) return order < 0;
  return a.empty() && !b.empty();
}

}  // namespace tutti
