// SPDX-License-Identifier: LGPL-3.0-or-later
#include "runner/test_host.hpp"

#include <deque>
#include <filesystem>

#include "simulation/model_host.hpp"

namespace tutti::frames::testing {
namespace {

namespace fs = std::filesystem;

class RealHost final : public TestHost {
 public:
  explicit RealHost(const Shell& shell) : host_(shell) {}
  std::unique_ptr<Line> connect(const std::string& site) override {
    return std::make_unique<Runner>(host_.connect({}, site));
  }
  [[nodiscard]] std::string path(const std::string& name) const override { return host_.path(name); }
  [[nodiscard]] std::string store() const override { return host_.store(); }
  std::vector<std::string> program(const Script& script) override {
    return {"sh", "-c", simulation::to_shell(script)};
  }
  void put(const std::string& path, const std::string& bytes, unsigned mode) override {
    write(path, bytes);
    fs::permissions(path, fs::perms(mode));
  }
  void remove(const std::string& path) override { fs::remove(path); }
  void make_folder(const std::string& path) override { fs::create_directories(path); }
  [[nodiscard]] std::optional<std::string> content(const std::string& path) const override {
    return fs::is_regular_file(path) ? std::optional(contents(path)) : std::nullopt;
  }
  [[nodiscard]] unsigned mode(const std::string& path) const override { return mode_of(path); }
  [[nodiscard]] bool has_state() const override { return testing::exists(host_.path("state")); }
  void lose_fence() override { fs::remove(host_.state("fence")); }
  void lose_records() override { fs::remove_all(host_.path("state")); }
  [[nodiscard]] bool eventually(const std::function<bool()>& condition) override {
    return testing::eventually(condition);
  }

 private:
  Host host_;
};

class ModelLine final : public Line {
 public:
  ModelLine(simulation::Agenda& agenda, std::shared_ptr<simulation::ModelRunner> runner)
      : agenda_(agenda), runner_(std::move(runner)) {}
  ~ModelLine() override { runner_->kill(); }
  std::optional<Reply> next() override {
    while (replies_->empty()) {
      if (!runner_->living()) return std::nullopt;
      if (!agenda_.step()) throw std::runtime_error("the model does not answer");
    }
    Reply reply = std::move(replies_->front());
    replies_->pop_front();
    return reply;
  }
  void hang_up() override { runner_->kill(); }
  void kill() override { runner_->kill(); }

 private:
  void deliver(Frame frame) override {
    (void)encode(frame);  // it can be sent
    const std::string id = std::visit([](const auto& one) { return one.id; }, frame);
    if (runner_->living())
      runner_->ask(std::move(frame), [replies = replies_, id](Answer answer) {
        replies->push_back({id, std::move(answer)});
      });
  }
  simulation::Agenda& agenda_;
  std::shared_ptr<simulation::ModelRunner> runner_;
  std::shared_ptr<std::deque<Reply>> replies_ = std::make_shared<std::deque<Reply>>();
};

class Model final : public TestHost {
 public:
  std::unique_ptr<Line> connect(const std::string& site) override {
    return std::make_unique<ModelLine>(agenda_, host_.connect(site));
  }
  [[nodiscard]] std::string path(const std::string& name) const override { return root + ("/" + name); }
  [[nodiscard]] std::string store() const override { return host_.store(); }
  std::vector<std::string> program(const Script& script) override {
    std::vector<std::string> argv{"sh", "-c", simulation::to_shell(script)};
    host_.programs[argv] = script;
    return argv;
  }
  void put(const std::string& path, const std::string& bytes, unsigned mode) override {
    host_.files[path] = {bytes, mode};
  }
  void remove(const std::string& path) override { host_.files.erase(path); }
  void make_folder(const std::string& path) override { host_.make_folder(path); }
  [[nodiscard]] std::optional<std::string> content(const std::string& path) const override {
    const auto found = host_.files.find(path);
    return found == host_.files.end() ? std::nullopt : std::optional(found->second.bytes);
  }
  [[nodiscard]] unsigned mode(const std::string& path) const override { return host_.files.at(path).mode; }
  [[nodiscard]] bool has_state() const override { return host_.has_state(); }
  void lose_fence() override { host_.lose_fence("shop"); }
  void lose_records() override { host_.lose_records("shop"); }
  [[nodiscard]] bool eventually(const std::function<bool()>& condition) override {
    while (!condition())
      if (!agenda_.step()) return false;
    return true;
  }

 private:
  static constexpr auto root = "/model";
  double now_ = 0;
  simulation::Agenda agenda_{now_};
  simulation::ModelHost host_{agenda_, root};
};

}  // namespace

std::unique_ptr<Line> TestHost::lock() {
  auto runner = connect();
  Lock frame = authority(epoch + 1);
  frame.seen = epoch;
  nonce = runner->call<Locked>(frame).nonce;
  ++epoch;
  return runner;
}

bool TestHost::begun(const std::string& token) {
  const auto reader = connect();
  return eventually([&] { return reader->state(token) != TokenState::absent; });
}

std::unique_ptr<TestHost> real_host(const Shell& shell) { return std::make_unique<RealHost>(shell); }
std::unique_ptr<TestHost> model_host() { return std::make_unique<Model>(); }

}  // namespace tutti::frames::testing
