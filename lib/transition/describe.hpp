#pragma once
// What a body came to, as a sentence; and the bodies of verification.

#include <exception>
#include <string>

#include <tutti/transition.hpp>

namespace tutti {

/// Never throws: whatever was thrown, there is a sentence for it.
[[nodiscard]] std::string describe(const std::exception_ptr&) noexcept;

[[nodiscard]] Transition verify_service(Context, Definition);
/// Throws when the service still lives. Only what can be told apart is asked: a daemon, or `alive`.
[[nodiscard]] Transition verify_gone(Context, Definition);

}  // namespace tutti
