// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// Transitions as C++20 coroutines: straight-line code that holds the old and the new service at once.
//
//   Transition switch_web(Context c, Change web) {
//     if (web.old_service) co_await c.stop(*web.old_service);  // on failure it is started again
//     co_await c.start(web.new_service);
//     co_await c.validate(web.new_service);
//   }
//
// It takes its parameters by value and captures nothing: else it does not compile. An effect that fails
// throws EffectFailed. Awaited as `co_await c.run(…).result()` it gives its Result instead, for C++ has no
// co_await in a handler. Compensations run last first; those that stop, start, put_file and drain register
// are among them.
//
// GCC 12 destroys some temporaries in a co_await twice. A call of command(…) and a named variable are safe. A
// `?:` between two temporaries and a braced list, such as Command{.argv = …}, are not: name them first.
// Threads: all on the thread that drives the executor.

#include <coroutine>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include <tutti/engine/executor.hpp>

namespace tutti {

/// A suspended body. Move-only; destroying it unwinds it, which is how a task is dropped.
class [[nodiscard]] TUTTI_EXPORT Transition {
 public:
  struct promise_type {
    std::exception_ptr failure;
    Transition get_return_object() {
      return Transition(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { failure = std::current_exception(); }
  };
  explicit Transition(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}
  Transition(Transition&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Transition& operator=(Transition&& other) noexcept {
    if (this != &other) {
      reset();
      handle_ = std::exchange(other.handle_, {});
    }
    return *this;
  }
  ~Transition() { reset(); }

 private:
  friend class Driver;
  void reset() noexcept {
    if (handle_) std::exchange(handle_, {}).destroy();
  }
  std::coroutine_handle<promise_type> handle_;
};

/// An effect failed. Uncaught, the transition is compensated.
class TUTTI_EXPORT EffectFailed : public std::exception {
 public:
  EffectFailed(std::string request, Result result);
  [[nodiscard]] const char* what() const noexcept override { return message_.c_str(); }
  [[nodiscard]] const Result& result() const noexcept { return result_; }

 private:
  std::string message_;
  Result result_;
};

/// What a transition holds, valid while its run lasts. In a removal `new_service` is the one that goes,
/// and old_service too.
struct Change {
  DefinitionPtr old_service;  ///< none on an install
  const Definition& new_service;
  const std::string& host;
};

}  // namespace tutti

/// Refuses parameters by reference: a transition runs on after its caller returned. The first may be the
/// object of a lambda or of a member function, whose type is not complete here: those are looked at where
/// they are given.
template <class First, class... Rest> struct std::coroutine_traits<tutti::Transition, First, Rest...> {
  static constexpr bool is_object = std::is_reference_v<First> &&
                                    std::is_class_v<std::remove_reference_t<First>> &&
                                    !std::is_same_v<std::remove_cvref_t<First>, tutti::Context> &&
                                    !std::is_same_v<std::remove_cvref_t<First>, tutti::Change>;
  static_assert((is_object || !std::is_reference_v<First>)&&(!std::is_reference_v<Rest> && ...),
                "a Transition takes its parameters by value: it runs on after its caller returned");
  using promise_type = tutti::Transition::promise_type;
};

namespace tutti {

class Driver;

/// What a transition acts through. Copies freely; valid while its run lasts. When the transition fails, its
/// effects are undone last first, as Executor says.
class TUTTI_EXPORT Context {
 public:
  /// Awaited by the transition: suspends it until the effect has come back.
  template <class T> class [[nodiscard]] Effect;

  Effect<Output> run(Command command, Input input = {}) const;
  Effect<void> start(const Definition& service) const;  ///< on failure it is stopped
  Effect<void>
  stop(const Definition& service) const;  ///< on failure it is started again, unless it is a one-shot
  Effect<void> reload(const Definition& service) const;
  Effect<void> validate(const Definition& service) const;  ///< tried until it succeeds or its limit is over
  Effect<void> put_file(std::string path, std::string content,
                        unsigned mode = 0644) const;  ///< undone on failure
  Effect<std::string> get_file(std::string path) const;
  Effect<void> wait_until(Command command, double every = 1, double limit = 60) const;
  Effect<void> sleep(double seconds) const;
  Effect<double> now() const;
  /// Runs the `drain` hook of all that require or connect to the service, on their hosts, about the
  /// address it has here; on failure they are undrained. Marks in their manifests outlive the run.
  Effect<void> drain(const Definition& service) const;
  Effect<void> undrain(const Definition& service) const;
  Effect<void> switch_over(const Definition& service) const;  ///< not built yet: throws Error

  /// `body` is a coroutine function `Transition body(Context, arguments…)` without captures; the
  /// arguments are copied into its frame each time it is called.
  template <class F, class... A> void on_roll_back(F body, A... arguments) const {
    static_assert(std::is_empty_v<F> || std::is_function_v<std::remove_pointer_t<F>>,
                  "on_roll_back takes a coroutine that captures nothing: give what it needs as arguments");
    register_compensation(
        [body, ... arguments = std::move(arguments)](Context c) { return body(std::move(c), arguments...); });
  }
  [[nodiscard]] Context on_host(std::string host) const {
    Context c = *this;
    c.host_ = std::move(host);
    return c;
  }
  [[nodiscard]] const Host& current_host() const;
  /// The definition deployed (or to be deployed) under that name on this host. Throws Error.
  [[nodiscard]] Definition deployed(const std::string& service) const;

 private:
  friend class Driver;
  friend class EffectBase;
  void register_compensation(std::function<Transition(Context)>) const;
  [[nodiscard]] DefinitionPtr shared(const Definition&) const;
  Driver* driver_ = nullptr;
  TaskId task_{};
  std::string host_;
};

/// What an awaited effect is made of. For Context only.
class TUTTI_EXPORT EffectBase {
 public:
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<>);

 protected:
  friend class Context;
  friend class Driver;
  EffectBase(Context context, Request&& request)
      : context_(std::move(context)), request_(std::make_unique<Request>(std::move(request))) {}
  Result take();         // throws EffectFailed
  Result take_result();  // throws nothing
  Context context_;
  std::unique_ptr<Request> request_;  // until the driver takes it; not in place, for small frames
};
template <class T> class [[nodiscard]] Context::Effect : public EffectBase {
 public:
  using EffectBase::EffectBase;
  /// The same effect, awaited for its Result: one that failed does not throw.
  Effect<Result> result() && { return {std::move(context_), std::move(*request_)}; }
  T await_resume() {
    if constexpr (std::is_void_v<T>)
      take();
    else if constexpr (std::is_same_v<T, Result>)
      return take_result();
    else if constexpr (std::is_same_v<T, Output>)
      return take().output;
    else if constexpr (std::is_same_v<T, double>)
      return std::stod(take().output.text);
    else
      return take().output.text;
  }
};

[[nodiscard]] TUTTI_EXPORT Transition replace_service(Context, Change);
[[nodiscard]] TUTTI_EXPORT Transition reload_service(Context, Change);
[[nodiscard]] TUTTI_EXPORT Transition remove_service(Context, Change);
/// The built-in transition of that name; none: there is no such.
[[nodiscard]] TUTTI_EXPORT std::function<Transition(Context, Change)>
built_in_transition(std::string_view name);

/// Pulls an executor and runs the bodies of its tasks until it is finished.
class TUTTI_EXPORT Driver {
 public:
  using Bodies = std::function<std::function<Transition(Context, Change)>(const Step&)>;
  Driver(Executor&, const Plan&, Bodies transition_of);
  ~Driver();
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;
  void run(const std::function<void(const Progress&)>& on_progress = {});

 private:
  friend class Context;
  friend class EffectBase;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tutti
