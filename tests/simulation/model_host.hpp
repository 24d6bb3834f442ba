// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// A host that is not there: it takes frames and answers them as the runner on a host does, in virtual time.
// It passes the table of cases that the runner passes (tests/runner/protocol.cpp); nothing else holds it to
// the truth. Not modelled: shells, quoting, sessions and marks of processes, owners and links, power cuts,
// full disks. Threads: one thread owns a ModelHost. Its Agenda must outlive it.

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "simulation/agenda.hpp"
#include "simulation/script.hpp"
#include "transport/frames.hpp"

namespace tutti::simulation {

struct File {
  std::string bytes;
  unsigned mode = 0644;
  bool operator==(const File&) const = default;
};

/// A process, or what was one.
struct Process {
  std::string name;  ///< argv[0], or its script
  std::string input;
  std::string out;
  std::string err;
  int status = 0;
  bool living = true;
  std::function<void()> then;  ///< when it has ended
};
using ProcessPtr = std::shared_ptr<Process>;

struct Record {
  std::string token;
  frames::Fence by;  ///< under which epoch it was begun
  bool done = false;
  frames::Done result;
  std::string out;
  std::string err;
  std::function<void()> kill;                ///< while it is under way
  std::vector<std::function<void()>> waits;  ///< for its end
  std::optional<File> former;                ///< PUT: what stood there
  std::optional<File> put;                   ///< PUT: what was put, until it is taken back
  bool is_put = false;
};
using RecordPtr = std::shared_ptr<Record>;

class ModelHost;
class ModelSite;

/// A runner. It answers one frame after another.
class ModelRunner : public std::enable_shared_from_this<ModelRunner> {
 public:
  ModelRunner(ModelHost& host, ModelSite& site, int pid) : host_(host), site_(site), pid_(pid) {}
  /// Then calls `answered`, maybe before it returns; never when the runner ends first.
  void ask(frames::Frame frame, std::function<void(frames::Answer)> answered);
  void kill();  ///< what it began goes on
  [[nodiscard]] bool living() const noexcept { return living_; }
  [[nodiscard]] int pid() const noexcept { return pid_; }
  std::function<void()> on_end;

 private:
  friend class ModelSite;
  ModelHost& host_;
  ModelSite& site_;
  int pid_;
  bool living_ = true;
  bool held_ = false;
  frames::Fence fence_ = {};  ///< with which it locked
};

class ModelHost {
 public:
  /// Its folders are below `root` ("" for /).
  ModelHost(Agenda& agenda, std::string root);
  ModelHost(const ModelHost&) = delete;
  ModelHost& operator=(const ModelHost&) = delete;
  ~ModelHost();

  [[nodiscard]] std::shared_ptr<ModelRunner> connect(const std::string& site);
  /// All the records of a site are lost, as when the machine is made anew.
  void lose_records(const std::string& site);
  void lose_fence(const std::string& site);
  [[nodiscard]] bool has_state() const;
  [[nodiscard]] const std::map<std::string, std::string>& manifest(const std::string& site);
  void write_manifest(const std::string& site, const std::map<std::string, std::string>& entries);
  [[nodiscard]] bool is_running(const std::string& site, const std::string& service);
  void run_daemon(const std::string& site, const std::string& service, const std::string& definition);
  void end_daemon(const std::string& site, const std::string& service);

  // What is on the machine.
  std::map<std::string, File> files;
  std::set<std::string> folders;
  std::map<std::string, File> items;
  std::map<std::vector<std::string>, Script> programs;  ///< by argv
  /// What a program does that is not among them; none: it is not there.
  std::function<std::optional<Script>(const std::vector<std::string>& argv, bool is_daemon)> otherwise;
  /// The content of an item that nobody brought; none: it is missing.
  std::function<std::optional<File>(const std::string& item)> invent_item;
  bool knows_users = false;  ///< every user there is; else none but the runner's own
  /// Asked before an effect is performed: then it is not, and answers this.
  std::function<std::optional<frames::Answer>(const std::string& token)> instead;
  double effect_seconds = 0;     ///< that each effect takes before it begins
  double daemon_seconds = 0.15;  ///< that a new daemon must live
  std::vector<ProcessPtr> processes;

  [[nodiscard]] Agenda& agenda() noexcept { return agenda_; }
  [[nodiscard]] std::string store() const { return root_ + "/the store"; }
  [[nodiscard]] bool is_folder(const std::string& path) const;
  void make_folder(std::string path);
  [[nodiscard]] const File* find_item(const std::string& name);
  ProcessPtr start(const frames::Program& program, std::string input, bool is_daemon = false);
  void end(const ProcessPtr& process, int status);

 private:
  friend class ModelSite;
  void play(const ProcessPtr& process, Script script, std::size_t from);
  ModelSite& site(const std::string& name);

  Agenda& agenda_;
  std::string root_;
  std::map<std::string, std::unique_ptr<ModelSite>> sites_;
  int last_pid_ = 100;
  // Whose a path is: the last is who has it now, and those before had it and still want it.
  struct Claim {
    std::string site;
    std::string service;
    File file;
  };
  struct Place {
    std::optional<File> original;
    std::vector<Claim> claims;
  };
  std::map<std::string, Place> places_;
};

}  // namespace tutti::simulation
