// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// A session with the runner on one host: a channel over a child process whose streams are the runner's.
// Frames are encoded here, and replies parsed. Threads: all on the thread that runs the io_context; callbacks
// come from there, never from within a call.

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "transport/channel.hpp"
#include "transport/frames.hpp"
#include "transport/process.hpp"
#include <tutti/site.hpp>

namespace tutti {

/// Shared: the handlers of operations that were cancelled still come, and hold it until then.
class Session final : public Channel, public std::enable_shared_from_this<Session> {
 public:
  Session(boost::asio::io_context& io, Host host, Platform platform, std::string site);

  void open(std::function<void(std::string why)> opened) override;
  void ask(frames::Frame frame, double seconds, std::function<void(Reply)> answered) override;
  [[nodiscard]] bool up() noexcept override;
  bool hang_up() noexcept override;
  void reap(double seconds) noexcept override;

 private:
  enum class State { idle, opening, up, ended };

  void start();
  void read_output();
  void read_error();
  void take(frames::Reply reply);
  void write(std::string bytes);
  void write_some();
  void arm(double seconds);
  void end(std::string why);  ///< with its last words, when they have come
  void finish();
  [[nodiscard]] std::string explain(const std::string& why) const;

  Host host_;
  Platform platform_;
  std::string site_;
  State state_ = State::idle;
  std::optional<Child> child_;
  boost::asio::local::stream_protocol::socket input_;
  boost::asio::posix::stream_descriptor output_;
  boost::asio::posix::stream_descriptor error_;
  boost::asio::steady_timer timer_;       ///< of what is under way
  boost::asio::steady_timer last_words_;  ///< after the end, for standard error
  frames::ReplyParser parser_;
  std::array<char, 16384> output_buffer_{};
  std::array<char, 1024> error_buffer_{};
  std::string error_tail_;
  bool error_ended_ = false;
  std::deque<std::string> outgoing_;
  std::size_t written_ = 0;  ///< of the first of them
  double patience_ = 0;      ///< seconds, of what is under way
  std::function<void(std::string)> opened_;
  std::uint64_t last_id_ = 0;
  std::string asked_;  ///< the id of the frame under way
  std::function<void(Reply)> answered_;
  std::string why_;  ///< it ended
  bool was_up_ = false;
};

}  // namespace tutti
