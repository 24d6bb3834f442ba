// SPDX-License-Identifier: LGPL-3.0-or-later
#include "transport/process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <ctime>
#include <utility>

#include <fmt/format.h>

#include <tutti/error.hpp>

extern "C" char** environ;

namespace tutti {
namespace {

[[noreturn]] void refuse(const std::string& what, int error) {
  const char* remedy =
      error == EMFILE || error == ENFILE
          ? "; each host takes three open files: raise the limit (ulimit -n) or deploy to fewer hosts at once"
          : "";
  throw Error(ErrorCode::system, fmt::format("{}: {}{}", what, std::strerror(error), remedy));
}

/// A file descriptor that is closed unless it is given away.
class Fd {
 public:
  Fd() = default;
  ~Fd() { reset(); }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  /// Takes `fd`, moved above the standard streams: a program may have closed its own.
  void take(int fd) {
    reset();
    fd_ = fd;
    if (fd > 2) return;
    fd_ = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
    const int error = errno;
    ::close(fd);
    if (fd_ < 0) refuse("no file descriptor for a child process", error);
  }
  [[nodiscard]] int get() const noexcept { return fd_; }
  int release() noexcept { return std::exchange(fd_, -1); }

 private:
  void reset() noexcept {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  int fd_ = -1;
};

struct Ends {
  Fd ours;
  Fd theirs;
};

// The child's input is a socket: MSG_NOSIGNAL then keeps SIGPIPE away from the program that we are
// part of, whatever it does with signals. A pipe would need SIGPIPE blocked around every write.
void make_input(Ends& ends) {
  std::array<int, 2> fds{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) != 0)
    refuse("no socket for a child process", errno);
  const int theirs = fds[1];
  try {
    ends.ours.take(fds[0]);
  } catch (...) {
    ::close(theirs);
    throw;
  }
  ends.theirs.take(theirs);
}

void make_output(Ends& ends) {
  std::array<int, 2> fds{};
  if (::pipe2(fds.data(), O_CLOEXEC) != 0) refuse("no pipe for a child process", errno);
  const int theirs = fds[1];
  try {
    ends.ours.take(fds[0]);
  } catch (...) {
    ::close(theirs);
    throw;
  }
  ends.theirs.take(theirs);
}

/// What the child is started with: default signals, none blocked, a session of its own, three streams.
class Setup {
 public:
  Setup() {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawnattr_init(&attributes_);
  }
  ~Setup() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  Setup(const Setup&) = delete;
  Setup& operator=(const Setup&) = delete;

  pid_t spawn(const std::vector<std::string>& argv, const std::array<int, 3>& streams) {
    for (int i = 0; i < 3; ++i)
      check(::posix_spawn_file_actions_adddup2(&actions_, streams[static_cast<std::size_t>(i)], i));
#if defined(__GLIBC_PREREQ) && __GLIBC_PREREQ(2, 34)
    check(::posix_spawn_file_actions_addclosefrom_np(&actions_, 3));  // of the program that we are part of
#endif
    // A session of its own: Ctrl-C at the terminal does not reach the child, and nothing asks there.
    check(::posix_spawnattr_setflags(&attributes_,
                                     POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK));
    sigset_t set;
    ::sigfillset(&set);
    check(::posix_spawnattr_setsigdefault(&attributes_, &set));
    ::sigemptyset(&set);
    check(::posix_spawnattr_setsigmask(&attributes_, &set));
    std::vector<char*> arguments;
    for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    pid_t pid = -1;
    if (const int error =
            ::posix_spawnp(&pid, arguments[0], &actions_, &attributes_, arguments.data(), environ))
      refuse(fmt::format("can't run '{}'", argv[0]), error);
    return pid;
  }

 private:
  static void check(int error) {
    if (error != 0) refuse("can't prepare a child process", error);
  }
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

}  // namespace

Child::Child(const std::vector<std::string>& argv) {
  Ends input;
  Ends output;
  Ends error;
  make_input(input);
  make_output(output);
  make_output(error);
  Setup setup;
  pid_ = setup.spawn(argv, {input.theirs.get(), output.theirs.get(), error.theirs.get()});
  input_ = input.ours.release();
  output_ = output.ours.release();
  error_ = error.ours.release();
}

Child::~Child() {
  for (const int fd : {input_, output_, error_})
    if (fd >= 0) ::close(fd);
  if (pid_ < 0 || ended_within(0)) return;
  ::kill(pid_, SIGKILL);  // only the child: what runs on the host outlives its connection
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {}
}

int Child::take_input() noexcept { return std::exchange(input_, -1); }
int Child::take_output() noexcept { return std::exchange(output_, -1); }
int Child::take_error() noexcept { return std::exchange(error_, -1); }

bool Child::ended_within(double seconds) noexcept {
  using Clock = std::chrono::steady_clock;
  const auto end =
      Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  while (pid_ >= 0) {
    const pid_t reaped = ::waitpid(pid_, nullptr, WNOHANG);
    // ECHILD: the program ignores SIGCHLD, or waits for every child itself.
    if (reaped == pid_ || (reaped < 0 && errno == ECHILD)) pid_ = -1;
    if (pid_ < 0 || Clock::now() >= end) break;
    constexpr long poll_nanoseconds = 5'000'000;
    const timespec pause{.tv_sec = 0, .tv_nsec = poll_nanoseconds};
    ::nanosleep(&pause, nullptr);
  }
  return pid_ < 0;
}

}  // namespace tutti
