// SPDX-License-Identifier: LGPL-3.0-or-later
// How tasks are named in tokens and in the journal.
#include <array>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include <tutti/engine/journal.hpp>
#include <tutti/error.hpp>

namespace tutti {
namespace {

using Kind = TaskPath::Kind;
constexpr std::array letters{std::pair{Kind::begin, 'b'},        std::pair{Kind::transition, 't'},
                             std::pair{Kind::compensation, 'c'}, std::pair{Kind::proof, 'p'},
                             std::pair{Kind::verification, 'v'}, std::pair{Kind::room, 'r'},
                             std::pair{Kind::end, 'e'}};

/// Takes a whole number from the front of the word: digits, without a zero before others.
std::optional<std::uint32_t> take_number(std::string_view& word) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  const auto length = static_cast<std::size_t>(end - word.data());
  if (error != std::errc() || (length > 1 && word.front() == '0')) return {};
  word.remove_prefix(length);
  return number;
}
bool take(std::string_view& word, char letter) {
  if (!word.starts_with(letter)) return false;
  word.remove_prefix(1);
  return true;
}

std::optional<TaskPath> parse(std::string_view word) {
  TaskPath path;
  bool is_known = false;
  for (const auto& [kind, letter] : letters)
    if (!is_known && take(word, letter)) {
      is_known = true;
      path.kind = kind;
    }
  if (!is_known) return {};
  if (path.kind == Kind::compensation) {
    const auto serial = take_number(word);
    if (!serial) return {};
    path.serial = *serial;
  }
  if (take(word, '.')) {
    const auto sequence = take_number(word);
    if (!sequence || !take(word, '.')) return {};
    const auto number = take_number(word);
    if (!number) return {};
    path.branch = {*sequence, *number};
  }
  return word.empty() ? std::optional(path) : std::nullopt;
}

}  // namespace

std::string to_string(const TaskPath& path) {
  std::string word;
  for (const auto& [kind, letter] : letters)
    if (kind == path.kind) word += letter;
  if (path.kind == Kind::compensation) word += std::to_string(path.serial);
  if (path.branch) word += fmt::format(".{}.{}", path.branch->sequence, path.branch->number);
  return word;
}

TaskPath task_path(std::string_view word) {
  if (const auto path = parse(word)) return *path;
  throw Error(ErrorCode::system, fmt::format("'{}' names no task", escaped(word)));
}

}  // namespace tutti
