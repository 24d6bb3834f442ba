// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// Sentences for people: why a host does not answer or refuses us, and the remedy where one is known.
// Threads: pure functions.

#include <string>
#include <string_view>

#include "transport/frames.hpp"
#include <tutti/site.hpp>

namespace tutti {

/// "h3 (10.0.0.3)", or the name alone when it says as much.
[[nodiscard]] std::string whereabouts(const Host& host);
/// Why no connection came about. `last_words`: the end of ssh's (or the shell's) standard error;
/// `otherwise`: what we know ourselves.
[[nodiscard]] std::string why_unreachable(const Host& host, const Platform& platform,
                                          std::string_view last_words, const std::string& otherwise);
/// The same for the host's own REFUSED.
[[nodiscard]] std::string why_unreachable(const Host& host, const frames::Ended& ended);
/// Why LOCK was refused.
[[nodiscard]] std::string why_refused(const Host& host, const frames::Refused& refused);

}  // namespace tutti
