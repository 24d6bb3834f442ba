// SPDX-License-Identifier: LGPL-3.0-or-later
#include "transport/reasons.hpp"

#include <doctest/doctest.h>

using namespace tutti;

namespace {

const Host host{.name = "h3", .address = "10.0.0.3", .port = 2222, .user = "deploy", .become = "sudo"};
std::string why(const std::string& last_words, const std::string& otherwise = "the connection ended") {
  return why_unreachable(host, ssh_platform(), last_words, otherwise);
}

}  // namespace

TEST_CASE("reasons: host, what ssh said, and the remedy where one is known") {
  CHECK(why("ssh: connect to host 10.0.0.3 port 2222: Connection refused\r\n") ==
        "h3 (10.0.0.3): ssh: connect to host 10.0.0.3 port 2222: Connection refused");
  CHECK(why("") == "h3 (10.0.0.3): the connection ended");
  CHECK(why("No ED25519 host key is known for [10.0.0.3]:2222 and you have requested strict "
            "checking.\r\nHost key verification failed.\r\n")
            .ends_with("add it to known_hosts: ssh-keyscan -p 2222 10.0.0.3"));
  CHECK(why("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key for [10.0.0.3]:2222 has changed "
            "and you have "
            "requested strict checking.\nHost key verification failed.\n")
            .ends_with("ssh-keygen -R '[10.0.0.3]:2222'"));
  CHECK(why("Offending ED25519 key in /home/me/my hosts:12\nHost key for [10.0.0.3]:2222 has changed and you "
            "have requested strict "
            "checking.\nHost key verification failed.\n")
            .ends_with("ssh-keygen -f '/home/me/my hosts' -R '[10.0.0.3]:2222'"));
  CHECK(why("ssh: Could not resolve hostname h3.invalid: Name or service not known\r\n")
            .ends_with("give the host an `address` that resolves, or name it in your ssh configuration"));
  CHECK(why("deploy@10.0.0.3: Permission denied (publickey).\r\n").find("a key of yours for 'deploy'") !=
        std::string::npos);
  CHECK(why("sudo: a password is required\n")
            .ends_with("to become root with 'sudo', 'deploy' needs a rule NOPASSWD in sudoers"));
}

TEST_CASE("reasons: what the host's side says can't write to the terminal") {
  CHECK(why("\033]0;owned\a\n").find('\033') == std::string::npos);
  CHECK(why_refused(host, {.why = "lineage", .detail = "L1:7:\033[2J"}).find('\033') == std::string::npos);
}

TEST_CASE("reasons: a state directory that is not ours to write asks for `become`") {
  const std::string text = why_unreachable(
      {.name = "h1"},
      {.why = "bootstrap", .detail = "cannot make /var/lib/tutti/runner: Permission denied, as user deploy"});
  CHECK(text.starts_with("h1: cannot make /var/lib/tutti/runner: Permission denied, as user deploy; "));
  CHECK(text.find("`become`") != std::string::npos);
}

TEST_CASE("reasons: root is not told to become root") {
  const std::string text =
      why_unreachable({.name = "h1"}, {.why = "bootstrap",
                                       .detail = "cannot write /var/lib/tutti/runner/new.1, as user root"});
  CHECK(text.ends_with("; is the disk full, or mounted read-only?"));
}

TEST_CASE("reasons: records of another format are said in the host's own sentence") {
  const std::string sentence =
      "the state in /var/lib/tutti/site-shop is of format '2', and this Tutti knows format 1";
  CHECK(why_unreachable({.name = "h1"}, {.why = "format", .detail = sentence}) == "h1: " + sentence);
}

TEST_CASE("reasons: who holds a host is said, and how to displace them") {
  CHECK(why_refused(host, {.why = "lineage", .detail = "12ab:7:root@laptop:2"}) ==
        "h3 is held by lineage 12ab (root@laptop:2), epoch 7: a deploy that takes over displaces it");
  CHECK(why_refused(host, {.why = "went-back", .detail = "4"}).find("restored from an old image") !=
        std::string::npos);
  CHECK(why_refused(host, {.why = "busy", .detail = "4711"}).find("4711") != std::string::npos);
  for (const char* there : {"absent", "0d6e-another"})
    CHECK(why_refused(host, {.why = "nonce", .detail = there}) ==
          whereabouts(host) + ": its records were lost or replaced since it was last read, so what was done "
                              "there is not known: "
                              "look at what runs there, then plan again");
}
