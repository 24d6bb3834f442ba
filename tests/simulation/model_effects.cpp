// SPDX-License-Identifier: LGPL-3.0-or-later
// The effects that run programs and services on a model host.
#include <algorithm>
#include <memory>

#include <fmt/format.h>

#include "simulation/model_site.hpp"

namespace tutti::simulation {
namespace {

constexpr double first_pause = 0.05;  ///< between tries
constexpr double check_pause = 0.1;   ///< between looks whether a service is gone
constexpr std::size_t log_tail = 2048;
constexpr int by_term = 143;
constexpr double long_life = 10;  ///< of a daemon: then the pause before the next life is short again
constexpr double longest_pause = 30;

/// As the runner: what ended with one of these was wanted to.
bool is_failure(int status) {
  return status != 0 && status != 129 && status != 130 && status != 141 && status != by_term;
}

std::string tail(const std::string& text) {
  return text.size() > log_tail ? text.substr(text.size() - log_tail) : text;
}

}  // namespace

std::string ModelSite::trouble(const frames::Program& program) const {
  if (!program.user.empty() && !host_.knows_users)
    return "there is no user " + program.user + " on this host";
  if (!program.cwd.empty() && !host_.is_folder(program.cwd)) return "there is no directory " + program.cwd;
  return {};
}

void ModelSite::run_program(const RecordPtr& record, const frames::Program& program, std::string input,
                            double limit, std::function<void(Ran)> then) {
  if (const std::string why = trouble(program); !why.empty()) return oops(record, why);
  const auto how = std::make_shared<frames::How>(frames::How::exit);
  const auto process = host_.start(program, std::move(input));
  process->then = [record, how, then, raw = process.get()] {
    record->kill = nullptr;
    then({*how, raw->status, raw->out, raw->err});
  };
  const auto end = [this, process, how](frames::How why) {
    if (!process->living) return;
    *how = why;
    host_.end(process, by_term);
  };
  record->kill = [held = std::weak_ptr(process), how, this] {
    const ProcessPtr one = held.lock();
    if (!one || !one->living) return;
    *how = frames::How::killed;
    host_.end(one, by_term);
  };
  host_.agenda().after(limit, [end] { end(frames::How::timeout); });
}

void ModelSite::judge(const std::vector<std::string>& argv, const frames::Program& as, double limit,
                      std::function<void(Verdict)> then) {
  frames::Program program = as;
  program.argv = argv;
  if (!trouble(program).empty()) return then(Verdict::unclear);
  const auto late = std::make_shared<bool>(false);
  const auto process = host_.start(program, {});
  process->then = [then = std::move(then), late, raw = process.get()] {
    then(*late || raw->status >= 126 ? Verdict::unclear : raw->status == 0 ? Verdict::yes : Verdict::no);
  };
  host_.agenda().after(limit, [this, process, late] {
    *late = process->living;
    host_.end(process, by_term);
  });
}

std::string ModelSite::unclear(const std::string& service, double limit) {
  return fmt::format("whether {} lives is not known: its alive? (or validate) did not end within {:.2f} s",
                     service, limit);
}

// ------------------------------------------------------------------ RUN

void ModelSite::perform(const RecordPtr& record, const frames::Run& frame) {
  if (const auto* blob = std::get_if<frames::Blob>(&frame.input); blob && !records_.contains(blob->token))
    return oops(record, "there is no output of effect " + blob->token + " on this host");
  try_again(record, frame, host_.agenda().now() + frame.limit, first_pause);
}

void ModelSite::try_again(const RecordPtr& record, const frames::Run& frame, double end, double pause) {
  std::string input;
  if (const auto* blob = std::get_if<frames::Blob>(&frame.input)) input = records_.at(blob->token)->out;
  if (const auto* bytes = std::get_if<std::string>(&frame.input)) input = *bytes;
  run_program(record, frame.program, std::move(input), end - host_.agenda().now(),
              [this, record, frame, end, pause](Ran ran) {
                const bool settles = ran.how == frames::How::exit && ran.status == 0 && frame.settle > 0;
                if (!settles && (ran.how != frames::How::exit || ran.status == 0 || frame.every <= 0)) {
                  if (ran.how != frames::How::exit || ran.status != 0 || frame.service.empty() ||
                      !daemons_.contains(frame.service) || goes_on(frame))
                    return settle(record, ran);
                }
                if (!frame.service.empty() && daemons_.contains(frame.service) && !goes_on(frame)) {
                  ran.how = frames::How::died;
                  ran.err += tail(logs_[frame.service]);
                  return settle(record, ran);
                }
                if (ran.status == 0) {  // it is to settle
                  host_.agenda().after(frame.settle, [this, record, frame] {
                    frames::Run once_more = frame;
                    once_more.settle = once_more.every = 0;
                    if (!record->done)
                      try_again(record, once_more, host_.agenda().now() + frame.limit, first_pause);
                  });
                  return;
                }
                const double now = host_.agenda().now();
                const double next = std::min(pause, frame.every);
                if (now + next >= end) {
                  ran.how = frames::How::timeout;
                  return settle(record, ran);
                }
                record->kill = [this, held = std::weak_ptr(record), ran]() mutable {
                  ran.how = frames::How::killed;
                  if (const RecordPtr one = held.lock()) settle(one, ran);
                };
                host_.agenda().after(next, [this, record, frame, end, pause] {
                  if (!record->done) try_again(record, frame, end, pause * 2);
                });
              });
}

// ------------------------------------------------------------------ START

bool ModelSite::daemon_lives(const std::string& service) const {
  const auto daemon = daemons_.find(service);
  return daemon != daemons_.end() && daemon->second.process->living;
}

bool ModelSite::goes_on(const frames::Run& frame) const {
  return frame.first ? is_first(frame.service) : daemon_lives(frame.service);
}

bool ModelSite::is_first(const std::string& service) const {
  return daemon_lives(service) && daemons_.at(service).restarts.empty();
}

ProcessPtr ModelSite::run_daemon(const std::string& service, const std::string& definition,
                                 const frames::Program& program) {
  frames::Program what = program;
  if (what.argv.empty()) what.argv = {"sleep", "1e9"};
  const auto process = host_.start(what, {}, true);
  logging_[service] = process;
  Daemon& daemon = daemons_[service];
  daemon.process = process;
  daemon.definition = definition;
  daemon.program = what;
  process->then = [this, service, held = std::weak_ptr(process), began = host_.agenda().now()] {
    const ProcessPtr one = held.lock();
    logs_[service] += one->out + one->err;
    logging_.erase(service);
    keep_daemon(service, one, began);
  };
  return process;
}

void ModelSite::keep_daemon(const std::string& service, const ProcessPtr& process, double began) {
  const auto found = daemons_.find(service);
  if (found == daemons_.end() || found->second.process != process) return;
  Daemon& daemon = found->second;
  if (daemon.restart == frames::Restart::never) return;
  if (daemon.restart == frames::Restart::on_failure && !is_failure(process->status)) return;
  if (host_.agenda().now() - began >= long_life) daemon.pause = 1;
  const double pause = std::exchange(daemon.pause, std::min(daemon.pause * 2, longest_pause));
  host_.agenda().after(pause, [this, service, process] {
    const auto still = daemons_.find(service);
    if (still == daemons_.end() || still->second.process != process ||
        still->second.restart == frames::Restart::never)
      return;
    still->second.restarts.push_back(host_.agenda().now());
    run_daemon(service, still->second.definition, still->second.program);
  });
}

void ModelSite::end_daemon(const std::string& service) {
  if (const auto daemon = daemons_.find(service); daemon != daemons_.end())
    host_.end(ProcessPtr(daemon->second.process), by_term);
}

void ModelSite::perform(const RecordPtr& record, const frames::Start& frame) {
  if (frame.daemon && daemon_lives(frame.service) &&
      (!frame.already || daemons_.at(frame.service).definition != frame.definition))
    return settle(record, frames::How::busy, 125, {},
                  "a daemon of " + frame.service + " is running already\n");
  for (const auto& directory : frame.directories) host_.make_folder(directory.path);
  std::string notes;
  const frames::Files files{
      .token = {}, .service = frame.service, .files = frame.files, .adopt = frame.adopt};
  if (const std::string why = set_files(files, frame.release, notes); !why.empty()) return oops(record, why);
  if (frame.daemon) {
    if (daemon_lives(frame.service)) {
      daemons_[frame.service].restart = frame.keeping.restart;
      return settle(record, frames::How::already, 0, {}, notes);
    }
    return start_daemon(record, frame);
  }
  const auto start = [this, record, frame, notes] {
    if (frame.program.argv.empty()) return settle(record, frames::How::exit, 0, {}, notes);
    run_program(record, frame.program, {}, frame.limit, [this, record, notes](Ran ran) {
      ran.err += notes;
      settle(record, ran);
    });
  };
  if (!frame.already || frame.check.empty()) return start();
  judge(frame.check, frame.program, frame.check_limit, [this, record, frame, notes, start](Verdict verdict) {
    switch (verdict) {
      case Verdict::yes: return settle(record, frames::How::already, 0, {}, notes);
      case Verdict::no: return start();
      case Verdict::unclear: return oops(record, unclear(frame.service, frame.check_limit));
    }
  });
}

void ModelSite::start_daemon(const RecordPtr& record, const frames::Start& frame) {
  if (const std::string why = trouble(frame.program); !why.empty()) return oops(record, why);
  const std::size_t before = logs_[frame.service].size();
  daemons_[frame.service] = {.process = {}, .definition = {}, .restart = frame.keeping.restart};
  const auto process = run_daemon(frame.service, frame.definition, frame.program);
  host_.agenda().after(host_.daemon_seconds, [this, record, process, before, service = frame.service] {
    if (process->living) return settle(record, frames::How::exit, 0);
    daemons_[service].restart = frames::Restart::never;
    settle(record, frames::How::died, process->status, {}, tail(logs_[service].substr(before)));
  });
}

// ------------------------------------------------------------------ STOP

void ModelSite::perform(const RecordPtr& record, const frames::Stop& frame) {
  if (frame.daemon) {
    const bool lives = daemon_lives(frame.service);
    end_daemon(frame.service);
    daemons_.erase(frame.service);
    return settle(record, lives ? frames::How::exit : frames::How::absent, 0);
  }
  const double end = host_.agenda().now() + frame.limit;
  if (frame.program.argv.empty()) return see_gone(record, frame, {}, end);
  run_program(record, frame.program, {}, frame.limit, [this, record, frame, end](Ran ran) {
    if (ran.how == frames::How::exit && ran.status == 0) return see_gone(record, frame, ran, end);
    if (frame.check.empty() || ran.how == frames::How::killed) return settle(record, ran);
    judge(frame.check, frame.program, frame.check_limit, [this, record, frame, ran](Verdict verdict) mutable {
      if (verdict == Verdict::no) ran = {frames::How::absent, 0, ran.out, ran.err};
      if (verdict == Verdict::unclear) ran.err += unclear(frame.service, frame.check_limit) + "\n";
      settle(record, ran);
    });
  });
}

void ModelSite::see_gone(const RecordPtr& record, const frames::Stop& frame, Ran ran, double end) {
  if (!frame.gone || frame.check.empty()) return settle(record, ran);
  judge(frame.check, frame.program, frame.check_limit, [this, record, frame, ran, end](Verdict verdict) {
    if (verdict == Verdict::no) return settle(record, ran);
    if (verdict == Verdict::unclear) return oops(record, unclear(frame.service, frame.check_limit));
    if (host_.agenda().now() >= end) return settle(record, frames::How::lingers, 1, ran.out, ran.err);
    host_.agenda().after(check_pause, [this, record, frame, ran, end] { see_gone(record, frame, ran, end); });
  });
}

}  // namespace tutti::simulation
