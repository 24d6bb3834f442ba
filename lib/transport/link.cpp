// SPDX-License-Identifier: LGPL-3.0-or-later
#include "transport/link.hpp"

#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>

#include "support/text.hpp"
#include "transport/reasons.hpp"

namespace tutti {
namespace {

constexpr double read_seconds = 30;    ///< for the manifest, probes of all instances included
constexpr double fetch_seconds = 120;  ///< for all of one piece
constexpr double lock_seconds = 60;    ///< the runner itself waits up to 5 for the lock, and forgets old runs
constexpr double items_seconds = 60;   ///< after the last byte of an item was taken

bool same_way(const Host& a, const Host& b) {
  return a.address == b.address && a.port == b.port && a.user == b.user && a.become == b.become;
}

}  // namespace

std::shared_ptr<const ItemContent> Offer::find(const std::string& name) const {
  const auto found = all_.find(name);
  return found == all_.end() ? nullptr : found->second;
}

const std::string& Offer::sha256_of(const std::string& name) {
  const auto known = hashes_.find(name);
  return known != hashes_.end() ? known->second : hashes_[name] = sha256(find(name)->bytes);
}

Link::Link(Shared& shared, Host host) : shared_(shared), host_(std::move(host)) {}

void Link::locate(const Host& host) {
  if (!same_way(host, host_)) moved_ = may_connect_ = true;
  host_ = host;
}

void Link::authorise(Authority authority) {
  authority_ = std::move(authority);
  locked_ = false;
  refused_.clear();
  may_connect_ = true;
  present_.clear();
}

void Link::read(const std::vector<WantedPath>& paths, std::function<void(HostReading)> then) {
  std::vector<frames::WantedPath> asked;
  for (const auto& [service, path] : paths)
    if (path.find('\0') == std::string::npos) asked.push_back({.service = service, .path = path});
  queue_.emplace_back(Question{
      .frame = frames::Read{.paths = asked},
      .seconds = read_seconds,
      .then = [this, asked, then = std::move(then)](const frames::Answer* answer, const std::string& why) {
        if (const auto* manifest = answer ? std::get_if<frames::Manifest>(answer) : nullptr)
          return then(to_reading(host_.name, *manifest, asked));
        const auto* failed = answer ? std::get_if<frames::Failed>(answer) : nullptr;
        then({.host = host_.name,
              .why = !answer  ? why
                     : failed ? whereabouts(host_) + ": its manifest can't be read: " + escaped(failed->why)
                              : out_of_turn()});
      }});
  pump();
}

void Link::fetch(const Kept& what, std::uint64_t offset, std::uint64_t most,
                 std::function<void(Piece)> then) {
  frames::Frame frame = frames::Log{.service = what.of, .max = most};
  if (what.kind != Kept::Kind::log)
    frame = frames::Out{.token = what.of,
                        .stream = what.kind == Kept::Kind::output ? frames::Stream::out : frames::Stream::err,
                        .offset = offset,
                        .max = most};
  queue_.emplace_back(
      Question{.frame = std::move(frame),
               .seconds = fetch_seconds,
               .then = [this, then = std::move(then)](const frames::Answer* answer, const std::string& why) {
                 if (!answer) return then({.why = why});
                 if (const auto* part = std::get_if<frames::OutputPart>(answer))
                   return then({.found = true, .size = part->size, .bytes = part->bytes});
                 if (const auto* tail = std::get_if<frames::LogTail>(answer))
                   return then({.found = true, .size = tail->bytes.size(), .bytes = tail->bytes});
                 const auto* failed = std::get_if<frames::Failed>(answer);
                 then({.why = failed ? whereabouts(host_) + ": " + escaped(failed->why) : out_of_turn()});
               }});
  pump();
}

void Link::send(std::string token, Request request, Compiled compiled) {
  if (auto* put = request.as<effect::PutFile>()) put->content = {};  // it is in the frame
  if (auto* run = request.as<effect::Run>()) run->input = {};
  queue_.emplace_back(
      Effect{.token = std::move(token), .request = std::move(request), .compiled = std::move(compiled)});
  pump();
}

// ------------------------------------------------------------------ what comes next

void Link::pump() {
  while (!busy_ && !queue_.empty()) {
    auto* effect = std::get_if<Effect>(&queue_.front());
    if (effect && !authority_) {
      complete(Completion::Kind::refused, host_.name + ": nobody said with whose authority to act there");
    } else if (effect && !refused_.empty()) {
      complete(Completion::Kind::refused, refused_);
    } else if (!is_connected()) {
      if (effect && !may_connect_)
        give_up(why_not_);
      else
        connect();
    } else if (!effect) {
      const auto& question = std::get<Question>(queue_.front());
      ask(Stage::question, question.frame, question.seconds);
    } else {
      ask_next(*effect);
    }
  }
}

bool Link::is_connected() {
  if (!channel_) return false;
  if (!moved_ && channel_->up()) return true;
  channel_->hang_up();
  channel_.reset();
  locked_ = false;
  may_connect_ = true;
  return false;
}

void Link::connect() {
  busy_ = true;
  shared_.opening.enter(1, [this](Gate::Pass pass) {
    pass_ = std::move(pass);
    moved_ = false;
    channel_ = shared_.network->channel(host_);
    channel_->open([this](const std::string& why) { opened(why); });
  });
}

void Link::opened(const std::string& why) {
  busy_ = false;
  locked_ = false;
  present_.clear();
  if (why.empty()) {
    fresh_ = true;
  } else {
    channel_.reset();
    may_connect_ = false;
    why_not_ = why;
    give_up(why);
  }
  pass_.drop();
  pump();
}

void Link::ask_next(Effect& effect) {
  try {
    if (!locked_) {
      frames::Lock lock{.lineage = authority_->lineage,
                        .epoch = authority_->epoch,
                        .seen = authority_->seen,
                        .nonce = authority_->nonce,
                        .holder = authority_->holder};
      lock.end_others = authority_->ends_others;
      lock.forget_before = authority_->ends_others ? authority_->forget_before : 0;
      lock.name = authority_->name;
      lock.was = authority_->was;
      if (authority_->displace && !authority_->displace->lineage.empty())
        lock.expect = frames::Fence{authority_->displace->lineage, authority_->displace->epoch};
      return ask(Stage::lock, std::move(lock), lock_seconds);
    }
    if (!effect.missing) {
      std::vector<std::string> unsure;
      for (const std::string& item : effect.compiled.items)
        if (!present_.contains(item)) unsure.push_back(item);
      if (!unsure.empty()) return ask(Stage::items, frames::Items{.names = std::move(unsure)}, items_seconds);
      effect.missing.emplace();
    }
    if (!effect.missing->empty()) return upload(effect.missing->back());
    ask(Stage::effect, std::move(effect.compiled.frame), effect.compiled.patience);
  } catch (const std::invalid_argument& e) {  // of the codec: what can't be sent
    complete(failed(e.what()));
  }
}

void Link::upload(const std::string& item) {
  const auto content = shared_.offer.find(item);
  if (!content)
    return complete(failed(fmt::format(
        "item {} is not in the store of {}, and this program does not have it either", item, host_.name)));
  busy_ = true;  // what is encoded is a copy: only so many of them at once
  shared_.uploading.enter(content->bytes.size(), [this, item, content](Gate::Pass pass) {
    pass_ = std::move(pass);
    busy_ = false;
    if (is_connected()) send_item(item, content);
    if (busy_) return;
    pass_.drop();
    pump();
  });
}

void Link::send_item(const std::string& item, const std::shared_ptr<const ItemContent>& content) {
  try {
    ask(Stage::item,
        frames::Item{.name = item,
                     .bytes = std::shared_ptr<const std::string>(content, &content->bytes),
                     .sha256 = shared_.offer.sha256_of(item),
                     .mode = content->executable ? 0555U : 0444U},
        items_seconds);
  } catch (const std::invalid_argument& e) { complete(failed(e.what())); }
}

void Link::ask(Stage stage, frames::Frame frame, double seconds) {
  channel_->ask(std::move(frame), seconds,
                [this, stage](Channel::Reply reply) { answered(stage, std::move(reply)); });
  busy_ = true;
  ++shared_.frames;
}

// ------------------------------------------------------------------ what came of it

void Link::answered(Stage stage, Channel::Reply reply) {
  busy_ = false;
  pass_.drop();
  if (const auto* gone = std::get_if<Channel::Lost>(&reply)) {
    lost(stage, gone->why);
  } else {
    const frames::Answer& answer = std::get<frames::Answer>(reply);
    switch (stage) {
      case Stage::question: take_question(&answer, ""); break;
      case Stage::lock: take_lock(answer); break;
      case Stage::items:
      case Stage::item: take_items(stage, answer); break;
      case Stage::effect: take_effect(answer); break;
      case Stage::error_tail: take_error_tail(answer); break;
    }
    fresh_ = false;
  }
  pump();
}

void Link::lost(Stage stage, const std::string& why) {
  channel_.reset();
  locked_ = false;
  may_connect_ = true;
  if (auto* question = std::get_if<Question>(&queue_.front())) {
    if (!fresh_ && !std::exchange(question->again, true)) return;  // it was dead all along: once more
    return give_up(why);
  }
  if (stage == Stage::error_tail)
    complete(to_result(effect().request, effect().token, host_.name, *effect().done));
  else if (stage == Stage::effect)
    complete(Completion::Kind::lost, why);
  else
    complete(Completion::Kind::unreachable, why);
  // What was queued counted on the effect before it.
  while (!queue_.empty() && std::holds_alternative<Effect>(queue_.front())) give_up(why);
}

void Link::take_question(const frames::Answer* answer, const std::string& why) {
  const auto then = std::move(std::get<Question>(queue_.front()).then);
  queue_.pop_front();
  then(answer, why);
}

void Link::take_lock(const frames::Answer& answer) {
  if (const auto* locked = std::get_if<frames::Locked>(&answer)) {
    locked_ = true;
    authority_->nonce = locked->nonce;  // what it must still have when it is locked again
    return;
  }
  const auto* refused = std::get_if<frames::Refused>(&answer);
  refused_ = refused ? why_refused(host_, *refused) : out_of_turn();
}

void Link::take_items(Stage stage, const frames::Answer& answer) {
  Effect& first = effect();
  if (const auto* missing = std::get_if<frames::Missing>(&answer); missing && stage == Stage::items) {
    const auto& asked = first.compiled.items;
    first.missing.emplace();
    for (const std::string& item : missing->names)
      if (std::find(asked.begin(), asked.end(), item) != asked.end() &&
          (first.compiled.items_required || shared_.offer.find(item)))
        first.missing->push_back(item);
    for (const std::string& item : asked)
      if (std::find(missing->names.begin(), missing->names.end(), item) == missing->names.end())
        present_.insert(item);
  } else if (std::holds_alternative<frames::ItemStored>(answer) && stage == Stage::item) {
    present_.insert(first.missing->back());
    first.missing->pop_back();
  } else if (const auto* why = std::get_if<frames::Failed>(&answer)) {
    const std::string what = stage == Stage::item ? "item " + first.missing->back() : "items";
    complete(
        failed(fmt::format("{} can't be put into the store of {}: {}", what, host_.name, escaped(why->why))));
  } else {
    complete(failed(out_of_turn()));
  }
}

void Link::take_effect(const frames::Answer& answer) {
  Effect& first = effect();
  if (const auto* done = std::get_if<frames::Done>(&answer)) {
    if (done->how == How::fenced)
      return complete(Completion::Kind::refused,
                      fmt::format("{}: another deployment took the host over", host_.name));
    const frames::Stream stream = says_why(*done);
    const auto& said = stream == frames::Stream::err ? done->error : done->output;
    const bool is_cut = said.size > said.preview.size();
    if (done->succeeded() || !is_cut || !is_connected())
      return complete(to_result(first.request, first.token, host_.name, *done));
    first.done = *done;  // why it failed is at the end of what it said
    const std::uint64_t offset = said.size - std::min<std::uint64_t>(said.size, error_bytes);
    return ask(Stage::error_tail,
               frames::Out{.token = first.token, .stream = stream, .offset = offset, .max = error_bytes},
               items_seconds);
  }
  if (const auto* got = std::get_if<frames::Got>(&answer)) {
    if (sha256(got->bytes) != got->sha256)
      return complete(failed(first.request.describe() + ": the file changed on the way"));
    Result result;
    result.output = {.text = got->bytes,
                     .cut = false,
                     .size = got->bytes.size(),
                     .sha256 = {},
                     .host = host_.name,
                     .token = first.token};
    return complete(std::move(result));
  }
  if (const auto* why = std::get_if<frames::Failed>(&answer)) return complete(failed(escaped(why->why)));
  if (const auto* refused = std::get_if<frames::Refused>(&answer))
    return complete(Completion::Kind::refused, why_refused(host_, *refused));
  if (const auto* state = std::get_if<frames::TokenState>(&answer))
    return complete(Completion::Kind::lost,
                    fmt::format("{}: what became of it is not known (the host says: {})", host_.name,
                                frames::name(*state)));
  complete(Completion::Kind::lost, out_of_turn());
}

void Link::take_error_tail(const frames::Answer& answer) {
  const auto* part = std::get_if<frames::OutputPart>(&answer);
  complete(to_result(effect().request, effect().token, host_.name, *effect().done, part ? part->bytes : ""));
}

void Link::complete(Completion::Kind kind, std::string why) {
  shared_.completed.push_back({.token = effect().token, .kind = kind, .result = {}, .why = std::move(why)});
  queue_.pop_front();
}

void Link::complete(Result result) {
  shared_.completed.push_back({.token = effect().token,
                               .kind = Completion::Kind::answered,
                               .result = std::move(result),
                               .why = {},
                               .nonce = locked_ ? authority_->nonce : std::string(),
                               .epoch = locked_ ? authority_->epoch : 0});
  queue_.pop_front();
}

void Link::give_up(const std::string& why) {
  if (std::holds_alternative<Effect>(queue_.front())) return complete(Completion::Kind::unreachable, why);
  take_question(nullptr, why);
}

std::string Link::out_of_turn() const { return whereabouts(host_) + ": the runner answered out of turn"; }

bool Link::hang_up() noexcept { return channel_ && channel_->hang_up(); }

void Link::reap(double seconds) noexcept {
  if (channel_) channel_->reap(seconds);
}

}  // namespace tutti
