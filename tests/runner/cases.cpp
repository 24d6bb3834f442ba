// SPDX-License-Identifier: LGPL-3.0-or-later
// What the runner promises and no model can: cases that only a shell, a kernel and a file system answer. The
// rest of the table is in protocol.cpp, which also lists why these are apart.

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <set>

#include <doctest/doctest.h>

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "runner/case.hpp"
#include "transport/runner_text.hpp"

using namespace tutti::frames;
using namespace tutti::frames::testing;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

Start daemon_of(std::string token, std::string script, std::string definition = "d1") {
  return {.token = std::move(token),
          .service = "web",
          .definition = std::move(definition),
          .daemon = true,
          .program = {.argv = {"sh", "-c", std::move(script)}},
          .limit = 20};
}

Stop stop_of(std::string token) {
  return {.token = std::move(token), .service = "web", .daemon = true, .limit = 20, .grace = 1};
}

Entry entry_of(std::string token, std::string service, Probe probe, std::vector<std::string> argv = {}) {
  return {.token = std::move(token),
          .service = service,
          .json = "{\"service\": \"" + service + "\"}",
          .probe = probe,
          .program = {.argv = std::move(argv)},
          .limit = 5};
}

Life life_of(const Manifest& manifest, std::string_view service) {
  for (const auto& entry : manifest.entries)
    if (entry.service == service) return entry.life;
  throw std::runtime_error("no entry " + std::string(service));
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts(1);
  for (const char c : text)
    if (c == separator)
      parts.emplace_back();
    else
      parts.back() += c;
  return parts;
}

std::string every_byte() {
  std::string bytes;
  for (int byte = 1; byte < 256; ++byte) bytes += static_cast<char>(byte);
  return bytes;
}

// ------------------------------------------------------------------ greeting and reading

RUNNER_CASE("runner: what it does not understand ends it with a word why") {
  const auto answer = [&](const std::string& bytes) {
    auto runner = host.connect();
    runner.send(bytes);
    const auto reply = runner.next();
    REQUIRE(reply);
    const auto& ended = std::get<Ended>(reply->answer);
    CHECK(ended.why == "protocol");
    CHECK_FALSE(runner.next());
    return ended.detail;
  };
  CHECK(answer("SING i1\n") == "operation");
  CHECK(answer("READ -i\n") == "short");
  CHECK(answer("ASK i1 t1 fast=1\n") == "unknown key fast");
  CHECK(answer("ASK i1 t1 $(id)=1\n") == "unknown key $(id)");
  CHECK(answer("ASK i1 ../t1\n") == "token");
  CHECK(answer("RUN i1 t1 limit=08 argv=1\n") == "run");
  CHECK(answer("GET i1 max=10\n/a%zzb\n") == "escape");
  CHECK(answer("READ i1 " + std::string(5000, 'x') + "\n") == "long-header");
}

RUNNER_CASE("runner: reading tells what stands at paths that the site wants") {
  fs::create_directory(host.path("a folder"));
  write(host.path("a folder/a %20 file\n"), "x");
  fs::create_symlink("/nowhere", host.path("a folder/a link"));
  fs::create_symlink("a file", host.path("link"));
  REQUIRE(mkfifo(host.path("fifo").c_str(), 0644) == 0);
  Read read;
  for (const char* name : {"not there", "a folder/a %20 file\n", "a folder/a link", "a folder", "fifo",
                           "not/there/either", "fifo/below", "a folder/not there"})
    read.paths.push_back({"web", host.path(name)});
  read.paths.push_back({"web", "not absolute"});
  const auto check = [&](Runner& runner) {
    const auto manifest = runner.call<Manifest>(read);
    std::string all;
    for (const auto& found : manifest.paths)
      all += fmt::format("{}:{} ", found.index, static_cast<int>(found.what));
    using enum Stands;
    CHECK(all == fmt::format("1:{} 2:{} 3:{} 4:{} 6:{} 8:{} ", static_cast<int>(file), static_cast<int>(link),
                             static_cast<int>(directory), static_cast<int>(other),
                             static_cast<int>(unreachable), static_cast<int>(unreachable)));
    return manifest.entries.size();
  };
  auto stranger = host.connect();
  CHECK(check(stranger) == 0);
  CHECK_FALSE(exists(host.path("state")));
  auto runner = host.lock();
  CHECK(runner.call<Done>(entry_of("e1", "web", Probe::none)).succeeded());
  CHECK(check(runner) == 1);
}

RUNNER_CASE("runner: an entry's probe tells whether it lives") {
  auto runner = host.lock();
  const auto shell = [](const std::string& script) { return std::vector<std::string>{"sh", "-c", script}; };
  runner.call<Done>(entry_of("e1", "yes", Probe::run, {"true"}));
  runner.call<Done>(entry_of("e2", "no", Probe::run, {"false"}));
  runner.call<Done>(entry_of("e3", "not-there", Probe::run, {"/no/such program"}));
  runner.call<Done>(entry_of("e4", "web", Probe::daemon));
  auto slow =
      entry_of("e5", "slow", Probe::run, shell("echo $$ >>'" + host.path("pids") + "'; sleep 300 & wait"));
  slow.limit = 0.5;
  runner.call<Done>(slow);
  fs::create_directory(host.path("a folder"));
  auto exact =
      entry_of("e6", "exact", Probe::run, shell("test \"$A b\" = 'x%\n y b' && pwd | grep -q '/a folder$'"));
  exact.program.env = {{"A b", "x"}};
  CHECK_THROWS_AS((void)encode(exact), std::invalid_argument);
  exact.program.argv = shell("test \"$A\" = \"x%\n y\" && pwd | grep -q '/a folder$'");
  exact.program.env = {{"A", "x%\n y"}};
  exact.program.cwd = host.path("a folder");
  runner.call<Done>(exact);
  auto nowhere = entry_of("e7", "nowhere", Probe::run, {"true"});
  nowhere.program.cwd = "/no/such";
  runner.call<Done>(nowhere);
  auto nobodys = entry_of("e8", "nobodys", Probe::run, {"true"});
  nobodys.program.user = "no-such-user";
  runner.call<Done>(nobodys);
  const auto manifest = runner.call<Manifest>(Read{});
  CHECK(life_of(manifest, "yes") == Life::alive);
  CHECK(life_of(manifest, "no") == Life::dead);
  CHECK(life_of(manifest, "not-there") == Life::unknown);
  CHECK(life_of(manifest, "web") == Life::dead);
  CHECK(life_of(manifest, "slow") == Life::unknown);
  CHECK(life_of(manifest, "exact") == Life::alive);
  CHECK(life_of(manifest, "nowhere") == Life::unknown);
  CHECK(life_of(manifest, "nobodys") == Life::unknown);
  CHECK(eventually([&] { return !is_alive(pid_in(contents(host.path("pids")))); }));
}

RUNNER_CASE("runner: probes run side by side") {
  auto runner = host.lock();
  for (int i = 0; i < 20; ++i)
    runner.call<Done>(entry_of("e" + std::to_string(i), "s" + std::to_string(i), Probe::run, {"sleep", "1"}));
  const auto begin = std::chrono::steady_clock::now();
  CHECK(runner.call<Manifest>(Read{}).entries.size() == 20);
  CHECK(std::chrono::steady_clock::now() - begin < 10s);
}

RUNNER_CASE("runner: a torn entry is shown, not dropped") {
  auto runner = host.lock();
  runner.call<Done>(entry_of("e1", "web", Probe::run, {"true"}));
  runner.call<Done>(entry_of("e2", "db", Probe::run, {"true"}));
  const auto whole = contents(host.state("m/web"));
  write(host.state("m/web"), whole.substr(0, whole.size() - 1));
  write(host.state("m/empty"), "");
  write(host.state("m/db"), "tutti-entry 2 run");
  const auto manifest = runner.call<Manifest>(Read{});
  REQUIRE(manifest.entries.size() == 3);
  for (const auto& entry : manifest.entries) CHECK(entry.life == Life::torn);
  CHECK(manifest.entries[0].bytes == "tutti-entry 2 run");
  CHECK(manifest.entries[1].bytes.empty());
  CHECK(manifest.entries[2].bytes == whole.substr(0, whole.size() - 1));
}

// ------------------------------------------------------------------ lock and fence

RUNNER_CASE("runner: a state that cannot be written is refused with a sentence") {
  write(host.path("state"), "");
  auto runner = host.connect();
  const auto refused = runner.call<Refused>(host.authority(1));
  CHECK(refused.why == "state");
  CHECK(refused.detail.find("cannot make " + host.path("state/site-shop")) == 0);
}

RUNNER_CASE("runner: records of a format that it does not know are refused with a sentence, and left alone") {
  host.lock().run("t1", {"true"});
  CHECK(mode_of(host.path("state/site-shop")) == 0700);
  const auto file = host.state("format");
  CHECK(contents(file) == "1 .\n");
  fs::remove(file);  // as a runner of before left it
  CHECK(host.lock().state("t1") == std::nullopt);
  CHECK(contents(file) == "1 .\n");
  for (const auto* other : {"2 .\n", "torn", ""}) {
    write(file, other);
    try {
      host.connect();
      FAIL("it works with ", other);
    } catch (const std::runtime_error& error) {
      const std::string why = error.what();
      CHECK(why.find("REFUSED format the state in " + host.path("state/site-shop") + " is of format '") !=
            std::string::npos);
      CHECK(why.find("knows format 1: use the Tutti that deployed there last, or a newer one") !=
            std::string::npos);
    }
    CHECK(contents(file) == other);
  }
  CHECK(host.connect({}, "another").living());
}

RUNNER_CASE("runner: of eight contenders one holds the lock") {
  for (int round = 1; round <= 3; ++round) {
    std::vector<std::unique_ptr<Runner>> runners;
    std::vector<std::string> ids;
    for (int i = 0; i < 8; ++i) runners.push_back(std::make_unique<Runner>(host.connect()));
    for (auto& runner : runners) ids.push_back(runner->post(host.authority(round * 100)));
    int held = 0;
    std::vector<Refused> refused;
    for (auto& runner : runners) {
      const auto reply = runner->next();
      REQUIRE(reply);
      if (std::holds_alternative<Locked>(reply->answer))
        ++held;
      else
        refused.push_back(std::get<Refused>(reply->answer));
    }
    for (const Refused& one : refused) {
      CHECK(one.why == "busy");
      CHECK(std::any_of(runners.begin(), runners.end(),
                        [&](const auto& runner) { return one.detail == std::to_string(runner->pid()); }));
    }
    CHECK(held == 1);
    for (auto& runner : runners) runner->kill();
    runners.clear();
    // Rising epochs: whoever comes later displaces who is there, so at most one is left.
    for (int i = 0; i < 8; ++i) runners.push_back(std::make_unique<Runner>(host.connect()));
    for (int i = 0; i < 8; ++i)
      (void)runners[static_cast<std::size_t>(i)]->post(host.authority(round * 100 + 1 + i));
    int answered = 0;
    for (auto& runner : runners) {
      const auto reply = runner->next();
      if (!reply) continue;
      ++answered;
      if (std::holds_alternative<Refused>(reply->answer)) runner->hang_up();
    }
    CHECK(answered >= 1);
    CHECK(eventually([&] {
      return std::count_if(runners.begin(), runners.end(), [](auto& runner) { return runner->living(); }) <=
             1;
    }));
  }
}

// ------------------------------------------------------------------ programs

RUNNER_CASE("runner: arguments arrive byte for byte") {
  auto runner = host.lock();
  std::vector<std::string> argv = {"printf",    "%s\\0",  every_byte(),       "",   "-n", "a\nb\n",
                                   "%0A%25%20", "  sp  ", "$(id) `x` \"' \\", "a=b"};
  auto done = runner.run("t1", argv);
  auto printed = split(done.output.preview, '\0');
  printed.pop_back();
  CHECK(printed == std::vector<std::string>(argv.begin() + 2, argv.end()));
}

RUNNER_CASE("runner: input of any size arrives, and is skipped when the token is done") {
  auto runner = host.lock();
  for (const std::size_t size :
       {std::size_t{1}, std::size_t{70'000}, std::size_t{1} << 20, (std::size_t{5} << 20) + 777}) {
    const auto bytes = noise(size);
    Run run{.token = "t" + std::to_string(size), .program = {.argv = {"sha256sum"}}, .input = bytes};
    for (int i = 0; i < 2; ++i)
      CHECK(words(runner.call<Done>(run).output.preview)[0] == tutti::sha256(bytes));
  }
  CHECK(runner.run("last", {"cat"}).output.size == 0);
}

/// What a login, sudo and a desktop leave behind, and an account that is not the user's.
const std::vector<std::string> of_a_login = {
    "HOME=/elsewhere",        "USER=anna",         "LOGNAME=anna",
    "SHELL=/bin/elsewhere",   "LANG=xx_YY.UTF-8",  "LC_ALL=C.UTF-8",
    "XDG_RUNTIME_DIR=/run/x", "SUDO_USER=anna",    "DBUS_SESSION_BUS_ADDRESS=unix:path=/x",
    "SSH_CONNECTION=1 2 3 4", "TUTTI_PREVIEW=900", "an odd.name=x"};

/// NAME=VALUE... of a program that printed them with NUL between, sorted.
std::set<std::string> variables_in(const std::string& printed) {
  const auto all = split(printed, '\0');
  std::set<std::string> variables(all.begin(), all.end());
  variables.erase("");
  return variables;
}

constexpr auto clean_path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What programs of `user` have in their environment on this machine, besides our mark.
std::set<std::string> clean(const passwd& user, const std::string& language) {
  const std::string name = user.pw_name;
  return {std::string("HOME=") + user.pw_dir,    "USER=" + name, "LOGNAME=" + name,
          std::string("SHELL=") + user.pw_shell, clean_path,     "LANG=" + language};
}

/// As the host's own configuration says.
std::string host_language() {
  for (const auto* file : {"/etc/locale.conf", "/etc/default/locale"}) {
    std::istringstream lines(contents(file));
    for (std::string line; std::getline(lines, line);)
      if (line.starts_with("LANG=") && line.size() > 5) {
        std::erase(line, '"');
        std::erase(line, '\'');
        return line.substr(5);
      }
  }
  return "C.UTF-8";
}

RUNNER_CASE("runner: the environment of a program is its user's, what was asked for, and our mark") {
  host.environment = of_a_login;
  auto runner = host.lock();
  Run run{.token = "t1",
          .program = {.argv = {"env", "-0"},
                      .env = {{"FOO", "a\nb $x=1"},
                              {"BYTES", "\xff\xfe\xe9"},
                              {"t", "ours"},
                              {"nonce", "too"},
                              {"IFS", ","},
                              {"UID", "5"},
                              {"EMPTY", ""}}}};
  auto wanted = clean(*getpwuid(geteuid()), host_language());
  wanted.insert("TUTTI_EFFECT=" + host.nonce + "/t1/");
  auto more = wanted;
  for (const auto* variable :
       {"FOO=a\nb $x=1", "BYTES=\xff\xfe\xe9", "t=ours", "nonce=too", "IFS=,", "UID=5", "EMPTY="})
    more.insert(variable);
  CHECK(variables_in(runner.call<Done>(run).output.preview) == more);

  run.token = "t2";
  run.program.env.clear();
  wanted.erase("TUTTI_EFFECT=" + host.nonce + "/t1/");
  wanted.insert("TUTTI_EFFECT=" + host.nonce + "/t2/");
  CHECK(variables_in(runner.call<Done>(run).output.preview) == wanted);

  run.token = "t3";
  run.program.argv = {"sh", "-c", "echo $HOME $PATH"};
  run.program.env = {{"HOME", "/mine"}, {"PATH", "/usr/bin:/bin"}};
  CHECK(runner.call<Done>(run).output.preview == "/mine /usr/bin:/bin\n");
}

/// What a daemon of `user` (empty: ours) finds in its environment, on a host that was reached by a login.
void check_environment_of_daemon(Host& host, const std::string& user) {
  host.environment = of_a_login;
  auto runner = host.lock();
  auto start = daemon_of("t1", "");
  start.program = {.argv = {"sh", "-c", "cat /proc/$$/environ; echo all; exec sleep 300"},
                   .env = {{"ASKED", "for"}},
                   .user = user};
  REQUIRE(runner.call<Done>(start).succeeded());
  std::string log;
  REQUIRE(eventually([&] {
    log = contents(host.state("s/web.log"));
    return log.ends_with("all\n");
  }));
  log.resize(log.size() - 4);
  auto wanted = clean(user.empty() ? *getpwuid(geteuid()) : *getpwnam(user.c_str()), host_language());
  wanted.insert({"ASKED=for", "TUTTI_SERVICE=" + host.nonce + "/web/"});
  CHECK(variables_in(log) == wanted);
}

RUNNER_CASE("runner: the environment of a daemon is its user's, what was asked for, and our mark") {
  check_environment_of_daemon(host, "");
}

RUNNER_CASE("runner (root): the environment of a daemon of another user is that user's") {
  if (!is_root()) return;
  check_environment_of_daemon(host, "nobody");
}

RUNNER_CASE("runner: programs have default signals, no descriptors of ours, umask 022, and their directory") {
  auto runner = host.lock();
  const auto ignored = words(runner.run("t1", {"grep", "SigIgn", "/proc/self/status"}).output.preview);
  REQUIRE(ignored.size() == 2);
  CHECK((std::stoull(ignored[1], nullptr, 16) & ~0x1000000ULL) == 0);
  const auto descriptors = runner.run_script("t2", "ls -l /proc/self/fd").output.preview;
  CHECK(descriptors.find("lock") == std::string::npos);
  CHECK(std::count(descriptors.begin(), descriptors.end(), '>') <= 4);
  CHECK(runner.run_script("t3", "umask; pwd").output.preview == "0022\n/\n");
  fs::create_directory(host.path("a folder"));
  write(host.path("a folder/say=it"), "#!/bin/sh\necho \"$1\"\n");
  fs::permissions(host.path("a folder/say=it"), fs::perms(0755));
  Run run{.token = "t4", .program = {.argv = {"./say=it", "-x"}, .cwd = host.path("a folder")}};
  CHECK(runner.call<Done>(run).output.preview == "-x\n");
  run.token = "t5";
  run.program.cwd = host.path("no folder");
  const auto done = runner.call<Done>(run);
  CHECK(done.how == How::error);
  CHECK(done.error.preview == "there is no directory " + host.path("no folder") + "\n");
}

RUNNER_CASE("runner: a program that is not there or cannot be run says so") {
  auto runner = host.lock();
  auto done = runner.run("t1", {"/no/such"});
  CHECK(done.how == How::exit);
  CHECK(done.status == 127);
  CHECK(done.error.preview.find("/no/such") != std::string::npos);
  done = runner.run("t2", {"/etc/passwd"});
  CHECK(done.status == 126);
  CHECK(done.error.preview.find("/etc/passwd") != std::string::npos);
  CHECK(runner.run("t3", {"no-such-command"}).status == 127);
  CHECK(runner.run_script("t4", "kill -9 $$").status == 137);
  done = runner.run_script("t5", "kill -TERM $$");
  CHECK(done.how == How::exit);
  CHECK(done.status == 143);
}

RUNNER_CASE("runner (root): programs run as another user") {
  if (!is_root()) return;
  auto runner = host.lock();
  Run run{.token = "t1",
          .program = {.argv = {"sh", "-c", "id -un; id -gn; echo $HOME $USER $LOGNAME $A; cat; exit 3"},
                      .env = {{"A", "b c"}},
                      .user = "nobody"},
          .input = "in"};
  const auto done = runner.call<Done>(run);
  CHECK(done.how == How::exit);
  CHECK(done.status == 3);
  CHECK(done.output.preview == "nobody\nnogroup\n/nonexistent nobody nobody b c\nin");
  run.token = "t2";
  run.program.user = "no-such-user";
  CHECK(runner.call<Done>(run).error.preview == "there is no user no-such-user on this host\n");
  run.token = "t3";
  run.program.user = "root";
  CHECK(words(runner.call<Done>(run).output.preview)[0] == "root");
  run.token = "t4";
  run.program.user = "nobody";
  run.program.argv = {"sh", "-c", "trap '' TERM; sleep 300 & echo $! $$; setsid sleep 300 & wait"};
  run.limit = 0.5;
  run.grace = 0.1;
  const auto killed = runner.call<Done>(run);
  CHECK(killed.how == How::timeout);
  for (const auto& pid : words(killed.output.preview)) CHECK_FALSE(is_alive(pid_in(pid)));
}

RUNNER_CASE("runner (root): who is not root runs programs as himself only") {
  if (!is_root()) return;
  fs::permissions(host.folder(), fs::perms(0777));
  auto runner = host.lock({"setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"});
  Run run{.token = "t1", .program = {.argv = {"id", "-un"}, .user = "nobody"}};
  CHECK(runner.call<Done>(run).output.preview == "nobody\n");
  run.token = "t2";
  run.program.user = "root";
  const auto done = runner.call<Done>(run);
  CHECK(done.how == How::error);
  CHECK(done.error.preview == "cannot run programs as user root: we are not root\n");
  CHECK(runner.call<Done>(put_of("t3", "/etc/tutti-test", "x")).error.preview == "cannot write in /etc/\n");
  CHECK(runner.run("t4", {"true"}).succeeded());
}

RUNNER_CASE("runner: what a program leaves running survives its success") {
  auto runner = host.lock();
  const auto done = runner.run_script("t1", "sleep 300 & echo $!");
  CHECK(done.succeeded());
  CHECK(is_alive(pid_in(done.output.preview)));
}

RUNNER_CASE("runner: when its limit is over, a program and all it started are killed") {
  auto runner = host.lock();
  const auto script = "trap '' TERM; echo $$; (trap '' TERM; sleep 301; sleep 302) & echo $!; "
                      "setsid sh -c 'echo $$; trap : TERM; sleep 303; sleep 304' & wait";
  const auto done = runner.call<Done>(
      Run{.token = "t1", .program = {.argv = {"sh", "-c", script}}, .limit = 1, .grace = 0.5});
  CHECK(done.how == How::timeout);
  CHECK(done.status == 137);
  const auto pids = words(done.output.preview);
  CHECK(pids.size() == 3);
  for (const auto& pid : pids) CHECK_FALSE(is_alive(pid_in(pid)));
  const auto polite = runner.call<Done>(
      Run{.token = "t2",
          .program = {.argv = {"sh", "-c", "trap 'echo bye; exit 4' TERM; sleep 300 & wait"}},
          .limit = 0.25});
  CHECK(polite.how == How::timeout);
  CHECK(polite.status == 4);
  CHECK(polite.output.preview == "bye\n");
}

RUNNER_CASE("runner: a program that prints more than is kept is killed, and never taken for one that ended") {
  host.environment = {"TUTTI_MOST_OUTPUT=100000"};
  auto runner = host.lock();
  const auto more = runner.run_script("t1", "head -c 100001 /dev/zero; exit 0");
  CHECK(more.succeeded());  // it ended before anybody looked: what is there is whole
  CHECK(more.output.size == 100001);
  const auto endless = runner.call<Done>(
      Run{.token = "t2",
          .program = {.argv = {"sh", "-c", "trap '' TERM; head -c 200000 /dev/zero; sleep 300"}},
          .limit = 60,
          .grace = 0.1});
  CHECK(endless.how == How::flood);
  CHECK_FALSE(endless.succeeded());
  CHECK(endless.output.size == 4096);
  const auto input =
      runner.call<Done>(Run{.token = "t3", .program = {.argv = {"wc", "-c"}}, .input = Blob{"t1"}});
  CHECK(words(input.output.preview) == std::vector<std::string>{"100001"});
}

// ------------------------------------------------------------------ interruptions

RUNNER_CASE("runner: a lock that says so ends what was begun under another epoch, and nothing else") {
  auto first = host.lock();
  const auto done_before = first.run_script("t0", "echo done");
  (void)first.post(Run{.token = "t1", .program = {.argv = {"sh", "-c", "echo $$; sleep 300; echo fin"}}});
  CHECK(eventually([&] { return exists(host.state("e/t1.p")); }));
  first.kill();
  first.hang_up();
  auto second = host.connect();
  Lock lock = host.authority(host.epoch + 1);
  lock.end_others = true;
  (void)second.call<Locked>(lock);
  CHECK_FALSE(second.state("t1").has_value());
  const auto done = second.run_script("t1", "echo twice");
  CHECK(done.how == How::killed);
  CHECK_FALSE(is_alive(pid_in(done.output.preview)));
  CHECK(second.run_script("t0", "echo twice").output.preview == done_before.output.preview);
}

RUNNER_CASE(
    "runner: a lock forgets old runs, what was done outside of runs, and logs that nobody speaks of") {
  auto first = host.lock();
  const auto outside = fmt::format("i.l12.{}-1", host.epoch);
  for (const auto* token : {"l12.8.0.t.0", "l12.9.0.t.1.2.0", "l12.10.0.t.0", "l12.30.0.c1.2", "plain"})
    CHECK(first.run_script(token, "echo said").succeeded());
  CHECK(first.run_script(outside, "echo said").succeeded());
  CHECK(first.call<Done>(put_of("l12.9.1.t.0", host.path("file"), "whole")).succeeded());
  write(host.state("s/gone.log"), "old");
  write(host.state("s/gone.log.1"), "older");
  write(host.state("s/here.log"), "new");
  write(host.state("m/here"), "entry");
  first.kill();
  first.hang_up();
  const auto locked = [&](int forget_before) {
    auto runner = host.connect();
    Lock lock = host.authority(++host.epoch);
    lock.end_others = true;
    lock.forget_before = forget_before;
    (void)runner.call<Locked>(lock);
    return runner;
  };
  {
    auto second = locked(0);
    CHECK(second.run_script("l12.8.0.t.0", "echo twice").output.preview == "said\n");
  }
  auto third = locked(10);
  const auto now_outside = fmt::format("i.l12.{}-1", host.epoch);
  CHECK(third.run_script(now_outside, "echo said").succeeded());
  for (const auto* token : {"l12.10.0.t.0", "l12.30.0.c1.2", "plain"})
    CHECK(third.run_script(token, "echo twice").output.preview == "said\n");
  for (const auto& token :
       {std::string("l12.8.0.t.0"), std::string("l12.9.0.t.1.2.0"), std::string("l12.9.1.t.0"), outside})
    CHECK(third.state(token) == TokenState::absent);
  for (const auto* suffix : {"s", "d", "p", "o", "e", "none"})
    CHECK_FALSE(exists(host.state(fmt::format("e/l12.9.1.t.0.{}", suffix))));
  CHECK_FALSE(exists(host.state("s/gone.log")));
  CHECK_FALSE(exists(host.state("s/gone.log.1")));
  CHECK(exists(host.state("s/here.log")));
  CHECK(contents(host.path("file")) == "whole");
  // The same lock again, as after a connection was lost, takes nothing of the run that goes on.
  Lock again = host.authority(host.epoch);
  again.end_others = true;
  again.forget_before = 31;
  (void)third.call<Locked>(again);
  CHECK(third.run_script(now_outside, "echo twice").output.preview == "said\n");
  CHECK(third.state("l12.30.0.c1.2") == TokenState::absent);
}

RUNNER_CASE("runner: one that waits for bytes is displaced, and its effect never was") {
  auto first = host.lock();
  first.send("RUN i1 t1 argv=1 input=bytes:100000\ncat\nabc");
  first.send("");
  pause(200ms);
  auto second = host.lock();
  CHECK(second.state("t1") == TokenState::absent);
  CHECK(second.call<Done>(Run{.token = "t1", .program = {.argv = {"cat"}}, .input = "mine"}).output.preview ==
        "mine");
  second.send("PUT i2 t2 len=100 sha=x\n" + escape(host.path("file")) + "\nabc");
  pause(200ms);
  second.hang_up();
  second.wait();
  auto third = host.lock();
  CHECK(third.state("t2") == TokenState::absent);
  CHECK_FALSE(exists(host.path("file")));
  CHECK(third.call<Done>(put_of("t2", host.path("file"), "whole")).succeeded());
  CHECK(contents(host.path("file")) == "whole");
}

RUNNER_CASE("runner: an effect whose supervisor was killed is an orphan, then lost") {
  auto runner = host.lock();
  const auto id = runner.post(Run{.token = "t1", .program = {.argv = {"sleep", "300"}}});
  CHECK(eventually([&] { return !contents(host.state("e/t1.p")).empty(); }));
  const pid_t program = pid_in(contents(host.state("e/t1.p")));
  CHECK(is_alive(program));
  ::kill(pid_in(contents(host.state("e/t1.s"))), SIGKILL);
  CHECK(runner.expect<TokenState>(id) == TokenState::orphan);
  CHECK(runner.call<TokenState>(End{.token = "t1"}) == TokenState::lost);
  CHECK_FALSE(is_alive(program));
  CHECK(runner.call<TokenState>(Run{.token = "t1", .program = {.argv = {"true"}}}) == TokenState::lost);
  CHECK(runner.call<TokenState>(Forget{.token = "t1"}) == TokenState::absent);
  CHECK(runner.run("t1", {"true"}).succeeded());
}

RUNNER_CASE("runner: of what a lost effect left behind, only the service that it started lives on") {
  auto runner = host.lock();
  const Program program{
      .argv = {"sh", "-c", "setsid sleep 300 >/dev/null 2>&1 </dev/null & echo $! >\"$0\"; exec sleep 300",
               host.path("pid")}};
  const auto lose = [&](const std::string& token, const std::string& id) {
    CHECK(eventually([&] { return !contents(host.path("pid")).empty(); }));
    const pid_t left = pid_in(contents(host.path("pid")));
    const pid_t main = pid_in(contents(host.state("e/" + token + ".p")));
    ::kill(pid_in(contents(host.state("e/" + token + ".s"))), SIGKILL);
    ::kill(main, SIGKILL);
    CHECK(eventually([&] { return !is_alive(main); }));  // else it is an orphan, of which all is ended
    (void)runner.expect<TokenState>(id);
    CHECK(runner.call<TokenState>(End{.token = token}) == TokenState::lost);
    fs::remove(host.path("pid"));
    return left;
  };
  const pid_t of_run = lose("t1", runner.post(Run{.token = "t1", .program = program}));
  CHECK(eventually([&] { return !is_alive(of_run); }));
  const pid_t of_start = lose("t2", runner.post(Start{.token = "t2", .service = "web", .program = program}));
  CHECK(is_alive(of_start));
  ::kill(of_start, SIGKILL);
}

RUNNER_CASE("runner: after a power cut, what was torn never was, and what was running is lost") {
  auto runner = host.lock();
  for (const auto* token : {"t1", "t2", "t3"}) runner.run(token, {"true"});
  const auto started = contents(host.state("e/t1.s"));
  write(host.state("e/t1.s"), started.substr(0, started.size() - 3));
  write(host.state("e/t2.d"), "exit 0");
  fs::remove(host.state("e/t3.d"));
  auto elsewhere = words(contents(host.state("e/t3.s")));
  write(host.state("e/t3.s"), elsewhere[0] + " " + elsewhere[1] + " another-boot L1 1 .\n");
  CHECK(runner.state("t1") == TokenState::absent);
  CHECK(runner.state("t2") == TokenState::lost);
  CHECK(runner.state("t3") == TokenState::lost);
  CHECK(runner.call<TokenState>(Run{.token = "t2", .program = {.argv = {"true"}}}) == TokenState::lost);
  fs::remove(host.state("e/t1.d"));
  CHECK(runner.run_script("t1", "echo anew").output.preview == "anew\n");
}

RUNNER_CASE("runner: an effect that is ended between two tries stays ended") {
  auto runner = host.lock();
  (void)runner.post(Run{.token = "t1", .program = {.argv = {"false"}}, .limit = 300, .every = 100});
  CHECK(eventually(
      [&] { return exists(host.state("e/t1.p")) && !is_alive(pid_in(contents(host.state("e/t1.p")))); }));
  auto second = host.lock();
  CHECK(second.call<Done>(End{.token = "t1"}).how == How::killed);
  CHECK(second.call<TokenState>(End{.token = "t9"}) == TokenState::absent);
}

RUNNER_CASE("runner: random interruptions make no effect happen twice, nor one be forgotten") {
  std::minstd_rand random(20240601);
  const auto below = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
  const auto log = host.path("log");
  const auto end = std::chrono::steady_clock::now() + 7s;
  auto runner = std::make_unique<Runner>(host.lock());
  std::set<std::string> resolved;
  int count = 0;
  for (; std::chrono::steady_clock::now() < end; ++count) {
    auto token = "z" + std::to_string(count);
    Run run{
        .token = token,
        .program = {.argv = {"sh", "-c",
                             "echo " + token + " >>'" + log + "'; sleep 0.0" + std::to_string(below(6))}}};
    if (const auto kind = below(4); kind > 1) run.input = noise(kind == 2 ? 100 : 200'000);
    (void)runner->post(run);
    pause(std::chrono::milliseconds(below(45)));
    const auto how = below(3);
    if (how == 0) runner->kill();
    if (how != 2) runner->hang_up();
    auto next = std::make_unique<Runner>(host.lock());
    runner = std::move(next);
    auto state = runner->state(token, 20'000);
    if (state == TokenState::absent || (!state && runner->call<Done>(run).how == How::fenced)) {
      if (!state) run.token += "b";
      CHECK(runner->call<Done>(run).succeeded());
    } else {
      CHECK_MESSAGE(!state.has_value(), name(state.value_or(TokenState::lost)));
    }
    resolved.insert(token);
  }
  runner->call<Farewell>(Bye{});
  pause(100ms);
  const auto happened = words(contents(log));
  CHECK(std::set<std::string>(happened.begin(), happened.end()) == resolved);
  CHECK(happened.size() == resolved.size());
  MESSAGE(host.shell().name << ": " << count << " interruptions");
}

// ------------------------------------------------------------------ daemons

RUNNER_CASE("runner: a daemon is started, found alive, and stopped with all it started") {
  auto runner = host.lock();
  auto start = daemon_of("t1", "echo $$; sleep 300 & echo $!; setsid sleep 300 & echo said >&2; grep SigIgn "
                               "/proc/self/status; env | grep ^TUTTI_; wait");
  CHECK(runner.call<Done>(start).succeeded());
  runner.call<Done>(entry_of("e1", "web", Probe::daemon));
  CHECK(life_of(runner.call<Manifest>(Read{}), "web") == Life::alive);
  CHECK(eventually(
      [&] { return contents(host.state("s/web.log")).find("TUTTI_SERVICE") != std::string::npos; }));
  const auto log = runner.call<LogTail>(Log{.service = "web", .max = 10'000}).bytes;
  CHECK(log.find("said\n") != std::string::npos);
  CHECK(log.find("TUTTI_SERVICE=" + host.nonce + "/web/\n") != std::string::npos);
  CHECK(log.find("TUTTI_EFFECT") == std::string::npos);
  const auto line = log.find("SigIgn:") + 7;
  CHECK((std::stoull(log.substr(line), nullptr, 16) & ~0x1000000ULL) == 0);
  const auto pids = words(log);
  CHECK(is_alive(pid_in(pids[0])));
  runner.kill();
  runner.hang_up();
  auto second = host.lock();
  CHECK(is_alive(pid_in(pids[0])));
  const auto stopped = second.call<Done>(stop_of("t2"));
  CHECK(stopped.how == How::exit);
  CHECK(stopped.succeeded());
  CHECK_FALSE(is_alive(pid_in(pids[0])));
  CHECK_FALSE(is_alive(pid_in(pids[1])));
  CHECK(life_of(second.call<Manifest>(Read{}), "web") == Life::dead);
  const auto again = second.call<Done>(stop_of("t3"));
  CHECK(again.how == How::absent);
  CHECK(again.succeeded());
}

RUNNER_CASE("runner: a daemon that ignores TERM is killed, and so is what left its session") {
  auto runner = host.lock();
  auto start = daemon_of("t1", "trap '' TERM; echo $$; setsid sh -c 'trap \"\" TERM; echo $$; sleep 300; "
                               "sleep 300' & sleep 300; sleep 300");
  CHECK(runner.call<Done>(start).succeeded());
  CHECK(eventually([&] { return words(contents(host.state("s/web.log"))).size() == 2; }));
  CHECK(runner.call<Done>(stop_of("t2")).succeeded());
  for (const auto& pid : words(contents(host.state("s/web.log")))) CHECK_FALSE(is_alive(pid_in(pid)));
}

// What a daemon has that a stop has to find: in its session, but in a group of its own and with no
// environment of ours; in a session of its own, but with the mark; the same without a parent. The names are
// made to mislead.
Start family_of(const Host& host) {
  const std::string first = "a) S 1 1 1 (";
  const std::string second = "b\n) Z 1 1";
  for (const auto& name : {std::string("session"), first, second})
    fs::create_symlink("/usr/bin/sleep", host.path(name));
  auto start = daemon_of("t1", "");
  start.service = "w.b";
  start.program.argv = {"sh",
                        "-c",
                        "cd \"$0\" && exec >family; echo $$\n"
                        "apart() { exec env -i perl -e 'setpgrp(0, 0); exec @ARGV' \"$1\" 300; }\n"
                        "apart ./session & echo $!; apart \"./$1\" & echo $!; apart \"./$2\" & echo $!\n"
                        "setsid \"./$2\" 300 & echo $!; (setsid ./session 300 & echo $!)\n"
                        "wait",
                        host.folder(),
                        first,
                        second};
  return start;
}

void check_that_a_stop_ends_all(Host& host, const std::vector<std::string>& prefix) {
  auto runner = host.lock(prefix);
  const auto mark = "TUTTI_SERVICE=" + host.nonce + "/w.b/";
  const auto sleeper = [](const std::string& name, const std::string& variable) {
    return Runner({name, "300"}, {variable});
  };
  auto older = sleeper("sleep", mark);  // as of a former start: that was another daemon
  pause(20ms);                          // start times are in hundredths of a second
  const auto start = family_of(host);
  REQUIRE(runner.call<Done>(start).succeeded());
  REQUIRE(eventually([&] { return words(contents(host.path("family"))).size() == 6; }));
  const auto family = words(contents(host.path("family")));
  const auto forged = host.path("c) S 1 " + family[0] + ' ' + family[0] + ' ');
  fs::create_symlink("/usr/bin/sleep", forged);
  auto pretender = sleeper(forged, "A=b");
  auto other = sleeper("sleep", "TUTTI_SERVICE=" + host.nonce + "/wxb/");
  auto stop = stop_of("t2");
  stop.service = "w.b";
  CHECK(runner.call<Done>(stop).succeeded());
  for (const auto& pid : family) CHECK_FALSE(is_alive(pid_in(pid)));
  for (auto* stranger : {&older, &pretender, &other}) CHECK(stranger->living());
}

RUNNER_CASE("runner: a stop ends what is of the daemon's session or bears its mark, and nobody else") {
  check_that_a_stop_ends_all(host, {});
}

RUNNER_CASE("runner: a stop ends the same where grep can't look at all processes") {
  fs::create_directory(host.path("bin"));
  write(host.path("bin/grep"), "#!/bin/sh\nexit 2\n");
  fs::permissions(host.path("bin/grep"), fs::perms(0755));
  check_that_a_stop_ends_all(host, {"env", "PATH=" + host.path("bin") + ':' + host.shell().path});
}

RUNNER_CASE("runner: a stop finds what is its own in a PID namespace where others are hidden from its user") {
  if (!is_root()) return;
  fs::permissions(host.folder(), fs::perms(0777));
  std::vector<std::string> alone = {"unshare",
                                    "--fork",
                                    "--pid",
                                    "--mount-proc",
                                    "--kill-child",
                                    "sh",
                                    "-c",
                                    "mount -o remount,hidepid=2 /proc && exec \"$@\"",
                                    "sh"};
  auto trial = alone;
  trial.emplace_back("true");
  if (Runner(trial, {}).wait() != 0) {
    MESSAGE("skipped: needs to be allowed a PID namespace");
    return;
  }
  alone.insert(alone.end(),
               {"/usr/bin/setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"});
  auto runner = host.lock(alone);
  auto start = daemon_of("t1", "setsid sleep 300 & wait");
  start.program.env = {{"FAMILY", host.path("")}};
  CHECK(runner.call<Done>(start).succeeded());
  const auto family = [&] { return bearers("FAMILY=" + host.path("")); };
  CHECK(eventually([&] { return family().size() == 2; }));
  CHECK(runner.call<Done>(stop_of("t2")).succeeded());
  CHECK(family().empty());
}

// In a namespace of processes whose first is of a session outside, all that make no session have session 0.
RUNNER_CASE("runner (root): what a dead daemon left is killed, and nothing else, in a session without a name "
            "either") {
  if (!is_root()) return;
  if (std::system("unshare --pid --fork --mount-proc true 2>/dev/null") != 0) {
    MESSAGE("skipped: no namespace of processes with a /proc of its own can be had here");
    return;
  }
  const auto bystander = "(until [ -e '" + host.path("left") +
                         "' ]; do sleep 0.1; done; sleep 300 & echo $! >'" + host.path("bystander") +
                         "'; wait) & exec \"$@\"";
  auto runner = host.lock({"unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", bystander, "sh"});
  CHECK(runner
            .call<Done>(daemon_of("t1", "setsid sh -c 'echo $$; sleep 300' & sleep 0.5; echo >'" +
                                            host.path("left") + "'; sleep 0.5; exit 3"))
            .succeeded());
  CHECK(eventually([&] { return contents(host.path("bystander")).ends_with('\n'); }));
  CHECK(eventually([&] { return contents(host.state("s/web.exit")) == "3 .\n"; }));
  const auto bystanders = std::to_string(pid_in(contents(host.path("bystander"))));
  const auto left = std::to_string(pid_in(contents(host.state("s/web.log"))));
  CHECK(runner.run_script("t2", "kill -0 " + left).status == 0);
  CHECK(words(runner.run_script("t3", "cat /proc/" + bystanders + "/stat").output.preview).at(5) == "0");
  CHECK(runner.call<Done>(stop_of("t4")).how == How::absent);
  CHECK(runner.run_script("t5", "kill -0 " + left).status != 0);
  CHECK(runner.run_script("t6", "kill -0 " + bystanders).status == 0);
}

RUNNER_CASE("runner: a long log is put aside when a daemon starts, and only its end is fetched") {
  auto runner = host.lock();
  write(host.state("s/web.log"), std::string(1'100'000, 'x'));
  CHECK(runner.call<Done>(daemon_of("t1", "echo anew; exec sleep 300")).succeeded());
  CHECK(eventually([&] { return contents(host.state("s/web.log")) == "anew\n"; }));
  CHECK(fs::file_size(host.state("s/web.log.1")) == 1'100'000);
  CHECK(runner.call<LogTail>(Log{.service = "web", .max = 3}).bytes == "ew\n");
}

RUNNER_CASE("runner: nothing is started when a file of it can't be given to its owner") {
  auto runner = host.lock();
  runner.call<ItemStored>(item_of("aaa-conf", "port = 80\n"));
  Start start{.token = "t1", .service = "web", .daemon = true, .program = {.argv = {"sleep", "300"}}};
  start.files = {{.item = "aaa-conf", .path = host.path("conf"), .mode = 0640, .owner = "no-such-user"}};
  const auto done = runner.call<Done>(start);
  CHECK(done.how == How::error);
  CHECK(done.error.preview.find("cannot write " + host.path("conf") +
                                ": it can't be given to no-such-user") == 0);
  CHECK_FALSE(exists(host.path("conf")));
  CHECK_FALSE(exists(host.state("s/web.daemon")));
}

RUNNER_CASE("runner: starting makes directories and installs items") {
  auto runner = host.lock();
  CHECK(runner.call<Missing>(Items{.names = {"aaa-conf", "bbb-tool"}}).names ==
        std::vector<std::string>{"aaa-conf", "bbb-tool"});
  runner.call<ItemStored>(item_of("aaa-conf", "port = 80\n"));
  runner.call<ItemStored>(item_of("bbb-tool", "#!/bin/sh\necho tool\n", 0555));
  const auto conf = host.path("etc/a folder/web.conf");
  Start start{.token = "t1", .service = "web", .directories = {{.path = host.path("data/of web")}}};
  start.files = {{.item = "aaa-conf", .path = conf, .mode = 0640},
                 {.item = "bbb-tool", .path = host.path("tool"), .mode = 0755}};
  const bool can_give = is_root();
  if (can_give) {
    start.directories[0].owner = "nobody";
    start.files[0].owner = "nobody";
  }
  CHECK(runner.call<Done>(start).succeeded());
  CHECK(contents(conf) == "port = 80\n");
  CHECK(mode_of(conf) == 0640);
  CHECK(mode_of(host.path("tool")) == 0755);
  CHECK(mode_of(host.path("data/of web")) == 0755);
  CHECK(mode_of(host.path("etc/a folder")) == 0755);
  if (can_give) {
    struct stat status {};
    REQUIRE(stat(conf.c_str(), &status) == 0);
    CHECK(status.st_uid == 65534);
    CHECK(status.st_gid == 65534);
    REQUIRE(stat(host.path("data/of web").c_str(), &status) == 0);
    CHECK(status.st_uid == 65534);
    REQUIRE(stat(host.path("data").c_str(), &status) == 0);
    CHECK(status.st_uid == 0);
  }
  CHECK(std::distance(fs::directory_iterator(host.path("etc/a folder")), {}) == 1);
  start.token = "t2";
  start.files[0].item = "ccc-none";
  auto done = runner.call<Done>(start);
  CHECK(done.how == How::error);
  CHECK(done.error.preview == "there is no item ccc-none in " + host.store() + "\n");
  CHECK(contents(conf) == "port = 80\n");
  start.token = "t3";
  start.files[0] = {.item = "aaa-conf", .path = host.path("data")};
  CHECK(runner.call<Done>(start).error.preview ==
        host.path("data") + " is a directory, and a file is to be there\n");
  start.token = "t4";
  start.files.clear();
  start.directories = {{.path = "/proc/none"}};
  CHECK(runner.call<Done>(start).error.preview.find("cannot make the directory /proc/none") == 0);
}

RUNNER_CASE(
    "runner: a check that gives no answer ends a stop at its own limit, and nothing is said to be gone") {
  auto runner = host.lock();
  Stop stop{.token = "t1",
            .service = "db",
            .gone = true,
            .program = {.argv = {"true"}},
            .check = {"sleep", "300"},
            .check_limit = 0.5,
            .limit = 300};
  auto done = runner.call<Done>(stop);
  CHECK(done.how == How::error);
  CHECK(done.error.preview ==
        "whether db lives is not known: its alive? (or validate) did not end within 0.50 s\n");
  stop.token = "t2";
  stop.program.argv = {"false"};
  done = runner.call<Done>(stop);
  CHECK_FALSE(done.succeeded());
  CHECK(done.error.preview.find("whether db lives is not known") != std::string::npos);
  stop.check_limit = 10;
  int n = 2;
  for (const char* script : {"kill -9 $$", "exit 127", "exit 126"}) {
    stop.token = "t" + std::to_string(++n);
    stop.check = {"sh", "-c", script};
    done = runner.call<Done>(stop);
    CHECK_FALSE(done.succeeded());
    CHECK(done.error.preview.find("whether db lives is not known") != std::string::npos);
  }
}

// ------------------------------------------------------------------ files and items

RUNNER_CASE("runner: a file is put in one step and fetched again") {
  auto runner = host.lock();
  const auto bytes = noise((std::size_t{3} << 20) + 5);
  const auto path = host.path("a f%ile\n" + std::string("\xff"));
  for (int i = 0; i < 2; ++i) CHECK(runner.call<Done>(put_of("p1", path, bytes, 0600)).succeeded());
  CHECK(contents(path) == bytes);
  CHECK(mode_of(path) == 0600);
  const auto got = runner.call<Got>(Get{.path = path, .max = std::size_t{1} << 30});
  CHECK(got.bytes == bytes);
  CHECK(got.sha256 == tutti::sha256(bytes));
  CHECK(runner.call<Failed>(Get{.path = path, .max = 1000}).why.find("larger than the limit of 1000 bytes") !=
        std::string::npos);
  CHECK(runner.call<Failed>(Get{.path = "/no/such file%\n", .max = 1000})
            .why.find("cannot read /no/such file%\n:") == 0);
  write(host.path("empty"), "");
  CHECK(runner.call<Got>(Get{.path = host.path("empty"), .max = 0}).bytes.empty());
  auto done = runner.call<Done>(put_of("p2", host.path("nodir/x"), bytes));
  CHECK(done.how == How::error);
  CHECK(done.error.preview == "there is no directory " + host.path("nodir/") + "\n");
  CHECK(runner.call<Done>(put_of("p3", host.path("state"), "x")).error.preview ==
        host.path("state") + " is a directory\n");
  auto damaged = put_of("p4", path, "abc");
  damaged.bytes = "abd";
  done = runner.call<Done>(damaged);
  CHECK(done.error.preview == "the content for " + path + " arrived damaged\n");
  CHECK(contents(path) == bytes);
  CHECK(runner.call<Done>(put_of("p5", "relative", "x")).how == How::error);
  CHECK(std::distance(fs::directory_iterator(host.folder()), {}) == 3);  // the file, the empty one, the state
}

RUNNER_CASE("runner: a file that was put is taken back") {
  auto runner = host.lock();
  const auto path = host.path("conf");
  write(path, "old");
  fs::permissions(path, fs::perms(0604));
  CHECK(runner.call<Done>(put_of("p1", path, "new")).succeeded());
  CHECK(contents(path) == "new");
  for (const auto* token : {"u1", "u1", "u2"}) {
    CHECK(runner.call<Done>(Unput{.token = token, .of = "p1", .path = path}).succeeded());
    CHECK(contents(path) == "old");
    CHECK(mode_of(path) == 0604);
  }
  const auto fresh = host.path("fresh");
  CHECK(runner.call<Done>(put_of("p2", fresh, "new")).succeeded());
  for (const auto* token : {"u3", "u4"}) {
    CHECK(runner.call<Done>(Unput{.token = token, .of = "p2", .path = fresh}).succeeded());
    CHECK_FALSE(exists(fresh));
  }
  CHECK(runner.call<Done>(Unput{.token = "u5", .of = "p9", .path = path}).how == How::absent);
  CHECK(runner.call<Done>(Unput{.token = "u7", .of = "p9", .path = host.folder()}).how ==
        How::absent);  // nothing was put
  CHECK(contents(path) == "old");
  const auto link = host.path("link");
  fs::create_symlink("conf", link);
  CHECK(runner.call<Done>(put_of("p3", link, "new")).succeeded());
  CHECK(contents(path) == "old");
  CHECK(runner.call<Done>(Unput{.token = "u6", .of = "p3", .path = link}).succeeded());
  CHECK(fs::is_symlink(link));
  CHECK(runner.call<Done>(put_of("p4", path, "")).succeeded());
  CHECK(contents(path).empty());
}

RUNNER_CASE("runner: a put that was interrupted after the file was replaced still knows the former one") {
  auto runner = host.lock();
  const auto path = host.path("conf");
  write(path, "old");
  runner.call<Done>(put_of("p1", path, "new"));
  fs::remove(host.state("e/p1.s"));  // as if the runner had been killed just before the record
  fs::remove(host.state("e/p1.d"));
  CHECK(runner.state("p1") == TokenState::absent);
  runner.call<Done>(put_of("p1", path, "new"));
  runner.call<Done>(Unput{.token = "u1", .of = "p1", .path = path});
  CHECK(contents(path) == "old");
}

RUNNER_CASE("runner: an item is whole and read-only, or not there") {
  auto runner = host.lock();
  const auto bytes = noise(2'000'000);
  auto damaged = bytes;
  damaged[17] = static_cast<char>(damaged[17] ^ 1);
  auto item = item_of("abc-data", bytes);
  item.bytes = damaged;
  CHECK(runner.call<Failed>(item).why == "item abc-data arrived damaged");
  CHECK(fs::is_empty(host.store()));
  CHECK(mode_of(host.store()) == 0755);
  for (int i = 0; i < 2; ++i) runner.call<ItemStored>(item_of("abc-data", bytes));
  CHECK(contents(host.store() + "/abc-data") == bytes);
  CHECK(mode_of(host.store() + "/abc-data") == 0444);
  CHECK(runner.call<Missing>(Items{.names = {"abc-data", "x"}}).names == std::vector<std::string>{"x"});
  CHECK(runner.call<Missing>(Items{}).names.empty());
  const std::string longest(160, 'n');
  runner.call<ItemStored>(item_of(longest, ""));
  CHECK(exists(host.store() + '/' + longest));
  runner.send("ITEM i1 name=cut len=1000 sha=x\nabc");
  runner.hang_up();
  runner.wait();
  auto second = host.lock();
  CHECK(second.call<Missing>(Items{.names = {"cut"}}).names.size() == 1);
}

// ------------------------------------------------------------------ bootstrap

RUNNER_CASE("runner: the bootstrap brings it to a host once") {
  const auto folder =
      fs::canonical(fs::temp_directory_path()).string() + "/tutti-bootstrap-" + std::to_string(getpid());
  const std::string text(tutti::runner_text);
  const auto command = bootstrap(folder, tutti::sha256(text), text.size());
  CHECK(command.find('\'') == std::string::npos);
  const auto begin = [&](const std::string& script) {
    auto words = host.shell().command;
    words.insert(words.end(), {"-c", script});
    return Runner(words, {"PATH=" + host.shell().path, "TUTTI_TEST_HOST=" + host.folder()});
  };
  {
    auto first = begin(command);
    CHECK(first.expect<Bootstrapped>("").need);
    first.send(std::string(text.size(), 'x'));
    const auto ended = first.expect<Ended>("");
    CHECK(ended.why == "bootstrap");
    CHECK(ended.detail.find("the runner arrived damaged") == 0);
  }
  for (int i = 0; i < 2; ++i) {
    auto runner = begin(i == 0 ? command : "sh -c '" + command + "'");
    CHECK(runner.expect<Bootstrapped>("").need == (i == 0));
    if (i == 0) runner.send(text);
    runner.send(encode(Hello{.site = "shop"}));
    CHECK(runner.expect<Greeting>("").uid == geteuid());
    CHECK_FALSE(runner.call<Manifest>(Read{}).fence.has_value());
    runner.call<Farewell>(Bye{});
  }
  CHECK(mode_of(folder + "/runner") == 0700);
  CHECK(std::distance(fs::directory_iterator(folder + "/runner"), {}) == 1);
  fs::remove_all(folder);
  auto refused = begin(bootstrap("/proc/none", tutti::sha256(text), text.size()));
  CHECK(refused.expect<Ended>("").detail.find("cannot make /proc/none/runner: ") == 0);
}

}  // namespace
