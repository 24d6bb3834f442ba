// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// A connection to a runner, be it a shell's or a model's.
// Threads: one thread uses a Line.

#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "transport/frames.hpp"

namespace tutti::frames::testing {

class Line {
 public:
  Line() = default;
  Line(Line&&) = default;
  Line& operator=(Line&&) = delete;
  virtual ~Line() = default;

  /// The next reply; none when the runner has ended. Throws when none will come.
  virtual std::optional<Reply> next() = 0;
  /// Ends the connection as a coordinator does that dies.
  virtual void hang_up() = 0;
  virtual void kill() = 0;

  /// Sends a frame and waits for its reply, which must be an A.
  template <typename A> A call(Frame frame) { return expect<A>(post(std::move(frame))); }
  /// Sends a frame; its id.
  std::string post(Frame frame);
  template <typename A> A expect(const std::string& id) {
    Reply reply = reply_to(id);
    auto* answer = std::get_if<A>(&reply.answer);
    if (answer == nullptr) throw std::runtime_error("another reply to " + id + ": " + describe(reply));
    return std::move(*answer);
  }
  Done run(std::string token, std::vector<std::string> argv) {
    return call<Done>(Run{.token = std::move(token), .program = {.argv = std::move(argv)}, .limit = 30});
  }
  Done run_script(std::string token, std::string script) {
    return run(std::move(token), {"sh", "-c", std::move(script)});
  }
  /// What became of a token: a state, or nothing when it is done.
  std::optional<TokenState> state(const std::string& token, std::uint32_t wait_milliseconds = 0);

  [[nodiscard]] static std::string describe(const Reply& reply);

 private:
  virtual void deliver(Frame frame) = 0;
  Reply reply_to(const std::string& id);
  unsigned frames_ = 0;
};

}  // namespace tutti::frames::testing
