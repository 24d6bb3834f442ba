// SPDX-License-Identifier: LGPL-3.0-or-later
// The protocol as one table of cases: the model host and the runner under each shell pass all of it.
//
// What the model is not asked, since only a shell and a kernel can answer it, is in cases.cpp, files.cpp and
// attacks.cpp:
// - bytes that are no frame, the bootstrap, quoting, environments, descriptors, signals: the shell's own work
// - processes that leave their session, ignore TERM, lose their supervisor; floods: the kernel's
// - records that were torn, of another format, on a full disk or not writable; a PUT cut amid its bytes: the
// disk's
// - owners, modes that a user may not set, links, FIFOs, races: the file system's
// - contenders at one moment, random interruptions, probes side by side: several processes at once
#include <utility>

#include <fmt/format.h>

#include "runner/protocol.hpp"

using namespace tutti::frames;
using namespace tutti::frames::testing;
using namespace tutti::simulation;

namespace {

// ------------------------------------------------------------------ greeting and reading

PROTOCOL_CASE("protocol: who only looks leaves no trace, and may do nothing else") {
  auto runner = host.connect();
  const auto manifest = runner->call<Manifest>(Read{});
  CHECK_FALSE(manifest.fence.has_value());
  CHECK(manifest.nonce.empty());
  CHECK(manifest.entries.empty());
  CHECK(runner->state("t1") == TokenState::absent);
  CHECK(runner->call<LogTail>(Log{.service = "web", .max = 10}).bytes.empty());
  CHECK(runner->call<Refused>(Run{.token = "t1", .program = {.argv = {"true"}}, .input = "bytes"}).why ==
        "unlocked");
  CHECK(runner->call<Refused>(put_of("t2", "/x", "bytes\nof mine")).why == "unlocked");
  CHECK(runner->call<Refused>(item_of("a", "bytes")).why == "unlocked");
  CHECK(runner->call<Refused>(entry_of("t3", "web", Probe::none)).why == "unlocked");
  CHECK(runner->call<Refused>(End{.token = "t1"}).why == "unlocked");
  runner->call<Farewell>(Bye{});
  CHECK_FALSE(runner->next());
  CHECK_FALSE(host.has_state());
}

PROTOCOL_CASE("protocol: reading the manifest needs no lock, and sees what its holder does") {
  auto holder = host.lock();
  CHECK(holder->call<Done>(entry_of("e1", "web", Probe::none)).succeeded());
  auto other = entry_of("e2", "db", Probe::none);
  other.json = "{\n%0A \xff" + std::string("\0\n", 2);
  CHECK(holder->call<Done>(other).succeeded());
  auto reader = host.connect();
  const auto manifest = reader->call<Manifest>(Read{});
  CHECK(manifest.fence == Fence{"L1", 1});
  CHECK(manifest.holder == "anna@desk");
  CHECK(manifest.nonce == host.nonce);
  REQUIRE(manifest.entries.size() == 2);
  CHECK(manifest.entries[0].service == "db");
  CHECK(manifest.entries[0].bytes == other.json);
  CHECK(manifest.entries[1].bytes == "{\"service\": \"web\"}");
  CHECK(manifest.entries[1].life == Life::alive);
  CHECK(holder->call<Done>(entry_of("e3", "db", Probe::drop)).succeeded());
  CHECK(reader->call<Manifest>(Read{}).entries.size() == 1);
  CHECK(holder->call<Done>(entry_of("e4", "db", Probe::drop)).succeeded());
}

PROTOCOL_CASE("protocol: an entry's probe tells whether it lives") {
  auto runner = host.lock();
  runner->call<Done>(entry_of("e1", "yes", Probe::run, {"true"}));
  runner->call<Done>(entry_of("e2", "no", Probe::run, {"false"}));
  runner->call<Done>(entry_of("e3", "not-there", Probe::run, {"/no/such program"}));
  runner->call<Done>(entry_of("e4", "web", Probe::daemon));
  runner->call<Done>(entry_of("e5", "slow", Probe::run, host.program({nap(for_ever)})));
  auto nowhere = entry_of("e6", "nowhere", Probe::run, {"true"});
  nowhere.program.cwd = "/no/such";
  runner->call<Done>(nowhere);
  auto nobodys = entry_of("e7", "nobodys", Probe::run, {"true"});
  nobodys.program.user = "no-such-user";
  runner->call<Done>(nobodys);
  const auto manifest = runner->call<Manifest>(Read{});
  CHECK(life_of(manifest, "yes") == Life::alive);
  CHECK(life_of(manifest, "no") == Life::dead);
  CHECK(life_of(manifest, "not-there") == Life::unknown);
  CHECK(life_of(manifest, "web") == Life::dead);
  CHECK(life_of(manifest, "slow") == Life::unknown);
  CHECK(life_of(manifest, "nowhere") == Life::unknown);
  CHECK(life_of(manifest, "nobodys") == Life::unknown);
}

PROTOCOL_CASE("protocol: reading tells what stands at paths that the site wants, and whose it is") {
  host.put(host.path("file"), "x");
  host.make_folder(host.path("folder"));
  Read read;
  for (const char* name : {"not there", "file", "folder", "of web"})
    read.paths.push_back({"db", host.path(name)});
  read.paths.push_back({"db", "not absolute"});
  auto runner = with_items(host);
  CHECK(runner->call<Done>(files_of("t1", {{.item = "a", .path = host.path("of web")}})).succeeded());
  auto found = runner->call<Manifest>(read).paths;
  REQUIRE(found.size() == 4);
  CHECK(found[0].index == 1);
  CHECK(found[0].what == Stands::file);
  CHECK(found[1].what == Stands::directory);
  CHECK(found[2].what == Stands::service);
  CHECK(found[2].service == "web");
  CHECK(found[3].index == 4);
  CHECK(found[3].what == Stands::unreachable);
  CHECK(runner->call<Manifest>(Read{.paths = {{"web", host.path("of web")}}}).paths.empty());
  found = host.connect("two")->call<Manifest>(Read{.paths = {{"db", host.path("of web")}}}).paths;
  REQUIRE(found.size() == 1);
  CHECK(found[0].what == Stands::site);
  CHECK(found[0].site == "shop");
}

// ------------------------------------------------------------------ lock, fence, nonce

PROTOCOL_CASE("protocol: a lower epoch, another lineage and another nonce are refused") {
  auto runner = host.connect();
  host.nonce = runner->call<Locked>(host.authority(5)).nonce;
  runner->call<Farewell>(Bye{});
  CHECK_FALSE(runner->next());
  auto second = host.connect();
  auto foreign = host.authority(9);
  foreign.lineage = "L2";
  auto refused = second->call<Refused>(foreign);
  CHECK(refused.why == "lineage");
  CHECK(refused.detail == "L1:5:anna@desk");
  refused = second->call<Refused>(host.authority(4));
  CHECK(refused.why == "epoch");
  CHECK(refused.detail == "L1:5:anna@desk");
  auto ahead = host.authority(9);
  ahead.seen = 6;
  refused = second->call<Refused>(ahead);
  CHECK(refused.why == "went-back");
  CHECK(refused.detail == "5");
  auto other_nonce = host.authority(9);
  other_nonce.nonce = "n1";
  refused = second->call<Refused>(other_nonce);
  CHECK(refused.why == "nonce");
  CHECK(refused.detail == host.nonce);
  CHECK(second->call<Manifest>(Read{}).fence == Fence{"L1", 5});
  CHECK(second->call<Refused>(Run{.token = "t1", .program = {.argv = {"true"}}}).why == "unlocked");
  CHECK(second->call<Locked>(host.authority(5)).nonce == host.nonce);
  CHECK(second->call<Locked>(host.authority(6)).nonce == host.nonce);
  CHECK(second->run("t1", {"true"}).succeeded());
  CHECK(second->call<Refused>(host.authority(5)).why == "epoch");
  CHECK(second->run("t2", {"true"}).succeeded());
}

PROTOCOL_CASE("protocol: records that were lost are missed by who knew the nonce, and by nobody else") {
  auto runner = host.lock();
  CHECK(runner->run("t1", {"true"}).succeeded());
  runner->kill();
  host.lose_records();
  auto second = host.connect();
  const auto refused = second->call<Refused>(host.authority(2));
  CHECK(refused.why == "nonce");
  CHECK(refused.detail == "absent");
  const std::string before = std::exchange(host.nonce, "");
  const auto locked = second->call<Locked>(host.authority(2));
  CHECK(locked.nonce != before);
  CHECK(second->state("t1") == TokenState::absent);
}

PROTOCOL_CASE(
    "protocol: a host keeps its name in the site, and another only takes the place of the one told") {
  auto runner = host.connect();
  host.nonce = runner->call<Locked>(host.authority(1)).nonce;
  CHECK(runner->call<Manifest>(Read{}).name.empty());  // who says no name leaves none
  auto frame = host.authority(1);
  frame.name = "web1";
  runner->call<Locked>(frame);
  CHECK(runner->call<Manifest>(Read{}).name == "web1");
  CHECK(runner->call<Locked>(host.authority(1)).nonce == host.nonce);  // nor asks for one
  frame.name = "db1";
  const auto refused = runner->call<Refused>(frame);
  CHECK(refused.why == "name");
  CHECK(refused.detail == "web1");
  frame.was = "web2";
  CHECK(runner->call<Refused>(frame).why == "name");
  auto other = host.connect();
  CHECK(other->call<Refused>(frame).why == "name");  // also while the lock is held: it says more than `busy`
  frame.was = "web1";
  runner->call<Locked>(frame);
  CHECK(runner->call<Manifest>(Read{}).name == "db1");
  runner->call<Locked>(frame);  // once more, after an answer that was lost
}

PROTOCOL_CASE(
    "protocol: a living holder of the same epoch is left alone, one of a lower epoch is displaced") {
  auto first = host.lock();
  auto second = host.connect();
  CHECK(second->call<Refused>(host.authority(1)).why == "busy");
  CHECK(first->run("t1", {"true"}).succeeded());
  second->call<Locked>(host.authority(2));
  CHECK_FALSE(first->next());
  CHECK(second->run("t2", {"true"}).succeeded());
}

PROTOCOL_CASE("protocol: a take-over names exactly the fence that stands") {
  auto first = host.lock();
  auto frame = host.authority(1);
  frame.lineage = "L2";
  frame.nonce = "";
  auto second = host.connect();
  for (const auto& wrong : {Fence{"L1", 2}, Fence{"L3", 1}, Fence{"L2", 1}}) {
    frame.expect = wrong;
    CHECK(second->call<Refused>(frame).why == "lineage");
  }
  CHECK(first->run("t1", {"true"}).succeeded());
  frame.expect = Fence{"L1", 1};
  CHECK(second->call<Locked>(frame).nonce == host.nonce);
  CHECK_FALSE(first->next());
  CHECK(second->call<Manifest>(Read{}).fence == Fence{"L2", 1});
  CHECK_FALSE(second->state("t1").has_value());
  auto third = host.connect();
  CHECK(third->call<Refused>(host.authority(7)).why == "lineage");
}

PROTOCOL_CASE("protocol: a fresh machine is no machine that went back") {
  auto runner = host.connect();
  auto frame = host.authority(7);
  frame.seen = 6;
  frame.nonce = "n1";
  auto refused = runner->call<Refused>(frame);
  CHECK(refused.why == "nonce");
  CHECK(refused.detail == "absent");
  frame.nonce = "";
  runner->call<Locked>(frame);
  runner->call<Done>(entry_of("e1", "web", Probe::none));
  runner->call<Farewell>(Bye{});
  host.lose_fence();
  auto second = host.connect();
  frame.epoch = 8;
  refused = second->call<Refused>(frame);
  CHECK(refused.why == "went-back");
  CHECK(refused.detail == "0");
}

PROTOCOL_CASE("protocol: sites on one host know nothing of each other") {
  auto shop = host.lock();
  auto lab = host.connect("lab");
  auto frame = host.authority(1);
  frame.lineage = "L2";
  frame.nonce = "";
  lab->call<Locked>(frame);
  CHECK(shop->run("t1", host.program({say("shop\n")})).output.preview == "shop\n");
  CHECK(lab->run("t1", host.program({say("lab\n")})).output.preview == "lab\n");
  CHECK(shop->run("t1", host.program({say("again\n")})).output.preview == "shop\n");
}

// ------------------------------------------------------------------ programs and their records

PROTOCOL_CASE("protocol: a token that is done is answered from its record, with status, output and errors") {
  auto runner = host.lock();
  const auto program =
      host.program({append(host.path("log"), "x\n"), say("out\n"), complain("err\n"), leave(7)});
  for (int i = 0; i < 3; ++i) {
    const auto done = runner->run("t1", program);
    CHECK(done.how == How::exit);
    CHECK(done.status == 7);
    CHECK(done.output.preview == "out\n");
    CHECK(done.error.preview == "err\n");
    CHECK(done.output.size == 4);
    CHECK_FALSE(done.succeeded());
  }
  auto second = host.lock();
  CHECK(second->run("t1", program).status == 7);
  CHECK(host.content(host.path("log")) == "x\n");
}

PROTOCOL_CASE("protocol: large output stays on the host, and can be fetched or used as input") {
  auto runner = host.lock();
  const auto bytes = noise(300'000);
  const auto done = runner->call<Done>(
      Run{.token = "t1", .program = {.argv = host.program({copy_input(), complain("oh")})}, .input = bytes});
  CHECK(done.output.size == bytes.size());
  CHECK(done.output.sha256 == tutti::sha256(bytes));
  CHECK(done.output.preview == bytes.substr(0, 4096));
  CHECK(done.error.preview == "oh");
  std::string fetched;
  for (;;) {
    const auto part = runner->call<OutputPart>(Out{.token = "t1", .offset = fetched.size(), .max = 123'456});
    CHECK(part.size == bytes.size());
    if (part.bytes.empty()) break;
    fetched += part.bytes;
  }
  CHECK(fetched == bytes);
  CHECK(runner->call<OutputPart>(Out{.token = "t1", .stream = Stream::err, .offset = 1, .max = 9}).bytes ==
        "h");
  CHECK(runner->call<Failed>(Out{.token = "t9", .max = 9}).why == "there is no effect t9");
  const auto used = runner->call<Done>(Run{.token = "t2", .program = {.argv = {"cat"}}, .input = Blob{"t1"}});
  CHECK(used.output.sha256 == tutti::sha256(bytes));
  const auto unknown =
      runner->call<Done>(Run{.token = "t3", .program = {.argv = {"cat"}}, .input = Blob{"t9"}});
  CHECK(unknown.how == How::error);
  CHECK(unknown.status == 125);
  CHECK(unknown.error.preview == "there is no output of effect t9 on this host\n");
  runner->run("t4", {"true"});
  CHECK(
      runner->call<Done>(Run{.token = "t5", .program = {.argv = {"cat"}}, .input = Blob{"t4"}}).succeeded());
  CHECK(runner->run("t6", {"cat"}).output.size == 0);
}

PROTOCOL_CASE("protocol: a program that can't be run says why") {
  auto runner = host.lock();
  const auto done = runner->run("t1", {"/no/such"});
  CHECK(done.how == How::exit);
  CHECK(done.status == 127);
  CHECK(done.error.preview.find("/no/such") != std::string::npos);
  Run run{.token = "t2", .program = {.argv = {"true"}, .cwd = host.path("no folder")}};
  const auto nowhere = runner->call<Done>(run);
  CHECK(nowhere.how == How::error);
  CHECK(nowhere.error.preview == "there is no directory " + host.path("no folder") + "\n");
}

PROTOCOL_CASE("protocol: when its limit is over, a program is ended") {
  auto runner = host.lock();
  const auto done = runner->call<Done>(
      Run{.token = "t1", .program = {.argv = host.program({say("begun\n"), nap(for_ever)})}, .limit = 0.5});
  CHECK(done.how == How::timeout);
  CHECK_FALSE(done.succeeded());
  CHECK(done.output.preview == "begun\n");
}

PROTOCOL_CASE("protocol: a program is tried until it succeeds") {
  auto runner = host.lock();
  const auto tries = host.path("tries");
  const auto later = host.path("later");
  CHECK(
      runner->call<Done>(daemon_of(host, "d1", {nap(0.6), append(later, "now"), nap(for_ever)})).succeeded());
  Run run{.token = "t1",
          .program = {.argv = host.program({append(tries, "x"), say("tried\n"), need(later)})},
          .limit = 30,
          .every = 0.1};
  const auto done = runner->call<Done>(run);
  CHECK(done.succeeded());
  CHECK(done.output.preview == "tried\n");  // of the last try
  CHECK(host.content(tries).value().size() >= 2);
  run = {.token = "t2",
         .program = {.argv = host.program({complain("no\n"), leave(9)})},
         .limit = 0.5,
         .every = 0.1};
  const auto late = runner->call<Done>(run);
  CHECK(late.how == How::timeout);
  CHECK(late.status == 9);
  CHECK(late.error.preview == "no\n");
  run = {.token = "t3", .program = {.argv = {"sleep", "300"}}, .limit = 0.3, .every = 0.1};
  CHECK(runner->call<Done>(run).how == How::timeout);
}

// ------------------------------------------------------------------ interruptions

PROTOCOL_CASE("protocol: an effect survives its runner, and what became of it is found") {
  auto runner = host.lock();
  (void)runner->post(Run{.token = "t1", .program = {.argv = host.program({nap(1), say("fin\n")})}});
  CHECK(host.begun("t1"));
  runner->kill();
  auto second = host.lock();
  CHECK(second->state("t1") == TokenState::started);
  CHECK_FALSE(second->state("t1", 20'000).has_value());
  const auto done = second->run("t1", {"false"});
  CHECK(done.succeeded());
  CHECK(done.output.preview == "fin\n");
}

PROTOCOL_CASE("protocol: a lock that says so ends what was begun under another epoch, and nothing else") {
  auto first = host.lock();
  CHECK(first->run("t0", host.program({say("done\n")})).succeeded());
  (void)first->post(Run{.token = "t1", .program = {.argv = host.program({nap(for_ever), say("fin\n")})}});
  CHECK(host.begun("t1"));
  first->kill();
  auto second = host.connect();
  Lock lock = host.authority(host.epoch + 1);
  lock.end_others = true;
  (void)second->call<Locked>(lock);
  CHECK_FALSE(second->state("t1").has_value());
  CHECK(second->run("t1", {"true"}).how == How::killed);
  CHECK(second->run("t0", {"false"}).output.preview == "done\n");
}

PROTOCOL_CASE("protocol: a lock forgets old runs, and what was done outside of runs") {
  auto first = host.lock();
  const auto program = host.program({say("said\n")});
  const auto twice = host.program({say("twice\n")});
  const auto outside = fmt::format("i.l12.{}-1", host.epoch);
  for (const auto* token : {"l12.8.0.t.0", "l12.9.0.t.1.2.0", "l12.10.0.t.0", "l12.30.0.c1.2", "plain"})
    CHECK(first->run(token, program).succeeded());
  CHECK(first->run(outside, program).succeeded());
  CHECK(first->call<Done>(put_of("l12.9.1.t.0", host.path("file"), "whole")).succeeded());
  first->kill();
  const auto locked = [&](int forget_before) {
    auto runner = host.connect();
    Lock lock = host.authority(++host.epoch);
    lock.end_others = true;
    lock.forget_before = forget_before;
    (void)runner->call<Locked>(lock);
    return runner;
  };
  {
    auto second = locked(0);
    CHECK(second->run("l12.8.0.t.0", twice).output.preview == "said\n");
  }
  auto third = locked(10);
  const auto now_outside = fmt::format("i.l12.{}-1", host.epoch);
  CHECK(third->run(now_outside, program).succeeded());
  for (const auto* token : {"l12.10.0.t.0", "l12.30.0.c1.2", "plain"})
    CHECK(third->run(token, twice).output.preview == "said\n");
  for (const auto& token :
       {std::string("l12.8.0.t.0"), std::string("l12.9.0.t.1.2.0"), std::string("l12.9.1.t.0"), outside})
    CHECK(third->state(token) == TokenState::absent);
  CHECK(host.content(host.path("file")) == "whole");
  // The same lock again, as after a connection was lost, takes nothing of the run that goes on.
  Lock again = host.authority(host.epoch);
  again.end_others = true;
  again.forget_before = 31;
  (void)third->call<Locked>(again);
  CHECK(third->run(now_outside, twice).output.preview == "said\n");
  CHECK(third->state("l12.30.0.c1.2") == TokenState::absent);
}

PROTOCOL_CASE(
    "protocol: one that waits for its effect is displaced, and the effect can be ended, between tries too") {
  auto first = host.lock();
  (void)first->post(Run{.token = "t1", .program = {.argv = host.program({nap(for_ever)})}, .limit = 600});
  CHECK(host.begun("t1"));
  auto second = host.lock();
  CHECK_FALSE(first->next());
  CHECK(second->state("t1") == TokenState::started);
  CHECK(second->call<Done>(End{.token = "t1"}).how == How::killed);
  CHECK(second->run("t1", {"true"}).how == How::killed);
  (void)second->post(Run{.token = "t2", .program = {.argv = {"false"}}, .limit = 300, .every = 100});
  CHECK(host.begun("t2"));
  auto third = host.lock();
  CHECK(third->call<Done>(End{.token = "t2"}).how == How::killed);
  CHECK(third->call<TokenState>(End{.token = "t9"}) == TokenState::absent);
}

PROTOCOL_CASE("protocol: what is forgotten may happen again, what is under way can't be") {
  auto runner = host.lock();
  CHECK(runner->run("t1", host.program({say("one\n")})).output.preview == "one\n");
  CHECK(runner->call<TokenState>(Forget{.token = "t1"}) == TokenState::absent);
  CHECK(runner->state("t1") == TokenState::absent);
  CHECK(runner->run("t1", host.program({say("two\n")})).output.preview == "two\n");
  (void)runner->post(Run{.token = "t2", .program = {.argv = {"sleep", "300"}}});
  CHECK(host.begun("t2"));
  auto second = host.lock();
  CHECK(second->call<TokenState>(Forget{.token = "t2"}) == TokenState::started);
  CHECK(second->call<Done>(End{.token = "t2"}).how == How::killed);
}

}  // namespace
