// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once

#include <string_view>

namespace tutti {

/// The text of the runner, assembled from lib/transport/runner/ when the library was built.
/// Constant-initialised, so that it may be read from any thread at any time.
extern const std::string_view runner_text;

}  // namespace tutti
