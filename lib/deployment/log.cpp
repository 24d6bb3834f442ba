// SPDX-License-Identifier: LGPL-3.0-or-later
#include <tutti/engine/log.hpp>

#include <algorithm>
#include <chrono>
#include <deque>
#include <map>
#include <set>
#include <vector>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "executor/outcome.hpp"
#include "support/json.hpp"
#include "support/text.hpp"
#include <tutti/error.hpp>
#include <tutti/report.hpp>

namespace tutti {
namespace {

constexpr std::uint64_t piece_bytes = std::uint64_t{1} << 18;
constexpr std::size_t most_line_bytes = 65536;  ///< a longer one is broken

std::tm local(double time) { return fmt::localtime(static_cast<std::time_t>(time)); }

/// Puts a mark before each line of what comes in pieces, and escapes it.
class Marked {
 public:
  explicit Marked(const char* mark) : mark_(mark) {}
  std::string take(std::string_view bytes) {
    rest_ += bytes;
    std::string text;
    std::size_t begin = 0;
    for (std::size_t end; (end = rest_.find('\n', begin)) != std::string::npos; begin = end + 1)
      text += line({rest_.data() + begin, end - begin});
    rest_.erase(0, begin);
    if (rest_.size() > most_line_bytes) text += line(std::exchange(rest_, ""));
    return text;
  }
  std::string end() { return rest_.empty() ? "" : line(std::exchange(rest_, "")); }

 private:
  [[nodiscard]] std::string line(std::string_view bytes) const { return mark_ + escaped(bytes) + "\n"; }
  std::string mark_;
  std::string rest_;
};

std::string marked(const char* mark, std::string_view text) {
  Marked all(mark);
  std::string lines = all.take(text);
  return lines += all.end();
}

/// One effect, by its records.
struct Logged {
  Place at;
  std::string effect;
  std::string text;
  std::string host;      ///< empty: the step's
  double time = 0;       ///< 0: not known
  bool is_fork = false;  ///< it was taken apart: it printed nothing itself
  std::optional<Result> result = {};
};

/// What the executor does of its own before and after a transition; of an `undrain` step those are programs.
bool is_bookkeeping(const Logged& one) {
  using Kind = TaskPath::Kind;
  const TaskPath& path = one.at.path;
  return (path.kind == Kind::begin || path.kind == Kind::room || path.kind == Kind::end) && !path.branch &&
         one.effect != "run";
}

}  // namespace

struct RunLog::Impl {
  Transport& transport;
  const Fleet& fleet;
  LogOptions options;
  int run;
  std::string lineage;
  Json steps;
  std::map<StepId, std::string> endings = {};  ///< "rolled-back: it failed", by step
  std::vector<Logged> effects = {};            ///< by step, each in order
  std::vector<StepId> without = {};            ///< steps that ended, and have none
  std::size_t next_effect = 0;
  std::map<std::string, std::string> silent = {};  ///< hosts that can't be asked, and why
  std::deque<std::string> ready = {};

  // the output that is being printed
  struct Stream {
    std::string host;
    Kept what;
    std::uint64_t offset;
    std::uint64_t end;
    Marked marked;
  };
  std::deque<Stream> streams = {};

  [[nodiscard]] const Json& json_of(StepId step) const { return steps.at(static_cast<std::size_t>(step)); }
  [[nodiscard]] std::string host_of(StepId step) const { return json_of(step).at("host"); }
  [[nodiscard]] std::string service_of(StepId step) const { return json_of(step).at("service"); }
  [[nodiscard]] std::string host_of(const Logged& one) const {
    return one.host.empty() ? host_of(one.at.step) : one.host;
  }

  void read(const std::vector<Record>& records) {
    std::map<StepId, std::vector<Logged>> by_step;
    std::vector<StepId> order;
    const auto add = [&](Logged effect) {
      std::vector<Logged>& those = by_step[effect.at.step];
      if (those.empty()) order.push_back(effect.at.step);
      those.push_back(std::move(effect));
    };
    for (const Record& line : records) {
      if (const auto* intent = std::get_if<record::Intent>(&line.what)) {
        add({intent->at, intent->effect, intent->text, intent->host, line.time});
      } else if (const auto* fork = std::get_if<record::Forked>(&line.what)) {
        add({fork->at, fork->effect, fork->text, "", line.time, true});
      } else if (const auto* answer = std::get_if<record::Answered>(&line.what)) {
        std::vector<Logged>& those = by_step[answer->at.step];
        const auto one = std::find_if(those.rbegin(), those.rend(),
                                      [&](const Logged& effect) { return effect.at == answer->at; });
        if (one != those.rend()) one->result = answer->result;
      } else if (const auto* ended = std::get_if<record::Ended>(&line.what)) {
        endings[ended->step] =
            to_string(ended->outcome) + (ended->message.empty() ? "" : ": " + ended->message);
      }
    }
    std::set<std::string> hosts;
    std::set<StepId> shown;
    for (const StepId step : order)
      for (Logged& one : by_step[step]) {
        if (is_bookkeeping(one) && one.result && one.result->succeeded) continue;
        if (!options.host.empty() && host_of(step) != options.host && host_of(one) != options.host) continue;
        hosts.insert(host_of(one));
        shown.insert(step);
        effects.push_back(std::move(one));
      }
    for (const auto& [step, ending] : endings)
      if (!shown.contains(step) && (options.host.empty() || host_of(step) == options.host))
        without.push_back(step);
    if (!options.host.empty() && effects.empty() && without.empty())
      throw Error(ErrorCode::misuse, fmt::format("run {} did nothing on '{}'.", run, escaped(options.host)) +
                                         (fleet.find(options.host) ? "" : suggestion(options.host, names())));
    ask(hosts);
  }

  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const Host& host : fleet.hosts) all.push_back(host.name);
    return all;
  }

  /// Connects to all at once, and learns who does not answer.
  void ask(const std::set<std::string>& names) {
    std::vector<Host> there;
    for (const std::string& name : names) {
      if (const Host* host = fleet.find(name))
        there.push_back(*host);
      else
        silent[name] = "it is not in the inventory any more";
    }
    for (const HostReading& reading : transport.read(there))
      if (!reading.reached) silent[reading.host] = reading.why;
  }

  void say(const Logged& one) {
    const std::string at = host_of(one) == host_of(one.at.step) ? "" : host_of(one) + ": ";
    std::string came_to = "no outcome is known";
    if (one.result) {
      const Result& result = *one.result;
      if (result.succeeded)
        came_to = result.how == How::exit ? "" : std::string(to_string(result.how));
      else
        came_to = result.how == How::exit ? fmt::format("✗ exit status {}", result.status)
                                          : fmt::format("✗ {}", to_string(result.how));
    }
    const std::string time = one.time > 0 ? fmt::format("{:%H:%M:%S}", local(one.time)) : "        ";
    ready.push_back(fmt::format("{}{}  {}{}{}\n", one.at.path.branch ? "    " : "  ", time, at,
                                escaped(one.text), came_to.empty() ? "" : "  " + came_to));
    if (!one.is_fork && one.result) say_output(one, *one.result);
  }

  void say_output(const Logged& one, const Result& result) {
    const std::string host = host_of(one);
    const std::string token = effect_token(lineage, run, one.at);
    const bool is_silent = silent.contains(host);
    if (result.output.text.find('\0') != std::string::npos) {
      ready.push_back(fmt::format("    … {} bytes that are no text, on {}\n", result.output.size, host));
    } else if (!result.output.cut) {
      ready.push_back(marked("    | ", result.output.text));
    } else if (!is_silent) {
      stream(host, {.kind = Kept::Kind::output, .of = token}, result.output.size, "    | ");
    } else {
      ready.push_back(marked("    | ", result.output.text));
      ready.push_back(fmt::format("    … {} bytes in all stayed on {}, which can't be asked: {}\n",
                                  result.output.size, host, escaped(silent.at(host))));
    }
    // Its size is known to the host alone.
    Piece error;
    if (!is_silent) error = transport.fetch(fleet.at(host), {.kind = Kept::Kind::error, .of = token}, 0, 0);
    if (error.found) return stream(host, {.kind = Kept::Kind::error, .of = token}, error.size, "    ! ");
    ready.push_back(marked("    ! ", result.error));
  }

  void stream(const std::string& host, Kept what, std::uint64_t size, const char* mark) {
    const std::uint64_t most = options.most_bytes == 0 ? size : options.most_bytes;
    streams.push_back({.host = host,
                       .what = std::move(what),
                       .offset = size - std::min(size, most),
                       .end = size,
                       .marked = Marked(mark)});
  }

  void pump(Stream& s) {
    if (s.what.kind != Kept::Kind::log && s.offset > 0 && s.end - s.offset == options.most_bytes)
      ready.push_back(
          fmt::format("    … {} bytes before these stay on {} (--bytes 0 prints all)\n", s.offset, s.host));
    const std::uint64_t most = std::min(piece_bytes, s.end - s.offset);
    const Piece piece =
        most == 0 ? Piece{.found = true} : transport.fetch(fleet.at(s.host), s.what, s.offset, most);
    if (!piece.found || (piece.bytes.empty() && most > 0))
      ready.push_back(fmt::format("    … not on {} any more: {}\n", s.host,
                                  piece.found ? "it is shorter than it was" : escaped(piece.why)));
    s.offset = piece.bytes.empty() || s.what.kind == Kept::Kind::log ? s.end : s.offset + piece.bytes.size();
    std::string text = s.marked.take(piece.bytes);
    if (s.offset == s.end) text += s.marked.end();
    if (!text.empty()) ready.push_back(std::move(text));
    if (s.offset == s.end) streams.pop_front();
  }

  void begin_step(StepId step) {
    const auto ending = endings.find(step);
    ready.push_back(fmt::format("{}@{}  {}  {}\n", service_of(step), host_of(step),
                                json_of(step).at("action").get<std::string>(),
                                ending == endings.end() ? "no end is known" : escaped(ending->second)));
  }

  void end_step(StepId step) {
    if (!options.daemons) return;
    const std::string host = host_of(step), service = service_of(step);
    if (silent.contains(host)) return;
    const std::uint64_t most = options.most_bytes == 0 ? std::uint64_t{1} << 26
                                                       : std::min(options.most_bytes, std::uint64_t{1} << 26);
    const Piece log = transport.fetch(fleet.at(host), {.kind = Kept::Kind::log, .of = service}, 0, most);
    if (log.bytes.empty()) return;
    ready.push_back(fmt::format("  the log of {} on {}, as it is now{}\n", service, host,
                                log.size < most ? "" : ", its end"));
    ready.push_back(marked("    > ", log.bytes));
  }

  /// Makes the next piece; false at the end.
  bool more() {
    if (!streams.empty()) {
      pump(streams.front());
      return true;
    }
    if (next_effect > effects.size()) return false;
    const bool is_last = next_effect == effects.size();
    if (next_effect > 0 && (is_last || effects[next_effect].at.step != effects[next_effect - 1].at.step))
      end_step(effects[next_effect - 1].at.step);
    if (is_last) {
      for (const StepId step : without) begin_step(step);
      ++next_effect;
      return true;
    }
    const Logged& one = effects[next_effect];
    if (next_effect == 0 || effects[next_effect - 1].at.step != one.at.step) begin_step(one.at.step);
    say(one);
    ++next_effect;
    return true;
  }
};

RunLog::RunLog(const State& state, Transport& transport, const Fleet& fleet, int run, LogOptions options)
    : impl_(new Impl{.transport = transport,
                     .fleet = fleet,
                     .options = std::move(options),
                     .run = run,
                     .lineage = state.lineage(),
                     .steps = Json::parse(state.plan_of(run)).at("steps")}) {
  for (const Generation& one : state.history())
    if (one.number == run)
      impl_->ready.push_back(fmt::format("run {} of {}, {:%Y-%m-%d %H:%M:%S}, {}: {}\n", run, escaped(one.by),
                                         local(one.started), one.status, escaped(one.summary)));
  impl_->read(state.records(run));
}
RunLog::~RunLog() = default;
RunLog::RunLog(RunLog&&) noexcept = default;

std::optional<std::string> RunLog::next() {
  Impl& d = *impl_;
  while (d.ready.empty())
    if (!d.more()) return {};
  std::string text = std::move(d.ready.front());
  d.ready.pop_front();
  return text;
}

}  // namespace tutti
