// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// The network of model hosts: the production transport over it plays in virtual time.
// Threads: as Network. The Agenda must outlive it.

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "simulation/model_host.hpp"
#include "transport/channel.hpp"

namespace tutti::simulation {

class ModelNetwork final : public Network {
 public:
  ModelNetwork(Agenda& agenda, std::string site) : agenda_(agenda), site_(std::move(site)) {}
  /// The host of that name; it is made when it is asked for first.
  ModelHost& host(const std::string& name);
  [[nodiscard]] const std::map<std::string, std::unique_ptr<ModelHost>>& hosts() const noexcept {
    return hosts_;
  }
  /// Called with each new host.
  std::function<void(ModelHost&)> on_host;
  /// Of a host that is left alone, why there is no way to it; "": there is one.
  std::function<std::string(const std::string& host)> why_not;

  [[nodiscard]] Layout layout(const Host&) const override;
  [[nodiscard]] std::shared_ptr<Channel> channel(const Host& host) override;
  [[nodiscard]] double time() const override { return agenda_.now(); }
  void after(double seconds, std::function<void()> then) override { agenda_.after(seconds, std::move(then)); }
  /// Throws std::logic_error when it would wait for ever, since nothing is under way.
  void run_until(const std::function<bool()>& done, std::optional<double> seconds) override;
  void wake() noexcept override { woken_ = true; }
  [[nodiscard]] bool was_woken() noexcept override { return std::exchange(woken_, false); }

 private:
  Agenda& agenda_;
  std::string site_;
  std::map<std::string, std::unique_ptr<ModelHost>> hosts_;
  bool woken_ = false;
};

}  // namespace tutti::simulation
