#pragma once
// A session with the runner on one host: a child process whose streams are the runner's, frames out and
// replies in.
// Threads: all on the thread that runs the io_context; callbacks come from there, never from within a call.

#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "transport/frames.hpp"
#include "transport/process.hpp"
#include <tutti/site.hpp>

namespace tutti {

/// Shared: the handlers of operations that were cancelled still come, and hold it until then.
class Session : public std::enable_shared_from_this<Session> {
 public:
  /// The connection ended before a reply came.
  struct Lost {
    std::string why;
  };
  using Reply = std::variant<frames::Answer, Lost>;

  Session(boost::asio::io_context& io, Host host, Platform platform, std::string site);

  /// Starts the child and shakes hands; then calls `opened`, once, with "" or with why it failed.
  void open(std::function<void(std::string why)> opened);
  /// Sends a frame; then calls `answered`, once. `seconds`: how long after the last byte was
  /// taken the answer may be, before the connection is given up. One at a time, only while it is up().
  void ask(std::string id, std::string frame, double seconds, std::function<void(Reply)> answered);
  /// Whether a frame may be sent now. Looks: an end that was not handled yet counts.
  [[nodiscard]] bool up() noexcept;
  /// Leaves: says BYE where that is possible, hangs up, and calls nobody any more. Whether the child
  /// may now be expected to end by itself; see `reap`.
  bool hang_up() noexcept;
  /// Waits at most `seconds` for the child's end, then kills it.
  void reap(double seconds) noexcept;

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
  std::string asked_;  ///< the id of the frame under way
  std::function<void(Reply)> answered_;
  std::string why_;  ///< it ended
  bool was_up_ = false;
};

}  // namespace tutti
