// SPDX-License-Identifier: LGPL-3.0-or-later
// What the user of a service may try with the folders that are its own: nothing outside of them is read,
// written, kept or removed, whatever stands there, and whenever it is swapped.

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>

#include <doctest/doctest.h>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/case.hpp"

using namespace tutti::frames;
using namespace tutti::frames::testing;
namespace fs = std::filesystem;

namespace {

constexpr unsigned nobody = 65534;
constexpr auto secret_bytes = "what only root may read\n";

void give(const std::string& path) { REQUIRE(lchown(path.c_str(), nobody, nobody) == 0); }

/// HOST/data/sub/x of the user's, and HOST/secret/x of root's, into which nothing may lead.
class Scene {
 public:
  explicit Scene(Host& host) : host_(host), runner_(host.lock()) {
    fs::create_directories(host.path("secret"));
    write(secret(), secret_bytes);
    fs::permissions(secret(), fs::perms(0600));
    runner_.call<ItemStored>(item_of("a", "of a\n"));
    before_ = look();
  }
  [[nodiscard]] std::string secret() const { return host_.path("secret/x"); }
  [[nodiscard]] std::string sub() const { return host_.path("data/sub"); }
  [[nodiscard]] std::string x() const { return sub() + "/x"; }

  /// The user's folders, new.
  void reset() {
    fs::remove_all(host_.path("data"));
    fs::create_directories(sub());
    give(host_.path("data"));
    give(sub());
  }
  /// One of everything that is done to files. What the host said of those that failed.
  std::string try_all() {
    std::string said;
    for (int kind = 0; kind < kinds; ++kind) said += try_one(kind);
    return said;
  }
  static constexpr int kinds = 5;
  std::string try_one(int kind) {
    const std::string token = fmt::format("t{}", ++tokens_);
    if (kind == 0) {
      put_ = token;
      auto put = put_of(token, x(), "put\n");
      put.user = "nobody";
      return said(runner_.call<Done>(put));
    }
    if (kind == 1) {
      const auto id = runner_.post(Get{.path = x(), .max = 1000, .user = "nobody"});
      const auto reply = runner_.next();
      REQUIRE(reply);
      if (const auto* got = std::get_if<Got>(&reply->answer)) {
        CHECK(got->bytes != secret_bytes);
        return "";
      }
      return std::get<Failed>(reply->answer).why + '\n';
    }
    if (kind == 2)
      return said(runner_.call<Done>(Unput{.token = token, .of = put_, .path = x(), .user = "nobody"}));
    Files files{.token = token, .service = "web", .user = "nobody", .gone = kind == 4};
    if (kind == 3) files.files = {{.item = "a", .path = x()}};
    return said(runner_.call<Done>(files));
  }
  /// Nothing outside is another than it was, and nothing of it came to us.
  void check_untouched() {
    CHECK(look() == before_);
    for (const auto& entry : fs::recursive_directory_iterator(host_.path("state")))
      if (entry.is_regular_file() && !entry.is_symlink())
        CHECK_MESSAGE(contents(entry.path()).find(secret_bytes) == std::string::npos, entry.path());
  }

 private:
  static std::string said(const Done& done) { return done.succeeded() ? "" : done.error.preview; }
  [[nodiscard]] std::map<std::string, std::string> look() const {
    std::map<std::string, std::string> all;
    for (const auto& name : {host_.path("secret"), secret()}) {
      struct stat status {};
      REQUIRE(lstat(name.c_str(), &status) == 0);
      all[name] = fmt::format("{:o} {} {} {}.{} {}", status.st_mode, status.st_uid, status.st_size,
                              status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ino);
    }
    all["bytes"] = contents(secret());
    all["names"] = std::to_string(std::distance(fs::directory_iterator(host_.path("secret")), {}));
    return all;
  }

  Host& host_;
  Runner runner_;
  std::map<std::string, std::string> before_;
  std::string put_ = "none";
  int tokens_ = 0;
};

}  // namespace

RUNNER_CASE(
    "attacks: whatever the user places, nothing outside is touched, and what is in the way is named") {
  if (!is_root()) return;
  Scene scene(host);
  const auto sub = scene.sub(), x = scene.x(), secret = host.path("secret");
  const auto instead = [&](const std::string& target) {
    fs::remove(sub);
    fs::create_symlink(target, sub);
    give(sub);
  };
  const auto link = [&](const std::string& target) {
    fs::create_symlink(target, x);
    give(x);
  };
  struct Trap {
    const char* what;
    std::function<void()> set;
    std::string named;  ///< in what is said; empty: there is nothing that must fail
  };
  const Trap traps[] = {
      {"a link as folder", [&] { instead(secret); }, sub + " is a link"},
      {"a relative link as folder", [&] { instead("../secret"); }, sub + " is a link"},
      {"a link to all devices", [&] { instead("/dev"); }, sub + " is a link"},
      {"a chain of links",
       [&] {
         fs::create_symlink(secret, host.path("data/l0"));
         for (int i = 1; i < 60; ++i)
           fs::create_symlink(fmt::format("l{}", i - 1), host.path(fmt::format("data/l{}", i)));
         instead("l59");
       },
       sub + " is a link"},
      {"a link that leads to itself", [&] { instead("sub"); }, sub + " is a link"},
      {"a FIFO as folder",
       [&] {
         fs::remove(sub);
         REQUIRE(mkfifo(sub.c_str(), 0666) == 0);
         give(sub);
       },
       sub + " is no directory"},
      {"a link as file", [&] { link(secret + "/x"); }, ""},
      {"a link to a device as file", [&] { link("/dev/zero"); }, ""},
      {"a hard link to what he may not read",
       [&] { REQUIRE(::link(scene.secret().c_str(), x.c_str()) == 0); }, "nobody may not read " + x},
      {"a FIFO as file",
       [&] {
         REQUIRE(mkfifo(x.c_str(), 0666) == 0);
         give(x);
       },
       x + " is no plain file"},
      {"a device as file",
       [&] {
         REQUIRE(mknod(x.c_str(), S_IFCHR | 0666, makedev(1, 5)) == 0);
         give(x);
       },
       x + " is no plain file"},
      {"a directory as file", [&] { fs::create_directories(x); }, x + " is a directory"}};
  for (const auto& [what, set, named] : traps) {
    CAPTURE(what);
    scene.reset();
    set();
    const auto said = scene.try_all();
    CHECK_MESSAGE(said.find(named) != std::string::npos, said);
    scene.reset();  // a hard link is one name more of the secret
    scene.check_untouched();
  }
}

// A process of the user's swaps folder and file for links as fast as it can, while all is done to them.
TEST_CASE("attacks: a folder that is swapped for a link at any moment leads nowhere") {
  if (!is_root()) return;
  const char* asked = std::getenv("TUTTI_ATTACKS");
  const int rounds = asked != nullptr ? std::atoi(asked) : 150;
  Host host(shells().front());
  Scene scene(host);
  scene.reset();
  const std::string sub = scene.sub(), aside = sub + ".real", x = scene.x(), secret = host.path("secret");
  const pid_t swapper = fork();
  REQUIRE(swapper >= 0);
  if (swapper == 0) {
    std::signal(SIGTERM, SIG_DFL);
    if (setgid(nobody) != 0 || setuid(nobody) != 0) _exit(1);
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // not longer than the test, whatever ends that
    for (;;) {
      (void)!rename(sub.c_str(), aside.c_str());
      (void)!symlink(secret.c_str(), sub.c_str());
      (void)!unlink(sub.c_str());
      (void)!rename(aside.c_str(), sub.c_str());
      (void)!unlink(x.c_str());
      (void)!symlink((secret + "/x").c_str(), x.c_str());
      (void)!unlink(x.c_str());
      if (const int file = open(x.c_str(), O_CREAT | O_WRONLY | O_NOFOLLOW, 0644); file >= 0) close(file);
    }
  }
  int failed = 0;
  for (int i = 0; i < rounds; ++i) failed += scene.try_one(i % Scene::kinds).empty() ? 0 : 1;
  kill(swapper, SIGKILL);
  waitpid(swapper, nullptr, 0);
  scene.check_untouched();
  MESSAGE(fmt::format("{} of {} were refused", failed, rounds));
  CHECK(failed < rounds);
}
