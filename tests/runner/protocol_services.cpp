// SPDX-License-Identifier: LGPL-3.0-or-later
// The protocol, continued: services, files and items. See protocol.cpp.
#include <fmt/format.h>

#include "runner/protocol.hpp"

using namespace tutti::frames;
using namespace tutti::frames::testing;
using namespace tutti::simulation;

namespace {

// ------------------------------------------------------------------ services

PROTOCOL_CASE("protocol: a daemon is started, found alive, outlives its runner, and is stopped") {
  auto runner = host.lock();
  CHECK(runner->call<Done>(daemon_of(host, "t1", {say("said\n"), nap(for_ever)})).succeeded());
  runner->call<Done>(entry_of("e1", "web", Probe::daemon));
  CHECK(life_of(runner->call<Manifest>(Read{}), "web") == Life::alive);
  CHECK(host.eventually(
      [&] { return runner->call<LogTail>(Log{.service = "web", .max = 3}).bytes == "id\n"; }));
  runner->kill();
  auto second = host.lock();
  CHECK(life_of(second->call<Manifest>(Read{}), "web") == Life::alive);
  CHECK(second->call<Done>(stop_of("t2")).how == How::exit);
  CHECK(life_of(second->call<Manifest>(Read{}), "web") == Life::dead);
  const auto again = second->call<Done>(stop_of("t3"));
  CHECK(again.how == How::absent);
  CHECK(again.succeeded());
}

PROTOCOL_CASE("protocol: a daemon that dies at once is no success, and its log says why") {
  auto runner = host.lock();
  auto done = runner->call<Done>(daemon_of(host, "t1", {complain("no port\n"), leave(3)}));
  CHECK(done.how == How::died);
  CHECK(done.status == 3);
  CHECK(done.error.preview == "no port\n");
  auto missing = daemon_of(host, "t2");
  missing.program.argv = {"/no/such"};
  done = runner->call<Done>(missing);
  CHECK(done.how == How::died);
  CHECK(done.status == 127);
  CHECK(done.error.preview.find("/no/such") != std::string::npos);
  std::string lines;
  for (int i = 0; i < 1000; ++i) lines += fmt::format("line {}\n", i);
  done = runner->call<Done>(daemon_of(host, "t3", {say(lines)}));
  CHECK(done.how == How::died);
  CHECK(done.status == 0);
  CHECK_FALSE(done.succeeded());
  CHECK(done.error.size == 2048);
  CHECK(done.error.preview.ends_with("line 999\n"));
  CHECK(runner->call<Done>(stop_of("t4")).how == How::absent);
}

PROTOCOL_CASE("protocol: a daemon that lives already is not started twice") {
  auto runner = host.lock();
  const Script script{append(host.path("ups"), "up\n"), nap(for_ever)};
  CHECK(runner->call<Done>(daemon_of(host, "t1", script)).succeeded());
  auto again = daemon_of(host, "t2", script);
  auto done = runner->call<Done>(again);
  CHECK(done.how == How::busy);
  CHECK(done.error.preview.find("a daemon of web is running already") == 0);
  again.token = "t3";
  again.already = true;
  done = runner->call<Done>(again);
  CHECK(done.how == How::already);
  CHECK(done.succeeded());
  again.token = "t4";
  again.definition = "d2";
  CHECK(runner->call<Done>(again).how == How::busy);
  CHECK(host.content(host.path("ups")) == "up\n");
  runner->call<Done>(stop_of("t5"));
  again.token = "t6";
  CHECK(runner->call<Done>(again).how == How::exit);
  CHECK(host.eventually([&] { return host.content(host.path("ups")) == "up\nup\n"; }));
}

PROTOCOL_CASE(
    "protocol: a daemon that must settle is run against once more, and one that dies meanwhile died") {
  auto runner = host.lock();
  Run run{.token = "t2",
          .program = {.argv = host.program({append(host.path("asked"), "asked\n")})},
          .settle = 0.5,
          .service = "web"};
  CHECK(runner->call<Done>(daemon_of(host, "t1", {nap(for_ever)})).succeeded());
  CHECK(runner->call<Done>(run).succeeded());
  CHECK(host.content(host.path("asked")) == "asked\nasked\n");
  CHECK(runner->call<Done>(stop_of("t3")).succeeded());
  CHECK(runner->call<Done>(daemon_of(host, "t4", {nap(1), say("no more\n"), leave(3)})).succeeded());
  run.token = "t5";
  run.settle = 60;
  const auto done = runner->call<Done>(run);
  CHECK(done.how == How::died);
  CHECK(done.error.preview == "no more\n");
}

PROTOCOL_CASE("protocol: waiting for a service ends when its daemon died") {
  auto runner = host.lock();
  CHECK(runner->call<Done>(daemon_of(host, "t1", {nap(0.5), say("out of memory\n"), leave(1)})).succeeded());
  Run run{.token = "t2",
          .program = {.argv = host.program({complain("not yet\n"), leave(1)})},
          .limit = 300,
          .every = 0.1,
          .service = "web"};
  const auto done = runner->call<Done>(run);
  CHECK(done.how == How::died);
  CHECK(done.error.preview == "not yet\nout of memory\n");
}

PROTOCOL_CASE("protocol: a daemon that dies comes back, which whoever waits for it hears") {
  auto runner = host.lock();
  auto start = daemon_of(host, "t1", {need(host.path("may live")), nap(0.3), leave(1)});
  start.keeping.restart = Restart::always;
  CHECK(runner->call<Done>(start).how == How::died);  // there is nothing that it needs: nobody tries again
  host.put(host.path("may live"), "");
  start.token = "t2";
  CHECK(runner->call<Done>(start).succeeded());
  runner->call<Done>(entry_of("e1", "web", Probe::daemon));
  const auto web = [&] { return runner->call<Manifest>(Read{}).entries.at(0); };
  CHECK(host.eventually([&] { return web().restarts == 1; }));
  CHECK(web().recent_restarts == 1);
  CHECK(web().last_restart.has_value());
  Run wait{.token = "t3", .program = {.argv = {"true"}}, .limit = 5, .first = true, .service = "web"};
  CHECK(runner->call<Done>(wait).how == How::died);
  CHECK(runner->call<Done>(stop_of("t4")).succeeded());
  CHECK(web().keeper == Keeper::none);
}

PROTOCOL_CASE("protocol: a service that is a program is started unless its check says it runs") {
  auto runner = host.lock();
  const auto flag = host.path("is up");
  Start start{.token = "t1",
              .service = "db",
              .already = true,
              .program = {.argv = host.program({say("up\n"), append(flag, "x")})},
              .check = host.program({need(flag), say("checked")})};
  auto done = runner->call<Done>(start);
  CHECK(done.how == How::exit);
  CHECK(done.output.preview == "up\n");
  start.token = "t2";
  done = runner->call<Done>(start);
  CHECK(done.how == How::already);
  CHECK(done.output.size == 0);
  start.token = "t3";
  start.already = false;
  CHECK(runner->call<Done>(start).how == How::exit);
  start.token = "t4";
  start.program.argv = host.program({leave(5)});
  CHECK(runner->call<Done>(start).status == 5);
  start.token = "t5";
  start.program.argv = {"sleep", "300"};
  start.limit = 0.3;
  CHECK(runner->call<Done>(start).how == How::timeout);
  start.token = "t6";
  start.already = true;
  start.check = {"sleep", "300"};
  start.check_limit = 0.5;
  done = runner->call<Done>(start);
  CHECK(done.how == How::error);
  CHECK(done.error.preview ==
        "whether db lives is not known: its alive? (or validate) did not end within 0.50 s\n");
}

PROTOCOL_CASE("protocol: a service that is a program is stopped, and seen to be gone") {
  auto runner = host.lock();
  const auto flag = host.path("is up");
  Stop stop{.token = "t1",
            .service = "db",
            .gone = true,
            .program = {.argv = host.program({say("down\n")})},
            .check = host.program({need(flag)}),
            .limit = 20};
  host.put(flag, "");
  const auto ending = daemon_of(host, "d1", {nap(1), remove(flag), nap(for_ever)});  // it takes its time
  REQUIRE(runner->call<Done>(ending).succeeded());
  auto done = runner->call<Done>(stop);
  CHECK(done.how == How::exit);
  CHECK(done.succeeded());
  CHECK(done.output.preview == "down\n");
  CHECK_FALSE(host.exists(flag));
  stop.token = "t2";
  stop.program.argv = host.program({complain("cannot\n"), leave(1)});
  done = runner->call<Done>(stop);
  CHECK(done.how == How::absent);
  CHECK(done.succeeded());
  host.put(flag, "");
  stop.token = "t3";
  done = runner->call<Done>(stop);
  CHECK(done.how == How::exit);
  CHECK(done.status == 1);
  CHECK(done.error.preview == "cannot\n");
  stop.token = "t4";
  stop.program.argv = {"true"};
  stop.limit = 0.5;
  done = runner->call<Done>(stop);
  CHECK(done.how == How::lingers);
  CHECK_FALSE(done.succeeded());
  stop.token = "t5";
  stop.program.argv = {"sleep", "300"};
  CHECK(runner->call<Done>(stop).how == How::timeout);
  host.remove(flag);
  stop.token = "t6";
  CHECK(runner->call<Done>(stop).how == How::absent);
  stop.token = "t7";
  stop.program.argv.clear();
  CHECK(runner->call<Done>(stop).how == How::exit);
  int n = 7;
  for (const char* program : {"true", "false"}) {  // a check without an answer proves nothing
    stop.token = fmt::format("t{}", ++n);
    stop.program.argv = {program};
    stop.check = {"sleep", "300"};
    stop.check_limit = 0.5;
    done = runner->call<Done>(stop);
    CHECK_FALSE(done.succeeded());
    CHECK(done.error.preview.find("whether db lives is not known") != std::string::npos);
  }
}

// ------------------------------------------------------------------ files and items

PROTOCOL_CASE("protocol: a file is put and fetched again, or a sentence says why not") {
  auto runner = host.lock();
  const auto bytes = noise(300'000);
  const auto path = host.path("a f%ile\n");
  for (int i = 0; i < 2; ++i) CHECK(runner->call<Done>(put_of("p1", path, bytes, 0600)).succeeded());
  CHECK(host.content(path) == bytes);
  CHECK(host.mode(path) == 0600);
  const auto got = runner->call<Got>(Get{.path = path, .max = 1'000'000});
  CHECK(got.bytes == bytes);
  CHECK(got.sha256 == tutti::sha256(bytes));
  CHECK(
      runner->call<Failed>(Get{.path = path, .max = 1000}).why.find("larger than the limit of 1000 bytes") !=
      std::string::npos);
  CHECK(runner->call<Failed>(Get{.path = "/no/such", .max = 1000}).why.find("cannot read /no/such:") == 0);
  auto done = runner->call<Done>(put_of("p2", host.path("nodir/x"), bytes));
  CHECK(done.how == How::error);
  CHECK(done.error.preview == "there is no directory " + host.path("nodir/") + "\n");
  host.make_folder(host.path("folder"));
  CHECK(runner->call<Done>(put_of("p3", host.path("folder"), "x")).error.preview ==
        host.path("folder") + " is a directory\n");
  auto damaged = put_of("p4", path, "abc");
  damaged.bytes = "abd";
  CHECK(runner->call<Done>(damaged).error.preview == "the content for " + path + " arrived damaged\n");
  CHECK(host.content(path) == bytes);
  CHECK(runner->call<Done>(put_of("p5", "relative", "x")).how == How::error);
}

PROTOCOL_CASE("protocol: a file that was put is taken back, and what was changed since is kept aside") {
  auto runner = host.lock();
  const auto path = host.path("conf");
  host.put(path, "old", 0604);
  CHECK(runner->call<Done>(put_of("p1", path, "new")).succeeded());
  CHECK(host.content(path) == "new");
  for (const auto* token : {"u1", "u1", "u2"}) {
    CHECK(runner->call<Done>(Unput{.token = token, .of = "p1", .path = path}).succeeded());
    CHECK(host.content(path) == "old");
    CHECK(host.mode(path) == 0604);
  }
  const auto fresh = host.path("fresh");
  CHECK(runner->call<Done>(put_of("p2", fresh, "new")).succeeded());
  for (const auto* token : {"u3", "u4"}) {
    CHECK(runner->call<Done>(Unput{.token = token, .of = "p2", .path = fresh}).succeeded());
    CHECK_FALSE(host.exists(fresh));
  }
  CHECK(runner->call<Done>(Unput{.token = "u5", .of = "p9", .path = path}).how == How::absent);
  CHECK(runner->call<Done>(put_of("p3", path, "new")).succeeded());
  host.put(path, "edited");
  const auto done = runner->call<Done>(Unput{.token = "u6", .of = "p3", .path = path});
  CHECK(kept_aside(host, done, path) == "edited");
  CHECK(host.content(path) == "old");
}

PROTOCOL_CASE("protocol: an item is whole, or not there") {
  auto runner = host.lock();
  const auto bytes = noise(20'000);
  auto item = item_of("abc-data", bytes);
  item.bytes = bytes.substr(1) + "x";
  CHECK(runner->call<Failed>(item).why == "item abc-data arrived damaged");
  CHECK(runner->call<Missing>(Items{.names = {"abc-data"}}).names.size() == 1);
  for (int i = 0; i < 2; ++i) runner->call<ItemStored>(item_of("abc-data", bytes));
  CHECK(runner->call<Missing>(Items{.names = {"abc-data", "x"}}).names == std::vector<std::string>{"x"});
  CHECK(runner->call<Missing>(Items{}).names.empty());
}

PROTOCOL_CASE("protocol: starting makes directories and installs items, or says what is wrong") {
  auto runner = with_items(host);
  const auto conf = host.path("etc/a folder/web.conf");
  Start start{.token = "t1", .service = "web", .directories = {{.path = host.path("data/of web")}}};
  start.files = {{.item = "a", .path = conf, .mode = 0640},
                 {.item = "b", .path = host.path("tool"), .mode = 0755}};
  CHECK(runner->call<Done>(start).succeeded());
  CHECK(host.content(conf) == "of a\n");
  CHECK(host.mode(conf) == 0640);
  CHECK(host.mode(host.path("tool")) == 0755);
  CHECK(runner->call<Done>(put_of("p1", host.path("data/of web/x"), "x")).succeeded());
  start.token = "t2";
  start.files[0].item = "ccc-none";
  const auto done = runner->call<Done>(start);
  CHECK(done.how == How::error);
  CHECK(done.error.preview == "there is no item ccc-none in " + host.store() + "\n");
  CHECK(host.content(conf) == "of a\n");
  start.token = "t3";
  start.files[0] = {.item = "a", .path = host.path("data")};
  CHECK(runner->call<Done>(start).error.preview ==
        host.path("data") + " is a directory, and a file is to be there\n");
}

PROTOCOL_CASE(
    "protocol: what stood where a service has its files comes back, what was changed is kept aside") {
  host.make_folder(host.path("etc"));
  host.put(host.path("etc/x"), "precious\n", 0640);
  auto runner = with_items(host);
  const InstalledFile x{.item = "a", .path = host.path("etc/x"), .mode = 0600};
  const InstalledFile y{.item = "b", .path = host.path("etc/new/y")};
  CHECK(runner->call<Done>(files_of("t1", {x, y})).succeeded());
  CHECK(host.content(x.path) == "of a\n");
  CHECK(host.mode(x.path) == 0600);
  host.put(y.path, "edited\n");
  const auto done = runner->call<Done>(files_of("t2", {{.item = "b", .path = x.path}}));
  CHECK(kept_aside(host, done, y.path) == "edited\n");
  CHECK_FALSE(host.exists(y.path));
  CHECK(host.content(x.path) == "of b\n");
  CHECK(runner->call<Done>(Files{.token = "t3", .service = "web", .gone = true}).succeeded());
  CHECK(host.content(x.path) == "precious\n");
  CHECK(host.mode(x.path) == 0640);
}

PROTOCOL_CASE("protocol: a start beside what may still run takes no file away") {
  auto runner = with_items(host);
  const InstalledFile x{.item = "a", .path = host.path("x")};
  const InstalledFile y{.item = "b", .path = host.path("y")};
  CHECK(runner->call<Done>(files_of("t1", {x})).succeeded());
  CHECK(
      runner->call<Done>(Start{.token = "t2", .service = "web", .files = {y}, .release = false}).succeeded());
  CHECK(host.content(x.path) == "of a\n");
  CHECK(runner->call<Done>(Start{.token = "t3", .service = "web", .files = {y}}).succeeded());
  CHECK_FALSE(host.exists(x.path));
  CHECK(host.content(y.path) == "of b\n");
}

/// Service web has a path where something stood, then db takes it.
std::unique_ptr<Line> passed_on(TestHost& host) {
  host.put(host.path("x"), "precious\n", 0640);
  auto runner = with_items(host);
  const InstalledFile of_web{.item = "a", .path = host.path("x"), .mode = 0600};
  const InstalledFile of_db{.item = "b", .path = host.path("x")};
  CHECK(runner->call<Done>(files_of("t1", {of_web})).succeeded());
  CHECK(runner->call<Done>(files_of("t2", {of_db}, "db")).succeeded());
  CHECK(host.content(host.path("x")) == "of b\n");
  return runner;
}

PROTOCOL_CASE("protocol: a path that passed to another service comes back, as long as the giver wants it") {
  const auto runner = passed_on(host);
  CHECK(runner->call<Done>(files_of("t3", {}, "db")).succeeded());
  CHECK(host.content(host.path("x")) == "of a\n");
  CHECK(host.mode(host.path("x")) == 0600);
  CHECK(runner->call<Done>(files_of("t4", {})).succeeded());
  CHECK(host.content(host.path("x")) == "precious\n");
  CHECK(host.mode(host.path("x")) == 0640);
}

PROTOCOL_CASE("protocol: a path that passed to another service hands on what stood there") {
  const auto runner = passed_on(host);
  CHECK(runner->call<Done>(files_of("t3", {})).succeeded());
  CHECK(host.content(host.path("x")) == "of b\n");
  CHECK(runner->call<Done>(files_of("t4", {}, "db")).succeeded());
  CHECK(host.content(host.path("x")) == "precious\n");
}

PROTOCOL_CASE("protocol: a path of another site is refused with both names, and nothing is changed") {
  auto runner = with_items(host);
  CHECK(runner->call<Done>(files_of("t1", {{.item = "a", .path = host.path("x")}})).succeeded());
  auto other = host.connect("two");
  (void)other->call<Locked>(Lock{.lineage = "L2", .epoch = 1, .holder = "bob"});
  const auto done = other->call<Done>(
      files_of("t1", {{.item = "a", .path = host.path("new")}, {.item = "b", .path = host.path("x")}}, "db"));
  CHECK(done.how == How::error);
  CHECK(done.error.preview == host.path("x") +
                                  " belongs to service 'web' of site 'shop' on this host; service 'db' of "
                                  "site 'two' can't have it: change its path, or remove it there first\n");
  CHECK_FALSE(host.exists(host.path("new")));
  CHECK(host.content(host.path("x")) == "of a\n");
}

}  // namespace
