// SPDX-License-Identifier: LGPL-3.0-or-later
// The operations of a transition, and the built-in transitions.
#include <tutti/transition.hpp>

#include <fmt/format.h>

#include "executor/outcome.hpp"
#include "support/text.hpp"
#include <tutti/engine/not_built.hpp>
#include <tutti/error.hpp>

namespace tutti {
EffectFailed::EffectFailed(std::string request, Result result)
    : message_(failure_text(request, result)), result_(std::move(result)) {}

Context::Effect<Output> Context::run(Command command, Input input) const {
  return {*this, Request{.effect = effect::Run{std::move(command), std::move(input)}, .host = host_}};
}
Context::Effect<void> Context::start(const Definition& service) const {
  return {*this, Request{.effect = effect::Start{shared(service)}, .host = host_}};
}
Context::Effect<void> Context::stop(const Definition& service) const {
  return {*this, Request{.effect = effect::Stop{shared(service)}, .host = host_}};
}
Context::Effect<void> Context::reload(const Definition& service) const {
  return {*this, Request{.effect = effect::Reload{shared(service)}, .host = host_}};
}
Context::Effect<void> Context::validate(const Definition& service) const {
  return {*this, Request{.effect = effect::Validate{shared(service)}, .host = host_}};
}
Context::Effect<void> Context::put_file(std::string path, std::string content, unsigned mode) const {
  if (is_decimal_mode(mode))
    throw Error(ErrorCode::misuse,
                fmt::format("put_file '{}': mode {} is decimal, which is {:o} in octal: write 0{}",
                            escaped(path), mode, mode, mode));
  return {*this,
          Request{.effect = effect::PutFile{std::move(path), std::move(content), mode}, .host = host_}};
}
Context::Effect<std::string> Context::get_file(std::string path) const {
  return {*this, Request{.effect = effect::GetFile{std::move(path)}, .host = host_}};
}
Context::Effect<void> Context::wait_until(Command command, double every, double limit) const {
  return {*this,
          Request{.effect = effect::WaitUntil{std::move(command), every}, .host = host_, .limit = limit}};
}
Context::Effect<void> Context::sleep(double seconds) const {
  return {*this, Request{.effect = effect::Sleep{seconds}}};
}
Context::Effect<double> Context::now() const { return {*this, Request{.effect = effect::Now{}}}; }
Context::Effect<void> Context::drain(const Definition& service) const {
  return {*this, Request{.effect = effect::Drain{shared(service)}}};
}
Context::Effect<void> Context::undrain(const Definition& service) const {
  return {*this, Request{.effect = effect::Undrain{shared(service)}}};
}
Context::Effect<void> Context::switch_over(const Definition& service) const {
  throw_not_built("switch-over", service.title());
}

Transition replace_service(Context c, Change change) {
  if (change.old_service) {
    co_await c.drain(change.new_service);
    co_await c.stop(*change.old_service);
  }
  if (!change.old_service && change.new_service.has_hook("prepare"))
    co_await c.run(change.new_service.hook("prepare"));
  co_await c.start(change.new_service);
  co_await c.validate(change.new_service);
  if (change.old_service) co_await c.undrain(change.new_service);
}

Transition reload_service(Context c, Change change) {
  if (change.old_service)
    c.on_roll_back([](Context inner, Definition old) -> Transition { co_await inner.reload(old); },
                   *change.old_service);
  co_await c.reload(change.new_service);
  co_await c.validate(change.new_service);
}

Transition remove_service(Context c, Change change) { co_await c.stop(*change.old_service); }

}  // namespace tutti
