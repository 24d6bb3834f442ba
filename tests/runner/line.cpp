// SPDX-License-Identifier: LGPL-3.0-or-later
#include "runner/line.hpp"

namespace tutti::frames::testing {

std::string Line::post(Frame frame) {
  std::string id = std::visit(
      [&](auto& one) {
        if (one.id.empty()) one.id = "i" + std::to_string(++frames_);
        return one.id;
      },
      frame);
  deliver(std::move(frame));
  return id;
}

Reply Line::reply_to(const std::string& id) {
  auto reply = next();
  if (!reply) throw std::runtime_error("the runner ended instead of answering " + id);
  if (reply->id != id)
    throw std::runtime_error("the reply to " + reply->id + " (" + describe(*reply) + ") came, not that to " +
                             id);
  return std::move(*reply);
}

std::optional<TokenState> Line::state(const std::string& token, std::uint32_t wait_milliseconds) {
  const Reply reply = reply_to(post(Ask{.token = token, .wait_milliseconds = wait_milliseconds}));
  if (const auto* state = std::get_if<TokenState>(&reply.answer)) return *state;
  if (std::holds_alternative<Done>(reply.answer)) return std::nullopt;
  throw std::runtime_error("another reply to ASK: " + describe(reply));
}

std::string Line::describe(const Reply& reply) {
  if (const auto* refused = std::get_if<Refused>(&reply.answer))
    return "refused " + refused->why + ' ' + refused->detail;
  if (const auto* failed = std::get_if<Failed>(&reply.answer)) return "error " + failed->why;
  if (const auto* ended = std::get_if<Ended>(&reply.answer))
    return "REFUSED " + ended->why + ' ' + ended->detail;
  if (const auto* done = std::get_if<Done>(&reply.answer))
    return std::string(to_string(done->how)) + ' ' + std::to_string(done->status) + ' ' + done->error.preview;
  if (const auto* state = std::get_if<TokenState>(&reply.answer)) return std::string(name(*state));
  return "answer " + std::to_string(reply.answer.index());
}

}  // namespace tutti::frames::testing
