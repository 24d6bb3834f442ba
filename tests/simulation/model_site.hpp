// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// What a model host keeps of one site, and how it answers the frames of that site's runners.
// Threads: as ModelHost.

#include "simulation/model_host.hpp"

namespace tutti::simulation {

class ModelSite {
 public:
  ModelSite(ModelHost& host, std::string name) : host_(host), name_(std::move(name)) {}
  ModelSite(const ModelSite&) = delete;
  ModelSite& operator=(const ModelSite&) = delete;
  ~ModelSite() {
    for (const auto& [token, record] : records_) record->kill = nullptr, record->waits.clear();
  }
  using Answered = std::function<void(frames::Answer)>;
  void ask(const std::shared_ptr<ModelRunner>& runner, frames::Frame frame, const Answered& answered);

  void lose_records();
  [[nodiscard]] bool daemon_lives(const std::string& service) const;
  [[nodiscard]] bool goes_on(const frames::Run& frame) const;     ///< as the frame asks for it
  [[nodiscard]] bool is_first(const std::string& service) const;  ///< that START began, and it lives
  [[nodiscard]] const std::map<std::string, std::string>& manifest() const noexcept { return manifest_; }
  void write_manifest(const std::map<std::string, std::string>& entries);
  ProcessPtr run_daemon(const std::string& service, const std::string& definition,
                        const frames::Program& program);
  void end_daemon(const std::string& service);

  std::optional<frames::Fence> fence;
  std::string nonce;

 private:
  struct Daemon {
    ProcessPtr process;
    std::string definition;
    frames::Program program = {};
    frames::Restart restart = frames::Restart::never;
    std::vector<double> restarts = {};  ///< when
    double pause = 1;                   ///< before the next
  };
  /// How a program that was run for an effect ended.
  struct Ran {
    frames::How how = frames::How::exit;
    int status = 0;
    std::string out;
    std::string err;
  };
  enum class Verdict { yes, no, unclear };

  // Frames that need no lock, and LOCK.
  frames::Answer lock(const std::shared_ptr<ModelRunner>& runner, const frames::Lock& frame);
  std::optional<frames::Refused> objection(const frames::Lock& frame) const;
  std::optional<frames::Refused> displace(const frames::Lock& frame);
  void end_others(const frames::Fence& but);
  void forget_runs(int before, std::int64_t epoch);
  void read(const frames::Read& frame, const Answered& answered);
  std::optional<frames::FoundPath> stands(std::size_t index, const frames::WantedPath& wanted) const;
  void ask_about(const std::string& token, double seconds, const Answered& answered);
  void end_effect(const std::string& token, const Answered& answered);
  [[nodiscard]] frames::Answer state_of(const std::string& token) const;

  // Effects. Each ends with settle().
  template <typename Frame>
  void effect(const std::shared_ptr<ModelRunner>& runner, const Frame& frame, const Answered& answered);
  void perform(const RecordPtr& record, const frames::Run& frame);
  void perform(const RecordPtr& record, const frames::Start& frame);
  void perform(const RecordPtr& record, const frames::Stop& frame);
  void perform(const RecordPtr& record, const frames::Files& frame);
  void perform(const RecordPtr& record, const frames::Put& frame);
  void perform(const RecordPtr& record, const frames::Unput& frame);
  void perform(const RecordPtr& record, const frames::Entry& frame);
  void settle(const RecordPtr& record, frames::How how, int status, std::string out = {},
              std::string err = {});
  void oops(const RecordPtr& record, const std::string& sentence) {
    settle(record, frames::How::error, 125, {}, sentence + "\n");
  }
  void settle(const RecordPtr& record, const Ran& ran) {
    settle(record, ran.how, ran.status, ran.out, ran.err);
  }
  void try_again(const RecordPtr& record, const frames::Run& frame, double end, double pause);
  void start_daemon(const RecordPtr& record, const frames::Start& frame);
  void keep_daemon(const std::string& service, const ProcessPtr& process, double began);
  [[nodiscard]] frames::ManifestEntry read_entry(const std::string& service, const std::string& json) const;
  void see_gone(const RecordPtr& record, const frames::Stop& frame, Ran ran, double end);
  void run_program(const RecordPtr& record, const frames::Program& program, std::string input, double limit,
                   std::function<void(Ran)> then);
  void judge(const std::vector<std::string>& argv, const frames::Program& as, double limit,
             std::function<void(Verdict)> then);
  [[nodiscard]] static std::string unclear(const std::string& service, double limit);
  [[nodiscard]] std::string trouble(const frames::Program& program) const;

  // Files of services. What goes wrong is a sentence; what is kept aside is said in `notes`.
  std::string set_files(const frames::Files& frame, bool release, std::string& notes);
  void release_place(const std::string& path, const std::string& service, std::string& notes);
  void keep_aside(const std::string& path, const File& ours, std::string& notes);
  void write(const std::string& path, const std::optional<File>& file);

  ModelHost& host_;
  std::string name_;
  std::string holder_;
  std::string host_name_;
  std::weak_ptr<ModelRunner> owner_;
  std::map<std::string, RecordPtr> records_;
  std::map<std::string, std::string> manifest_;
  std::map<std::string, frames::Entry> entries_;
  std::map<std::string, Daemon> daemons_;
  std::map<std::string, std::string> logs_;
  std::map<std::string, ProcessPtr> logging_;
  int aside_ = 0;
};

}  // namespace tutti::simulation
