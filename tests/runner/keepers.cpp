// SPDX-License-Identifier: LGPL-3.0-or-later
// What keeps a service from START to STOP, where no service manager does: it comes back when it dies and
// after a boot; what was stopped does not. The environment's TUTTI_KEEPER on the host says which keeper is
// tried.

#include <algorithm>
#include <array>
#include <csignal>
#include <filesystem>
#include <set>

#include <doctest/doctest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>

#include "runner/case.hpp"
#include "transport/runner_text.hpp"

using namespace tutti::frames;
using namespace tutti::frames::testing;
using namespace std::chrono_literals;
using namespace std::string_literals;
namespace fs = std::filesystem;

namespace {

/// A daemon that is always started again. Each life appends its process to the file `lives`.
Start kept(const Host& host, std::string token, const std::string& script = "exec sleep 300") {
  return {.token = std::move(token),
          .service = "web",
          .definition = "d1",
          .daemon = true,
          .program = {.argv = {"sh", "-c", "echo $$ >>'" + host.path("lives") + "'; " + script}},
          .limit = 20,
          .keeping = {.restart = Restart::always, .boot = true}};
}

Stop stop_of(std::string token) {
  return {.token = std::move(token), .service = "web", .daemon = true, .limit = 20, .grace = 1};
}

Entry entry_of(std::string token, std::string service = "web") {
  return {.token = std::move(token), .service = std::move(service), .json = "{}", .probe = Probe::daemon};
}

ManifestEntry read(Runner& runner, const std::string& service = "web") {
  for (const auto& entry : runner.call<Manifest>(Read{}).entries)
    if (entry.service == service) return entry;
  throw std::runtime_error("no entry " + service);
}

std::vector<pid_t> lives(const Host& host) {
  std::vector<pid_t> pids;
  for (const auto& word : words(contents(host.path("lives")))) pids.push_back(pid_in(word));
  return pids;
}

/// Those that live now. What became a daemon has the mark; its keeper, and who has yet to become one, does
/// not.
std::vector<pid_t> running(const Host& host, const std::string& service = "web") {
  return bearers("TUTTI_SERVICE=" + host.nonce + "/" + service + "/");
}

/// Waits for a life after the first `count`; its process.
pid_t next_life(const Host& host, std::size_t count) {
  REQUIRE(eventually([&] { return lives(host).size() > count; }));
  return lives(host)[count];
}

RUNNER_CASE("keepers: a daemon that dies comes back, and how often is counted") {
  auto runner = host.lock();
  REQUIRE(runner.call<Done>(kept(host, "t1")).succeeded());
  runner.call<Done>(entry_of("e1"));
  auto entry = read(runner);
  CHECK(entry.restarts == 0);
  CHECK(entry.last_restart == std::nullopt);
  CHECK(entry.boot == false);  // of our own keeper: nothing outside of our folder says so
  CHECK(entry.note.empty());
  for (std::size_t i = 1; i < 3; ++i) {
    REQUIRE(kill(lives(host).back(), SIGKILL) == 0);
    const pid_t pid = next_life(host, i);
    CHECK(eventually([&] { return is_alive(pid); }));
    entry = read(runner);
    CHECK(entry.life == Life::alive);
    CHECK(entry.restarts == i);
    CHECK(entry.recent_restarts == i);
    CHECK(entry.last_restart.value() < 30);
  }
  CHECK(runner.call<Done>(stop_of("t2")).how == How::exit);
  CHECK(running(host).empty());
  entry = read(runner);
  CHECK(entry.life == Life::dead);
  CHECK(entry.keeper == Keeper::none);
  CHECK(runner.call<Done>(kept(host, "t3")).succeeded());
  CHECK(read(runner).restarts == 0);
}

RUNNER_CASE("keepers: what is started again is what was started, as it is to be started") {
  auto runner = host.lock();
  auto start = kept(host, "t1", "umask; ulimit -n; cut -d ' ' -f 19 /proc/$$/stat; pwd; exec sleep 300");
  fs::create_directory(host.path("a folder"));
  start.program.cwd = host.path("a folder");
  start.keeping.umask = 027;
  start.keeping.nice = 7;
  start.keeping.limits = {{"open-files", 99}, {"cpu", 50}};
  const auto done = runner.call<Done>(start);
  REQUIRE(done.succeeded());
  const bool has_nice = host.shell().name != "busybox";  // Debian's has none
  CHECK(done.error.preview ==
        (has_nice ? "" : std::string("web does not run with nice 7: this host lacks nice\n")) +
            "the limit of cpu of web is not kept: nothing on this host can do that\n");
  REQUIRE(kill(lives(host).back(), SIGKILL) == 0);
  const pid_t again = next_life(host, 1);
  REQUIRE(eventually([&] { return contents(fmt::format("/proc/{}/comm", again)) == "sleep\n"; }));
  const auto log = runner.call<LogTail>(Log{.service = "web", .max = 10'000}).bytes;
  const auto half = log.size() / 2;
  CHECK(log.substr(0, half) == log.substr(half));
  CHECK(log.substr(half) == (has_nice ? "0027\n99\n7\n" : "0027\n99\n0\n") + host.path("a folder") + "\n");
}

RUNNER_CASE("keepers: one that ended as it should does not come back on failure only, one that failed does") {
  auto runner = host.lock();
  auto start = kept(host, "t1",
                    "while [ ! -e '" + host.path("status") + "' ]; do sleep 0.05; done; read s <'" +
                        host.path("status") + "'; rm '" + host.path("status") + "'; exit $s");
  start.keeping.restart = Restart::on_failure;
  REQUIRE(runner.call<Done>(start).succeeded());
  runner.call<Done>(entry_of("e1"));
  write(host.path("status"), "3\n");
  const pid_t second = next_life(host, 1);
  CHECK(eventually([&] { return read(runner).life == Life::alive; }));
  write(host.path("status"), "0\n");
  CHECK(eventually([&] { return !is_alive(second); }));
  CHECK(eventually([&] { return !read(runner).note.empty(); }));  // its keeper has ended
  CHECK(lives(host).size() == 2);
  CHECK(read(runner).life == Life::dead);
}

RUNNER_CASE("keepers: a daemon that dies at once has not been started, and does not come back") {
  auto runner = host.lock();
  const auto done = runner.call<Done>(kept(host, "t1", "echo no port >&2; exit 3"));
  CHECK(done.how == How::died);
  CHECK(done.status == 3);
  CHECK(done.error.preview == "no port\n");
  CHECK(contents(host.state("s/web.keep")).empty());
  host.reboot();
  CHECK(host.boot() == 0);
  CHECK(lives(host).size() == 1);
}

RUNNER_CASE(
    "keepers: who started a daemon is told that it died though it was restarted, and others that it lives") {
  auto runner = host.lock();
  REQUIRE(runner.call<Done>(kept(host, "t1")).succeeded());
  const auto validate = [&](std::string token, bool first = true) {
    return runner.call<Done>(Run{.token = std::move(token),
                                 .program = {.argv = {"true"}},
                                 .limit = 20,
                                 .first = first,
                                 .service = "web"});
  };
  CHECK(validate("v1").succeeded());
  REQUIRE(kill(lives(host).back(), SIGKILL) == 0);
  (void)next_life(host, 1);
  CHECK(validate("v2").how == How::died);
  CHECK(validate("v2b", false).succeeded());
  // After another boot it is judged by what came back.
  host.reboot();
  CHECK(host.boot() == 0);
  (void)next_life(host, 2);
  auto second = host.lock();
  const Run again{.token = "v3", .program = {.argv = {"true"}}, .first = true, .service = "web"};
  CHECK(second.call<Done>(again).succeeded());
}

RUNNER_CASE("keepers: a stop wins against what would come back, at whatever moment it comes") {
  auto runner = host.lock();
  const char* given = std::getenv("TUTTI_STOPS");
  const int stops = given != nullptr ? std::atoi(given) : 150;
  int again = 0;
  for (int i = 0; i < stops; ++i) {
    fs::remove(host.path("lives"));
    REQUIRE(runner.call<Done>(kept(host, fmt::format("t{}", i), "exec sleep 0.17")).how != How::error);
    if (i % 3 != 0) pause(std::chrono::milliseconds(950 + i * 37 % 120));  // about when it comes back
    const auto done = runner.call<Done>(stop_of(fmt::format("s{}", i)));
    REQUIRE(done.succeeded());
    again += lives(host).size() > 1 ? 1 : 0;
    const auto left = running(host);
    INFO("stop ", i);
    REQUIRE(left.empty());
    for (const char* file : {"run", "keep", "daemon"}) REQUIRE_FALSE(exists(host.state("s/web.") + file));
  }
  CHECK(bearers("TUTTI_TEST_HOST=" + host.folder()).size() == 1);  // the runner
  MESSAGE(host.shell().name, ": ", again, " of ", stops, " stops met one that had come back");
}

/// Every byte but NUL, in all the ways that shells take amiss.
std::vector<std::string> nasty_values() {
  std::string every;
  for (int byte = 1; byte < 256; ++byte) every += static_cast<char>(byte);
  std::string large;
  while (large.size() < 100'000) large += every + "'\n";
  return {"",
          " ",
          "it's",
          "\"$HOME\" ${x} $$ $(id) `id`",
          "%n %% %25 %0A 100%",
          "\\ \\\\ \\n a\\",
          "a\nb",
          "\n",
          "\n\n",
          "a=b",
          "-n",
          "*",
          "; exit 1 #",
          "a\tb\r\n",
          every,
          large,
          "%",
          "a'b''",
          "'"};
}

std::string with_nul(const std::vector<std::string>& values) {
  std::string all;
  for (const auto& value : values) all += value + '\0';
  return all;
}

RUNNER_CASE("keepers: nasty values reach arguments and environment exactly, in each life") {
  auto runner = host.lock();
  const auto values = nasty_values();
  auto start = kept(host, "t1");
  std::string expected_environment;
  for (std::size_t i = 0; i < values.size(); ++i) {
    start.program.env.emplace_back(fmt::format("V{}", i), values[i]);
    expected_environment += fmt::format("V{}=", i) + values[i] + '\0';
  }
  start.program.argv = {"sh", "-c", "echo $$ >>\"$0\"; kill -STOP $$", host.path("lives")};
  start.program.argv.insert(start.program.argv.end(), values.begin(), values.end());
  const auto check = [&](pid_t pid) {
    CHECK(contents(fmt::format("/proc/{}/cmdline", pid)) == with_nul(start.program.argv));
    CHECK(contents(fmt::format("/proc/{}/environ", pid)).ends_with('\0' + expected_environment));
  };
  REQUIRE(runner.call<Done>(start).succeeded());
  check(next_life(host, 0));
  REQUIRE(kill(lives(host).back(), SIGKILL) == 0);
  check(next_life(host, 1));
  host.reboot();
  CHECK(host.boot() == 0);
  check(next_life(host, 2));
  CHECK(mode_of(host.state("s/web.run")) == 0600);
}

Start program_of(const Host& host, const std::string& service, std::vector<std::string> after = {}) {
  const auto mark = host.path(service + " is up");
  return {.token = "t-" + service,
          .service = service,
          .program = {.argv = {"sh", "-c",
                               "echo " + service + " >>'" + host.path("order") + "'; >'" + mark + "'"}},
          .check = {"test", "-e", mark},
          .limit = 20,
          .keeping = {.boot = true, .after = std::move(after), .stop = {"rm", mark}}};
}

Start daemon_of(const Host& host, const std::string& service, std::vector<std::string> after = {}) {
  return {.token = "t-" + service,
          .service = service,
          .daemon = true,
          .program = {.argv = {"sh", "-c",
                               "echo " + service + " >>'" + host.path("order") + "'; exec sleep 300"}},
          .limit = 20,
          .keeping = {.restart = Restart::always, .boot = true, .after = std::move(after)}};
}

RUNNER_CASE("keepers: after a boot what was started and not stopped comes back, in order, once") {
  {
    auto runner = host.lock();
    for (const auto& start :
         {daemon_of(host, "a-web", {"b-net", "c-db"}), program_of(host, "b-net", {"c-db"}),
          daemon_of(host, "c-db"), daemon_of(host, "d-stopped"), daemon_of(host, "e-loop", {"f-loop"}),
          daemon_of(host, "f-loop", {"e-loop"}), program_of(host, "g-stopped")})
      REQUIRE(runner.call<Done>(start).succeeded());
    auto once = daemon_of(host, "h-not");
    once.keeping.boot = false;
    REQUIRE(runner.call<Done>(once).succeeded());
    CHECK(runner.call<Done>(Stop{.token = "s1", .service = "d-stopped", .daemon = true}).succeeded());
    CHECK(runner.call<Done>(Stop{.token = "s2", .service = "g-stopped", .program = {.argv = {"true"}}})
              .succeeded());
  }
  CHECK(host.boot() == 0);  // within the same boot: all of that lives
  const std::string before = contents(host.path("order"));
  CHECK(words(before).size() == 8);
  host.reboot();
  for (const char* mark : {"b-net is up", "g-stopped is up"}) fs::remove(host.path(mark));
  for (int i = 0; i < 2; ++i) {
    CHECK(host.boot() == 0);
    std::string order;
    REQUIRE(eventually([&] {
      order = contents(host.path("order")).substr(before.size());
      return words(order).size() >= 5;
    }));
    CHECK(order == "c-db\nb-net\na-web\ne-loop\nf-loop\n");
  }
  auto runner = host.lock();
  for (const char* service : {"a-web", "c-db", "e-loop"}) {
    CHECK(running(host, service).size() == 1);
    CHECK(runner.call<Done>(Stop{.token = std::string("x") + service, .service = service, .daemon = true})
              .how == How::exit);
  }
  CHECK(running(host, "d-stopped").empty());
  CHECK(running(host, "h-not").empty());
}

/// The steps at which a test may have us killed, as the runner's text names them.
std::vector<std::string> steps_of(std::string_view operation) {
  std::vector<std::string> steps;
  const std::string text(tutti::runner_text);
  const std::string call = "at " + std::string(operation) + "-";
  for (auto at = text.find(call); at != std::string::npos; at = text.find(call, at + 1))
    steps.push_back(text.substr(at + 3, text.find_first_of(" \n;", at + 3) - at - 3));
  return steps;
}

RUNNER_CASE("keepers: killed at any step of a start or a stop, what comes next does what it says") {
  REQUIRE(steps_of("start").size() >= 3);
  REQUIRE(steps_of("stop").size() >= 2);
  int i = 0;
  for (const bool reboots : {false, true})
    for (const std::string operation : {"start", "stop"})
      for (const auto& step : steps_of(operation)) {
        INFO(step, reboots ? ", then a boot" : "");
        ++i;
        fs::remove(host.path("lives"));
        if (operation == "stop")
          REQUIRE(host.lock().call<Done>(kept(host, fmt::format("a{}", i))).succeeded());
        host.environment = {"TUTTI_DIE_AT=" + step};
        {
          auto victim = host.lock();
          if (operation == "stop")
            (void)victim.post(stop_of(fmt::format("b{}", i)));
          else
            (void)victim.post(kept(host, fmt::format("b{}", i)));
          CHECK_FALSE(victim.next().has_value());  // it was killed
        }
        host.environment.clear();
        if (reboots) {
          host.reboot();
          CHECK(host.boot() == 0);
          // Of a stop that was begun nothing comes back. Of a start it does where it was written down.
          if (operation == "stop") CHECK(running(host).empty());
          CHECK(running(host).size() <= 1);
        }
        auto runner = host.lock();
        CHECK(runner.call<Done>(stop_of(fmt::format("c{}", i))).succeeded());
        CHECK(running(host).empty());
        fs::remove(host.path("lives"));
        CHECK(runner.call<Done>(kept(host, fmt::format("d{}", i))).succeeded());
        CHECK(lives(host).size() == 1);
        CHECK(running(host).size() == 1);
        CHECK(runner.call<Done>(stop_of(fmt::format("e{}", i))).how == How::exit);
      }
}

RUNNER_CASE("keepers: what a daemon left behind is ended before it comes back") {
  auto runner = host.lock();
  REQUIRE(runner.call<Done>(kept(host, "t1", "sleep 301 & setsid sleep 302 & wait")).succeeded());
  REQUIRE(eventually([&] { return running(host).size() == 3; }));
  const auto before = running(host);
  REQUIRE(kill(lives(host).back(), SIGKILL) == 0);
  (void)next_life(host, 1);
  for (const pid_t pid : before) CHECK_FALSE(is_alive(pid));
}

RUNNER_CASE("keepers: the signal that stops a daemon is the one that is asked for") {
  auto runner = host.lock();
  REQUIRE(runner
              .call<Done>(kept(host, "t1",
                               "trap 'echo by USR1; exit' USR1; trap 'echo by TERM; exit' TERM; "
                               "while :; do sleep 0.02; done"))
              .succeeded());
  auto stop = stop_of("t2");
  stop.signal = "USR1";
  CHECK(runner.call<Done>(stop).how == How::exit);
  CHECK(runner.call<LogTail>(Log{.service = "web", .max = 100}).bytes.find("by USR1\n") != std::string::npos);
}

RUNNER_CASE(
    "keepers: in a group of its own, nothing of a daemon outlives its stop, whatever that did to itself") {
  auto runner = host.lock();
  const auto name = "sleep " + std::to_string(100'000 + getpid());  // by which what escaped is found
  const auto escaped = [&] {
    std::vector<pid_t> found;
    for (const auto& process : fs::directory_iterator("/proc")) {
      auto command = contents(process.path().string() + "/cmdline");
      std::replace(command.begin(), command.end(), '\0', ' ');
      if (command == name + " ") found.push_back(pid_in(process.path().filename().string()));
    }
    return found;
  };
  REQUIRE(runner
              .call<Done>(kept(host, "t1",
                               "trap '' TERM; setsid env -i " + name + " & while :; do setsid env -i " +
                                   name + " & sleep 0.05; done"))
              .succeeded());
  runner.call<Done>(entry_of("e1"));
  REQUIRE(eventually([&] { return escaped().size() > 10; }));
  const bool in_group = read(runner).keeper == Keeper::cgroup;
  CHECK(runner.call<Done>(stop_of("t2")).how == How::exit);
  if (in_group) {
    CHECK(escaped().empty());
  } else {
    MESSAGE("skipped: no cgroup can be made here, or none is asked for (TUTTI_KEEPER=cgroup)");
    for (const pid_t pid : escaped()) kill(pid, SIGKILL);
  }
}

RUNNER_CASE("keepers: a long log is cut when it is read, and the daemon goes on printing to it") {
  auto runner = host.lock();
  REQUIRE(runner
              .call<Done>(kept(host, "t1",
                               "head -c 1100000 /dev/zero; echo end; while [ ! -e '" + host.path("go") +
                                   "' ]; do sleep 0.05; done; echo more; exec sleep 300"))
              .succeeded());
  const auto log = [&] { return runner.call<LogTail>(Log{.service = "web", .max = 5}).bytes; };
  CHECK(eventually([&] { return fs::file_size(host.state("s/web.log")) == 1'100'004; }));
  CHECK(log() == "\0end\n"s);
  CHECK(log().empty());
  CHECK(fs::file_size(host.state("s/web.log.1")) == 1'100'004);
  write(host.path("go"), "");
  CHECK(eventually([&] { return log() == "more\n"; }));
}

/// A socket that is bound to a port of this host, so that nobody else gets it; it listens when it is told to.
class Port {
 public:
  Port() : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{
        .sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
    socklen_t size = sizeof address;
    REQUIRE(bind(socket_, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    number = ntohs(address.sin_port);
  }
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;
  ~Port() { close(socket_); }
  void listen() const { REQUIRE(::listen(socket_, 1) == 0); }
  std::uint16_t number = 0;

 private:
  int socket_;
};

RUNNER_CASE("keepers: a start waits until something listens at the port") {
  auto runner = host.lock();
  const Port port;
  auto start = kept(host, "t1");
  start.keeping.ready = {.when = Ready::When::listens, .port = port.number};
  start.limit = 0.5;
  const auto late = runner.call<Done>(start);
  CHECK(late.how == How::timeout);
  CHECK(late.error.preview == fmt::format("nothing listens at port {} yet\n", port.number));
  CHECK(runner.call<Done>(stop_of("t2")).how == How::exit);
  start.token = "t3";
  start.program.argv[2] = "sleep 0.4; exit 4";
  start.limit = 20;
  const auto died = runner.call<Done>(start);
  CHECK(died.how == How::died);
  CHECK(died.status == 4);
  CHECK(running(host).empty());
  start = kept(host, "t4");
  start.keeping.ready = {.when = Ready::When::listens, .port = port.number};
  const auto id = runner.post(start);
  (void)next_life(host, 1);
  port.listen();
  CHECK(runner.expect<Done>(id).succeeded());
}

RUNNER_CASE("keepers: a daemon of an older runner is judged and stopped as ever, and gets its boot entry") {
  auto start = kept(host, "t1");
  start.keeping = {};
  start.already = true;
  {
    auto runner = host.lock();
    REQUIRE(runner.call<Done>(start).succeeded());
    runner.call<Done>(entry_of("e1"));
  }
  const auto record = words(contents(host.state("s/web.daemon")));
  REQUIRE(record.size() == 7);
  const auto as_before = fmt::format("{} {} {} {} .\n", record[0], record[1], record[2], record[3]);
  write(host.state("s/web.daemon"), as_before);
  auto runner = host.lock();
  CHECK(read(runner).life == Life::alive);
  CHECK(read(runner).boot == std::nullopt);
  start.token = "t2";
  start.keeping = {.restart = Restart::always, .boot = true};
  CHECK(runner.call<Done>(start).how == How::already);
  CHECK(lives(host).size() == 1);
  CHECK(contents(host.state("s/web.daemon")) == as_before);
  CHECK(read(runner).boot == false);
  CHECK(read(runner).note.find("nothing starts it again when it ends") == 0);
  start.token = "t3";
  start.definition = "d2";
  CHECK(runner.call<Done>(start).how == How::busy);
  host.reboot();
  CHECK(host.boot() == 0);
  (void)next_life(host, 1);
  auto second = host.lock();
  CHECK(read(second).life == Life::alive);
  CHECK(read(second).note.empty());
  CHECK(second.call<Done>(stop_of("t4")).how == How::exit);
  CHECK(running(host).empty());
}

RUNNER_CASE("keepers: how a daemon is kept changes without touching it") {
  auto runner = host.lock();
  auto start = kept(host, "t1");
  start.already = true;
  REQUIRE(runner.call<Done>(start).succeeded());
  start.token = "t2";
  start.keeping.restart = Restart::never;
  CHECK(runner.call<Done>(start).how == How::already);
  REQUIRE(lives(host).size() == 1);
  runner.call<Done>(entry_of("e1"));
  REQUIRE(kill(lives(host).back(), SIGKILL) == 0);
  CHECK(eventually(
      [&] { return bearers("TUTTI_TEST_HOST=" + host.folder()).size() == 1; }));  // no keeper is left
  CHECK(read(runner).life == Life::dead);
  CHECK(lives(host).size() == 1);
}

}  // namespace
