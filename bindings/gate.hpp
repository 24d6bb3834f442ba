// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// The two gates between C++ and Scheme, and what crosses them.
//
// A primitive's body runs in `gate`: it may hold what has destructors and throws C++ exceptions only. When
// it has thrown, the gate leaves the catch block first and then raises in Scheme, with nothing pending that
// has a destructor. In a body only those functions of libguile may be called that raise for lack of memory
// alone: constructors, predicates, and conversions of what a predicate was asked about.
//
// Primitives never call Scheme. A primitive that blocks does so in `without_guile`, outside of guile mode.

#include <libguile.h>

#include <concepts>
#include <cstddef>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace tutti::guile {

/// Thrown in a body: the argument at `position` (from 1) is not what is wanted.
struct WrongType {
  int position;
  SCM value;  // reachable from the primitive's arguments, so the collector sees it there
  const char* wanted;
};

/// Ready to be raised; trivially destructible.
struct Failure {
  enum class Kind { none, error, wrong_type } kind;
  const char* code;  // of an error
  char* message;     // malloc'ed
  int position;
  SCM value;
  const char* wanted;
};

/// What is being thrown, as data. To be called in a catch block.
[[nodiscard]] Failure current_failure() noexcept;
[[noreturn]] void raise(const char* who, const Failure& failure);
/// Collects garbage when TUTTI_GC_AT_GATES asks for it, and frees what finalizers have queued.
void enter_gate() noexcept;

/// Scheme → C++. `body` returns an SCM, or nothing.
template <class Body> SCM gate(const char* who, Body body) {
  enter_gate();
  SCM result = SCM_UNSPECIFIED;
  Failure failure{};
  try {
    if constexpr (std::same_as<decltype(body()), void>)
      body();
    else
      result = body();
  } catch (...) { failure = current_failure(); }
  if (failure.kind != Failure::Kind::none) raise(who, failure);
  return result;
}

/// Runs `body`, which touches nothing of Scheme's and may block, outside of guile mode.
template <class Body> void without_guile(Body body) {
  struct Call {
    Body* body;
    std::exception_ptr failure;
  } call{&body, nullptr};
  scm_without_guile(
      [](void* data) -> void* {
        auto* c = static_cast<Call*>(data);
        try {
          (*c->body)();
        } catch (...) { c->failure = std::current_exception(); }
        return nullptr;
      },
      &call);
  if (call.failure) std::rethrow_exception(call.failure);
}

// ---- Data. All of these may be used in bodies: they throw WrongType.

[[nodiscard]] std::string to_string(SCM value, int position);
[[nodiscard]] std::string to_symbol(SCM value, int position);
[[nodiscard]] double to_double(SCM value, int position);
[[nodiscard]] unsigned to_unsigned(SCM value, int position);
[[nodiscard]] std::string to_bytes(SCM bytevector, int position);

/// Text that may come from a host: what is not UTF-8 in it is replaced.
[[nodiscard]] SCM from_string(std::string_view text);
[[nodiscard]] SCM from_bytes(std::string_view bytes);
template <class... V> [[nodiscard]] SCM vector(V... values) {
  const SCM result = scm_c_make_vector(sizeof...(values), SCM_BOOL_F);
  std::size_t k = 0;
  (SCM_SIMPLE_VECTOR_SET(result, k++, values), ...);
  return result;
}
/// The list of what `convert` makes of each element.
template <class Range, class Convert> [[nodiscard]] SCM list(const Range& range, Convert convert) {
  SCM reversed = SCM_EOL;
  for (const auto& element : range) reversed = scm_cons(convert(element), reversed);
  return scm_reverse_x(reversed, SCM_EOL);
}
/// Calls `f` with each element of a proper list.
template <class F> void each(SCM values, int position, F f) {
  if (scm_ilength(values) < 0) throw WrongType{position, values, "a list"};
  for (; scm_is_pair(values); values = SCM_CDR(values)) f(SCM_CAR(values));
}

// ---- Handles: foreign objects with one slot, which is null once closed.

/// A type of handles for `T`. Finalizers only queue; `enter_gate` frees.
struct HandleType {
  const char* name;          ///< "plan"
  SCM type = SCM_UNDEFINED;  // permanent
};
void define_handle_type(HandleType& type, const char* scheme_name, scm_t_struct_finalize finalize);
/// For finalizers: to be freed at the next gate.
void free_later(void* object, void (*free)(void*)) noexcept;

template <class T> struct Handle {
  static HandleType type;
};

template <class T> void define_handle(const char* scheme_name) {
  define_handle_type(Handle<T>::type, scheme_name, [](SCM handle) {
    if (void* object = scm_foreign_object_ref(handle, 0))
      free_later(object, [](void* o) { delete static_cast<std::shared_ptr<T>*>(o); });
  });
}

/// Shared: Scheme decides by its own rules when a handle dies, and a plan or an executor must outlive
/// what was made from it.
template <class T> [[nodiscard]] SCM wrap(std::shared_ptr<T> object) {
  auto* slot = new std::shared_ptr<T>(std::move(object));
  return scm_make_foreign_object_1(Handle<T>::type.type, slot);
}
[[nodiscard]] bool is_handle(SCM value, const HandleType& type) noexcept;
[[noreturn]] void throw_closed(const HandleType& type);

template <class T> [[nodiscard]] bool is(SCM value) noexcept { return is_handle(value, Handle<T>::type); }
template <class T> [[nodiscard]] const std::shared_ptr<T>& unwrap(SCM value, int position) {
  if (!is<T>(value)) throw WrongType{position, value, Handle<T>::type.name};
  auto* slot = static_cast<std::shared_ptr<T>*>(scm_foreign_object_ref(value, 0));
  if (!slot) throw_closed(Handle<T>::type);
  return *slot;
}
/// Closes a handle; closing it again does nothing.
template <class T> void close(SCM value, int position) {
  if (!is<T>(value)) throw WrongType{position, value, Handle<T>::type.name};
  auto* slot = static_cast<std::shared_ptr<T>*>(scm_foreign_object_ref(value, 0));
  scm_foreign_object_set_x(value, 0, nullptr);
  delete slot;
}

// ---- Tables.

struct Primitive {
  const char* name;
  int arity;
  scm_t_subr function;
  const char* doc;
};
void define_primitives(std::span<const Primitive> table);
/// For tables: a function of SCMs as a primitive's.
template <class... A> [[nodiscard]] scm_t_subr subr(SCM (*function)(A...)) {
  return reinterpret_cast<scm_t_subr>(function);
}

}  // namespace tutti::guile
