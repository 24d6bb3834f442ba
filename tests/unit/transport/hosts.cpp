// SPDX-License-Identifier: LGPL-3.0-or-later
// The transport over hosts of this machine, with the real runner.
#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "support/text.hpp"
#include <tutti/engine/transport.hpp>
#include <tutti/site.hpp>

using namespace tutti;
namespace fs = std::filesystem;

namespace {

/// A folder of hosts, gone with the test.
struct Hosts {
  Hosts() {
    char name[] = "/tmp/tutti-hosts.XXXXXX";
    directory = ::mkdtemp(name);
  }
  ~Hosts() {
    std::error_code ignored;  // what an effect that was left behind still writes
    fs::remove_all(directory, ignored);
  }
  Hosts(const Hosts&) = delete;
  Hosts& operator=(const Hosts&) = delete;
  [[nodiscard]] std::unique_ptr<Transport> transport() const {
    return make_transport("shop", local_platform(directory));
  }
  [[nodiscard]] std::string path(const std::string& relative) const {
    return (directory / relative).string();
  }
  fs::path directory;
};

const Host h1{.name = "h1"};

Authority authority(std::int64_t epoch = 1, const std::string& lineage = "L1") {
  return {.lineage = lineage, .epoch = epoch, .holder = "me@here"};
}

Completion complete(Transport& transport) {
  std::vector<Completion> completions;
  for (int tries = 0; completions.empty() && tries < 60; ++tries) transport.wait(completions, 1);
  REQUIRE(completions.size() == 1);
  return completions[0];
}
Completion perform(Transport& transport, const std::string& token, const Request& request,
                   const std::string& host = "h1") {
  transport.send(token, host, request);
  const Completion completion = complete(transport);
  CHECK(completion.token == token);
  return completion;
}
Result result(Transport& transport, const std::string& token, const Request& request) {
  const Completion completion = perform(transport, token, request);
  INFO(completion.why);
  REQUIRE(completion.kind == Completion::Kind::answered);
  return completion.result;
}
Request run(std::vector<std::string> argv, double limit = 20) {
  return {.effect = effect::Run{.command = {.argv = std::move(argv), .limit = limit}}};
}

std::string name_of(const ItemContent& item, const std::string& name) {
  return sha256("file\n" + std::string(item.executable ? "x" : "") + "\n" + item.bytes).substr(0, 32) + "-" +
         name;
}

/// What can be read: of a process that ends meanwhile, nothing.
std::string content(const fs::path& path) {
  std::ostringstream bytes;
  bytes << std::ifstream(path).rdbuf();
  return bytes.str();
}

/// The shells that are the runners of `directory`'s hosts: our children.
std::vector<pid_t> runners(const fs::path& directory) {
  std::vector<pid_t> found;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string status = content(entry.path() / "status");
    const bool is_ours = status.find("PPid:\t" + std::to_string(::getpid()) + "\n") != std::string::npos;
    if (is_ours && content(entry.path() / "cmdline").find(directory.string()) != std::string::npos)
      found.push_back(std::stoi(name));
  }
  return found;
}

void kill_runner(const fs::path& directory) {
  const auto children = runners(directory);
  REQUIRE(children.size() == 1);
  ::kill(children[0], SIGKILL);
  while (!runners(directory).empty()) ::usleep(1000);  // then its ends of the pipes are closed
}

}  // namespace

TEST_CASE("transport: a host that never saw us has an empty manifest") {
  const Hosts hosts;
  const auto transport = hosts.transport();
  const auto readings = transport->read({h1, {.name = "h2"}});
  REQUIRE(readings.size() == 2);
  CHECK(readings[1].host == "h2");
  for (const HostReading& reading : readings) {
    INFO(reading.why);
    CHECK(reading.reached);
    CHECK(reading.entries.empty());
    CHECK(reading.fence == Fence{});
  }
  CHECK(readings[0].digest == readings[1].digest);
  CHECK(transport->frames_sent() == 2);
}

TEST_CASE("transport: the life of a daemon, from its items to its end") {
  const Hosts hosts;
  const auto transport = hosts.transport();
  const auto shared = [](ItemContent item) { return std::make_shared<const ItemContent>(std::move(item)); };
  const ItemContent program{.bytes = "#!/bin/sh\necho up; exec sleep 1000\n", .executable = true};
  const ItemContent configuration{.bytes = "port=1\n"};
  const Items items{{name_of(program, "web"), shared(program)},
                    {name_of(configuration, "web.conf"), shared(configuration)}};
  transport->offer(items);

  Definition web{.service = "web", .version = "1", .payload = {name_of(program, "web")}};
  web.files = {
      {.path = hosts.path("h1/etc/web.conf"), .item = name_of(configuration, "web.conf"), .mode = 0640}};
  web.data_directories = {hosts.path("h1/data/shop/web/state")};
  web.directory = hosts.path("h1");
  web.programs["start"] = {.argv = {hosts.path("h1/store/" + name_of(program, "web"))},
                           .directory = web.directory,
                           .limit = 20,
                           .service = web.title(),
                           .is_daemon = true};
  const auto definition = std::make_shared<const Definition>(web);
  ManifestEntry entry{.state = ManifestEntry::State::changing,
                      .service = "web",
                      .new_definition = definition,
                      .lineage = "L1",
                      .run = 1};

  transport->authorise(h1, authority());
  const auto succeeds = [&](const std::string& token, const Request& request) {
    const Result r = result(*transport, token, request);
    INFO(request.describe(), ": ", r.error);
    CHECK(r.succeeded);
    return r;
  };
  succeeds("b1", {.effect = effect::WriteEntry{.about = definition, .entry = entry, .is_first = true}});
  CHECK(content(hosts.path("h1/store/" + name_of(configuration, "web.conf"))) == "port=1\n");
  const auto changing = transport->read({h1})[0];
  REQUIRE(changing.entries.size() == 1);
  CHECK(changing.entries[0].entry.state == ManifestEntry::State::changing);
  CHECK(changing.entries[0].life == HostReading::Life::dead);
  CHECK(changing.fence == Fence{.lineage = "L1", .epoch = 1, .holder = "me@here"});

  succeeds("s1", {.effect = effect::Start{.definition = definition}});
  CHECK(content(hosts.path("h1/etc/web.conf")) == "port=1\n");
  CHECK(fs::is_directory(hosts.path("h1/data/shop/web/state")));
  CHECK(succeeds("s2", {.effect = effect::Start{.definition = definition}, .idempotent = true}).how ==
        How::already);
  succeeds("v1", {.effect = effect::Validate{.definition = definition}});
  entry.state = ManifestEntry::State::deployed;
  succeeds("e1", {.effect = effect::WriteEntry{.about = entry.new_definition, .entry = entry}});
  const auto deployed = transport->read({h1})[0];
  REQUIRE(deployed.entries.size() == 1);
  CHECK(deployed.entries[0].entry.state == ManifestEntry::State::deployed);
  CHECK(canonical(*deployed.entries[0].entry.new_definition) == canonical(web));
  CHECK(deployed.entries[0].life == HostReading::Life::alive);
  CHECK(deployed.digest != changing.digest);

  succeeds("p1", {.effect = effect::Stop{.definition = definition}});
  const auto stopped = transport->read({h1})[0];
  CHECK(stopped.entries[0].life == HostReading::Life::dead);
  CHECK(stopped.digest == deployed.digest);  // of what was decided, not of what lives
  CHECK(succeeds("p2", {.effect = effect::Stop{.definition = definition}, .idempotent = true}).how ==
        How::absent);
  succeeds("e2", {.effect = effect::WriteEntry{.about = definition}});
  CHECK(transport->read({h1})[0].entries.empty());
}

TEST_CASE("transport: a daemon that ends while it is validated is not waited for, and its log says why") {
  const Hosts hosts;
  const auto transport = hosts.transport();
  transport->authorise(h1, authority());
  Definition web{.service = "web", .version = "1"};
  web.programs["start"] = {.argv = {"sh", "-c", "sleep 0.5; echo no port >&2; exit 3"}, .is_daemon = true};
  web.programs["validate"] = {.argv = {"false"}, .limit = 60};
  const auto definition = std::make_shared<const Definition>(web);
  REQUIRE(result(*transport, "s1", {.effect = effect::Start{.definition = definition}}).succeeded);
  const Result dead = result(*transport, "v1", {.effect = effect::Validate{.definition = definition}});
  CHECK_FALSE(dead.succeeded);
  CHECK(dead.how == How::died);
  CHECK(dead.error.find("the daemon ended") == 0);
  CHECK(dead.error.ends_with("no port"));
}

TEST_CASE("transport: a daemon that does not live is not valid, whatever its program says") {
  const Hosts hosts;
  const auto transport = hosts.transport();
  transport->authorise(h1, authority());
  Definition web{.service = "web", .version = "1"};
  web.programs["start"] = {.argv = {"sleep", "1000"}, .is_daemon = true};
  const auto definition = std::make_shared<const Definition>(web);
  CHECK_FALSE(result(*transport, "v1", {.effect = effect::Validate{.definition = definition}}).succeeded);
}

TEST_CASE("transport: output, input and failure of programs") {
  const Hosts hosts;
  const auto transport = hosts.transport();
  transport->authorise(h1, authority());
  const Result hello = result(*transport, "t1", run({"echo", "hello"}));
  CHECK(hello.output ==
        Output{.text = "hello\n", .cut = false, .size = 6, .sha256 = {}, .host = "h1", .token = "t1"});

  const Result where = result(*transport, "t2", run({"pwd"}));
  CHECK(where.output.text == hosts.path("h1") + "\n");

  Request cat = run({"cat"});
  cat.as<effect::Run>()->input = "text\n";
  CHECK(result(*transport, "t3", cat).output.text == "text\n");

  const Result lots = result(*transport, "t4", run({"seq", "10000"}));
  CHECK(lots.output.cut);
  CHECK(lots.output.text.size() == 4096);
  CHECK(lots.output.size == 48894);
  cat.as<effect::Run>()->command.argv = {"wc", "-c"};
  cat.as<effect::Run>()->input = lots.output;
  CHECK(std::stoi(result(*transport, "t5", cat).output.text) == 48894);

  const Result bad = result(*transport, "t6", run({"sh", "-c", "seq 5000 >&2; echo the reason >&2; exit 7"}));
  CHECK_FALSE(bad.succeeded);
  CHECK(bad.status == 7);
  CHECK(bad.error.ends_with("5000\nthe reason"));

  const Result slow = result(*transport, "t7", run({"sleep", "60"}, 0.3));
  CHECK(slow.how == How::timeout);
  CHECK(slow.error.starts_with("it did not end within 0.3 s and was killed"));

  const Result nul = result(*transport, "t8", run({std::string("a\0b", 3)}));
  CHECK(nul.how == How::error);
  CHECK(result(*transport, "t9", run({"true"})).succeeded);  // and the connection is as good as before
}

TEST_CASE("transport: what stays on a host is fetched, with whatever connection, without the lock") {
  const Hosts hosts;
  {
    const auto transport = hosts.transport();
    transport->authorise(h1, authority());
    CHECK(result(*transport, "t1", run({"sh", "-c", "seq 1 3000; echo warned >&2"})).output.cut);
  }
  const auto transport = hosts.transport();
  const Piece whole = transport->fetch(h1, {.of = "t1"}, 0, 1 << 20);
  CHECK(whole.found);
  CHECK(whole.size == 13893);
  CHECK(whole.bytes.substr(0, 4) == "1\n2\n");
  CHECK(whole.bytes.size() == whole.size);
  const Piece end = transport->fetch(h1, {.of = "t1"}, whole.size - 5, 1 << 20);
  CHECK(end.bytes == "3000\n");
  CHECK(transport->fetch(h1, {.kind = Kept::Kind::error, .of = "t1"}, 0, 100).bytes == "warned\n");
  const Piece none = transport->fetch(h1, {.of = "t2"}, 0, 100);
  CHECK_FALSE(none.found);
  CHECK(none.why.find("there is no effect t2") != std::string::npos);
  const Piece log = transport->fetch(h1, {.kind = Kept::Kind::log, .of = "web"}, 0, 100);
  CHECK(log.found);
  CHECK(log.bytes.empty());
}

TEST_CASE("transport: a file is put, read and put back") {
  const Hosts hosts;
  const auto transport = hosts.transport();
  transport->authorise(h1, authority());
  CHECK(
      result(*transport, "t1", {.effect = effect::PutFile{.path = "motd", .content = "hello\n"}}).succeeded);
  CHECK(content(hosts.path("h1/motd")) == "hello\n");
  CHECK(result(*transport, "t2", {.effect = effect::GetFile{.path = "motd"}}).output.text == "hello\n");
  CHECK(result(*transport, "t3", {.effect = effect::RestoreFile{.path = "motd", .of = "t1"}}).succeeded);
  CHECK_FALSE(fs::exists(hosts.path("h1/motd")));
  CHECK_FALSE(result(*transport, "t4", {.effect = effect::GetFile{.path = "motd"}}).succeeded);
}

TEST_CASE("transport: an item that nobody offers fails the effect that needs it") {
  const Hosts hosts;
  const auto transport = hosts.transport();
  transport->authorise(h1, authority());
  const std::string item = std::string(32, 'a') + "-absent";
  const ManifestEntry entry{.service = "web",
                            .new_definition = std::make_shared<const Definition>(
                                Definition{.service = "web", .version = "1", .payload = {item}})};
  const Result r =
      result(*transport, "t1",
             {.effect = effect::WriteEntry{.about = entry.new_definition, .entry = entry, .is_first = true}});
  CHECK(r.how == How::error);
  CHECK(r.error.find(item) != std::string::npos);
}

TEST_CASE("transport: effects on one host follow one another, those on others do not wait") {
  const Hosts hosts;
  const auto transport = hosts.transport();
  transport->authorise(h1, authority());
  transport->authorise({.name = "h2"}, authority());
  transport->send("a1", "h1", run({"sh", "-c", "sleep 0.5; echo one >> order"}));
  transport->send("a2", "h1", run({"sh", "-c", "echo two >> order"}));
  transport->send("b1", "h2", run({"true"}));
  std::vector<Completion> completions;
  while (completions.size() < 3) transport->wait(completions, 10);
  CHECK(completions[0].token == "b1");
  CHECK(completions[1].token == "a1");
  CHECK(completions[2].token == "a2");
  CHECK(content(hosts.path("h1/order")) == "one\ntwo\n");
}

TEST_CASE("transport: an effect whose connection breaks is lost, those behind it were never sent") {
  const Hosts hosts;
  const auto transport = hosts.transport();
  transport->authorise(h1, authority());
  REQUIRE(result(*transport, "t0", run({"true"})).succeeded);
  transport->send("t1", "h1", run({"sleep", "2"}));
  transport->send("t2", "h1", run({"touch", "never"}));
  std::vector<Completion> completions;
  transport->wait(completions, 0.3);
  CHECK(completions.empty());
  kill_runner(hosts.directory);
  while (completions.size() < 2) transport->wait(completions, 10);
  CHECK(completions[0].token == "t1");
  CHECK(completions[0].kind == Completion::Kind::lost);
  CHECK(completions[0].why.starts_with("h1: "));
  CHECK(completions[1].kind == Completion::Kind::unreachable);
  // The next one connects again. The first may still hold the lock: a later epoch displaces its runner.
  transport->authorise(h1, authority(2));
  CHECK(result(*transport, "t3", run({"true"})).succeeded);
  CHECK_FALSE(fs::exists(hosts.path("h1/never")));
}

TEST_CASE("transport: a connection that died while nothing was under way is opened again") {
  const Hosts hosts;
  const auto transport = hosts.transport();
  transport->authorise(h1, authority());
  REQUIRE(result(*transport, "t0", run({"true"})).succeeded);
  kill_runner(hosts.directory);
  CHECK(result(*transport, "t1", run({"true"})).succeeded);
  kill_runner(hosts.directory);
  CHECK(transport->read({h1})[0].reached);
}

TEST_CASE("transport: a host that lost its records between two effects is refused, until it is read anew") {
  const Hosts hosts;
  const auto transport = hosts.transport();
  transport->authorise(h1, authority());
  const Completion first = perform(*transport, "t0", run({"true"}));
  CHECK(first.result.succeeded);
  CHECK(first.nonce == transport->read({h1})[0].nonce);
  CHECK_FALSE(first.nonce.empty());
  // What it still has is what it is asked for when the same authority locks it again.
  kill_runner(hosts.directory);
  CHECK(perform(*transport, "t1", run({"true"})).nonce == first.nonce);
  kill_runner(hosts.directory);
  fs::remove_all(hosts.path("h1/.tutti"));
  const Completion refused = perform(*transport, "t2", run({"touch", "refused"}));
  CHECK(refused.kind == Completion::Kind::refused);
  CHECK(refused.why == "h1: its records were lost or replaced since it was last read, so what was done there "
                       "is not known: look "
                       "at what runs there, then plan again");
  CHECK_FALSE(fs::exists(hosts.path("h1/refused")));
  // An authority that knows what was read before the loss is refused too; one that knows of the loss is not.
  Authority informed = authority(2);
  informed.nonce = first.nonce;
  transport->authorise(h1, informed);
  CHECK(perform(*transport, "t3", run({"true"})).kind == Completion::Kind::refused);
  informed.nonce = transport->read({h1})[0].nonce;
  CHECK(informed.nonce.empty());
  transport->authorise(h1, informed);
  const Completion anew = perform(*transport, "t4", run({"true"}));
  CHECK(anew.result.succeeded);
  CHECK_FALSE(anew.nonce.empty());
  CHECK(anew.nonce != first.nonce);
}

TEST_CASE("transport: what no frame can carry fails the effect with what it is, and nothing of it is sent") {
  const Hosts hosts;
  const auto transport = hosts.transport();
  transport->authorise(h1, authority());
  const Result failed = result(*transport, "t0", run({"echo", std::string("a\0b", 3)}));
  CHECK_FALSE(failed.succeeded);
  CHECK(failed.how == How::error);
  CHECK(failed.error.find("NUL") != std::string::npos);
  CHECK(result(*transport, "t1", run({"true"})).succeeded);
}

TEST_CASE("transport: a host that a foreign lineage holds refuses until it is displaced") {
  const Hosts hosts;
  {
    const auto other = hosts.transport();
    other->authorise(h1, authority(7, "L0"));
    REQUIRE(result(*other, "t1", run({"true"})).succeeded);
  }
  const auto transport = hosts.transport();
  transport->authorise(h1, authority());
  const Completion refused = perform(*transport, "t1", run({"touch", "refused"}));
  CHECK(refused.kind == Completion::Kind::refused);
  CHECK(refused.why == "h1 is held by lineage L0 (me@here), epoch 7: a deploy that takes over displaces it");
  CHECK(perform(*transport, "t2", run({"true"})).kind == Completion::Kind::refused);
  CHECK_FALSE(fs::exists(hosts.path("h1/refused")));

  Authority taking = authority(8);
  taking.displace = Fence{.lineage = "L0", .epoch = 7};
  transport->authorise(h1, taking);
  CHECK(result(*transport, "t3", run({"true"})).succeeded);
  CHECK(transport->read({h1})[0].fence.lineage == "L1");
}

TEST_CASE("transport: a torn manifest entry is not lost") {
  const Hosts hosts;
  const auto transport = hosts.transport();
  transport->authorise(h1, authority());
  const auto definition = std::make_shared<const Definition>(Definition{.service = "web", .version = "1"});
  const ManifestEntry entry{.service = "web", .new_definition = definition};
  REQUIRE(
      result(*transport, "t1", {.effect = effect::WriteEntry{.about = entry.new_definition, .entry = entry}})
          .succeeded);
  std::size_t torn = 0;
  for (const auto& file : fs::recursive_directory_iterator(hosts.path("h1/.tutti"))) {
    if (!file.is_regular_file() || content(file.path()).find("\"service\"") == std::string::npos) continue;
    fs::resize_file(file.path(), fs::file_size(file.path()) - 10);
    ++torn;
  }
  REQUIRE(torn >= 1);
  const auto reading = transport->read({h1})[0];
  REQUIRE(reading.entries.size() == 1);
  CHECK(reading.entries[0].entry.service == "web");
  CHECK(reading.entries[0].entry.state == ManifestEntry::State::failed);
  CHECK_FALSE(reading.entries[0].entry.new_definition);
}

TEST_CASE("transport: a directory may have blanks and marks in its name") {
  const Hosts hosts;
  const auto transport = make_transport("shop", local_platform(hosts.directory / "with blank & (marks);"));
  transport->authorise(h1, authority());
  CHECK(transport->read({h1})[0].reached);
  CHECK(perform(*transport, "t1", run({"true"})).kind == Completion::Kind::answered);
}

TEST_CASE("transport: what cannot be reached says why") {
  const Hosts hosts;
  const auto transport = make_transport("shop", local_platform(hosts.directory / "with $dollar"));
  const auto reading = transport->read({h1})[0];
  CHECK_FALSE(reading.reached);
  CHECK(reading.why.starts_with("h1: "));
  CHECK(reading.why.find("with $dollar") != std::string::npos);
  transport->authorise(h1, authority());
  const Completion completion = perform(*transport, "t1", run({"true"}));
  CHECK(completion.kind == Completion::Kind::unreachable);
  CHECK(completion.why == reading.why);
}

TEST_CASE("transport: waiting ends when time is over, when it is woken, and when somebody has slept") {
  const Hosts hosts;
  const auto transport = hosts.transport();
  transport->authorise(h1, authority());
  std::vector<Completion> completions;
  transport->wait(completions, 0.01);
  CHECK(completions.empty());
  transport->wake();
  transport->wait(completions, {});
  CHECK(completions.empty());
  std::thread other([&] { transport->wake(); });
  transport->wait(completions, {});
  other.join();
  transport->send("t1", "h1", {.effect = effect::Sleep{.seconds = 0.02}});
  transport->send("t2", "h1", {.effect = effect::Now{}});
  while (completions.size() < 2) transport->wait(completions, 10);
  CHECK(completions[0].token == "t2");
  CHECK(completions[1].token == "t1");
  CHECK(transport->frames_sent() == 0);
}

TEST_CASE("transport: leaving ends the runners and leaves no zombie") {
  const Hosts hosts;
  {
    const auto transport = hosts.transport();
    transport->authorise(h1, authority());
    REQUIRE(transport->read({h1, {.name = "h2"}})[1].reached);
    transport->send("t1", "h1", run({"sleep", "1"}));
    std::vector<Completion> completions;
    transport->wait(completions, 0.2);
    CHECK(runners(hosts.directory).size() == 2);
  }
  CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);  // no child at all
}
