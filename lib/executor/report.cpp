// SPDX-License-Identifier: LGPL-3.0-or-later
#include <tutti/report.hpp>

#include <algorithm>
#include <cctype>
#include <map>
#include <ostream>
#include <set>
#include <string_view>

#include <fmt/format.h>

#include "support/json.hpp"
#include "support/table.hpp"
#include "support/text.hpp"

namespace tutti {
namespace {

constexpr Outcome in_order[] = {Outcome::upgraded,         Outcome::unchanged, Outcome::rolled_back,
                                Outcome::roll_back_failed, Outcome::failed,    Outcome::unknown,
                                Outcome::unreachable,      Outcome::skipped};

/// "1 → 2, rolled back" and the like: the versions of a step.
std::string versions(const StepReport& step) {
  if (step.old_version.empty()) return step.new_version;
  if (step.new_version.empty()) return step.old_version + " → gone";
  return step.old_version == step.new_version ? step.new_version
                                              : step.old_version + " → " + step.new_version;
}

/// Is there a word in the line; is it one of an error?
bool has_word(std::string_view line) {
  return std::any_of(line.begin(), line.end(), [](unsigned char c) { return std::isalnum(c) || c >= 0x80; });
}
bool tells_error(std::string_view line) {
  std::string small(line);
  std::transform(small.begin(), small.end(), small.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return small.find("error") != std::string::npos || small.find("fatal") != std::string::npos;
}

/// The steps that give each reason, in order.
std::map<std::string_view, std::vector<const StepReport*>>
group_reasons(const std::vector<StepReport>& steps) {
  std::map<std::string_view, std::vector<const StepReport*>> groups;
  for (const StepReport& step : steps) groups[step.message].push_back(&step);
  return groups;
}

/// "on 38 hosts (h1, h2, h3, …)"; of several services each instance: "for 4 instances (a@h1, b@h1, a@h2, …)".
std::string who(const std::vector<const StepReport*>& steps) {
  constexpr std::size_t most_names = 3;
  const bool is_one_service = std::all_of(steps.begin(), steps.end(), [&](const StepReport* step) {
    return step->service == steps.front()->service;
  });
  std::string names;
  for (std::size_t i = 0; i < steps.size() && i < most_names; ++i)
    names += (i == 0 ? "" : ", ") + (is_one_service ? "" : steps[i]->service + "@") + steps[i]->host;
  if (steps.size() > most_names) names += ", …";
  return is_one_service ? fmt::format("{} on {} hosts ({})", steps.front()->service, steps.size(), names)
                        : fmt::format("for {} instances ({})", steps.size(), names);
}

/// Why the run was halted, without a reason that is told with its instance already.
std::string why_halted(const Report& report) {
  for (const StepReport& step : report.steps)
    if (const std::string reason = ": " + step.message;
        !step.message.empty() && report.halted.ends_with(reason))
      return report.halted.substr(0, report.halted.size() - reason.size());
  return report.halted;
}

}  // namespace

std::string in_one_line(const std::string& message) {
  std::string_view first, last;
  bool is_error = false;
  for (std::string_view rest = message; !rest.empty();) {
    const auto end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const auto begin = line.find_first_not_of(" \t\r");
    if (begin == std::string_view::npos) continue;
    const std::string_view trimmed = line.substr(begin, line.find_last_not_of(" \t\r") + 1 - begin);
    if (first.empty()) {
      first = trimmed;
    } else if (has_word(trimmed) && (!is_error || tells_error(trimmed))) {
      last = trimmed;
      is_error = tells_error(trimmed);
    }
  }
  return std::string(first) + (last.empty() ? "" : " … " + std::string(last));
}

const char* to_string(Outcome outcome) noexcept {
  switch (outcome) {
    case Outcome::none: return "under way";
    case Outcome::upgraded: return "upgraded";
    case Outcome::unchanged: return "unchanged";
    case Outcome::rolled_back: return "rolled-back";
    case Outcome::roll_back_failed: return "roll-back-failed";
    case Outcome::failed: return "failed";
    case Outcome::unknown: return "unknown";
    case Outcome::unreachable: return "unreachable";
    case Outcome::skipped: return "skipped";
  }
  return "?";
}

int Report::exit_status() const noexcept {
  // An interrupt that came when nothing was left to do changed nothing: what it kept from beginning is
  // skipped.
  bool is_unknown = !not_recorded.empty(), is_unreachable = !unreachable.empty(), something = !halted.empty();
  for (const StepReport& step : steps) {
    switch (step.outcome) {
      case Outcome::none:
      case Outcome::unknown:
      case Outcome::failed:
      case Outcome::roll_back_failed: is_unknown = true; break;
      case Outcome::unreachable: is_unreachable = true; break;
      case Outcome::rolled_back:
      case Outcome::unchanged:
      case Outcome::skipped: something = true; break;
      case Outcome::upgraded: break;
    }
  }
  return is_unknown ? 4 : is_unreachable ? 5 : something ? 3 : 0;
}

std::string Report::sums() const {
  std::map<Outcome, int> counts;
  int removed = 0;  // of the upgraded: what went, as people call it
  for (const StepReport& step : steps)
    ++(step.action == Action::remove && step.outcome == Outcome::upgraded ? removed : counts[step.outcome]);
  std::string text;
  const auto add = [&](int count, const char* what) {
    if (count > 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, what);
  };
  for (const Outcome outcome : in_order) {
    add(counts[outcome], to_string(outcome));
    if (outcome == Outcome::upgraded) add(removed, "removed");
  }
  return text;
}

std::string Report::to_text() const {
  std::string text;
  const auto reasons = group_reasons(steps);
  if (!steps.empty()) {
    Table table({"instance", "action", "version", "outcome", "seconds", ""});
    for (const StepReport& step : steps)
      table.row({step.service + "@" + step.host, to_string(step.action), versions(step),
                 to_string(step.outcome), step.seconds > 0 ? fmt::format("{:.1f}", step.seconds) : "",
                 reasons.at(step.message).size() > 1 ? "" : in_one_line(step.message)});
    text += table.to_text();
  }
  // The table has a reason in one line, if it is of one instance alone. The others, and what is longer,
  // follow.
  std::set<std::string_view> told;
  for (const StepReport& step : steps) {
    const auto& those = reasons.at(step.message);
    const bool is_long = step.message.find('\n') != std::string::npos && step.outcome != Outcome::skipped;
    if (step.message.empty() || (those.size() == 1 && !is_long) || !told.insert(step.message).second)
      continue;
    const std::string reason =
        step.outcome == Outcome::skipped ? in_one_line(step.message) : escaped(step.message, true);
    text += fmt::format("{}: {}\n", those.size() == 1 ? step.service + "@" + step.host : who(those), reason);
  }
  for (const StepReport& step : steps)
    for (const std::string& note : step.notes)
      text += fmt::format("{}@{}: {}\n", step.service, step.host, note);
  for (const std::string& host : unreachable) text += fmt::format("{} could not be reached\n", host);
  if (!halted.empty()) text += fmt::format("halted: {}\n", escaped(in_one_line(why_halted(*this))));
  if (interrupted) text += "interrupted\n";
  if (!not_recorded.empty())
    text += fmt::format("the run stays open, its end could not be recorded: {}\n", escaped(not_recorded));
  if (steps.empty()) return text + fmt::format("{}: nothing to do\n", site);
  if (dry_run) return text + fmt::format("{}: a dry run, nothing was done; it would be: {}\n", site, sums());
  text += fmt::format("{}: run {}: {}\n", site, run, sums());
  if (std::any_of(steps.begin(), steps.end(),
                  [](const StepReport& step) { return step.outcome == Outcome::unknown; }))
    text +=
        "What is unknown stays open until the run is abandoned, which touches no host. The next deployment "
        "repairs it.\n";
  return text;
}

std::string Report::to_json() const {
  Json json{{"format_version", 1},
            {"site", site},
            {"run", run},
            {"generation", generation},
            {"exit_status", exit_status()},
            {"unreachable", unreachable},
            {"halted", to_utf8(halted)},
            {"interrupted", interrupted},
            {"dry_run", dry_run},
            {"frames", frames}};
  json["steps"] = Json::array();
  for (const StepReport& step : steps) {
    json["steps"].push_back({{"service", step.service},
                             {"host", step.host},
                             {"action", to_string(step.action)},
                             {"old_version", step.old_version},
                             {"new_version", step.new_version},
                             {"outcome", to_string(step.outcome)},
                             {"message", to_utf8(step.message)},
                             {"effects", step.effects},
                             {"seconds", step.seconds}});
    if (!step.notes.empty()) json["steps"].back()["notes"] = step.notes;
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

std::ostream& operator<<(std::ostream& out, const Report& report) { return out << report.to_text(); }

}  // namespace tutti
