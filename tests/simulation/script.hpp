// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// What a program of a test does, as data: the model plays it, and the shell of a real host runs it.
// Threads: values.

#include <string>
#include <vector>

namespace tutti::simulation {

struct Act {
  enum class Kind { say, complain, copy_input, nap, append, remove, need, leave };
  Kind kind;
  std::string path = {};
  std::string text = {};
  double seconds = 0;
  int status = 0;
};
using Script = std::vector<Act>;

inline Act say(std::string text) { return {.kind = Act::Kind::say, .text = std::move(text)}; }
inline Act complain(std::string text) { return {.kind = Act::Kind::complain, .text = std::move(text)}; }
inline Act copy_input() { return {.kind = Act::Kind::copy_input}; }
inline Act nap(double seconds) { return {.kind = Act::Kind::nap, .seconds = seconds}; }
inline Act append(std::string path, std::string text) {
  return {.kind = Act::Kind::append, .path = std::move(path), .text = std::move(text)};
}
inline Act remove(std::string path) { return {.kind = Act::Kind::remove, .path = std::move(path)}; }
/// Exits with 1 where nothing stands at `path`.
inline Act need(std::string path) { return {.kind = Act::Kind::need, .path = std::move(path)}; }
inline Act leave(int status) { return {.kind = Act::Kind::leave, .status = status}; }

/// The same for `sh -c`.
[[nodiscard]] std::string to_shell(const Script& script);

}  // namespace tutti::simulation
