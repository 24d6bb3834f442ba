// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// What was thrown, as a sentence.

#include <exception>
#include <string>

namespace tutti {

/// Never throws: whatever was thrown, there is a sentence for it.
[[nodiscard]] std::string describe(const std::exception_ptr&) noexcept;

}  // namespace tutti
