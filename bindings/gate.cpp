// SPDX-License-Identifier: LGPL-3.0-or-later
#include "gate.hpp"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <vector>

#include <tutti/error.hpp>

namespace tutti::guile {
namespace {

const char* code_name(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::misuse: return "misuse";
    case ErrorCode::not_built: return "not-built";
    case ErrorCode::locked: return "locked";
    case ErrorCode::moved: return "moved";
    case ErrorCode::unreachable: return "unreachable";
    case ErrorCode::lost: return "lost";
    case ErrorCode::callback: return "callback";
    case ErrorCode::system: return "system";
  }
  return "misuse";
}

Failure error(const char* code, const char* message) noexcept {
  return {Failure::Kind::error, code, ::strdup(message), 0, SCM_BOOL_F, nullptr};
}

// What finalizers, which run on another thread, have queued.
struct Freed {
  std::atomic<bool> any = false;  // so that a gate without anything to free takes no lock
  std::mutex mutex;
  std::vector<std::pair<void*, void (*)(void*)>> objects;
};
Freed& freed() {
  static Freed* const instance = new Freed;  // lives as long as any finalizer may run
  return *instance;
}

bool collects_at_gates() noexcept {
  static const bool asked = [] {
    const char* value = std::getenv("TUTTI_GC_AT_GATES");
    return value && *value && std::strcmp(value, "0") != 0;
  }();
  return asked;
}

/// What a person at the command types for it, in brackets after the library's sentence.
const char* as_typed(Remedy remedy) noexcept {
  switch (remedy) {
    case Remedy::none: return "";
    case Remedy::abandon: return " (tutti abandon)";
    case Remedy::take_over: return " (deploy --take-over)";
    case Remedy::accept_names: return " (deploy --accept-name)";
    case Remedy::state_file: return " (--state FILE)";
  }
  return "";
}

}  // namespace

Failure current_failure() noexcept {
  try {
    throw;
  } catch (const WrongType& wrong) {
    return {Failure::Kind::wrong_type, nullptr, nullptr, wrong.position, wrong.value, wrong.wanted};
  } catch (const Error& e) {
    Failure failure = error(code_name(e.code()), e.what());
    const char* typed = as_typed(e.remedy());
    if (!failure.message || !*typed) return failure;
    if (char* longer = static_cast<char*>(
            std::realloc(failure.message, std::strlen(failure.message) + std::strlen(typed) + 1)))
      failure.message = std::strcat(longer, typed);
    return failure;
  } catch (const std::exception& e) { return error("system", e.what()); } catch (...) {
    return error("system", "a C++ exception of an unknown type");
  }
}

void raise(const char* who, const Failure& failure) {
  if (failure.kind == Failure::Kind::wrong_type)
    scm_wrong_type_arg_msg(who, failure.position, failure.value, failure.wanted);
  const char* text = failure.message ? failure.message : "out of memory";
  const SCM message = from_string(text);
  std::free(failure.message);
  // A compound condition, which only Scheme can make. Nothing with a destructor is pending here.
  scm_call_2(scm_c_public_ref("tutti errors", "raise-error"), scm_from_utf8_symbol(failure.code), message);
  std::abort();  // it does not return
}

void enter_gate() noexcept {
  if (collects_at_gates()) scm_gc();
  Freed& queue = freed();
  if (!queue.any.load(std::memory_order_relaxed)) return;
  std::vector<std::pair<void*, void (*)(void*)>> objects;
  {
    const std::lock_guard lock(queue.mutex);
    objects.swap(queue.objects);
    queue.any = false;
  }
  for (const auto& [object, free] : objects) free(object);
}

void free_later(void* object, void (*free)(void*)) noexcept {
  Freed& queue = freed();
  const std::lock_guard lock(queue.mutex);
  queue.objects.emplace_back(object, free);
  queue.any = true;
}

std::string to_string(SCM value, int position) {
  if (!scm_is_string(value)) throw WrongType{position, value, "string"};
  std::size_t size = 0;
  char* bytes = scm_to_utf8_stringn(value, &size);
  std::string text(bytes, size);
  std::free(bytes);
  return text;
}

std::string to_symbol(SCM value, int position) {
  if (!scm_is_symbol(value)) throw WrongType{position, value, "symbol"};
  return to_string(scm_symbol_to_string(value), position);
}

double to_double(SCM value, int position) {
  if (!scm_is_real(value)) throw WrongType{position, value, "number"};
  return scm_to_double(value);
}

unsigned to_unsigned(SCM value, int position) {
  if (!scm_is_unsigned_integer(value, 0, 0xffffffff)) throw WrongType{position, value, "unsigned integer"};
  return scm_to_uint32(value);
}

std::string to_bytes(SCM bytevector, int position) {
  if (!scm_is_bytevector(bytevector)) throw WrongType{position, bytevector, "bytevector"};
  return {reinterpret_cast<const char*>(SCM_BYTEVECTOR_CONTENTS(bytevector)),
          SCM_BYTEVECTOR_LENGTH(bytevector)};
}

SCM from_string(std::string_view text) {
  // Nearly always; and a conversion opens iconv.
  if (std::all_of(text.begin(), text.end(), [](char c) { return static_cast<signed char>(c) >= 0; }))
    return scm_from_latin1_stringn(text.data(), text.size());
  return scm_from_stringn(text.data(), text.size(), "UTF-8", SCM_FAILED_CONVERSION_QUESTION_MARK);
}

SCM from_bytes(std::string_view bytes) {
  const SCM result = scm_c_make_bytevector(bytes.size());
  if (!bytes.empty()) std::memcpy(SCM_BYTEVECTOR_CONTENTS(result), bytes.data(), bytes.size());
  return result;
}

void define_handle_type(HandleType& type, const char* scheme_name, scm_t_struct_finalize finalize) {
  type.type = scm_permanent_object(scm_make_foreign_object_type(
      scm_from_utf8_symbol(scheme_name), scm_list_1(scm_from_utf8_symbol("object")), finalize));
  scm_c_define(scheme_name, type.type);
  scm_c_export(scheme_name, nullptr);
}

bool is_handle(SCM value, const HandleType& type) noexcept {
  return SCM_STRUCTP(value) && scm_is_eq(SCM_STRUCT_VTABLE(value), type.type);
}

void throw_closed(const HandleType& type) {
  throw Error(ErrorCode::misuse, std::string("this ") + type.name + " is closed");
}

void define_primitives(std::span<const Primitive> table) {
  const SCM documentation = scm_from_utf8_symbol("documentation");
  for (const Primitive& p : table) {
    const SCM procedure = scm_c_define_gsubr(p.name, p.arity, 0, 0, p.function);
    scm_set_procedure_property_x(procedure, documentation, scm_from_utf8_string(p.doc));
    scm_c_export(p.name, nullptr);
  }
}

}  // namespace tutti::guile
