// SPDX-License-Identifier: LGPL-3.0-or-later
// The transitions that are built in, by name and by identity.
#include <tutti/transition.hpp>

#include <algorithm>
#include <iterator>

#include <tutti/service.hpp>

namespace tutti {
namespace {

struct BuiltIn {
  std::string_view name;
  Transition (*body)(Context, Change);
};
constexpr BuiltIn built_in[] = {{"replace-service", replace_service},
                                {"reload-service", reload_service},
                                {"remove-service", remove_service}};

}  // namespace

bool is_built_in(std::string_view transition) noexcept {
  return std::any_of(std::begin(built_in), std::end(built_in),
                     [&](const BuiltIn& one) { return one.name == transition; });
}

std::function<Transition(Context, Change)> built_in_transition(std::string_view name) {
  for (const BuiltIn& one : built_in)
    if (one.name == name) return one.body;
  return {};
}

TransitionProcedure::TransitionProcedure(Transition (*function)(Context, Change))
    : name("a C++ function"), body(function) {
  for (const BuiltIn& one : built_in)
    if (one.body == function) *this = TransitionProcedure(one.name.data());
}

}  // namespace tutti
