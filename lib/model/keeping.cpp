// SPDX-License-Identifier: LGPL-3.0-or-later
#include "model/keeping.hpp"

#include <algorithm>
#include <charconv>
#include <vector>

#include <fmt/format.h>

#include "support/text.hpp"
#include <tutti/error.hpp>

namespace tutti {
namespace {

struct LimitName {
  std::string_view name, wanted;
};
constexpr LimitName limit_names[] = {
    {"open-files", "a number of files, such as 4096"},
    {"processes", "a number of processes, such as 100"},
    {"memory", "a number of bytes, or a string such as \"512M\" or \"2G\""},
    {"cpu", "percent of one processor, such as \"150%\""},
};

constexpr std::string_view signals[] = {"TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "WINCH", "KILL"};

constexpr double day_seconds = 86400;

/// The name's row. Throws Error, with the nearest name.
const LimitName& limit_name(std::string_view name) {
  std::vector<std::string> known;
  for (const LimitName& one : limit_names) {
    if (one.name == name) return one;
    known.emplace_back(one.name);
  }
  throw Error(ErrorCode::misuse, fmt::format("limits: there is no limit '{}'; there are {}.{}", escaped(name),
                                             fmt::join(known, ", "), suggestion(std::string(name), known)));
}

/// 022 that was written as 22.
bool is_decimal_umask(unsigned mask) { return mask == 2 || mask == 22 || mask == 27 || mask == 77; }

void check_ready(const Service& s) {
  if (s.ready.when != Ready::When::port) return;
  const auto found = std::find_if(s.endpoints.begin(), s.endpoints.end(),
                                  [&](const Endpoint& one) { return one.name == s.ready.endpoint; });
  if (found != s.endpoints.end()) return;
  std::vector<std::string> known;
  for (const Endpoint& one : s.endpoints) known.push_back(one.name);
  throw Error(ErrorCode::misuse,
              fmt::format("ready: it has no endpoint '{}'.{}", escaped(s.ready.endpoint),
                          known.empty() ? " It has none." : suggestion(s.ready.endpoint, known)));
}

}  // namespace

const char* to_string(Restart restart) noexcept {
  switch (restart) {
    case Restart::always: return "always";
    case Restart::on_failure: return "on-failure";
    case Restart::never: return "never";
  }
  return "never";
}

const char* to_string(LogTo log) noexcept { return log == LogTo::journal ? "journal" : "file"; }

std::uint64_t resource_limit(std::string_view name, std::string_view text) {
  const LimitName& limit = limit_name(name);
  std::string_view digits = text;
  std::uint64_t unit = 1;
  if (name == "memory" && !text.empty()) {
    unit = text.back() == 'K' ? 1U << 10 : text.back() == 'M' ? 1U << 20 : text.back() == 'G' ? 1U << 30 : 1;
    if (unit > 1) digits.remove_suffix(1);
  }
  if (name == "cpu" && text.ends_with('%')) digits.remove_suffix(1);
  std::uint64_t number = 0;
  const char* const end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, number);
  constexpr std::uint64_t most = std::uint64_t{1} << 50;
  if (error != std::errc() || stop != end || number == 0 || number > most / unit)
    throw Error(ErrorCode::misuse,
                fmt::format("limits: '{}' is no limit of {}: give {}", escaped(text), name, limit.wanted));
  return number * unit;
}

void check_keeping(const Service& s) {
  const auto wrong = [](const std::string& why) { throw Error(ErrorCode::misuse, why); };
  const bool is_daemon = s.start.is_daemon;
  if (!is_daemon) {
    const auto only_daemons = [&](bool is_given, const char* field) {
      if (is_given)
        wrong(s.start.is_unit
                  ? fmt::format(
                        "{}: its start is a unit of systemd, which says that itself: leave it out, and give "
                        "the unit a drop-in as a file",
                        field)
                  : fmt::format(
                        "{}: it is of daemons, and its start is a program that returns: leave it out, or "
                        "make start a daemon",
                        field));
    };
    only_daemons(s.restart != Restart::always, "restart");
    only_daemons(s.ready.when != Ready::When::started, "ready");
    only_daemons(s.log != LogTo::file, "log");
    only_daemons(s.stop_signal != "TERM", "stop-signal");
  }
  if (s.start.is_unit && (!s.limits.empty() || s.umask || s.nice))
    wrong("limits, umask and nice: its start is a unit of systemd, which says them itself: leave them out, "
          "and give "
          "the unit a drop-in as a file");
  check_ready(s);
  if (std::find(std::begin(signals), std::end(signals), s.stop_signal) == std::end(signals))
    wrong(
        fmt::format("stop-signal: '{}' is not one of {}", escaped(s.stop_signal), fmt::join(signals, ", ")));
  const auto seconds = [&](double given, const char* field) {
    if (!(given >= 0 && given <= day_seconds))
      wrong(fmt::format("{} is a number of seconds, from 0 to a day", field));
  };
  seconds(s.grace, "grace");
  seconds(s.settle.value_or(0), "settle");
  if (s.nice && (*s.nice < -20 || *s.nice > 19)) wrong("nice is a whole number from -20 to 19");
  if (s.umask && is_decimal_umask(*s.umask))
    wrong(fmt::format("umask {} is decimal, which is {:o} in octal: write 0{} or #o{}", *s.umask, *s.umask,
                      *s.umask, *s.umask));
  if (s.umask && *s.umask > 0777) wrong(fmt::format("umask {:o} is none: give e.g. 027 in octal", *s.umask));
  for (const auto& [name, value] : s.limits) (void)resource_limit(name, std::to_string(value));
}

}  // namespace tutti
