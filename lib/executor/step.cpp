// SPDX-License-Identifier: LGPL-3.0-or-later
#include "executor/step.hpp"

#include <stdexcept>

#include <fmt/format.h>

#include "executor/outcome.hpp"
#include "support/text.hpp"
#include "transport/request.hpp"

namespace tutti {

StepRun::StepRun(StepId id, const Step& step, Ledger& ledger, CanonicalForms& forms, Facts facts)
    : id_(id), step_(step), ledger_(ledger), forms_(forms), facts_(facts) {}

void StepRun::enter(Stage stage) {
  stage_ = stage;
  write([&] { return record::Entered{.step = id_, .stage = stage}; });
}

// ------------------------------------------------------------------ what happens to it

StepRun::Orders StepRun::begin(Moment moment) {
  return orders(moment, [this] {
    constexpr std::size_t usual_effects = 12;
    effects_.reserve(usual_effects);
    has_begun_ = true;
    started_ = moment_.time;
    enter(Stage::beginning);
    if (step_.old_definition && step_.was_alive)
      runs_ = Runs::former;
    else if (step_.action == Action::install)
      runs_ = Runs::nothing;
    const double now = started_;
    const bool only_records = step_.action == Action::record;
    const bool lets_go = step_.action == Action::undrain;
    std::vector<Request> requests = only_records ? ledger_.record(step_, now)
                                    : lets_go    ? ledger_.let_go(step_)
                                                 : ledger_.begin(step_, now);
    if (requests.empty()) return end(Outcome::upgraded, "");  // a transition of this run let it go already
    start_own(TaskPath::Kind::begin, std::move(requests));
    // Requests reach a host in the order in which they are made: from here on this is what it holds.
    if (only_records)
      ledger_.written(step_, Outcome::upgraded, now);
    else if (!lets_go)
      ledger_.begun(step_, now);
  });
}

StepRun::Orders StepRun::unreachable(const std::string& why, Moment moment) {
  return orders(moment, [&] { end(Outcome::unreachable, why); });
}

StepRun::Orders StepRun::skip(std::string why, Moment moment) {
  return orders(moment, [&] {
    stage_ = Stage::ended;
    outcome_ = Outcome::skipped;
    message_ = std::move(why);
    write([&] { return record::Ended{id_, outcome_, message_}; });
  });
}

StepRun::Orders StepRun::settle(RoomTaken taken, const std::string& what, Moment moment) {
  return orders(moment, [&] {
    if (is_over()) return;
    if (taken == RoomTaken::unknown) return park("it made room for " + what);
    // An interrupt lets end what is under way, and this was done.
    if (taken == RoomTaken::taken || (moment_.is_interrupted && taken == RoomTaken::missing))
      return finish(Outcome::upgraded);
    if (taken == RoomTaken::missing) return roll_back("it made room for " + what);
    // Beside what may be left of the other one nothing is started.
    message_ = fmt::format("it made room for {}: it was not started again, and nobody knows what runs", what);
    finish(Outcome::roll_back_failed);
  });
}

StepRun::Orders StepRun::leave(Moment moment) {
  return orders(moment, [this] {
    park(work_.request || fan_out_ ? fmt::format("we left during: {}", work_.text)
                                   : "we left before it was done");
  });
}

void StepRun::refuse_if_busy() const {
  if (work_.is_sent || fan_out_)
    throw std::logic_error(fmt::format("a body goes on although its effect is under way: {}", work_.text));
}

StepRun::Orders StepRun::perform(std::unique_ptr<Request> request, Moment moment) {
  refuse_if_busy();
  return orders(moment, [&] {
    if (!request->host.empty() && !ledger_.fleet().find(request->host)) {
      Result result{.succeeded = false,
                    .status = 1,
                    .how = How::error,
                    .error = fmt::format("no host '{}' in the fleet", escaped(request->host))};
      return resume(std::move(result), request->describe());
    }
    if (request->as<effect::Drain>() || request->as<effect::Undrain>()) return take_apart(std::move(request));
    if (moment_.is_interrupted) return park(fmt::format("interrupted before: {}", request->describe()));
    is_touched_ = true;
    if (!work_.is_transition()) request->idempotent = true;
    if (must_stop_left_over(*request)) return stop_left_over(std::move(request));
    dispatch(std::move(request));
  });
}

StepRun::Orders StepRun::on_roll_back(std::uint32_t& serial, Moment moment) {
  refuse_if_busy();
  return orders(moment, [&] { serial = register_undo({}); });
}

StepRun::Orders StepRun::body_over(bool succeeded, std::string message, Moment moment) {
  refuse_if_busy();
  return orders(moment, [&] {
    has_body_ = false;
    if (!work_.is_transition()) return compensated(succeeded ? "" : message);
    if (succeeded) return prove();
    roll_back(std::move(message));
  });
}

StepRun::Orders StepRun::answered(const Place& at, Completion completion, bool is_lost, Moment moment) {
  return orders(moment, [&] {
    Work* work = const_cast<Work*>(find(at));
    if (!work) return;
    const std::unique_ptr<const Request> request = std::move(work->request);
    work->is_sent = false;
    if (is_over()) return;
    using Kind = Completion::Kind;
    const bool is_branch = work->path.branch.has_value();
    const bool is_first = work->path.kind == TaskPath::Kind::begin && !is_branch && work->sequence == 0;
    if (is_first && completion.kind == Kind::unreachable) return end(Outcome::unreachable, completion.why);
    // After a loss it may be our own last effect there that still runs: no reason for others to stop.
    if (is_first && completion.kind == Kind::refused)
      return end(is_lost ? Outcome::unreachable : Outcome::skipped, completion.why);
    if (is_branch && completion.kind == Kind::unreachable && request->host != step_.host) {
      // It was not told; but who can't be reached by us is, as far as we know, not reached by others.
      order(Tell{fmt::format("{} could not be reached: {}", request->host, completion.why)});
      return branch_over("");
    }
    if (completion.kind != Kind::answered)
      return park(fmt::format("{} (during: {})", completion.why, work->text));

    Result& result = completion.result;
    for (const std::string& note : result.notes) {
      notes_.push_back(note);
      order(Tell{note});
    }
    write([&] { return record::Answered{at, result}; });
    ++work->sequence;
    if (is_branch) return branch_answered(*work, *request, result);
    using Path = TaskPath::Kind;
    const Path kind = work->path.kind;
    if (kind == Path::begin || kind == Path::end) return own_answered(*request, result);
    if (kind == Path::room) {
      if (!result.succeeded) message_ = failure_text(work->text, result);
      return order(MadeRoom{});
    }
    observe(*request, result);
    if (kind == Path::proof) return proof_answered(*request, result);
    effects_.push_back(result.succeeded ? work->text : work->text + " ✗");
    order(Tell{effects_.back()});
    const auto* start = request->as<effect::Start>();
    if (request->host == step_.host && result.succeeded && (start || request->as<effect::Reload>()) &&
        request->definition()->service == step_.service)
      files_ = start && start->beside ? nullptr : request->definition();
    if (kind == Path::verification) return verify_answered(*request, result);
    for (Undo& undo : undos_)
      if (undo.serial == work->undone_by) undo.has_failed = !result.succeeded;
    // Who was refused because another daemon runs has started nothing: that daemon is not stopped for it.
    if (result.how == How::busy && start)
      std::erase_if(undos_, [&](const Undo& undo) { return undo.serial == work->undone_by; });
    work->undone_by = 0;
    std::string failed = result.succeeded ? std::string() : work->text;
    resume(std::move(result), std::move(failed));
  });
}

// ------------------------------------------------------------------ its work

StepRun::Work& StepRun::start(TaskPath path) {
  work_ = {.path = path};
  return work_;
}

void StepRun::start_body(TaskPath path) {
  start(path).is_body = true;
  has_body_ = true;
  order(StartBody{work_.is_transition() ? TaskKind::transition : TaskKind::compensation, path.serial});
}

void StepRun::start_own(TaskPath::Kind kind, std::vector<Request> requests) {
  Work& work = start({.kind = kind});
  for (auto request = requests.rbegin(); request != requests.rend(); ++request)
    work.own.emplace_back([one = std::move(*request)]() mutable { return std::move(one); });  // called once
  next_own(work);
}

void StepRun::next_own(Work& work) {
  const auto request = std::move(work.own.back());
  work.own.pop_back();
  send(work, std::make_unique<Request>(request()));
}

void StepRun::send(Work& work, std::unique_ptr<Request> request) {
  if (auto* validate = request->as<effect::Validate>(); validate && validate->definition)
    validate->is_started =
        validate->is_started || (begun_here_ != Runs::unknown && which(validate->definition) == begun_here_);
  work.text = request->describe();
  write([&] {
    return record::Intent{.at = place(work),
                          .effect = std::string(name_of(request->effect)),
                          .hash = hash(*request, forms_),
                          .text = work.text,
                          .host = request->host == step_.host ? "" : request->host};
  });
  if (request->host.empty()) request->host = step_.host;
  work.request = std::move(request);
  work.token = facts_.token_prefix;
  add_token_end(work.token, place(work));
  work.is_sent = true;
  order(Send{place(work)});
}

const StepRun::Work* StepRun::find(const Place& at) const {
  const Work* work = &work_;
  if (at.path.branch)
    work = fan_out_ && at.path.branch->number < fan_out_->branches.size()
               ? &fan_out_->branches[at.path.branch->number]
               : nullptr;
  return work && work->is_sent && place(*work) == at ? work : nullptr;
}

const Request* StepRun::under_way(const Place& at) const {
  const Work* work = find(at);
  return work ? work->request.get() : nullptr;
}

const std::string& StepRun::token(const Place& at) const {
  static const std::string none;
  const Work* work = find(at);
  return work ? work->token : none;
}

std::optional<Place> StepRun::place_of(std::string_view token) const {
  const auto is_it = [&](const Work& work) { return work.is_sent && work.token == token; };
  if (is_it(work_)) return place(work_);
  if (fan_out_)
    for (const Work& branch : fan_out_->branches)
      if (is_it(branch)) return place(branch);
  return {};
}

void StepRun::begun() {
  if (step_.action == Action::record || step_.action == Action::undrain) return end(Outcome::upgraded, "");
  enter(Stage::running);
  start_body({.kind = TaskPath::Kind::transition});
}

void StepRun::resume(Result result, std::string request) {
  if (!work_.is_body) return compensated(result.succeeded ? "" : failure_text(request, result));
  order(ResumeBody{std::move(result), std::move(request)});
}

void StepRun::own_answered(const Request& request, const Result& result) {
  const auto why = [&] { return fmt::format("{}: {}", work_.text, reason(result)); };
  if (work_.path.kind == TaskPath::Kind::begin) {
    if (result.succeeded) return work_.own.empty() ? begun() : next_own(work_);
    message_ = why();
    // Nothing of the instance was touched; the manifest is put back, if it was written at all.
    const bool lets_go = step_.action == Action::undrain;
    const bool is_written = work_.sequence > 1 && step_.action != Action::record && !lets_go;
    if (!is_written && !lets_go) ledger_.not_begun(step_);
    return is_written ? finish(Outcome::unchanged) : end(Outcome::unchanged, message_);
  }
  if (!result.succeeded) {
    if (request.as<effect::WriteEntry>()) {
      ledger_.begun(step_, started_);
      return park(why());  // the host says `changing`: nobody may call it more than that
    }
    message_ += (message_.empty() ? "" : "; ") + why();
    // What has other files than before is not rolled back, and what has files is not removed.
    if (ending_ == Outcome::rolled_back) ending_ = Outcome::roll_back_failed;
    if (!step_.new_definition && ending_ == Outcome::upgraded) ending_ = Outcome::failed;
  }
  if (!work_.own.empty()) return next_own(work_);
  end(ending_, message_);
}

void StepRun::give_files(Request& request) {
  if (!request.host.empty() && request.host != step_.host) return;
  const DefinitionPtr& any = step_.new_definition ? step_.new_definition : step_.old_definition;
  if (auto* put = request.as<effect::PutFile>()) put->user = any->user;
  if (auto* get = request.as<effect::GetFile>()) get->user = any->user;
  if (auto* restore = request.as<effect::RestoreFile>()) restore->user = any->user;
  auto* start = request.as<effect::Start>();
  auto* reload = request.as<effect::Reload>();
  if ((!start && !reload) || request.definition()->service != step_.service) return;
  (start ? start->former : reload->former) = {step_.old_definition, step_.left_over};
  files_.reset();  // until it has succeeded
  if (!start || (runs_ != Runs::former && runs_ != Runs::fresh)) return;
  const Runs one = which(start->definition);
  const bool is_other = (one == Runs::fresh && runs_ == Runs::former && !step_.old_definition->one_shot) ||
                        (one == Runs::former && runs_ == Runs::fresh && !step_.new_definition->one_shot);
  start->beside = is_other && !same_running();
}

// ------------------------------------------------------------------ its end

void StepRun::finish(Outcome outcome) {
  // The entry that names what is left over stays until that was stopped.
  if (outcome == Outcome::roll_back_failed && left_over_may_run()) outcome = Outcome::failed;
  if (outcome == Outcome::upgraded && hold()) return;
  ending_ = outcome;
  if (!may_be_left_) ledger_.nothing_left(step_);
  enter(Stage::ending);
  Work& work = start({.kind = TaskPath::Kind::end});
  work.own.emplace_back([this, now = moment_.time] {
    // What came of its files may have changed how it ends; its time is that of the stage.
    Request request = ledger_.end(step_, ending_, now);
    ledger_.written(step_, ending_, now);
    return request;
  });
  if (auto files = ledger_.files(step_, outcome, files_))
    work.own.emplace_back([one = std::move(*files)]() mutable { return std::move(one); });
  next_own(work);
}

/// What a removal takes away can be started again, until it has turned out that what comes in its place runs.
/// Its files make room too: a folder may be read whole. Who is started again gets them again.
bool StepRun::hold() {
  if (!facts_.makes_room || facts_.is_dry || has_made_room_) return false;
  has_made_room_ = true;
  if (auto files = ledger_.files(step_, Outcome::upgraded, files_)) {
    Work& work = start({.kind = TaskPath::Kind::room});
    work.own.emplace_back([one = std::move(*files)]() mutable { return std::move(one); });
    next_own(work);
  } else {
    order(MadeRoom{});
  }
  return true;
}

void StepRun::end(Outcome outcome, std::string message) {
  stage_ = Stage::ended;
  outcome_ = outcome;
  if (!message.empty()) message_ = std::move(message);
  ended_ = moment_.time;
  write([&] { return record::Ended{id_, outcome_, message_}; });
  order(Over{});
}

void StepRun::park(const std::string& why) {
  if (is_over()) return;
  if (std::exchange(has_body_, false)) order(DropBody{why});
  stage_ = Stage::parked;
  outcome_ = Outcome::unknown;
  message_ += (message_.empty() ? "" : "; ") + why;
  ended_ = moment_.time;
  order(Over{});
}

}  // namespace tutti
