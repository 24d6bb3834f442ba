// SPDX-License-Identifier: LGPL-3.0-or-later
// The transport to hosts: a link for each, over a network.
#include "transport/transport.hpp"

#include <chrono>
#include <iterator>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "transport/link.hpp"
#include "transport/sockets.hpp"

namespace tutti {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double farewell_seconds = 1;  ///< for all runners together to end by themselves

class HostTransport final : public Transport {
 public:
  explicit HostTransport(std::unique_ptr<Network> network) : shared_{.network = std::move(network)} {}

  ~HostTransport() override {
    shared_.opening.close();
    shared_.uploading.close();
    const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                        std::chrono::duration<double>(farewell_seconds));
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
    network().run_until([&] { return pending->open == 0; }, std::nullopt);
    return std::move(pending->readings);
  }

  Piece fetch(const Host& host, const Kept& what, std::uint64_t offset, std::uint64_t most) override {
    const auto piece = std::make_shared<std::optional<Piece>>();  // shared: an exception may leave before
    link(host).fetch(what, offset, most, [piece](Piece came) { *piece = std::move(came); });
    network().run_until([&] { return piece->has_value(); }, std::nullopt);
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
    Compiled compiled = compile(token, host, network().layout(link.host()), request, shared_.forms);
    if (compiled.asks_time) {
      compiled.answer->output.text = fmt::format("{:.6f}", network().time());
      compiled.answer->output.size = compiled.answer->output.text.size();
    }
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
    bool woken = false;
    network().run_until(
        [&] {
          woken = woken || network().was_woken();
          return woken || !shared_.completed.empty();
        },
        seconds);
    into.insert(into.end(), std::make_move_iterator(shared_.completed.begin()),
                std::make_move_iterator(shared_.completed.end()));
    shared_.completed.clear();
  }

  void wake() noexcept override { network().wake(); }

  [[nodiscard]] std::uint64_t frames_sent() const noexcept override { return shared_.frames; }

 private:
  Link& link(const Host& host) {
    const auto [found, is_new] = links_.try_emplace(host.name, shared_, host);
    if (!is_new) found->second.locate(host);
    return found->second;
  }

  void sleep(const std::string& token, double seconds) {
    network().after(seconds, [this, token] {
      shared_.completed.push_back(
          {.token = token, .kind = Completion::Kind::answered, .result = {}, .why = {}});
    });
  }

  [[nodiscard]] Network& network() const noexcept { return *shared_.network; }

  Shared shared_;
  std::map<std::string, Link> links_;
};

}  // namespace

std::unique_ptr<Transport> make_transport(std::string site, Platform platform) {
  return make_transport(make_network(std::move(site), std::move(platform)));
}

std::unique_ptr<Transport> make_transport(std::unique_ptr<Network> network) {
  return std::make_unique<HostTransport>(std::move(network));
}

}  // namespace tutti
