#include "executor/outcome.hpp"

#include <fmt/format.h>

#include "support/json.hpp"
#include "support/text.hpp"
#include <tutti/error.hpp>

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

std::string outcome_json(const Result& result) {
  const std::string& text = result.output.text;
  const bool is_text = is_utf8(text) && text.find('\0') == std::string::npos;
  std::string json;
  json.reserve(64 + text.size() + result.error.size());
  {
    ObjectWriter outcome(json);
    if (!result.error.empty()) outcome.text("error", to_utf8(result.error));
    if (!result.succeeded) outcome.flag("failed", true);
    if (!is_text) outcome.text("hex", to_hex(text));
    outcome.text("how", to_string(result.how));
    if (!result.output.sha256.empty()) outcome.text("sha256", to_utf8(result.output.sha256));
    outcome.integer("size", static_cast<std::int64_t>(result.output.size));
    outcome.integer("status", result.status);
    if (is_text && !text.empty()) outcome.text("text", text);
  }
  return json;
}

Result outcome_from_json(const std::string& text) {
  try {
    const Json json = Json::parse(text);
    Result result;
    result.status = json.at("status");
    result.succeeded =
        !json.value("failed", false) && result.status == 0;  // runs of before 0.1 have no `failed`
    result.how = how_from_string(json.at("how").get<std::string>()).value_or(How::error);
    result.output.size = json.at("size");
    result.output.sha256 = json.value("sha256", "");
    result.output.cut = !result.output.sha256.empty();
    result.output.text =
        json.contains("hex") ? from_hex(json.at("hex").get<std::string>()) : json.value("text", "");
    result.error = json.value("error", "");
    return result;
  } catch (const Json::exception& e) {
    throw Error(ErrorCode::system, fmt::format("the journal has an outcome that can't be read ({}): {}",
                                               e.what(), escaped(text)));
  }
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
