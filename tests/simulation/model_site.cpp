// SPDX-License-Identifier: LGPL-3.0-or-later
#include "simulation/model_site.hpp"

#include <algorithm>
#include <charconv>
#include <type_traits>

#include <fmt/format.h>

#include "support/text.hpp"

namespace tutti::simulation {
namespace {

constexpr std::size_t preview_bytes = 4096;

frames::Captured captured(const std::string& all) {
  if (all.size() <= preview_bytes) return {.size = all.size(), .sha256 = {}, .preview = all};
  return {.size = all.size(), .sha256 = sha256(all), .preview = all.substr(0, preview_bytes)};
}

/// The number at the beginning of a text, if there is nothing else.
std::optional<std::int64_t> number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

}  // namespace

// ------------------------------------------------------------------ the lock

void ModelSite::lose_records() {
  fence.reset();
  nonce.clear();
  holder_.clear();
  host_name_.clear();
  records_.clear();
  manifest_.clear();
  entries_.clear();
  if (const auto owner = owner_.lock()) owner->kill();
  owner_.reset();
}

void ModelSite::write_manifest(const std::map<std::string, std::string>& entries) {
  manifest_ = entries;
  std::erase_if(entries_, [&](const auto& one) { return !entries.contains(one.first); });
}

std::optional<frames::Refused> ModelSite::objection(const frames::Lock& frame) const {
  if (!fence) {
    if (frame.seen > 0 && !manifest_.empty()) return frames::Refused{"went-back", "0"};
  } else {
    const std::string standing = fmt::format("{}:{}:{}", fence->lineage, fence->epoch, holder_);
    if (fence->lineage != frame.lineage) {
      if (frame.expect != fence) return frames::Refused{"lineage", standing};
    } else if (frame.epoch < fence->epoch) {
      return frames::Refused{"epoch", standing};
    } else if (fence->epoch < frame.seen) {
      return frames::Refused{"went-back", std::to_string(fence->epoch)};
    }
  }
  const bool may =
      host_name_.empty() || frame.name.empty() || host_name_ == frame.name || host_name_ == frame.was;
  return may ? std::nullopt : std::optional(frames::Refused{"name", host_name_});
}

std::optional<frames::Refused> ModelSite::displace(const frames::Lock& frame) {
  const auto owner = owner_.lock();
  if (!owner || !owner->living()) return std::nullopt;
  if (owner->fence_.lineage == frame.lineage && frame.epoch <= owner->fence_.epoch)
    return frames::Refused{"busy", std::to_string(owner->pid())};
  owner->kill();
  return std::nullopt;
}

frames::Answer ModelSite::lock(const std::shared_ptr<ModelRunner>& runner, const frames::Lock& frame) {
  if (const auto refused = objection(frame)) return *refused;
  if (!runner->held_)
    if (const auto refused = displace(frame)) return *refused;
  if (!frame.nonce.empty() && frame.nonce != nonce)
    return frames::Refused{"nonce", nonce.empty() ? "absent" : nonce};
  owner_ = runner;
  runner->held_ = true;
  runner->fence_ = {frame.lineage, frame.epoch};
  fence = runner->fence_;
  holder_ = frame.holder;
  if (nonce.empty()) nonce = fmt::format("nonce-{}", host_.agenda().number());
  if (!frame.name.empty()) host_name_ = frame.name;
  if (frame.end_others) {
    end_others(*fence);
    forget_runs(frame.forget_before, frame.epoch);
  }
  return frames::Locked{nonce};
}

void ModelSite::end_others(const frames::Fence& but) {
  const auto all = records_;  // what is ended may end others
  for (const auto& [token, record] : all)
    if (!record->done && record->by != but && record->kill) record->kill();
}

void ModelSite::forget_runs(int before, std::int64_t epoch) {
  if (before <= 0) return;
  std::erase_if(records_, [&](const auto& one) {
    const std::string& token = one.first;
    if (!one.second->done) return false;
    const auto first = token.find('.');
    if (first == std::string::npos) return false;
    if (token.starts_with("i.")) {
      const auto dash = token.rfind('-');
      const auto dot = token.rfind('.', dash);
      return dash != std::string::npos && number(token.substr(dot + 1, dash - dot - 1)) != epoch;
    }
    const auto run = number(token.substr(first + 1, token.find('.', first + 1) - first - 1));
    return run && *run < before;
  });
  std::erase_if(logs_, [&](const auto& one) {
    return !manifest_.contains(one.first) && !daemons_.contains(one.first);
  });
}

// ------------------------------------------------------------------ questions

void ModelSite::ask(const std::shared_ptr<ModelRunner>& runner, frames::Frame frame,
                    const Answered& answered) {
  std::visit(
      [&](auto& one) {
        using Frame = std::decay_t<decltype(one)>;
        if constexpr (std::is_same_v<Frame, frames::Lock>) {
          answered(lock(runner, one));
        } else if constexpr (std::is_same_v<Frame, frames::Read>) {
          read(one, answered);
        } else if constexpr (std::is_same_v<Frame, frames::Ask>) {
          ask_about(one.token, one.wait_milliseconds / 1000.0, answered);
        } else if constexpr (std::is_same_v<Frame, frames::Get>) {
          const auto file = host_.files.find(one.path);
          if (file == host_.files.end())
            return answered(frames::Failed{"cannot read " + one.path + ": no such file"});
          if (file->second.bytes.size() > one.max)
            return answered(
                frames::Failed{fmt::format("{} is larger than the limit of {} bytes", one.path, one.max)});
          answered(frames::Got{sha256(file->second.bytes), file->second.bytes});
        } else if constexpr (std::is_same_v<Frame, frames::Out>) {
          const auto record = records_.find(one.token);
          if (record == records_.end()) return answered(frames::Failed{"there is no effect " + one.token});
          const std::string& all =
              one.stream == frames::Stream::out ? record->second->out : record->second->err;
          answered(frames::OutputPart{all.size(), one.offset < all.size() ? all.substr(one.offset, one.max)
                                                                          : std::string()});
        } else if constexpr (std::is_same_v<Frame, frames::Log>) {
          const std::string all =
              logs_[one.service] + (logging_[one.service] ? logging_[one.service]->out : "");
          answered(frames::LogTail{all.size() > one.max ? all.substr(all.size() - one.max) : all});
        } else if constexpr (std::is_same_v<Frame, frames::Items>) {
          frames::Missing missing;
          for (const std::string& name : one.names)
            if (!host_.find_item(name)) missing.names.push_back(name);
          answered(std::move(missing));
        } else if constexpr (std::is_same_v<Frame, frames::Bye>) {
          answered(frames::Farewell{});
          runner->kill();
        } else if (!runner->held_) {
          answered(frames::Refused{"unlocked", ""});
        } else if constexpr (std::is_same_v<Frame, frames::Item>) {
          if (sha256(one.bytes.view()) != one.sha256)
            return answered(frames::Failed{"item " + one.name + " arrived damaged"});
          host_.items[one.name] = {std::string(one.bytes.view()), one.mode};
          answered(frames::ItemStored{});
        } else if constexpr (std::is_same_v<Frame, frames::End>) {
          end_effect(one.token, answered);
        } else if constexpr (std::is_same_v<Frame, frames::Forget>) {
          const auto record = records_.find(one.token);
          if (record != records_.end() && record->second->done) records_.erase(record);
          answered(state_of(one.token));
        } else {
          effect(runner, one, answered);
        }
      },
      frame);
}

void ModelSite::read(const frames::Read& frame, const Answered& answered) {
  frames::Manifest manifest{
      .fence = fence, .holder = holder_, .nonce = nonce, .name = host_name_, .entries = {}, .paths = {}};
  for (std::size_t i = 0; i < frame.paths.size(); ++i)
    if (const auto found = stands(i, frame.paths[i])) manifest.paths.push_back(*found);
  struct Pending {
    frames::Manifest manifest;
    std::size_t open = 1;
  };
  const auto pending = std::make_shared<Pending>(Pending{std::move(manifest)});
  const auto one_less = [pending, answered] {
    if (--pending->open == 0) answered(std::move(pending->manifest));
  };
  for (const auto& [service, json] : manifest_) {
    const std::size_t at = pending->manifest.entries.size();
    pending->manifest.entries.push_back(read_entry(service, json));
    const frames::Entry& entry = entries_[service];
    if (entry.probe != frames::Probe::run) continue;
    ++pending->open;
    judge(entry.program.argv, entry.program, entry.limit, [pending, at, one_less](Verdict verdict) {
      pending->manifest.entries[at].life = verdict == Verdict::yes  ? frames::Life::alive
                                           : verdict == Verdict::no ? frames::Life::dead
                                                                    : frames::Life::unknown;
      one_less();
    });
  }
  one_less();
}

frames::ManifestEntry ModelSite::read_entry(const std::string& service, const std::string& json) const {
  constexpr double recently = 600;
  frames::ManifestEntry read{.service = service, .life = frames::Life::alive, .bytes = json};
  const auto entry = entries_.find(service);
  if (entry != entries_.end() && entry->second.probe == frames::Probe::daemon && !daemon_lives(service))
    read.life = frames::Life::dead;
  const auto daemon = daemons_.find(service);
  if (daemon == daemons_.end()) return read;
  read.keeper = frames::Keeper::plain;
  read.restarts = daemon->second.restarts.size();
  for (const double when : daemon->second.restarts) {
    const double ago = host_.agenda().now() - when;
    read.last_restart = static_cast<std::uint64_t>(ago);
    if (ago <= recently) ++read.recent_restarts;
  }
  return read;
}

std::optional<frames::FoundPath> ModelSite::stands(std::size_t index,
                                                   const frames::WantedPath& wanted) const {
  const auto place = host_.places_.find(wanted.path);
  if (place != host_.places_.end() && !place->second.claims.empty()) {
    const auto& claim = place->second.claims.back();
    if (claim.site != name_) return frames::FoundPath{index, frames::Stands::site, claim.service, claim.site};
    if (claim.service == wanted.service) return std::nullopt;
    return frames::FoundPath{index, frames::Stands::service, claim.service, {}};
  }
  if (!wanted.path.starts_with('/')) return frames::FoundPath{index, frames::Stands::unreachable, {}, {}};
  if (host_.is_folder(wanted.path)) return frames::FoundPath{index, frames::Stands::directory, {}, {}};
  if (host_.files.contains(wanted.path)) return frames::FoundPath{index, frames::Stands::file, {}, {}};
  return std::nullopt;
}

frames::Answer ModelSite::state_of(const std::string& token) const {
  const auto record = records_.find(token);
  if (record == records_.end()) return frames::TokenState::absent;
  if (!record->second->done) return frames::TokenState::started;
  return record->second->result;
}

void ModelSite::ask_about(const std::string& token, double seconds, const Answered& answered) {
  const auto record = records_.find(token);
  if (record == records_.end() || record->second->done || seconds <= 0) return answered(state_of(token));
  const auto said = std::make_shared<bool>(false);
  const auto once = [this, token, answered, said] {
    if (!std::exchange(*said, true)) answered(state_of(token));
  };
  record->second->waits.push_back(once);
  host_.agenda().after(seconds, once);
}

void ModelSite::end_effect(const std::string& token, const Answered& answered) {
  const auto record = records_.find(token);
  if (record != records_.end() && !record->second->done && record->second->kill) record->second->kill();
  answered(state_of(token));
}

// ------------------------------------------------------------------ effects

template <typename Frame>
void ModelSite::effect(const std::shared_ptr<ModelRunner>& runner, const Frame& frame,
                       const Answered& answered) {
  if (records_.contains(frame.token)) return answered(state_of(frame.token));
  const auto record = std::make_shared<Record>();
  record->token = frame.token;
  record->by = runner->fence_;
  records_[frame.token] = record;
  record->waits.push_back([this, token = frame.token, answered] { answered(state_of(token)); });
  record->kill = [this, held = std::weak_ptr(record)] {  // until it has a process
    if (const RecordPtr one = held.lock()) settle(one, frames::How::killed, 137);
  };
  const auto begin = [this, record, frame, runner, answered] {
    if (record->done) return;
    if (const auto answer = host_.instead ? host_.instead(frame.token) : std::nullopt) {
      records_.erase(frame.token);
      record->waits.clear();
      return answered(*answer);
    }
    perform(record, frame);
  };
  if (host_.effect_seconds > 0)
    host_.agenda().after(host_.effect_seconds, begin);
  else
    begin();
}

void ModelSite::settle(const RecordPtr& record, frames::How how, int status, std::string out,
                       std::string err) {
  if (record->done) return;
  record->done = true;
  record->kill = nullptr;
  record->out = std::move(out);
  record->err = std::move(err);
  record->result = {
      .how = how, .status = status, .output = captured(record->out), .error = captured(record->err)};
  for (const auto& wait : std::exchange(record->waits, {})) wait();
}

void ModelSite::perform(const RecordPtr& record, const frames::Entry& frame) {
  if (frame.probe == frames::Probe::drop) {
    manifest_.erase(frame.service);
    entries_.erase(frame.service);
  } else {
    manifest_[frame.service] = frame.json;
    entries_[frame.service] = frame;
  }
  settle(record, frames::How::exit, 0);
}

}  // namespace tutti::simulation
