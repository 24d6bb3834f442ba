// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// From a request to the frame that carries it out on a host, and from the runner's reply to its result.
// Threads: pure functions but for the canonical forms, which are kept.

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "model/canonical.hpp"
#include "transport/frames.hpp"
#include <tutti/engine/transport.hpp>
#include <tutti/platform.hpp>

namespace tutti {

inline constexpr std::size_t most_file_bytes = std::size_t{1} << 20;  ///< of get-file
inline constexpr std::size_t error_bytes = 2048;  ///< of the end of what a program said that a result keeps

/// What an effect comes to on the wire.
struct Compiled {
  using Frame = frames::Frame;

  std::optional<Result> answer = {};  ///< known without the host: no frame
  std::optional<double> pause = {};   ///< seconds until `answer` is true
  bool asks_time = false;             ///< the output of `answer` is to be the time
  Frame frame = {};
  std::vector<std::string> items = {};  ///< that must be in the host's store first
  bool items_required = true;           ///< else what nobody offers is done without
  double patience = 0;                  ///< seconds after which the host should have answered
};

/// `token` names the effect on the host `host`. What can't be carried out is an answer that failed,
/// with how = error.
[[nodiscard]] Compiled compile(const std::string& token, const std::string& host, const Layout& layout,
                               const Request& request, CanonicalForms& forms);

/// Where a program that failed says why: on standard error, or on standard output if it wrote nothing to the
/// other.
[[nodiscard]] frames::Stream says_why(const frames::Done& done) noexcept;
/// `tail`: the end of the stream that says why, when the reply's preview of it is cut.
[[nodiscard]] Result to_result(const Request& request, const std::string& token, const std::string& host,
                               const frames::Done& done, const std::string& tail = {});
/// A failure of our own, how = error.
[[nodiscard]] Result failed(std::string why);

}  // namespace tutti
