// SPDX-License-Identifier: LGPL-3.0-or-later
#include "transport/session.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <stdexcept>
#include <variant>

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include "support/text.hpp"
#include "transport/compile.hpp"
#include "transport/reasons.hpp"
#include "transport/runner_text.hpp"
#include <tutti/error.hpp>

namespace tutti {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr double open_seconds = 30;         ///< ssh's own bound on connecting, then login and greeting
constexpr double last_words_seconds = 0.3;  ///< for standard error to end after standard output has
constexpr std::size_t error_tail_bytes = 2048;
constexpr std::size_t chunk_bytes = 65536;  ///< of one write, so that progress is seen

const std::string& runner_sha256() {
  static const std::string hash = sha256(runner_text);
  return hash;
}

frames::Limits limits() {
  frames::Limits limits;
  limits.file = most_file_bytes;
  return limits;
}

std::chrono::steady_clock::duration duration(double seconds) {
  return std::chrono::duration_cast<std::chrono::steady_clock::duration>(
      std::chrono::duration<double>(seconds));
}

/// Makes a folder, and those on the way to it, for every user to go through: whatever the umask, services of
/// other users find their files below it, and nobody else can write there. What is there already is left as
/// it is.
void make_traversable(const std::filesystem::path& folder) {
  if (std::filesystem::is_directory(folder)) return;
  if (folder.has_parent_path() && folder.parent_path() != folder) make_traversable(folder.parent_path());
  constexpr auto mode = static_cast<std::filesystem::perms>(0755);
  if (std::filesystem::create_directory(folder)) std::filesystem::permissions(folder, mode);
}

}  // namespace

Session::Session(asio::io_context& io, Host host, Platform platform, std::string site)
    : host_(std::move(host)),
      platform_(std::move(platform)),
      site_(std::move(site)),
      input_(io),
      output_(io),
      error_(io),
      timer_(io),
      last_words_(io),
      parser_(limits()) {}

void Session::open(std::function<void(std::string)> opened) {
  opened_ = std::move(opened);
  state_ = State::opening;
  try {
    start();
  } catch (const std::exception& e) {  // Error, invalid_argument of the codec, filesystem_error
    error_ended_ = true;
    end(e.what());
  }
}

void Session::start() {
  const Layout layout = platform_.layout(host_);
  if (platform_.kind == Platform::Kind::local) make_traversable(layout.root);
  child_.emplace(
      platform_.reach(host_, frames::bootstrap(layout.state, runner_sha256(), runner_text.size())));
  input_.assign(asio::local::stream_protocol(), child_->take_input());
  output_.assign(child_->take_output());
  error_.assign(child_->take_error());
  arm(open_seconds);
  read_output();
  read_error();
}

void Session::read_output() {
  output_.async_read_some(
      asio::buffer(output_buffer_), [self = shared_from_this()](error_code error, std::size_t size) {
        if (self->state_ == State::ended) return;
        if (error)
          return self->end(self->parser_.partial() ? "the connection ended amid an answer"
                                                   : "the connection ended");
        try {
          self->parser_.feed({self->output_buffer_.data(), size});
          while (auto reply = self->parser_.next()) {
            self->take(std::move(*reply));
            if (self->state_ == State::ended) return;
          }
          self->read_output();
        } catch (const frames::ProtocolError& e) {
          self->end(self->was_up_
                        ? e.what()
                        : fmt::format("{} (start-up files of the login shell must print nothing)", e.what()));
        }
      });
}

void Session::read_error() {
  error_.async_read_some(asio::buffer(error_buffer_),
                         [self = shared_from_this()](error_code error, std::size_t size) {
                           if (error == asio::error::operation_aborted) return;
                           self->error_tail_.append(self->error_buffer_.data(), size);
                           if (self->error_tail_.size() > error_tail_bytes)
                             self->error_tail_.erase(0, self->error_tail_.size() - error_tail_bytes);
                           if (!error) return self->read_error();
                           self->error_ended_ = true;
                           if (self->state_ == State::ended)
                             self->last_words_.cancel();  // they have all come: finish
                         });
}

void Session::take(frames::Reply reply) {
  if (const auto* ended = std::get_if<frames::Ended>(&reply.answer)) {
    error_ended_ = true;  // the reason is known
    error_tail_.clear();
    why_ = why_unreachable(host_, *ended);
    return end("");
  }
  if (state_ == State::opening) {
    if (const auto* bootstrapped = std::get_if<frames::Bootstrapped>(&reply.answer)) {
      if (bootstrapped->need) write(std::string(runner_text));
      return write(frames::encode(frames::Hello{.site = site_, .store = platform_.layout(host_).store}));
    }
    if (!std::holds_alternative<frames::Greeting>(reply.answer))
      return end("the runner answered out of turn");
    state_ = State::up;
    was_up_ = true;
    error_tail_.clear();  // greetings of the system's
    patience_ = 0;
    timer_.cancel();
    return std::exchange(opened_, nullptr)("");
  }
  if (!answered_ || reply.id != asked_) return end("the runner answered what was not asked");
  patience_ = 0;
  timer_.cancel();
  std::exchange(answered_, nullptr)(std::move(reply.answer));
}

void Session::ask(frames::Frame frame, double seconds, std::function<void(Reply)> answered) {
  if (state_ != State::up || answered_)
    throw std::logic_error("a connection that is not up, or busy, was asked");
  std::string id = std::to_string(++last_id_);
  std::visit([&](auto& one) { one.id = id; }, frame);
  std::string bytes = frames::encode(frame);  // throws, while nothing has changed
  asked_ = std::move(id);
  answered_ = std::move(answered);
  arm(seconds);
  write(std::move(bytes));
}

void Session::write(std::string bytes) {
  outgoing_.push_back(std::move(bytes));
  if (outgoing_.size() == 1) write_some();
}

void Session::write_some() {
  const std::string& first = outgoing_.front();
  const std::size_t size = std::min(chunk_bytes, first.size() - written_);
  input_.async_send(asio::buffer(first.data() + written_, size),
                    [self = shared_from_this()](error_code error, std::size_t sent) {
                      // After an error nothing more can be sent; why will be known when the output ends, or
                      // time is over.
                      if (self->state_ == State::ended || error) return;
                      self->written_ += sent;
                      if (self->patience_ > 0) self->arm(self->patience_);
                      if (self->written_ == self->outgoing_.front().size()) {
                        self->outgoing_.pop_front();
                        self->written_ = 0;
                      }
                      if (!self->outgoing_.empty()) self->write_some();
                    });
}

void Session::arm(double seconds) {
  patience_ = seconds;
  timer_.expires_after(duration(seconds));
  timer_.async_wait([self = shared_from_this(), seconds](error_code error) {
    if (error || self->state_ == State::ended || self->patience_ == 0) return;
    if (self->timer_.expiry() > std::chrono::steady_clock::now()) return;  // armed again meanwhile
    self->end(fmt::format("no answer within {} s", std::ceil(seconds)));
  });
}

void Session::end(std::string why) {
  if (state_ == State::ended) return;
  state_ = State::ended;
  if (why_.empty()) why_ = std::move(why);
  timer_.cancel();
  error_code ignored;
  input_.close(ignored);
  output_.close(ignored);
  // The reason is on standard error as a rule; it may come a little later, and it may never end, when
  // another process (a master connection) holds it.
  last_words_.expires_after(duration(error_ended_ ? 0 : last_words_seconds));
  last_words_.async_wait([self = shared_from_this()](error_code) { self->finish(); });
}

void Session::finish() {
  error_code ignored;
  error_.close(ignored);
  child_.reset();
  outgoing_.clear();
  const std::string why = explain(why_);
  if (auto opened = std::exchange(opened_, nullptr)) opened(why);
  if (auto answered = std::exchange(answered_, nullptr)) answered(Lost{why});
}

std::string Session::explain(const std::string& why) const {
  if (!why.empty() && why.starts_with(whereabouts(host_))) return why;
  return why_unreachable(host_, platform_, error_tail_, why);
}

bool Session::up() noexcept {
  if (state_ != State::up) return false;
  // Between frames a runner is silent: whatever comes now is its end, or none of it.
  pollfd output{.fd = output_.native_handle(), .events = POLLIN, .revents = 0};
  return answered_ || ::poll(&output, 1, 0) == 0;
}

bool Session::hang_up() noexcept {
  const bool idle = up() && !answered_ && outgoing_.empty();
  if (idle) {
    static const std::string bye = frames::encode(frames::Bye{.id = "bye"});
    (void)!::send(input_.native_handle(), bye.data(), bye.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }
  state_ = State::ended;
  opened_ = nullptr;
  answered_ = nullptr;
  error_code ignored;
  timer_.cancel();
  last_words_.cancel();
  input_.close(ignored);
  if (!idle) output_.close(ignored);  // else it still says `bye`
  return idle;
}

void Session::reap(double seconds) noexcept {
  if (child_) child_->ended_within(seconds);
  child_.reset();
}

}  // namespace tutti
