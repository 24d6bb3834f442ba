// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// The one exception of the library. What is expected in operation (an effect failed, a host is
// unreachable) is an Outcome, a value, and never an Error.
// Threads: a value, free to copy and move.

#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include <tutti/export.hpp>

namespace tutti {

/// Why an Error was thrown.
enum class ErrorCode {
  misuse,       ///< wrong use of the library, or an error in the site program
  not_built,    ///< asked for something that the vocabulary has and this version has not
  locked,       ///< the site is held: by an unfinished run or by another lineage
  moved,        ///< the fleet or a host's manifest is not what the plan was made from
  unreachable,  ///< a host that was to act or to answer at once does not
  lost,         ///< a host went away during an effect: nobody knows what became of it
  callback,     ///< a function that the caller gave threw: an inventory, settings, a policy, progress
  system,       ///< a file, a database or a process of this machine refused
};

/// What the caller may do about it, where the library has a way. The sentence says it in words; who has a
/// name of his own for it, such as an option of a command, adds that.
enum class Remedy {
  none,
  abandon,       ///< Deployment::abandon()
  take_over,     ///< ExecuteOptions::take_over
  accept_names,  ///< PlanOptions::accept_names
  state_file,    ///< another file for the State
};

/// Says what is wrong, names the service, host, field or file, and what to do about it.
class TUTTI_EXPORT Error : public std::exception {
 public:
  Error(ErrorCode code, std::string message, Remedy remedy = Remedy::none);

  [[nodiscard]] ErrorCode code() const noexcept { return code_; }
  [[nodiscard]] Remedy remedy() const noexcept { return remedy_; }
  /// The whole sentence, context first: "site 'shop': service 'web': …".
  [[nodiscard]] const char* what() const noexcept override { return message_.c_str(); }
  /// Puts "CONTEXT: " before the message; for a catch block that knows more and rethrows.
  Error& in(const std::string& context);

 private:
  ErrorCode code_;
  Remedy remedy_;
  std::string message_;
};

/// The member of `known` nearest to `name` (Damerau-Levenshtein distance at most a third of its
/// length, at least 1), or "" when none is near.
[[nodiscard]] TUTTI_EXPORT std::string nearest(const std::string& name,
                                               const std::vector<std::string>& known);
/// " Did you mean 'X'?" or, when nothing is near, " Known: a, b, c." (or "" when there are none).
[[nodiscard]] TUTTI_EXPORT std::string suggestion(const std::string& name,
                                                  const std::vector<std::string>& known);
/// Safe on a terminal: control characters and bytes that are no UTF-8 become `\xNN`; a newline too unless
/// `keep_lines`. For whatever text comes from a host.
[[nodiscard]] TUTTI_EXPORT std::string escaped(std::string_view text, bool keep_lines = false);

}  // namespace tutti
