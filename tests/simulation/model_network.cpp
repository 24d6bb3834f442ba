// SPDX-License-Identifier: LGPL-3.0-or-later
#include "simulation/model_network.hpp"

#include <stdexcept>
#include <utility>

namespace tutti::simulation {
namespace {

class ModelChannel final : public Channel, public std::enable_shared_from_this<ModelChannel> {
 public:
  ModelChannel(ModelNetwork& network, Agenda& agenda, std::string site, std::string host)
      : network_(network), agenda_(agenda), site_(std::move(site)), host_(std::move(host)) {}
  ~ModelChannel() override {
    if (runner_) runner_->on_end = nullptr;
  }

  void open(std::function<void(std::string)> opened) override {
    agenda_.after(0, [self = shared_from_this(), opened = std::move(opened)] {
      if (self->left_) return;
      const std::string why = self->why_not();
      if (why.empty()) {
        self->runner_ = self->network_.host(self->host_).connect(self->site_);
        self->runner_->on_end = [channel = self.get()] { channel->lose(); };
      }
      opened(why);
    });
  }

  void ask(frames::Frame frame, double, std::function<void(Reply)> answered) override {
    std::visit([](auto& one) { one.id = "i"; }, frame);
    (void)frames::encode(frame);  // throws for what can't be sent
    answered_ = std::move(answered);
    runner_->ask(std::move(frame), [self = shared_from_this()](frames::Answer answer) {
      self->agenda_.after(0,
                          [self, answer = std::move(answer)]() mutable { self->answer(std::move(answer)); });
    });
  }

  [[nodiscard]] bool up() noexcept override { return runner_ && runner_->living() && why_not().empty(); }

  bool hang_up() noexcept override {
    left_ = true;
    answered_ = nullptr;
    if (runner_) runner_->on_end = nullptr, runner_->kill();
    return false;
  }
  void reap(double) noexcept override {}

 private:
  [[nodiscard]] std::string why_not() const { return network_.why_not ? network_.why_not(host_) : ""; }

  void answer(frames::Answer answer) {
    if (!up()) return lose();
    if (const auto then = std::exchange(answered_, nullptr)) then(std::move(answer));
  }
  void lose() {
    agenda_.after(0, [self = shared_from_this()] {
      if (const auto then = std::exchange(self->answered_, nullptr))
        then(Lost{self->host_ + ": the connection is gone"});
    });
  }

  ModelNetwork& network_;
  Agenda& agenda_;
  std::string site_;
  std::string host_;
  std::shared_ptr<ModelRunner> runner_;
  std::function<void(Reply)> answered_;
  bool left_ = false;
};

}  // namespace

ModelHost& ModelNetwork::host(const std::string& name) {
  auto& one = hosts_[name];
  if (!one) {
    one = std::make_unique<ModelHost>(agenda_, "");
    if (on_host) on_host(*one);
  }
  return *one;
}

Layout ModelNetwork::layout(const Host&) const {
  return {.state = "/state", .store = "/the store", .data = "/data", .root = "/", .confined = false};
}

std::shared_ptr<Channel> ModelNetwork::channel(const Host& host) {
  return std::make_shared<ModelChannel>(*this, agenda_, site_, host.name);
}

void ModelNetwork::run_until(const std::function<bool()>& done, std::optional<double> seconds) {
  const double end = agenda_.now() + seconds.value_or(0);
  while (!done()) {
    const auto next = agenda_.next();
    if (!next && !seconds) throw std::logic_error("it waits for ever: nothing is under way");
    if (seconds && (!next || *next > end)) return agenda_.pass_until(end);
    agenda_.step();
  }
}

}  // namespace tutti::simulation
