// SPDX-License-Identifier: LGPL-3.0-or-later
// The files of a service: what stood before them, and what comes back.

#include <filesystem>
#include <map>
#include <optional>

#include <doctest/doctest.h>

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/case.hpp"

using namespace tutti::frames;
using namespace tutti::frames::testing;
namespace fs = std::filesystem;

namespace {

constexpr unsigned nobody = 65534;

Files files_of(std::string token, std::vector<InstalledFile> files, std::string service = "web") {
  return {.token = std::move(token), .service = std::move(service), .files = std::move(files)};
}

/// All below a folder: kind, mode, owner and content or target, by path.
std::map<std::string, std::string> tree(const std::string& folder) {
  std::map<std::string, std::string> all;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    struct stat status {};
    REQUIRE(lstat(entry.path().c_str(), &status) == 0);
    std::string what = fmt::format("{:o} {} ", status.st_mode, status.st_uid);
    if (entry.is_symlink())
      what += fs::read_symlink(entry.path()).string();
    else if (entry.is_regular_file())
      what += fmt::format("{} {}", status.st_mtime, contents(entry.path()));
    all[entry.path().string().substr(folder.size())] = what;
  }
  return all;
}

/// A runner, and the items a and b in its store.
Runner with_items(Host& host, const std::vector<std::string>& prefix = {}) {
  auto runner = host.lock(prefix);
  runner.call<ItemStored>(item_of("a", "of a\n"));
  runner.call<ItemStored>(item_of("b", "of b\n"));
  return runner;
}

/// Files and links that are not ours, in HOST/etc.
void make_foreign(const Host& host) {
  fs::create_directories(host.path("etc/conf.d"));
  write(host.path("etc/x"), "precious\n");
  fs::permissions(host.path("etc/x"), fs::perms(0640));
  fs::last_write_time(host.path("etc/x"), fs::file_time_type::clock::now() - std::chrono::hours(24 * 400));
  fs::create_symlink("/no where/at all:", host.path("etc/a link"));
  fs::create_directory_symlink("conf.d", host.path("etc/dir link"));
  write(host.path("etc/conf.d/1"), "first\n");
}

std::vector<std::string> kept(const Host& host) {
  std::vector<std::string> names;
  if (exists(host.state("k")))
    for (const auto& entry : fs::directory_iterator(host.state("k")))
      names.push_back(entry.path().filename());
  return names;
}

/// What was kept aside of a path, where a line of standard error says so.
std::string kept_aside(const Done& done, const std::string& path) {
  const std::string begin = "kept aside: " + path + ", changed since we wrote it, is now ";
  const auto at = done.error.preview.find(begin);
  if (at == std::string::npos) return "nothing was said of " + path + ": " + done.error.preview;
  const auto end = done.error.preview.find('\n', at);
  return contents(done.error.preview.substr(at + begin.size(), end - at - begin.size()));
}

}  // namespace

RUNNER_CASE("files: what stood there comes back as it was: a file, a link, nothing") {
  make_foreign(host);
  const auto before = tree(host.path("etc"));
  auto runner = with_items(host);
  const std::vector<InstalledFile> all = {
      {.item = "a", .path = host.path("etc/x"), .mode = 0644},
      {.item = "b", .path = host.path("etc/a link"), .mode = 0600},
      {.item = "b", .path = host.path("etc/dir link")},
      {.item = "a", .path = host.path("etc/new %\n/deep/y"), .mode = 04755}};
  CHECK(runner.call<Done>(files_of("t1", all)).succeeded());
  CHECK(contents(host.path("etc/x")) == "of a\n");
  CHECK(mode_of(host.path("etc/x")) == 0644);
  CHECK_FALSE(fs::is_symlink(host.path("etc/a link")));
  CHECK(mode_of(host.path("etc/a link")) == 0600);
  CHECK(contents(host.path("etc/dir link")) == "of b\n");
  CHECK(mode_of(host.path("etc/new %\n/deep/y")) == 04755);
  CHECK(std::distance(fs::directory_iterator(host.path("etc/conf.d")), {}) == 1);
  CHECK(kept(host).size() == 3);
  CHECK(runner.call<Done>(files_of("t2", all)).succeeded());
  CHECK(runner.call<Done>(files_of("t3", {all[3], {.item = "b", .path = all[0].path}})).succeeded());
  CHECK(contents(host.path("etc/x")) == "of b\n");
  CHECK(fs::is_symlink(host.path("etc/a link")));
  CHECK(runner.call<Done>(Files{.token = "t4", .service = "web", .gone = true}).succeeded());
  CHECK(tree(host.path("etc")) == before);
  CHECK(kept(host).empty());
}

RUNNER_CASE("files: what somebody changed since is kept aside in our folder, and said") {
  make_foreign(host);
  const auto before = tree(host.path("etc"));
  auto runner = with_items(host);
  const InstalledFile x{.item = "a", .path = host.path("etc/x")};
  const InstalledFile y{.item = "a", .path = host.path("etc/conf.d/y")};
  CHECK(runner.call<Done>(files_of("t1", {x, y})).error.preview.empty());
  write(x.path, "edited\n");
  fs::remove(y.path);
  fs::create_symlink("elsewhere", y.path);
  auto done = runner.call<Done>(files_of("t2", {x, y}));
  CHECK(done.succeeded());
  CHECK(kept_aside(done, x.path) == "edited\n");
  CHECK(contents(x.path) == "of a\n");
  CHECK(contents(y.path) == "of a\n");
  write(y.path, "edited too\n");
  fs::remove(x.path);
  done = runner.call<Done>(files_of("t3", {}));
  CHECK(done.succeeded());
  CHECK(kept_aside(done, y.path) == "edited too\n");
  CHECK(tree(host.path("etc")) == before);
}

RUNNER_CASE("files: a path that passes to another service hands on what stood there, and may come back") {
  make_foreign(host);
  const auto before = tree(host.path("etc"));
  auto runner = with_items(host);
  const InstalledFile of_web{.item = "a", .path = host.path("etc/x"), .mode = 0600};
  const InstalledFile of_db{.item = "b", .path = host.path("etc/x")};
  CHECK(runner.call<Done>(files_of("t1", {of_web})).succeeded());
  CHECK(runner.call<Done>(files_of("t2", {of_db}, "db")).succeeded());
  CHECK(contents(of_db.path) == "of b\n");
  CHECK(kept(host).size() == 1);
  SUBCASE("back, as long as the giver still wants it") {
    CHECK(runner.call<Done>(files_of("t3", {}, "db")).succeeded());
    CHECK(contents(of_db.path) == "of a\n");
    CHECK(mode_of(of_db.path) == 0600);
    CHECK(runner.call<Done>(files_of("t4", {})).succeeded());
  }
  SUBCASE("not back, when it does not") {
    CHECK(runner.call<Done>(files_of("t3", {})).succeeded());
    CHECK(contents(of_db.path) == "of b\n");
    CHECK(runner.call<Done>(files_of("t4", {}, "db")).succeeded());
  }
  SUBCASE("and an edit is kept aside on the way") {
    write(of_db.path, "edited\n");
    CHECK(kept_aside(runner.call<Done>(files_of("t3", {}, "db")), of_db.path) == "edited\n");
    CHECK(contents(of_db.path) == "of a\n");
    CHECK(runner.call<Done>(files_of("t4", {})).succeeded());
  }
  CHECK(tree(host.path("etc")) == before);
  CHECK(contents(host.state("files")).find(host.path("etc")) == std::string::npos);
}

RUNNER_CASE("files: a path of another site is refused with both names, and nothing is changed") {
  make_foreign(host);
  auto runner = with_items(host);
  CHECK(runner.call<Done>(files_of("t1", {{.item = "a", .path = host.path("etc/x")}})).succeeded());
  auto other = host.connect({}, "two");
  (void)other.call<Locked>(Lock{.lineage = "L2", .epoch = 1, .holder = "bob"});
  const auto before = tree(host.path("etc"));
  const auto done = other.call<Done>(files_of(
      "t1", {{.item = "a", .path = host.path("etc/new")}, {.item = "b", .path = host.path("etc/x")}}, "db"));
  CHECK(done.how == How::error);
  CHECK(done.error.preview == host.path("etc/x") +
                                  " belongs to service 'web' of site 'shop' on this host; service 'db' of "
                                  "site 'two' can't have it: change its path, or remove it there first\n");
  CHECK(tree(host.path("etc")) == before);
  CHECK_FALSE(exists(host.path("state/site-two/files")));
  const auto found = other.call<Manifest>(Read{.paths = {{"db", host.path("etc/x")}}}).paths;
  REQUIRE(found.size() == 1);
  CHECK(found[0].what == Stands::site);
  CHECK(found[0].site == "shop");
  CHECK(found[0].service == "web");
  const auto own =
      runner.call<Manifest>(Read{.paths = {{"db", host.path("etc/x")}, {"web", host.path("etc/x")}}});
  REQUIRE(own.paths.size() == 1);
  CHECK(own.paths[0].what == Stands::service);
  CHECK(own.paths[0].service == "web");
}

RUNNER_CASE(
    "files: what a service had before there was a record is ours where it is what we would have written") {
  fs::create_directories(host.path("etc"));
  write(host.path("etc/same"), "of a\n");
  write(host.path("etc/gone"), "of a\n");
  write(host.path("etc/edited"), "of a, edited\n");
  auto runner = with_items(host);
  auto frame = files_of("t1", {{.item = "b", .path = host.path("etc/same")}});
  for (const char* name : {"etc/same", "etc/gone", "etc/edited"})
    frame.adopt.push_back({.item = "a", .path = host.path(name)});
  CHECK(runner.call<Done>(frame).succeeded());
  CHECK(contents(host.path("etc/same")) == "of b\n");
  CHECK_FALSE(exists(host.path("etc/gone")));
  CHECK(contents(host.path("etc/edited")) == "of a, edited\n");
  write(host.path("etc/gone"), "of a\n");  // by somebody else, now that there is a record
  frame.token = "t2";
  CHECK(runner.call<Done>(frame).succeeded());
  CHECK(contents(host.path("etc/gone")) == "of a\n");
  CHECK(runner.call<Done>(Files{.token = "t3", .service = "web", .gone = true}).succeeded());
  CHECK_FALSE(exists(host.path("etc/same")));
}

RUNNER_CASE("files: directories that we made go when they are empty, and not before") {
  auto runner = with_items(host);
  const InstalledFile x{.item = "a", .path = host.path("one/two/x")};
  const InstalledFile y{.item = "a", .path = host.path("one/three/y")};
  CHECK(runner.call<Done>(files_of("t1", {x})).succeeded());
  CHECK(runner.call<Done>(files_of("t2", {y}, "db")).succeeded());
  write(host.path("one/three/foreign"), "");
  CHECK(runner.call<Done>(files_of("t3", {}, "db")).succeeded());
  CHECK(exists(host.path("one/three/foreign")));
  CHECK(runner.call<Done>(files_of("t4", {})).succeeded());
  CHECK_FALSE(exists(host.path("one/two")));
  CHECK(exists(host.path("one/three/foreign")));
  fs::remove(host.path("one/three/foreign"));
  CHECK(runner.call<Done>(files_of("t5", {y})).succeeded());
  CHECK(runner.call<Done>(files_of("t6", {})).succeeded());
  CHECK_FALSE(exists(host.path("one")));
}

RUNNER_CASE("files: what can't be is refused before anything is changed") {
  make_foreign(host);
  REQUIRE(mkfifo(host.path("etc/fifo").c_str(), 0644) == 0);
  auto runner = with_items(host);
  CHECK(runner.call<Done>(files_of("t1", {{.item = "a", .path = host.path("etc/old")}})).succeeded());
  const auto before = tree(host.path("etc"));
  const InstalledFile good{.item = "b", .path = host.path("etc/x")};
  int n = 1;
  const auto refused = [&](const InstalledFile& bad) {
    const auto done = runner.call<Done>(files_of(fmt::format("t{}", ++n), {good, bad}));
    CHECK(done.how == How::error);
    CHECK(tree(host.path("etc")) == before);
    return done.error.preview;
  };
  CHECK(
      refused({.item = "a", .path = host.path("etc/conf.d")}).find(" is a directory, and a file is to be") !=
      std::string::npos);
  CHECK(refused({.item = "a", .path = host.path("etc/fifo")}).find("is no plain file") != std::string::npos);
  CHECK(refused({.item = "c", .path = host.path("etc/y")}).find("there is no item c in ") == 0);
  CHECK(refused({.item = "a", .path = host.path("etc/x/y")}).find(host.path("etc/x") + " is no directory") ==
        0);
  CHECK(refused({.item = "a", .path = host.path("etc/y/")}).find("is no path of a file") !=
        std::string::npos);
  CHECK(refused({.item = "a", .path = "etc/y"}).find("is no absolute path") != std::string::npos);
  CHECK(refused(good).find("two files of web are to be at ") == 0);
}

RUNNER_CASE("files: starting gives a service exactly its files, or only adds beside what may still run") {
  auto runner = with_items(host);
  Start start{.token = "t1", .service = "web", .files = {{.item = "a", .path = host.path("conf.d/a")}}};
  start.program.argv = {"sh", "-c", "ls '" + host.path("conf.d") + "'"};
  CHECK(runner.call<Done>(start).output.preview == "a\n");
  start.files[0].path = host.path("conf.d/b");
  start.token = "t2", start.release = false;
  CHECK(runner.call<Done>(start).output.preview == "a\nb\n");
  start.token = "t3", start.release = true;
  CHECK(runner.call<Done>(start).output.preview == "b\n");
  write(host.path("conf.d/b"), "edited\n");
  start.token = "t4";
  start.program.argv = {"sh", "-c", "echo said >&2; exit 3"};
  const auto done = runner.call<Done>(start);
  CHECK(done.status == 3);
  CHECK(done.error.preview.find("said\n") == 0);
  CHECK(kept_aside(done, host.path("conf.d/b")) == "edited\n");
  start.token = "t5", start.files.clear(), start.release = false, start.program.argv.clear();
  CHECK(runner.call<Done>(start).succeeded());  // directories alone
  CHECK(exists(host.path("conf.d/b")));
}

RUNNER_CASE("files: a link on the way that root placed is followed") {
  fs::create_directories(host.path("real/etc"));
  fs::create_directory_symlink("real/../real", host.path("link"));
  fs::create_directory_symlink(host.path("link/etc"), host.path("absolute"));
  write(host.path("real/etc/x"), "precious\n");
  auto runner = with_items(host);
  CHECK(runner.call<Done>(files_of("t1", {{.item = "a", .path = host.path("link/etc/x")}})).succeeded());
  CHECK(contents(host.path("real/etc/x")) == "of a\n");
  CHECK(runner.call<Done>(files_of("t2", {{.item = "b", .path = host.path("absolute/x")}})).succeeded());
  CHECK(contents(host.path("real/etc/x")) == "of b\n");
  CHECK(runner.call<Done>(files_of("t3", {})).succeeded());
  CHECK(contents(host.path("real/etc/x")) == "precious\n");
}

RUNNER_CASE(
    "files: in a folder of the service's user we act with that user's rights, and follow no link of it") {
  if (!is_root()) return;
  fs::create_directories(host.path("data/sub"));
  for (const char* name : {"data", "data/sub"}) REQUIRE(chown(host.path(name).c_str(), nobody, nobody) == 0);
  write(host.path("data/sub/x"), "his\n");
  REQUIRE(chown(host.path("data/sub/x").c_str(), nobody, nobody) == 0);
  fs::permissions(host.path("data/sub/x"), fs::perms(0604));
  fs::create_directories(host.path("secret"));
  write(host.path("secret/x"), "of root\n");
  fs::permissions(host.path("secret"), fs::perms(0700));
  const auto before = tree(host.path("data")), secret = tree(host.path("secret"));
  auto runner = with_items(host);
  const auto web = [](std::string token, std::vector<InstalledFile> files) {
    auto frame = files_of(std::move(token), std::move(files));
    frame.user = "nobody";
    return frame;
  };
  const InstalledFile x{.item = "a", .path = host.path("data/sub/x"), .mode = 0640};
  const InstalledFile y{.item = "a", .path = host.path("data/new/deep/y")};
  auto done = runner.call<Done>(web("t1", {x, y}));
  CHECK(done.error.preview.empty());
  struct stat status {};
  REQUIRE(lstat(y.path.c_str(), &status) == 0);
  CHECK(status.st_uid == nobody);
  CHECK(mode_of(x.path) == 0640);
  // Whatever comes, it names the link, and does nothing.
  fs::rename(host.path("data/sub"), host.path("data/moved"));
  fs::create_directory_symlink(host.path("secret"), host.path("data/sub"));
  const std::string refusal = host.path("data/sub") + " is a link, in a folder of nobody: ";
  CHECK(runner.call<Done>(web("t2", {{.item = "b", .path = x.path}})).error.preview.find(refusal) == 0);
  CHECK(runner.call<Done>(web("t3", {})).error.preview.find(refusal) == 0);
  CHECK(tree(host.path("secret")) == secret);
  fs::remove(host.path("data/sub"));
  fs::rename(host.path("data/moved"), host.path("data/sub"));
  CHECK(runner.call<Done>(web("t4", {{.item = "a", .path = x.path, .owner = "root"}}))
            .error.preview.find("its owner can't be root") != std::string::npos);
  auto daemon = web("t5", {x});
  daemon.user = "daemon";
  CHECK(runner.call<Done>(daemon).error.preview.find(host.path("data") + " is owned by nobody") == 0);
  CHECK(runner.call<Done>(web("t6", {})).succeeded());
  CHECK(tree(host.path("data")) == before);
  CHECK(tree(host.path("secret")) == secret);
}

RUNNER_CASE("files: nothing is put where others may write") {
  if (!is_root()) return;
  fs::create_directories(host.path("open/below"));
  fs::permissions(host.path("open"), fs::perms(0777));
  auto runner = with_items(host);
  const auto refusal = [&](const std::string& token, const std::string& path) {
    return runner.call<Done>(files_of(token, {{.item = "a", .path = host.path(path)}})).error.preview;
  };
  CHECK(refusal("t1", "open/x").find("others than root may write to " + host.path("open")) == 0);
  CHECK(refusal("t2", "open/below/x").find("others than root may write to " + host.path("open")) == 0);
  REQUIRE(chmod(host.path("open").c_str(), 01777) == 0);
  CHECK(refusal("t3", "open/x").find("everybody may write to " + host.path("open")) == 0);
  CHECK(refusal("t4", "open/new/x").find("everybody may write to " + host.path("open")) == 0);
  fs::create_directory_symlink(host.path("open/below"), host.path("open/link"));
  CHECK(refusal("t5", "open/link/x")
            .find(host.path("open/link") + " is a link that anybody could have placed") == 0);
  CHECK(refusal("t6", "open/below/x").empty());  // a folder of root's, which nobody can move there
  CHECK(std::distance(fs::recursive_directory_iterator(host.path("open")), {}) == 3);
}

// Every program that writes counts down, and at 0 kills the runner and all it started.
std::string countdown(const Host& host) {
  const auto folder = host.path("tools");
  fs::create_directories(folder);
  for (const char* tool : {"cp", "mv", "ln", "rm", "dd", "sync", "mkdir", "rmdir", "chmod", "chown"}) {
    const auto file = folder + '/' + tool;
    write(file, fmt::format("#!/bin/sh\nread -r left <'{0}'\n[ \"$left\" -gt 0 ] || kill -KILL 0\n"
                            "echo $((left - 1)) >'{0}'\nPATH='{1}'\nexec {2} \"$@\"\n",
                            host.path("left"), host.shell().path, tool));
    fs::permissions(file, fs::perms(0755));
  }
  return folder;
}

RUNNER_CASE("files: interrupted wherever it may be, what comes next puts all right") {
  make_foreign(host);
  const auto before = tree(host.path("etc"));
  const std::vector<InstalledFile> first = {{.item = "a", .path = host.path("etc/x")},
                                            {.item = "a", .path = host.path("etc/a link")},
                                            {.item = "a", .path = host.path("etc/made/y")}};
  const std::vector<InstalledFile> second = {{.item = "b", .path = host.path("etc/x"), .mode = 0600},
                                             {.item = "a", .path = host.path("etc/conf.d/1")},
                                             {.item = "b", .path = host.path("etc/other/z")}};
  const auto tools = countdown(host);
  write(host.path("left"), "1000");
  int token = 0;
  const auto set = [&](Runner& runner, const std::vector<InstalledFile>& files) {
    auto done = runner.call<Done>(files_of(fmt::format("t{}", ++token), files));
    CHECK(done.error.preview.empty());  // nobody changed anything, so nothing is kept aside
    return done.succeeded();
  };
  std::optional<Runner> runner(with_items(host));
  REQUIRE(set(*runner, second));
  const auto after_second = tree(host.path("etc"));
  REQUIRE(set(*runner, {}));
  REQUIRE(tree(host.path("etc")) == before);
  const auto contents_of = [](const std::map<std::string, std::string>& all) {
    std::string text;  // without the times: ours are written anew
    for (const auto& [path, what] : all)
      text += path + what.substr(0, 6) + what.substr(what.rfind(' ')) + ' ';
    return text;
  };
  bool was_interrupted = true;
  int points = 0;
  for (; was_interrupted; ++points) {
    CAPTURE(points);
    REQUIRE(set(*runner, first));
    runner->hang_up();
    {
      write(host.path("left"), "1000");
      auto interrupted = host.lock({"setsid", "env", "PATH=" + tools + ":" + host.shell().path});
      write(host.path("left"), std::to_string(points));
      interrupted.post(files_of(fmt::format("t{}", ++token), second));
      was_interrupted = !interrupted.next();
    }
    runner.emplace(host.lock());
    const bool on = points % 2 == 0;
    REQUIRE(set(*runner, on ? second : first));
    if (on) CHECK(contents_of(tree(host.path("etc"))) == contents_of(after_second));
    REQUIRE(set(*runner, {}));
    REQUIRE(tree(host.path("etc")) == before);
  }
  CHECK(points > 10);
}
