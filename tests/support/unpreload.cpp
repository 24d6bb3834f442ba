// SPDX-License-Identifier: LGPL-3.0-or-later
// Loaded first with the sanitizer's library: takes LD_PRELOAD out of the environment, so that what
// this process starts is not sanitized.
#include <cstdlib>

namespace {
[[gnu::constructor]] void unpreload() { unsetenv("LD_PRELOAD"); }
}  // namespace
