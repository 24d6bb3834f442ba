// SPDX-License-Identifier: LGPL-3.0-or-later
#include "executor/outcome.hpp"

#include <fmt/format.h>

#include "support/text.hpp"

namespace tutti {

std::string effect_token(std::string_view lineage, int run, const Place& at) {
  std::string token = token_prefix(lineage, run);
  add_token_end(token, at);
  return token;
}

std::string token_prefix(std::string_view lineage, int run) {
  return fmt::format("{}.{}.", lineage.substr(0, 12), run);
}

void add_token_end(std::string& token, const Place& at) {
  token += std::to_string(static_cast<std::uint32_t>(at.step));
  token += '.';
  token += to_string(at.path);
  token += '.';
  token += std::to_string(at.sequence);
}

std::string failure_text(const std::string& request, const Result& result) {
  return fmt::format("{} failed: {}", request,
                     result.error.empty() ? fmt::format("{} {}", to_string(result.how), result.status)
                                          : escaped(result.error, true));
}

std::string reason(const Result& result) {
  return result.error.empty() ? std::string(to_string(result.how)) : result.error;
}

bool says_no(const Result& result) {
  constexpr int cannot_run = 126, not_found = 127, first_signal = 129, last_signal = 192;
  const int status = result.status;
  return !result.succeeded && result.how == How::exit && status != 0 && status != cannot_run &&
         status != not_found && !(status >= first_signal && status <= last_signal);
}

}  // namespace tutti
