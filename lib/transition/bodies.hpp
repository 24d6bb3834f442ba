#pragma once
// The bodies of verification.

#include <tutti/transition.hpp>

namespace tutti {

[[nodiscard]] Transition verify_service(Context, DefinitionPtr);
/// Throws when the service still lives. Only what can be told apart is asked: a daemon, or `alive`.
[[nodiscard]] Transition verify_gone(Context, DefinitionPtr);

}  // namespace tutti
