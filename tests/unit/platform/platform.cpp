// SPDX-License-Identifier: LGPL-3.0-or-later
#include <doctest/doctest.h>

#include <algorithm>

#include <tutti/platform.hpp>
#include <tutti/site.hpp>

using namespace tutti;

namespace {

bool has(const std::vector<std::string>& argv, const std::string& word) {
  return std::find(argv.begin(), argv.end(), word) != argv.end();
}

}  // namespace

TEST_CASE("platform: a host of this machine is a directory, and confined to it") {
  const Layout layout = local_platform("/srv/shop").layout({.name = "web1"});
  CHECK(layout.root == "/srv/shop/web1");
  CHECK(layout.state == "/srv/shop/web1/.tutti");
  CHECK(layout.store == "/srv/shop/web1/store");
  CHECK(layout.data == "/srv/shop/web1/data");
  CHECK(layout.confined);
}

TEST_CASE("platform: a relative directory is made absolute when the platform is made") {
  const Platform platform = local_platform("somewhere/../shop");
  CHECK(platform.directory.is_absolute());
  CHECK(platform.layout({.name = "h1"}).root == std::filesystem::current_path().string() + "/shop/h1");
}

TEST_CASE("platform: a real host has the paths of the vocabulary") {
  const Layout layout = ssh_platform().layout({.name = "web1"});
  CHECK(layout.state == "/var/lib/tutti");
  CHECK(layout.store == "/tutti/store");
  CHECK(layout.data == "/var/lib/tutti-data");
  CHECK(layout.root == "/");
  CHECK_FALSE(layout.confined);
}

TEST_CASE("platform: a host of this machine is reached by a shell that has only PATH of the coordinator") {
  ::setenv("TUTTI_TEST_SECRET", "x", 1);
  const auto argv = local_platform("/srv").reach({.name = "h1"}, "echo hello");
  ::unsetenv("TUTTI_TEST_SECRET");
  CHECK(std::vector<std::string>(argv.begin(), argv.begin() + 2) == std::vector<std::string>{"env", "-i"});
  CHECK(std::vector<std::string>(argv.end() - 3, argv.end()) ==
        std::vector<std::string>{"/bin/sh", "-c", "echo hello"});
  CHECK(has(argv, std::string("PATH=") + std::getenv("PATH")));
  for (auto word = argv.begin() + 2; word != argv.end() - 3; ++word)
    CHECK_MESSAGE((word->starts_with("PATH=") || word->starts_with("TMPDIR=")), *word);
}

TEST_CASE("platform: ssh checks host keys, asks nothing, forwards nothing") {
  const auto argv = ssh_platform().reach({.name = "web1"}, "echo");
  REQUIRE(argv.size() > 3);
  CHECK(argv[0] == "ssh");
  for (const char* option : {"BatchMode=yes", "StrictHostKeyChecking=yes", "ForwardAgent=no", "ForwardX11=no",
                             "PermitLocalCommand=no", "ClearAllForwardings=yes", "ControlMaster=no"}) {
    const auto found = std::find(argv.begin(), argv.end(), option);
    CAPTURE(option);
    REQUIRE(found != argv.end());
    CHECK(*(found - 1) == "-o");
  }
  CHECK(argv[argv.size() - 3] == "--");
  CHECK(argv[argv.size() - 2] == "web1");
  CHECK(argv.back() == "exec sh -c 'echo'");
  for (const char* option : {"-F", "-p", "-l"}) CHECK_FALSE(has(argv, option));
}

TEST_CASE(
    "platform: the host says port and user, the platform the user of the others and the configuration") {
  const Platform platform = ssh_platform("deploy", "/etc/site/ssh_config");
  const auto argv =
      platform.reach({.name = "web1", .address = "10.0.0.3", .port = 2222, .user = "root"}, "x");
  const auto after = [&](const char* option) {
    const auto found = std::find(argv.begin(), argv.end(), option);
    return found == argv.end() ? "" : *(found + 1);
  };
  CHECK(after("-F") == "/etc/site/ssh_config");
  CHECK(after("-p") == "2222");
  CHECK(after("-l") == "root");
  CHECK(after("--") == "10.0.0.3");
  CHECK(has(platform.reach({.name = "web2"}, "x"), "deploy"));
}

TEST_CASE("platform: becoming root never asks for a password") {
  CHECK(ssh_platform().reach({.name = "h", .become = "sudo"}, "x").back() == "exec sudo -n sh -c 'x'");
  CHECK(ssh_platform().reach({.name = "h", .become = "doas"}, "x").back() == "exec doas -n sh -c 'x'");
}

TEST_CASE("platform: a script's quotes reach the host's shell as they are") {
  CHECK(ssh_platform().reach({.name = "h"}, "printf '%s' \"it's\"").back() ==
        "exec sh -c 'printf '\\''%s'\\'' \"it'\\''s\"'");
}
