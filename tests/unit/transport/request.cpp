#include <doctest/doctest.h>

#include <tutti/transport.hpp>

using namespace tutti;

namespace {

DefinitionPtr web(const std::string& version) {
  return std::make_shared<const Definition>(Definition{.service = "web", .version = version});
}

}  // namespace

TEST_CASE("request: described in one line, as people read it") {
  CHECK(Request{.operation = Operation::start, .definition = web("2")}.describe() == "start web 2");
  CHECK(Request{.operation = Operation::stop, .definition = web("1"), .host = "h2"}.describe() ==
        "stop web 1 on h2");
  CHECK(Request{.operation = Operation::put_file, .path = "/etc/motd"}.describe() == "put-file /etc/motd");
  CHECK(Request{.operation = Operation::sleep, .every = 2.5}.describe() == "sleep 2.5");
  CHECK(Request{.operation = Operation::now}.describe() == "now");
  CHECK(Request{.operation = Operation::end, .path = "web"}.describe() == "end web");
}

TEST_CASE("request: a program is described by its name and arguments, an item without its hash") {
  const std::string item = "/tutti/store/0123456789abcdef0123456789abcdef-migrate.sh";
  Request request{.operation = Operation::run,
                  .command = {.argv = {"/opt/db/bin/db", "--ping"}, .service = "db 2"}};
  CHECK(request.describe() == "run db 2 db --ping");
  request.command = {.argv = {"/bin/sh", item, "/etc/x"}};
  CHECK(request.describe() == "run sh migrate.sh /etc/x");
}

TEST_CASE("request: what is described is short and fit for a terminal") {
  Request request{.operation = Operation::run, .command = {.argv = {"echo", "\033[2J\n"}}};
  CHECK(request.describe() == "run echo \\x1b[2J\\x0a");
  std::string many;
  for (int i = 0; i < 500; ++i) many += "é";
  request.command.argv[1] = many;
  const std::string text = request.describe();
  CHECK(text.size() < 250);
  CHECK(text.ends_with("é…"));
}

TEST_CASE("request: the hash is stable, and all that makes the request is in it") {
  const Request base{.operation = Operation::run, .command = {.argv = {"a", "b"}, .limit = 5}};
  CHECK(base.hash() == Request(base).hash());
  CHECK(base.hash().size() == 64);
  // A hash is journaled: one that changes with the version makes every resume diverge.
  CHECK(base.hash() == "84687191866c7e539fc8c7d96e38795652048034c496af8c587c7d123de22b08");

  std::vector<Request> others(14, base);
  others[0].operation = Operation::wait_until;
  others[1].command.argv = {"ab"};
  others[2].command.environment = {{"A", "B"}};
  others[3].command.user = "nobody";
  others[4].command.limit = 6;
  others[5].input = "text";
  others[6].input = Output{.text = "text", .size = 4, .sha256 = {}, .host = "h1", .token = "t"};
  others[7].host = "h2";
  others[8].limit = 5;
  others[9].every = 1;
  others[10].idempotent = true;
  others[11].definition = web("1");
  others[12].definition = web("2");
  others[13].service = "web";
  std::vector<std::string> hashes{base.hash()};
  for (const Request& other : others) {
    for (const std::string& known : hashes) CHECK(other.hash() != known);
    hashes.push_back(other.hash());
  }
}

TEST_CASE("request: members do not run into one another in the hash") {
  const Request one{.command = {.argv = {"a\nhost=1:x"}}};
  const Request two{.command = {.argv = {"a"}}, .host = "x"};
  CHECK(one.hash() != two.hash());
  CHECK(Request{.operation = Operation::put_file, .path = "/a", .content = "b"}.hash() !=
        Request{.operation = Operation::put_file, .path = "/ab"}.hash());
}
