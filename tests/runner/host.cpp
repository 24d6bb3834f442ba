// SPDX-License-Identifier: LGPL-3.0-or-later
#include "runner/host.hpp"
#include "transport/runner_text.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <thread>

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tutti::frames::testing {

namespace {

namespace fs = std::filesystem;

constexpr auto usual_path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

std::string scratch(const std::string& name) {
  const char* parent = std::getenv("TMPDIR");
  std::string folder = std::string(parent != nullptr ? parent : "/tmp") + '/' + name + "XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) fail("mkdtemp " + folder);
  return folder;
}

/// A folder with nothing but busybox (and flock) in it, under the names of its applets; removed at exit.
class Applets {
 public:
  Applets() : folder_(scratch("tutti-applets-")) {
    fs::permissions(folder_, fs::perms(0755));
    FILE* list = popen("busybox --list 2>/dev/null", "r");
    if (list == nullptr) fail("popen");
    std::array<char, 256> line{};
    while (std::fgets(line.data(), line.size(), list) != nullptr)
      for (const auto& applet : words(line.data()))
        if (is_word(applet)) fs::create_symlink(busybox, folder_ + '/' + applet);
    pclose(list);
    // Debian's busybox is built without this one.
    if (!fs::exists(folder_ + "/flock")) fs::create_symlink("/usr/bin/flock", folder_ + "/flock");
  }
  Applets(const Applets&) = delete;
  Applets& operator=(const Applets&) = delete;
  ~Applets() {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  [[nodiscard]] const std::string& folder() const noexcept { return folder_; }

 private:
  static constexpr auto busybox = "/usr/bin/busybox";
  std::string folder_;
};

/// The runner, where any user may read it; removed at exit.
class Readable {
 public:
  Readable() : folder_(scratch("tutti-runner-file-")) {
    fs::permissions(folder_, fs::perms(0755));
    std::ofstream(file(), std::ios::binary) << tutti::runner_text;
    fs::permissions(file(), fs::perms(0644));
  }
  Readable(const Readable&) = delete;
  Readable& operator=(const Readable&) = delete;
  ~Readable() {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  [[nodiscard]] std::string file() const { return folder_ + "/runner.sh"; }

 private:
  std::string folder_;
};

bool is_installed(const std::string& shell) {
  for (const auto* folder : {"/bin/", "/usr/bin/", "/usr/local/bin/"})
    if (access((folder + shell).c_str(), X_OK) == 0) return true;
  return false;
}

std::vector<Shell> find_shells() {
  static const Applets applets;
  std::vector<Shell> all = {{"dash", {"dash"}, usual_path},
                            {"bash", {"bash"}, usual_path},
                            {"posix", {"bash", "--posix"}, usual_path},
                            {"busybox", {applets.folder() + "/sh"}, applets.folder()}};
  const char* selected = std::getenv("TUTTI_SHELLS");
  const auto names = words(selected != nullptr ? selected : "dash bash busybox");
  for (const auto& name : names)
    if (std::ranges::find(all, name, &Shell::name) == all.end())
      throw std::runtime_error("TUTTI_SHELLS: no such shell: " + std::string(name));
  if (names.empty()) throw std::runtime_error("TUTTI_SHELLS names no shell");
  std::erase_if(all, [&](const Shell& shell) {
    if (std::find(names.begin(), names.end(), shell.name) == names.end()) return true;
    if (is_installed(shell.name == "posix" ? "bash" : shell.name)) return false;
    std::fprintf(stderr, "skipped: the runner under %s, which is not installed\n", shell.name.c_str());
    return true;
  });
  if (all.empty()) std::exit(77);
  return all;
}

}  // namespace

const std::vector<Shell>& shells() {
  static const auto all = find_shells();
  return all;
}

// ------------------------------------------------------------------ runners

Runner::Runner(const std::vector<std::string>& command, const std::vector<std::string>& environment) {
  std::signal(SIGPIPE, SIG_IGN);
  std::array<int, 2> to{};
  std::array<int, 2> from{};
  if (pipe2(to.data(), O_CLOEXEC) != 0 || pipe2(from.data(), O_CLOEXEC) != 0) fail("pipe");
  std::vector<char*> argv;
  for (const auto& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  std::vector<char*> env;
  for (const auto& variable : environment) env.push_back(const_cast<char*>(variable.c_str()));
  env.push_back(nullptr);
  pid_ = fork();
  if (pid_ < 0) fail("fork");
  if (pid_ == 0) {
    std::signal(SIGPIPE, SIG_DFL);
    dup2(to[0], 0);
    dup2(from[1], 1);
    close_range(3, ~0U, 0);  // whatever we were started with
    execvpe(argv[0], argv.data(), env.data());
    _exit(127);
  }
  close(to[0]);
  close(from[1]);
  input_ = to[1];
  output_ = from[0];
}

Runner::Runner(Runner&& other) noexcept
    : Line(std::move(other)),
      pid_(std::exchange(other.pid_, -1)),
      input_(std::exchange(other.input_, -1)),
      output_(std::exchange(other.output_, -1)),
      status_(other.status_),
      parser_(std::move(other.parser_)) {}

Runner::~Runner() {
  hang_up();
  if (pid_ > 0) {
    kill();
    wait();
  }
}

void Runner::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = ::write(input_, bytes.data(), bytes.size());
    if (sent < 0 && errno == EPIPE) return;  // it ended; next() will show
    if (sent < 0) fail("write to the runner");
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

std::optional<Reply> Runner::next() {
  for (;;) {
    if (auto reply = parser_.next()) return reply;
    pollfd ready{output_, POLLIN, 0};
    if (poll(&ready, 1, 30'000) == 0) throw std::runtime_error("the runner does not answer");
    std::array<char, 65536> bytes{};
    const auto got = ::read(output_, bytes.data(), bytes.size());
    if (got < 0) fail("read from the runner");
    if (got == 0) {
      if (parser_.partial()) throw std::runtime_error("the runner ended within a reply");
      return std::nullopt;
    }
    parser_.feed({bytes.data(), static_cast<std::size_t>(got)});
  }
}

void Runner::hang_up() {
  if (input_ >= 0) close(std::exchange(input_, -1));
  if (output_ >= 0) close(std::exchange(output_, -1));
}

void Runner::kill() {
  if (pid_ > 0) ::kill(pid_, SIGKILL);
}

int Runner::wait() {
  if (pid_ > 0) waitpid(std::exchange(pid_, -1), &status_, 0);
  return status_;
}

bool Runner::living() { return pid_ > 0 && waitpid(pid_, &status_, WNOHANG) == 0; }

// ------------------------------------------------------------------ hosts

Host::Host(const Shell& shell) : shell_(shell), folder_(scratch("tutti runner ")) {
  if (geteuid() == 0) fs::permissions(folder_, fs::perms(0755));  // programs of other users run in it
}

Host::~Host() {
  kill_all();
  std::error_code ignored;
  // The groups of daemons that were not stopped, where there are such (see 67-cgroup.sh of the runner).
  for (const std::string root : {"/sys/fs/cgroup/tutti", "/sys/fs/cgroup/unified/tutti"})
    for (const auto& group : fs::directory_iterator(root, ignored))
      if (!nonce.empty() && group.path().filename().string().starts_with(nonce)) {
        (void)eventually([&] { return ::rmdir(group.path().c_str()) == 0 || errno != EBUSY; });
        (void)::rmdir(root.c_str());
      }
  fs::remove_all(folder_, ignored);
}

void Host::kill_all() {
  // Ours are the runners, and what they started: its environment is clean but for a mark with a site's nonce.
  std::vector<std::string> marks{"TUTTI_TEST_HOST=" + folder_};
  std::error_code none;
  for (const auto& site : fs::directory_iterator(path("state"), none))
    if (const auto record = words(contents(site.path().string() + "/nonce")); !record.empty())
      marks.push_back("=" + record[0] + "/");
  for (bool found = true; found;) {
    found = false;
    for (const std::string& mark : marks)
      for (const auto pid : bearers(mark))
        if (::kill(pid, SIGKILL) == 0) found = true;
  }
}

void Host::reboot() {
  kill_all();
  ++boots_;
}

int Host::boot() { return start({}, {"BOOT"}).wait(); }

Runner Host::start(const std::vector<std::string>& prefix, const std::vector<std::string>& more) {
  auto command = prefix;
  command.insert(command.end(), shell_.command.begin(), shell_.command.end());
  static const Readable readable;
  command.insert(command.end(), {readable.file(), path("state")});
  command.insert(command.end(), more.begin(), more.end());
  auto variables = environment;
  variables.insert(variables.end(), {"PATH=" + shell_.path, "HOME=/", "TUTTI_TEST_HOST=" + folder_});
  const char* keeper = std::getenv("TUTTI_KEEPER");
  variables.push_back(std::string("TUTTI_KEEPER=") + (keeper != nullptr ? keeper : "plain"));
  if (boots_ > 0) variables.push_back("TUTTI_BOOT=boot-" + std::to_string(boots_));
  return {command, variables};
}

Runner Host::connect(const std::vector<std::string>& prefix, const std::string& site) {
  auto runner = start(prefix, {});
  runner.send(encode(Hello{.site = site, .store = store()}));
  (void)runner.expect<Greeting>("");
  return runner;
}

Lock Host::authority(std::int64_t of_epoch) const {
  return {.lineage = "L1", .epoch = of_epoch, .nonce = nonce, .holder = "anna@desk"};
}

Runner Host::lock(const std::vector<std::string>& prefix) {
  auto runner = connect(prefix);
  auto frame = authority(epoch + 1);
  frame.seen = epoch;
  nonce = runner.call<Locked>(frame).nonce;
  ++epoch;
  return runner;
}

// ------------------------------------------------------------------ small things

std::string noise(std::size_t size) {
  std::minstd_rand random(7);
  std::string bytes(size, '\0');
  for (auto& byte : bytes) byte = static_cast<char>(random() >> 8U);
  return bytes;
}

bool is_alive(pid_t pid) {
  const auto stat = contents("/proc/" + std::to_string(pid) + "/stat");
  const auto end = stat.rfind(')');
  return end != std::string::npos && end + 2 < stat.size() && stat[end + 2] != 'Z' && stat[end + 2] != 'X';
}

std::vector<pid_t> bearers(std::string_view mark) {
  std::vector<pid_t> found;
  for (const auto& process : fs::directory_iterator("/proc")) {
    const auto name = process.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    if (contents("/proc/" + name + "/environ").find(mark) == std::string::npos) continue;
    const auto pid = static_cast<pid_t>(std::stol(name));
    if (is_alive(pid)) found.push_back(pid);
  }
  return found;
}

bool exists(const std::string& path) { return fs::exists(fs::symlink_status(path)); }

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write(const std::string& path, std::string_view bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << bytes;
  if (!file.flush()) fail("write " + path);
}

std::vector<std::string> words(std::string_view text) {
  std::istringstream stream{std::string(text)};
  return {std::istream_iterator<std::string>(stream), {}};
}

pid_t pid_in(std::string_view text) {
  const auto all = words(text);
  return all.empty() ? -1 : static_cast<pid_t>(std::atol(all[0].c_str()));
}

void pause(std::chrono::milliseconds time) { std::this_thread::sleep_for(time); }

}  // namespace tutti::frames::testing
