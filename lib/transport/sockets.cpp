// SPDX-License-Identifier: LGPL-3.0-or-later
#include "transport/sockets.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <iterator>
#include <list>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "transport/session.hpp"
#include <tutti/error.hpp>

namespace tutti {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

std::chrono::steady_clock::duration duration(double seconds) {
  return std::chrono::duration_cast<std::chrono::steady_clock::duration>(
      std::chrono::duration<double>(seconds));
}

class Sockets final : public Network {
 public:
  Sockets(std::string site, Platform platform)
      : site_(std::move(site)), platform_(std::move(platform)), wake_(io_), timeout_(io_) {
    wake_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake_fd_ < 0) throw Error(ErrorCode::system, std::string("no eventfd: ") + std::strerror(errno));
    wake_.assign(wake_fd_);
    await_wake();
  }

  [[nodiscard]] Layout layout(const Host& host) const override { return platform_.layout(host); }

  [[nodiscard]] std::shared_ptr<Channel> channel(const Host& host) override {
    return std::make_shared<Session>(io_, host, platform_, site_);
  }

  [[nodiscard]] double time() const override {
    return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  }

  void after(double seconds, std::function<void()> then) override {
    auto& timer = timers_.emplace_back(io_, duration(seconds));
    timer.async_wait([this, then = std::move(then), self = std::prev(timers_.end())](error_code error) {
      if (error) return;
      timers_.erase(self);
      then();
    });
  }

  void run_until(const std::function<bool()>& done, std::optional<double> seconds) override {
    io_.restart();
    io_.poll();
    if (done() || (seconds && *seconds <= 0)) return;
    over_ = false;
    if (seconds) {
      timeout_.expires_after(duration(*seconds));
      timeout_.async_wait([this](error_code error) { over_ = over_ || !error; });
    }
    do io_.run_one();
    while (!over_ && !done());
    timeout_.cancel();
    io_.poll();  // what else is ready
  }

  void wake() noexcept override {
    const int saved = errno;  // may be a signal handler's
    const std::uint64_t one = 1;
    (void)!::write(wake_fd_, &one, sizeof one);
    errno = saved;
  }
  [[nodiscard]] bool was_woken() noexcept override { return std::exchange(woken_, false); }

 private:
  void await_wake() {
    wake_.async_read_some(asio::buffer(wake_count_), [this](error_code error, std::size_t) {
      if (error == asio::error::operation_aborted) return;
      woken_ = true;
      await_wake();
    });
  }

  std::string site_;
  Platform platform_;
  asio::io_context io_{1};
  std::list<asio::steady_timer> timers_;
  asio::posix::stream_descriptor wake_;
  int wake_fd_ = -1;  ///< owned by wake_
  std::array<std::uint64_t, 1> wake_count_{};
  bool woken_ = false;
  asio::steady_timer timeout_;
  bool over_ = false;  ///< the time that run_until() was given
};

}  // namespace

std::unique_ptr<Network> make_network(std::string site, Platform platform) {
  return std::make_unique<Sockets>(std::move(site), std::move(platform));
}

}  // namespace tutti
