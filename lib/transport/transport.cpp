// The transport to real hosts (and directories of this machine): a link for each, one thread for all.
#include <tutti/transport.hpp>

#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <iterator>
#include <list>
#include <stdexcept>

#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "transport/link.hpp"
#include <tutti/error.hpp>

namespace tutti {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

constexpr double farewell_seconds = 1;  ///< for all children together to end by themselves

Clock::duration duration(double seconds) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

class HostTransport final : public Transport {
 public:
  HostTransport(std::string site, Platform platform)
      : shared_{.site = std::move(site), .platform = std::move(platform)},
        wake_(shared_.io),
        timeout_(shared_.io) {
    wake_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake_fd_ < 0) throw Error(ErrorCode::system, std::string("no eventfd: ") + std::strerror(errno));
    wake_.assign(wake_fd_);
    await_wake();
  }

  ~HostTransport() override {
    shared_.opening.close();
    shared_.uploading.close();
    const auto end = Clock::now() + duration(farewell_seconds);
    std::vector<Link*> leaving;
    for (auto& [name, link] : links_)
      if (link.hang_up()) leaving.push_back(&link);
    for (Link* link : leaving)
      link->reap(std::max(0.0, std::chrono::duration<double>(end - Clock::now()).count()));
    for (auto& [name, link] : links_) link.reap(0);
  }

  using Transport::read;
  std::vector<HostReading> read(const std::vector<Host>& hosts, const WantedPaths& wanted) override {
    struct Pending {
      std::vector<HostReading> readings;
      std::size_t open;
    };
    // Shared: an exception may leave before all have answered.
    const auto pending =
        std::make_shared<Pending>(Pending{std::vector<HostReading>(hosts.size()), hosts.size()});
    for (std::size_t i = 0; i < hosts.size(); ++i) {
      const auto paths = wanted.find(hosts[i].name);
      const auto& there = paths == wanted.end() ? std::vector<WantedPath>() : paths->second;
      link(hosts[i]).read(there, [pending, i](HostReading reading) {
        pending->readings[i] = std::move(reading);
        --pending->open;
      });
    }
    shared_.io.restart();
    while (pending->open > 0) shared_.io.run_one();
    return std::move(pending->readings);
  }

  Piece fetch(const Host& host, const Kept& what, std::uint64_t offset, std::uint64_t most) override {
    const auto piece = std::make_shared<std::optional<Piece>>();  // shared: an exception may leave before
    link(host).fetch(what, offset, most, [piece](Piece came) { *piece = std::move(came); });
    shared_.io.restart();
    while (!*piece) shared_.io.run_one();
    return std::move(**piece);
  }

  void authorise(const Host& host, Authority authority) override {
    shared_.forms = {};  // those of the run before
    link(host).authorise(std::move(authority));
  }
  void offer(const Items& items) override { shared_.offer.add(items); }

  void send(const std::string& token, const std::string& host, const Request& request) override {
    const auto found = links_.find(host);
    if (found == links_.end())
      throw std::logic_error("an effect was sent to '" + host + "', which was never read nor authorised");
    Link& link = found->second;
    Compiled compiled = compile(token, host, shared_.platform.layout(link.host()), request, shared_.forms);
    if (compiled.pause)
      sleep(token, *compiled.pause);
    else if (compiled.answer)
      shared_.completed.push_back({.token = token,
                                   .kind = Completion::Kind::answered,
                                   .result = std::move(*compiled.answer),
                                   .why = {}});
    else
      link.send(token, request, std::move(compiled));
  }

  void wait(std::vector<Completion>& into, std::optional<double> seconds) override {
    shared_.io.restart();
    shared_.io.poll();
    if (shared_.completed.empty() && !woken_ && (!seconds || *seconds > 0)) {
      over_ = false;
      if (seconds) {
        timeout_.expires_after(duration(*seconds));
        timeout_.async_wait([this](error_code error) { over_ = over_ || !error; });
      }
      while (shared_.completed.empty() && !woken_ && !over_) shared_.io.run_one();
      timeout_.cancel();
      shared_.io.poll();  // what else is ready
    }
    woken_ = false;
    into.insert(into.end(), std::make_move_iterator(shared_.completed.begin()),
                std::make_move_iterator(shared_.completed.end()));
    shared_.completed.clear();
  }

  void wake() noexcept override {
    const int saved = errno;  // may be a signal handler's
    const std::uint64_t one = 1;
    (void)!::write(wake_fd_, &one, sizeof one);
    errno = saved;
  }

  [[nodiscard]] std::uint64_t frames_sent() const noexcept override { return shared_.frames; }

 private:
  Link& link(const Host& host) {
    const auto [found, is_new] = links_.try_emplace(host.name, shared_, host);
    if (!is_new) found->second.locate(host);
    return found->second;
  }

  void await_wake() {
    wake_.async_read_some(asio::buffer(wake_count_), [this](error_code error, std::size_t) {
      if (error == asio::error::operation_aborted) return;
      woken_ = true;
      await_wake();
    });
  }

  void sleep(const std::string& token, double seconds) {
    auto& timer = sleeping_.emplace_back(shared_.io, duration(seconds));
    timer.async_wait([this, token, self = std::prev(sleeping_.end())](error_code error) {
      if (error) return;
      shared_.completed.push_back(
          {.token = token, .kind = Completion::Kind::answered, .result = {}, .why = {}});
      sleeping_.erase(self);
    });
  }

  Shared shared_;
  std::map<std::string, Link> links_;
  std::list<asio::steady_timer> sleeping_;
  asio::posix::stream_descriptor wake_;
  int wake_fd_ = -1;  ///< owned by wake_
  std::array<std::uint64_t, 1> wake_count_{};
  bool woken_ = false;
  asio::steady_timer timeout_;
  bool over_ = false;  ///< the time that wait() was given
};

}  // namespace

std::unique_ptr<Transport> make_transport(std::string site, Platform platform) {
  return std::make_unique<HostTransport>(std::move(site), std::move(platform));
}

}  // namespace tutti
