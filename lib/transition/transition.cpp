// The operations of a transition, and the built-in transitions.
#include <tutti/transition.hpp>

#include <fmt/format.h>

#include "support/text.hpp"
#include "transition/bodies.hpp"
#include <tutti/error.hpp>

namespace tutti {
namespace {

Transition stop_again(Context c, DefinitionPtr service) { co_await c.stop(*service); }
Transition start_again(Context c, DefinitionPtr service) { co_await c.start(*service); }
Transition undrain_again(Context c, DefinitionPtr service) { co_await c.undrain(*service); }

}  // namespace

EffectFailed::EffectFailed(std::string request, Result result)
    : message_(fmt::format("{} failed: {}", request,
                           result.error.empty() ? fmt::format("{} {}", result.how, result.status)
                                                : escaped(result.error, true))),
      result_(std::move(result)) {}

Context::Effect<Output> Context::run(Command command, Input input) const {
  return {*this, Request{.operation = Operation::run,
                         .command = std::move(command),
                         .input = std::move(input),
                         .host = host_}};
}
Context::Effect<void> Context::start(const Definition& service) const {
  DefinitionPtr held = shared(service);
  register_compensation([held](Context c) { return stop_again(std::move(c), held); });
  return {*this, Request{.operation = Operation::start, .definition = std::move(held), .host = host_}};
}
Context::Effect<void> Context::stop(const Definition& service) const {
  DefinitionPtr held = shared(service);
  // What ran to its end is not run again.
  if (!held->one_shot) register_compensation([held](Context c) { return start_again(std::move(c), held); });
  return {*this, Request{.operation = Operation::stop, .definition = std::move(held), .host = host_}};
}
Context::Effect<void> Context::reload(const Definition& service) const {
  return {*this, Request{.operation = Operation::reload, .definition = shared(service), .host = host_}};
}
Context::Effect<void> Context::validate(const Definition& service) const {
  return {*this, Request{.operation = Operation::validate, .definition = shared(service), .host = host_}};
}
Context::Effect<void> Context::put_file(std::string path, std::string content, unsigned mode) const {
  if (is_decimal_mode(mode))
    throw Error(ErrorCode::misuse,
                fmt::format("put_file '{}': mode {} is decimal, which is {:o} in octal: write 0{}",
                            escaped(path), mode, mode, mode));
  Request undo{.operation = Operation::restore_file, .path = path, .host = host_};
  // The registration takes a sequence number of its own, so the token is that of the effect after it.
  auto token = std::make_shared<std::string>();  // shared: known only once the registration is made
  register_compensation([undo, token](Context c) mutable {
    undo.of = *token;
    return [](Context inner, Request request) -> Transition {
      co_await Effect<void>(inner, std::move(request));
    }(std::move(c), undo);
  });
  *token = next_token();
  return {*this, Request{.operation = Operation::put_file,
                         .path = std::move(path),
                         .content = std::move(content),
                         .mode = mode,
                         .host = host_}};
}
Context::Effect<std::string> Context::get_file(std::string path) const {
  return {*this, Request{.operation = Operation::get_file, .path = std::move(path), .host = host_}};
}
Context::Effect<void> Context::wait_until(Command command, double every, double limit) const {
  return {*this, Request{.operation = Operation::wait_until,
                         .command = std::move(command),
                         .host = host_,
                         .limit = limit,
                         .every = every}};
}
Context::Effect<void> Context::sleep(double seconds) const {
  return {*this, Request{.operation = Operation::sleep, .every = seconds}};
}
Context::Effect<double> Context::now() const { return {*this, Request{.operation = Operation::now}}; }
Context::Effect<void> Context::drain(const Definition& service) const {
  DefinitionPtr held = shared(service);
  register_compensation([held](Context c) { return undrain_again(std::move(c), held); });
  return {*this, Request{.operation = Operation::drain, .definition = std::move(held)}};
}
Context::Effect<void> Context::undrain(const Definition& service) const {
  return {*this, Request{.operation = Operation::undrain, .definition = shared(service)}};
}
Context::Effect<void> Context::switch_over(const Definition& service) const {
  throw Error(ErrorCode::not_built,
              fmt::format("switch-over {} is not built yet: leave it out", service.title()));
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

Transition verify_service(Context c, DefinitionPtr service) { co_await c.validate(*service); }

Transition verify_gone(Context c, DefinitionPtr service) {
  if (service->is_daemon()) {
    // Stopping is idempotent: what still lives is ended, what is gone is success.
    co_await c.stop(*service);
    co_return;
  }
  if (!service->has_hook("alive")) co_return;
  bool lives = true;
  try {
    co_await c.run(service->hook("alive"));
  } catch (const EffectFailed& failed) {
    if (failed.result().how != "exit") throw;  // it did not say
    lives = false;
  }
  if (lives)
    throw Error(ErrorCode::system, fmt::format("{} still lives after it was rolled back", service->title()));
}

}  // namespace tutti
