// SPDX-License-Identifier: LGPL-3.0-or-later
#include "deployment/on_host.hpp"

#include <optional>
#include <vector>

#include <fmt/format.h>

#include "support/text.hpp"
#include <tutti/error.hpp>

namespace tutti {

OnHost::Impl::Impl(State& s, Transport& t, const Fleet& f, int& count)
    : state(s), transport(t), fleet(f), open(count) {
  if (open == 0) state.hold("on-host");
  ++open;
}

OnHost::Impl::~Impl() {
  if (--open == 0) state.release();
}

std::int64_t OnHost::Impl::epoch_on(const Host& host) {
  if (const auto known = epochs.find(host.name); known != epochs.end()) return known->second;
  const std::int64_t epoch = state.next_epoch();
  transport.authorise(
      host, {.lineage = state.lineage(), .epoch = epoch, .holder = "on-host", .seen = state.seen(host.name)});
  return epochs[host.name] = epoch;
}

OnHost::OnHost(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
OnHost::~OnHost() = default;
OnHost::OnHost(OnHost&&) noexcept = default;
OnHost& OnHost::operator=(OnHost&&) noexcept = default;

const std::string& OnHost::last_token() const noexcept { return impl_->last_token; }

Result OnHost::perform(const std::string& host_name, const Request& request) {
  Impl& d = *impl_;
  const Host& host = d.fleet.at(host_name);
  const std::int64_t epoch = d.epoch_on(host);
  const std::string token = fmt::format("i.{}.{}-{}", d.state.lineage().substr(0, 12), epoch, ++d.tokens);
  d.last_token = token;
  d.transport.send(token, host.name, request);
  std::vector<Completion> came;
  while (came.empty()) {
    d.transport.wait(came, std::nullopt);
    std::erase_if(came, [&](const Completion& one) { return one.token != token; });
  }
  Completion& completion = came.front();
  switch (completion.kind) {
    case Completion::Kind::answered: break;
    case Completion::Kind::lost:
      throw Error(ErrorCode::lost,
                  fmt::format("host '{}' was lost during `{}`: nobody knows what became of it. {}", host.name,
                              request.describe(), completion.why));
    case Completion::Kind::unreachable:
      throw Error(ErrorCode::unreachable,
                  fmt::format("host '{}' does not answer: {}", host.name, completion.why));
    case Completion::Kind::refused:
      throw Error(ErrorCode::locked, fmt::format("host '{}' refused: {}", host.name, completion.why));
  }
  return std::move(completion.result);
}

}  // namespace tutti
