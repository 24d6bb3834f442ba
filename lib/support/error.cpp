// SPDX-License-Identifier: LGPL-3.0-or-later
#include <tutti/error.hpp>

#include "support/describe.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace tutti {
namespace {

/// Damerau-Levenshtein distance, the variant of optimal string alignment.
std::size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t cost = a[i - 1] == b[j - 1] ? 0 : 1;
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + cost});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

}  // namespace

Error::Error(ErrorCode code, std::string message, Remedy remedy)
    : code_(code), remedy_(remedy), message_(std::move(message)) {}

Error& Error::in(const std::string& context) {
  message_ = context + ": " + message_;
  return *this;
}

std::string nearest(const std::string& name, const std::vector<std::string>& known) {
  std::string best;
  std::size_t least = std::numeric_limits<std::size_t>::max();
  for (const std::string& candidate : known) {
    const std::size_t d = distance(name, candidate);
    if (d < least) least = d, best = candidate;
  }
  return least <= std::max<std::size_t>(1, (name.size() + 1) / 3) ? best : "";
}

std::string suggestion(const std::string& name, const std::vector<std::string>& known) {
  if (std::string near = nearest(name, known); !near.empty()) return " Did you mean '" + near + "'?";
  constexpr std::size_t most = 12;
  if (known.empty()) return "";
  std::string text = " Known: ";
  for (std::size_t i = 0; i < known.size() && i < most; ++i) text += (i ? ", " : "") + known[i];
  return text + (known.size() > most ? ", …" : ".");
}

std::string describe(const std::exception_ptr& failure) noexcept {
  try {
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& e) { return e.what(); } catch (...) {
      return "something was thrown that is no std::exception";
    }
  } catch (...) { return "something was thrown, and what can't be said"; }
}

}  // namespace tutti
