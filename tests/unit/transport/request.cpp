// SPDX-License-Identifier: LGPL-3.0-or-later
#include <doctest/doctest.h>

#include "transport/request.hpp"

using namespace tutti;

namespace {

DefinitionPtr web(const std::string& version) {
  return std::make_shared<const Definition>(Definition{.service = "web", .version = version});
}

}  // namespace

TEST_CASE("request: described in one line, as people read it") {
  CHECK(Request{.effect = effect::Start{.definition = web("2")}}.describe() == "start web 2");
  CHECK(Request{.effect = effect::Stop{.definition = web("1")}, .host = "h2"}.describe() ==
        "stop web 1 on h2");
  CHECK(Request{.effect = effect::PutFile{.path = "/etc/motd", .content = ""}}.describe() ==
        "put-file /etc/motd");
  CHECK(Request{.effect = effect::Sleep{.seconds = 2.5}}.describe() == "sleep 2.5");
  CHECK(Request{.effect = effect::Now{}}.describe() == "now");
  CHECK(Request{.effect = effect::WriteEntry{.about = web("1")}}.describe() == "end web 1");
}

TEST_CASE("request: a program is described by its name and arguments, an item without its hash") {
  const std::string item = "/tutti/store/0123456789abcdef0123456789abcdef-migrate.sh";
  Request request{.effect =
                      effect::Run{.command = {.argv = {"/opt/db/bin/db", "--ping"}, .service = "db 2"}}};
  CHECK(request.describe() == "run db 2 db --ping");
  request.as<effect::Run>()->command = {.argv = {"/bin/sh", item, "/etc/x"}};
  CHECK(request.describe() == "run sh migrate.sh /etc/x");
}

TEST_CASE("request: what is described is short and fit for a terminal") {
  Request request{.effect = effect::Run{.command = {.argv = {"echo", "\033[2J\n"}}}};
  CHECK(request.describe() == "run echo \\x1b[2J\\x0a");
  std::string many;
  for (int i = 0; i < 500; ++i) many += "é";
  request.as<effect::Run>()->command.argv[1] = many;
  const std::string text = request.describe();
  CHECK(text.size() < 250);
  CHECK(text.ends_with("é…"));
}

namespace {

std::string hash(const Request& request) {
  CanonicalForms forms;
  return tutti::hash(request, forms);
}
Request entry(ManifestEntry entry, std::string mark = "") {
  return {.effect =
              effect::WriteEntry{.about = web("2"), .entry = std::move(entry), .mark = std::move(mark)}};
}

}  // namespace

TEST_CASE("request: the hash is stable, and all that makes the request is in it") {
  const Request base{.effect = effect::Run{{.argv = {"a", "b"}, .limit = 5}}};
  CHECK(hash(base) == hash(Request(base)));
  CHECK(hash(base).size() == 64);
  // A hash is journaled: one that changes with the version makes every resume diverge.
  CHECK(hash(base) == "84687191866c7e539fc8c7d96e38795652048034c496af8c587c7d123de22b08");

  const effect::Run& run = *base.as<effect::Run>();
  std::vector<Request> others(9, base);
  const auto of = [&](std::size_t i) -> effect::Run& { return *others[i].as<effect::Run>(); };
  others[0].effect = effect::WaitUntil{run.command};
  of(1).command.argv = {"ab"};
  of(2).command.environment = {{"A", "B"}};
  of(3).command.user = "nobody";
  of(4).command.limit = 6;
  of(5).input = "text";
  of(6).input = Output{.text = "text", .size = 4, .sha256 = {}, .host = "h1", .token = "t"};
  others[7].host = "h2";
  others[8].limit = 5;
  others.push_back(base);
  others.back().idempotent = true;
  others.push_back({.effect = effect::WaitUntil{run.command, 1}});
  for (const char* version : {"1", "2"}) {
    others.push_back({.effect = effect::Start{web(version)}});
    others.push_back({.effect = effect::Stop{web(version)}});
    others.push_back({.effect = effect::InstallFiles{.service = "web", .definition = web(version)}});
  }
  others.push_back({.effect = effect::InstallFiles{.service = "web", .definition = nullptr}});
  std::vector<std::string> hashes{hash(base)};
  for (const Request& other : others) {
    for (const std::string& known : hashes) CHECK(hash(other) != known);
    hashes.push_back(hash(other));
  }
}

TEST_CASE("request: neither the time of an entry nor the marks of others are in its hash") {
  const ManifestEntry base{.service = "web", .new_definition = web("2"), .run = 3, .time = 1};
  ManifestEntry later = base;
  later.time = 2;
  later.drained["db@h9"] = "10.0.0.9:5432";
  CHECK(hash(entry(base)) == hash(entry(later)));
  CHECK(hash(entry(base, "drain db@h1 x")) == hash(entry(later, "drain db@h1 x")));
  CHECK(hash(entry(base, "drain db@h1 x")) != hash(entry(base, "undrain db@h1")));
  later.state = ManifestEntry::State::failed;
  CHECK(hash(entry(base)) != hash(entry(later)));
  ManifestEntry other = base;
  other.new_definition = web("3");
  CHECK(hash(entry(base)) != hash(entry(other)));
}

TEST_CASE("request: members do not run into one another in the hash") {
  const Request one{.effect = effect::Run{{.argv = {"a\nhost=1:x"}}}};
  const Request two{.effect = effect::Run{{.argv = {"a"}}}, .host = "x"};
  CHECK(hash(one) != hash(two));
  CHECK(hash({.effect = effect::PutFile{.path = "/a", .content = "b"}}) !=
        hash({.effect = effect::PutFile{.path = "/ab", .content = ""}}));
}
