// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// The token of an effect, and what it came to in words.

#include <string>
#include <string_view>

#include <tutti/engine/journal.hpp>

namespace tutti {

/// LINEAGE.RUN.STEP.PATH.SEQUENCE, a word of at most 64 characters; of the lineage its first 12. Hosts find
/// the run in it.
[[nodiscard]] std::string effect_token(std::string_view lineage, int run, const Place&);
[[nodiscard]] std::string token_prefix(std::string_view lineage, int run);  ///< LINEAGE.RUN.
void add_token_end(std::string& token, const Place&);                       ///< the rest

/// "stop web 2 failed: it lingers": the request, as `describe` has it, and why.
[[nodiscard]] std::string failure_text(const std::string& request, const Result&);
/// Why it failed, in a word or a sentence.
[[nodiscard]] std::string reason(const Result&);
/// A program that is asked a question answered it with "no". One that was killed, timed out, or could not be
/// run (exit status 126, 127, or 128 and a signal) has said nothing.
[[nodiscard]] bool says_no(const Result&);

}  // namespace tutti
