// SPDX-License-Identifier: LGPL-3.0-or-later
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
  CHECK(encode(Hello{.site = "shop", .store = "/my store"}) == "HELLO 4 site=shop store=/my%20store\n");
  CHECK(encode(Hello{.site = "shop"}) == "HELLO 4 site=shop store=-\n");
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
  const Start start{.id = "1",
                    .token = "t",
                    .service = "web",
                    .daemon = true,
                    .program = {.argv = {"a"}},
                    .keeping = {.on = KeptOn::host,
                                .restart = Restart::on_failure,
                                .boot = true,
                                .signal = "USR1",
                                .grace = 2,
                                .nice = -5,
                                .umask = 027,
                                .limits = {{"open-files", 99}},
                                .journal = true,
                                .ready = {.when = Ready::When::listens, .port = 80},
                                .after = {"db", "mq"},
                                .stop = {"c"}},
                    .unit = "postgresql@15-main.service",
                    .reload = true};
  CHECK(
      encode(start) ==
      "START 1 t limit=60 grace=2 service=web def=- daemon=1 already=0 keeper=host restart=on-failure boot=1 "
      "signal=USR1 stop_grace=2 nice=-5 umask=027 log=journal ready=port:80 unit=postgresql@15-main.service "
      "reload=1 dirs=0 files=0 adopt=0 release=1 user=- cwd=- env=0 argv=1 check=0 stop=1 after=2 limits=1\n"
      "a\nc\ndb\nmq\nopen-files 99\n");
  CHECK(
      encode(Stop{.id = "1", .token = "t", .service = "web", .signal = "QUIT", .unit = "a.service"}) ==
      "STOP 1 t limit=60 grace=10 service=web daemon=0 gone=0 signal=QUIT unit=a.service user=- cwd=- env=0 "
      "argv=0 check=0\n");
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
  for (const char* unit : {"a", "a b.service", "-a.service", "a/b.service", ".service"})
    CHECK_THROWS_AS((void)encode(Stop{.id = "1", .token = "t", .service = "web", .unit = unit}),
                    std::invalid_argument);
  for (const char* signal : {"", "SIGTERM", "term", "TERM KILL"})
    CHECK_THROWS_AS((void)encode(Stop{.id = "1", .token = "t", .service = "web", .signal = signal}),
                    std::invalid_argument);
  CHECK_THROWS_AS((void)encode(Start{.id = "1", .token = "t", .service = "web", .keeping = {.nice = 20}}),
                  std::invalid_argument);
  CHECK_THROWS_AS(
      (void)encode(Entry{.id = "1", .token = "t", .service = "web", .json = {}, .probe = Probe::unit}),
      std::invalid_argument);
  CHECK_THROWS_AS((void)bootstrap("a", digest, 1), std::invalid_argument);
  CHECK(bootstrap("/a b", digest, 1).find("s=\"/a b\"") != std::string::npos);
  CHECK_THROWS_AS((void)bootstrap("/a$(id)", digest, 1), std::invalid_argument);
  CHECK_THROWS_AS((void)bootstrap("/a", "short", 1), std::invalid_argument);
}

TEST_CASE("frames: replies are found however the bytes are cut") {
  const std::string bytes =
      "NEED\nOK 4 boot=boot shell=dash uid=1000\n"
      "R 1 read lineage=L epoch=3 holder=anna@desk nonce=n-1 entries=2 paths=3 name=h1\n"
      "E service=db life=alive size=3 keeper=plain restarts=7 recent=2 last=61 boot=no "
      "note=it%20is%20masked\nR \n"
      "E size=0 service=web life=torn keeper=- restarts=0 recent=0 last=- boot=- note=-\n"
      "P index=0 what=link\nP index=7 what=service:db\nP index=8 what=site:other:web\n"
      "R 2 done how=exit status=7 osize=2 osha=- esize=5000 esha=" +
      digest + " out=2 err=4\nohrror" +
      "R 3 refused why=lineage detail=L:3:anna%20k\nR 4 started\nR 5 error why=no%20such\n"
      "R 6 got sha=" +
      digest +
      " size=3\n\n\n\nR 7 items n=2\na\nb\nR 8 out size=9 n=2\nxyR 9 log n=0\nR 10 item\n"
      "R 11 bye\nREFUSED protocol unknown key x\n";
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, bytes.size()}) {
    const auto replies = parse(bytes, piece);
    REQUIRE(replies.size() == 14);
    CHECK(std::get<Bootstrapped>(replies[0].answer).need);
    CHECK(std::get<Greeting>(replies[1].answer).uid == 1000);
    const auto& manifest = std::get<Manifest>(replies[2].answer);
    CHECK(manifest.fence == Fence{"L", 3});
    CHECK(manifest.name == "h1");
    CHECK(manifest.entries.at(0).bytes == "R \n");
    CHECK(manifest.entries.at(0).keeper == Keeper::plain);
    CHECK(manifest.entries.at(0).restarts == 7);
    CHECK(manifest.entries.at(0).recent_restarts == 2);
    CHECK(manifest.entries.at(0).last_restart == 61);
    CHECK(manifest.entries.at(0).boot == false);
    CHECK(manifest.entries.at(0).note == "it is masked");
    CHECK(manifest.entries.at(1).life == Life::torn);
    CHECK(manifest.entries.at(1).last_restart == std::nullopt);
    CHECK(manifest.entries.at(1).boot == std::nullopt);
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
  const std::string done = "R 1 done how=exit status=0 osize=0 osha=- esize=0 esha=- out=0";
  REQUIRE(parse(done + " err=0\n", 3).size() == 1);
  const std::string read = "R 1 read lineage=L epoch=3 holder=- nonce=-";
  const std::string kept = " keeper=- restarts=0 recent=0 last=- note=-";
  REQUIRE(parse(read + " entries=1 paths=0 name=-\nE service=web life=dead size=0" + kept + " boot=-\n", 3)
              .size() == 1);
  const std::string cases[] = {
      "hello\n",
      "OK 5 boot=boot shell=dash uid=0\n",
      "OK 4 boot=boot uid=0\n",
      "HAVE more\n",
      "R 1\n",
      "R 1 sings\n",
      "R  1 bye\n",
      "R 1 bye now\n",
      "R 1 bye now=1\n",
      "R ../1 bye\n",
      done + "\n",
      done + " 0\n",
      done + " err=0 err=0\n",
      done + " err=0 more=0\n",
      done + " err=0 how=exit\n",
      done + " err=1\n",
      "R 1 done how=exit status=256 osize=0 osha=- esize=0 esha=- out=0 err=0\n",
      "R 1 done how=won status=0 osize=0 osha=- esize=0 esha=- out=0 err=0\n",
      "R 1 done how=exit status=-1 osize=0 osha=- esize=0 esha=- out=0 err=0\n",
      "R 1 done how=exit status= osize=0 osha=- esize=0 esha=- out=0 err=0\n",
      "R 1 done how=exit status=0 osize=99999999 osha=- esize=0 esha=- out=99999999 err=0\n",
      "R 1 got size=1 sha=nothash\n",
      "R 1 got size=99999999999999999999 sha=" + digest + "\n",
      read + " entries=1 paths=0 name=-\nX service=web life=alive size=0" + kept + " boot=-\n",
      read + " entries=1 paths=0 name=-\nE service=web life=well size=0" + kept + " boot=-\n",
      read + " entries=1 paths=0 name=-\nE service=web life=dead size=0" + kept + " boot=- more=0\n",
      read + " entries=1 paths=0 name=-\nE service=web life=dead size=0" + kept + " boot=maybe\n",
      read + " entries=1 paths=0 name=-\nE service=web life=dead size=0" + kept + "\n",
      read + " entries=99999999 paths=0 name=-\n",
      read + " entries=0 paths=1 name=-\nP index=0 what=service:../x\n",
      read + " entries=0 paths=1 name=-\nP what=file\n",
      "R 1 items n=1\n../x\n",
      "R 1 error why=100%\n",
      "R 1 error why=\n",
      std::string(5000, 'x')};
  for (const auto& bytes : cases) {
    CAPTURE(bytes.substr(0, 80));
    CHECK_THROWS_AS((void)parse(bytes, 3), ProtocolError);
  }
  Limits small;
  small.file = 10;
  CHECK_THROWS_AS((void)parse("R 1 got size=11 sha=" + digest + "\n", 100, small), ProtocolError);
  try {
    (void)parse("R 1 \x1b[2J\n", 100);
    FAIL("no error");
  } catch (const ProtocolError& error) { CHECK(std::string(error.what()).find('\x1b') == std::string::npos); }
}

}  // namespace
