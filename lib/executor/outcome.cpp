#include "executor/outcome.hpp"

#include <fmt/format.h>

#include "support/text.hpp"

namespace tutti {

std::string effect_token(std::string_view lineage, int run, std::uint32_t step, std::string_view path,
                         std::uint32_t sequence) {
  std::string token;
  token.reserve(64);
  token += lineage.substr(0, 12);
  token += '.';
  token += std::to_string(run);
  token += '.';
  token += std::to_string(step);
  token += '.';
  token += path;
  token += '.';
  token += std::to_string(sequence);
  return token;
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
