// SPDX-License-Identifier: LGPL-3.0-or-later
// The transport of a dry run.
#include <tutti/engine/executor.hpp>

#include <iterator>

#include <fmt/format.h>

namespace tutti {
namespace {

class DryTransport final : public Transport {
 public:
  explicit DryTransport(const Clock& clock) : clock_(clock) {}
  using Transport::read;
  std::vector<HostReading> read(const std::vector<Host>& hosts, const WantedPaths&) override {
    std::vector<HostReading> readings;
    for (const Host& host : hosts) readings.push_back({.host = host.name, .reached = true});
    return readings;
  }
  Piece fetch(const Host&, const Kept&, std::uint64_t, std::uint64_t) override {
    return {.why = "nothing was done"};
  }
  void authorise(const Host&, Authority) override {}
  void offer(const Items&) override {}
  void send(const std::string& token, const std::string& host, const Request& request) override {
    Completion done{.token = token};
    done.result.output.host = host;
    done.result.output.token = token;
    if (request.as<effect::Now>()) done.result.output.text = fmt::format("{:.3f}", clock_.now());
    completed_.push_back(std::move(done));
  }
  void wait(std::vector<Completion>& into, std::optional<double>) override {
    into.insert(into.end(), std::make_move_iterator(completed_.begin()),
                std::make_move_iterator(completed_.end()));
    completed_.clear();
  }
  void wake() noexcept override {}
  std::uint64_t frames_sent() const noexcept override { return 0; }

 private:
  const Clock& clock_;
  std::vector<Completion> completed_;
};

}  // namespace

std::unique_ptr<Transport> make_dry_transport(const Clock& clock) {
  return std::make_unique<DryTransport>(clock);
}

}  // namespace tutti
