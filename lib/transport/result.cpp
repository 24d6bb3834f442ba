// SPDX-License-Identifier: LGPL-3.0-or-later
// From the runner's reply to a result: what failed, said in a sentence.
#include <algorithm>

#include <fmt/format.h>

#include "support/text.hpp"
#include "transport/compile.hpp"

namespace tutti {
namespace {

constexpr std::size_t most_error_lines = 12;

/// The last lines of what a program wrote, fit for a terminal.
std::string last_lines(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' '))
    text.remove_suffix(1);
  std::size_t begin = text.size() > error_bytes ? text.size() - error_bytes : 0;
  if (begin > 0)
    begin = std::min(text.find('\n', begin), begin + error_bytes / 2) + 1;  // at a line, if one is near
  std::size_t lines = 0;
  for (std::size_t i = text.size(); i > begin; --i)
    if (text[i - 1] == '\n' && ++lines == most_error_lines) begin = i;
  return escaped(text.substr(std::min(begin, text.size())), true);
}

/// What was said in several lines begins a line of its own.
std::string with(const std::string& sentence, const std::string& said) {
  if (said.empty()) return sentence;
  return sentence + (said.find('\n') == std::string::npos ? ": " : ":\n") + said;
}

/// What the host says of files beside what it did.
std::vector<std::string> notes(std::string_view error) {
  std::vector<std::string> notes;
  while (!error.empty()) {
    const auto end = std::min(error.find('\n'), error.size());
    const std::string_view line = error.substr(0, end);
    if (line.starts_with("kept aside: ") || line.starts_with("left alone: ")) notes.push_back(escaped(line));
    error.remove_prefix(std::min(end + 1, error.size()));
  }
  return notes;
}

bool installs(const Request& request) {
  return request.as<effect::Start>() || request.as<effect::Reload>() || request.as<effect::InstallFiles>() ||
         request.as<effect::PutFile>() || request.as<effect::RestoreFile>();
}

std::string why(const Request& request, const frames::Done& done, const std::string& said) {
  const DefinitionPtr& definition = request.definition();
  const std::string service = definition ? "'" + definition->service + "'" : "the service";
  switch (done.how) {
    case How::exit:
    case How::already:
    case How::absent:
      return said.empty() ? fmt::format("it ended with status {} and said nothing", done.status) : said;
    case How::timeout:
      return with(request.as<effect::Validate>() || request.as<effect::WaitUntil>()
                      ? "it did not succeed within its limit"
                      : "it did not end within its limit and was killed",
                  said);
    case How::killed: return with("it was killed", said);
    case How::busy: return with(fmt::format("another daemon of {} is running there", service), said);
    case How::died:
      return with(fmt::format("the daemon ended{}{}",
                              done.status ? fmt::format(" with status {}", done.status) : "",
                              request.as<effect::Validate>() ? " while it was being validated" : ""),
                  said);
    case How::lingers: return with("it was stopped, but is still up when its limit is over", said);
    case How::flood:
      return "it printed without end: more than the host keeps of a program (TUTTI_MOST_OUTPUT there, 4 GiB "
             "by default), and was killed";
    case How::full:
      return fmt::format("the disk of the host is full: it ended with status {}, but what it printed could "
                         "not be kept. Make room there",
                         done.status);
    case How::fenced:
    case How::error: return said.empty() ? "the host could not prepare it" : said;
  }
  return said;
}

/// The limit that was over, when it is known here.
double limit_of(const Request& request) {
  if (request.limit > 0) return request.limit;
  if (const auto* run = request.as<effect::Run>()) return run->command.limit;
  if (const auto* wait = request.as<effect::WaitUntil>()) return wait->command.limit;
  const DefinitionPtr& definition = request.definition();
  if (!definition) return 0;
  const auto& programs = definition->programs;
  const std::string_view effect = name_of(request.effect);
  const std::string name(effect == "validate" || effect == "stop" || effect == "reload" ? effect : "start");
  const auto found = programs.find(name);
  return found == programs.end() ? 0 : found->second.limit;
}

}  // namespace

Result failed(std::string why) {
  Result result;
  result.succeeded = false;
  result.how = How::error;
  result.error = std::move(why);
  return result;
}

frames::Stream says_why(const frames::Done& done) noexcept {
  const auto has_text = [](const std::string& text) {
    return std::any_of(text.begin(), text.end(), [](unsigned char c) { return c > ' '; });
  };
  const bool on_error = has_text(done.error.preview) || done.error.size > done.error.preview.size();
  // What we could not prepare is told on standard error alone.
  return on_error || done.how == How::error ? frames::Stream::err : frames::Stream::out;
}

Result to_result(const Request& request, const std::string& token, const std::string& host,
                 const frames::Done& done, const std::string& tail) {
  Result result;
  result.succeeded = done.succeeded();
  result.status = done.status;
  result.how = done.how;
  result.output = {.text = done.output.preview,
                   .cut = done.output.size > done.output.preview.size(),
                   .size = done.output.size,
                   .sha256 = done.output.sha256,
                   .host = host,
                   .token = token};
  if (result.succeeded && installs(request)) result.notes = notes(done.error.preview);
  if (!result.succeeded) {
    const auto& said = says_why(done) == frames::Stream::err ? done.error : done.output;
    result.error = why(request, done, last_lines(tail.empty() ? said.preview : tail));
    if (const double limit = limit_of(request); done.how == How::timeout && limit > 0)
      result.error.replace(result.error.find("its limit"), 9, fmt::format("{:g} s", limit));
  }
  return result;
}

}  // namespace tutti
