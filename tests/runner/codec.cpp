// The codec of the runner's frames, without a runner.

#include <doctest/doctest.h>

#include "transport/frames.hpp"

using namespace tutti::frames;

namespace {

const std::string digest(64, 'a');

std::vector<Reply> parse(std::string_view bytes, std::size_t piece, Limits limits = {}) {
  ReplyParser parser(limits);
  std::vector<Reply> replies;
  while (!bytes.empty()) {
    parser.feed(bytes.substr(0, piece));
    bytes.remove_prefix(std::min(piece, bytes.size()));
    while (auto reply = parser.next()) replies.push_back(std::move(*reply));
  }
  CHECK_FALSE(parser.partial());
  return replies;
}

TEST_CASE("frames: lines come back as they were") {
  std::string bytes;
  for (int byte = 1; byte < 256; ++byte) bytes += static_cast<char>(byte);
  CHECK(unescape(escape(bytes)) == bytes);
  CHECK(escape("a%\nb c") == "a%25%0Ab c");
  CHECK(unescape("a%20b") == "a b");
  CHECK_THROWS_AS((void)unescape("100%"), ProtocolError);
  CHECK_THROWS_AS((void)unescape("%0a"), ProtocolError);
}

TEST_CASE("frames: a frame is a header, lines and bytes") {
  CHECK(encode(Hello{.site = "shop", .store = "/my store"}) == "HELLO 2 shop /my%20store\n");
  CHECK(encode(Hello{.site = "shop"}) == "HELLO 2 shop -\n");
  CHECK(encode(Read{.id = "1"}) == "READ 1\n");
  CHECK(encode(Read{.id = "1", .paths = {{"web", "/a b\n"}}}) == "READ 1 paths=1\nweb /a b%0A\n");
  CHECK(encode(Lock{.id = "1", .lineage = "L", .epoch = 3, .holder = "a b", .expect = Fence{"M", 2}}) ==
        "LOCK 1 lineage=L epoch=3 seen=0 nonce=- holder=a%20b expect=M:2\n");
  CHECK(encode(Lock{.id = "1", .lineage = "L", .epoch = 3, .name = "h2", .was = "h1"}) ==
        "LOCK 1 lineage=L epoch=3 seen=0 nonce=- holder=- expect=- name=h2 was=h1\n");
  const Run run{.id = "1",
                .token = "t",
                .program = {.argv = {"a\n", "-"}, .env = {{"X", "%"}}, .user = "bob", .cwd = "/"},
                .limit = 0.25,
                .input = "bytes"};
  CHECK(encode(run) ==
        "RUN 1 t limit=0.250 every=0 grace=2 service=- user=bob cwd=/ env=1 argv=2 input=bytes:5\n"
        "X=%25\na%0A\n-\nbytes");
  CHECK(encode(Put{.id = "1", .token = "t", .path = "/a b", .bytes = "x", .sha256 = digest, .mode = 04755}) ==
        "PUT 1 t mode=4755 owner=- len=1 sha=" + digest + "\n/a b\nx");
}

TEST_CASE("frames: what cannot be sent is refused before anything is") {
  CHECK_THROWS_AS((void)encode(Hello{.site = "-x"}), std::invalid_argument);
  CHECK_THROWS_AS((void)encode(Hello{.site = "shop", .store = "store"}), std::invalid_argument);
  CHECK_THROWS_AS((void)encode(Read{.id = "a b"}), std::invalid_argument);
  CHECK_THROWS_AS((void)encode(Ask{.id = "1", .token = "../t"}), std::invalid_argument);
  CHECK_THROWS_AS((void)encode(Run{.id = "1", .token = "t", .program = {.argv = {std::string(1, '\0')}}}),
                  std::invalid_argument);
  CHECK_THROWS_AS((void)encode(Run{.id = "1", .token = "t", .program = {.argv = {"x"}}, .limit = -1}),
                  std::invalid_argument);
  CHECK_THROWS_AS((void)encode(Run{.id = "1", .token = "t", .program = {.env = {{"a-b", ""}}}}),
                  std::invalid_argument);
  CHECK_THROWS_AS(
      (void)encode(Run{.id = "1", .token = "t", .program = {.cwd = "/" + std::string(5000, 'x')}}),
      std::invalid_argument);
  CHECK_THROWS_AS((void)bootstrap("a", digest, 1), std::invalid_argument);
  CHECK(bootstrap("/a b", digest, 1).find("s=\"/a b\"") != std::string::npos);
  CHECK_THROWS_AS((void)bootstrap("/a$(id)", digest, 1), std::invalid_argument);
  CHECK_THROWS_AS((void)bootstrap("/a", "short", 1), std::invalid_argument);
}

TEST_CASE("frames: replies are found however the bytes are cut") {
  const std::string bytes = "NEED\nOK 2 boot dash 1000\n"
                            "R 1 read L 3 anna@desk n-1 2 3 name=h1\nE db alive 3\nR \nE web torn 0\n"
                            "P 0 link\nP 7 service:db\nP 8 site:other:web\n"
                            "R 2 done exit 7 2 - 5000 " +
                            digest + " 2 4\nohrror" +
                            "R 3 refused lineage L:3:anna%20k\nR 4 started\nR 5 error no%20such\n"
                            "R 6 got 3 " +
                            digest +
                            "\n\n\n\nR 7 items 2\na\nb\nR 8 out 9 2\nxyR 9 log 0\nR 10 item\nR 11 bye\n"
                            "REFUSED protocol unknown key x\n";
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, bytes.size()}) {
    const auto replies = parse(bytes, piece);
    REQUIRE(replies.size() == 14);
    CHECK(std::get<Bootstrapped>(replies[0].answer).need);
    CHECK(std::get<Greeting>(replies[1].answer).uid == 1000);
    const auto& manifest = std::get<Manifest>(replies[2].answer);
    CHECK(manifest.fence == Fence{"L", 3});
    CHECK(manifest.name == "h1");
    CHECK(manifest.entries.at(0).bytes == "R \n");
    CHECK(manifest.entries.at(1).life == Life::torn);
    REQUIRE(manifest.paths.size() == 3);
    CHECK(manifest.paths[0].what == Stands::link);
    CHECK(manifest.paths[1].index == 7);
    CHECK(manifest.paths[1].service == "db");
    CHECK(manifest.paths[2].site == "other");
    CHECK(manifest.paths[2].service == "web");
    const auto& done = std::get<Done>(replies[3].answer);
    CHECK(done.status == 7);
    CHECK(done.output.preview == "oh");
    CHECK(done.error.preview == "rror");
    CHECK(done.error.sha256 == digest);
    CHECK(std::get<Refused>(replies[4].answer).detail == "L:3:anna k");
    CHECK(std::get<TokenState>(replies[5].answer) == TokenState::started);
    CHECK(std::get<Failed>(replies[6].answer).why == "no such");
    CHECK(std::get<Got>(replies[7].answer).bytes == "\n\n\n");
    CHECK(std::get<Missing>(replies[8].answer).names == std::vector<std::string>{"a", "b"});
    CHECK(std::get<OutputPart>(replies[9].answer).bytes == "xy");
    CHECK(std::get<Ended>(replies[13].answer).detail == "unknown key x");
  }
}

TEST_CASE("frames: what a host must not answer is an error that says so") {
  const std::string cases[] = {"hello\n",
                               "OK 3 boot dash 0\n",
                               "R 1\n",
                               "R 1 sings\n",
                               "R  1 bye\n",
                               "R 1 bye now\n",
                               "R ../1 bye\n",
                               "R 1 done exit 256 0 - 0 - 0 0\n",
                               "R 1 done won 0 0 - 0 - 0 0\n",
                               "R 1 done exit 0 0 - 0 - 1 0\n",
                               "R 1 done exit 0 0 - 0 - 0\n",
                               "R 1 done exit -1 0 - 0 - 0 0\n",
                               "R 1 got 1 nothash\n",
                               "R 1 done exit 0 99999999 - 0 - 99999999 0\n",
                               "R 1 got 99999999999999999999 " + digest + "\n",
                               "R 1 read L 3 - - 1 0\nX web alive 0\n",
                               "R 1 read L 3 - - 1 0\nE web well 0\n",
                               "R 1 read L 3 - - 99999999 0\n",
                               "R 1 read L 3 - - 0 99999999\n",
                               "R 1 read - 0 - - 0 1\nP 0 sings\n",
                               "R 1 read - 0 - - 0 1\nP 0 service:\n",
                               "R 1 read - 0 - - 0 1\nP 0 site:web\n",
                               "R 1 read L 3 - - 0 0 nam=h1\n",
                               "R 1 read L 3 - - 0 0 name=a/b\n",
                               "R 1 read L 3 - - 0 0 name\n",
                               "R 1 items 1\n../x\n",
                               "R 1 error 100%\n",
                               std::string(5000, 'x')};
  for (const auto& bytes : cases) {
    CAPTURE(bytes.substr(0, 80));
    CHECK_THROWS_AS((void)parse(bytes, 3), ProtocolError);
  }
  Limits small;
  small.file = 10;
  CHECK_THROWS_AS((void)parse("R 1 got 11 " + digest + "\n", 100, small), ProtocolError);
  try {
    (void)parse("R 1 \x1b[2J\n", 100);
    FAIL("no error");
  } catch (const ProtocolError& error) { CHECK(std::string(error.what()).find('\x1b') == std::string::npos); }
}

}  // namespace
