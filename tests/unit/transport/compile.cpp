// SPDX-License-Identifier: LGPL-3.0-or-later
#include "transport/compile.hpp"

#include <doctest/doctest.h>

using namespace tutti;

namespace {

const Layout layout{
    .state = "/h/.tutti", .store = "/h/store", .data = "/h/data", .root = "/h", .confined = true};

Command command(std::vector<std::string> argv, double limit = 60, bool is_daemon = false) {
  return {.argv = std::move(argv),
          .environment = {{"E", "1"}},
          .user = "www",
          .directory = "/h",
          .limit = limit,
          .is_daemon = is_daemon};
}

Definition daemon_service() {
  Definition d{.service = "web", .version = "2", .payload = {"aa-web"}};
  d.files = {{.path = "/h/etc/web.conf", .item = "bb-conf", .mode = 0600, .owner = "www"}};
  d.data_directories = {"/h/data/shop/web/state"};
  d.user = "www";
  d.programs["start"] = command({"bin/web"}, 60, true);
  return d;
}

/// Started and stopped by programs of its own.
Definition program_service() {
  Definition d{.service = "db", .version = "1"};
  d.programs["start"] = command({"ctl", "start"});
  d.programs["stop"] = command({"ctl", "stop"}, 20);
  return d;
}

Compiled compiled(const Request& request, const std::string& token = "r1.t.1", const Layout& where = layout) {
  CanonicalForms forms;
  return compile(token, "h1", where, request, forms);
}
template <class E> Compiled compiled(const Definition& d, bool idempotent = false) {
  return compiled({.effect = E{std::make_shared<const Definition>(d)}, .idempotent = idempotent});
}
template <class T> T frame(const Compiled& c) {
  REQUIRE_FALSE(c.answer.has_value());
  REQUIRE(std::holds_alternative<T>(c.frame));
  return std::get<T>(c.frame);
}
void succeeds_at_once(const Compiled& c) {
  REQUIRE(c.answer.has_value());
  CHECK(c.answer->succeeded);
  CHECK_FALSE(c.pause.has_value());
}
const Request any_program{.effect = effect::Run{.command = {.argv = {"x"}}}};

std::string error(const Compiled& c) {
  REQUIRE(c.answer.has_value());
  CHECK_FALSE(c.answer->succeeded);
  CHECK(c.answer->how == How::error);
  return c.answer->error;
}

}  // namespace

TEST_CASE("compile: a program runs once, in the host's root unless it says otherwise") {
  const auto run =
      frame<frames::Run>(compiled({.effect = effect::Run{.command = {.argv = {"ls"}, .limit = 5}}}));
  CHECK(run.token == "r1.t.1");
  CHECK(run.program.argv == std::vector<std::string>{"ls"});
  CHECK(run.program.cwd == "/h");
  CHECK(run.limit == 5);
  CHECK(run.every == 0);
  const auto other =
      frame<frames::Run>(compiled({.effect = effect::Run{.command = command({"ls"})}, .limit = 7}));
  CHECK(other.limit == 7);
  CHECK(other.program.user == "www");
  CHECK(other.program.env == frames::Environment{{"E", "1"}});
}

TEST_CASE("compile: the answer is waited for longer than the effect may take") {
  const Compiled c = compiled({.effect = effect::Run{.command = {.argv = {"ls"}, .limit = 500}}});
  CHECK(c.patience > 500);
}

TEST_CASE("compile: wait-until tries again, every second where it does not say") {
  CHECK(frame<frames::Run>(compiled({.effect = effect::WaitUntil{.command = {.argv = {"ls"}}, .every = 0.2}}))
            .every == 0.2);
  CHECK(frame<frames::Run>(compiled({.effect = effect::WaitUntil{.command = {.argv = {"ls"}}}})).every == 1);
}

TEST_CASE("compile: input is text, or an output that is on the same host") {
  Request request{.effect = effect::Run{.command = {.argv = {"cat"}}, .input = "text"}};
  const auto input = [&] { return frame<frames::Run>(compiled(request)).input; };
  CHECK(input() == frames::Input{std::string("text")});
  request.as<effect::Run>()->input = "";
  CHECK(input() == frames::Input{});
  request.as<effect::Run>()->input =
      Output{.text = "all", .size = 3, .sha256 = {}, .host = "h2", .token = "t9"};
  CHECK(input() == frames::Input{std::string("all")});
  request.as<effect::Run>()->input =
      Output{.text = "beginn", .cut = true, .size = 9999, .sha256 = {}, .host = "h1", .token = "t9"};
  CHECK(input() == frames::Input{frames::Blob{"t9"}});
  std::get<Output>(request.as<effect::Run>()->input).host = "h2";
  CHECK(error(compiled(request)).find("on h2") != std::string::npos);
}

TEST_CASE("compile: a daemon is started with its directories and files, and stopped by the runner") {
  const Definition d = daemon_service();
  const Compiled c = compiled<effect::Start>(d);
  const auto start = frame<frames::Start>(c);
  CHECK(start.service == "web");
  CHECK(start.daemon);
  CHECK_FALSE(start.already);
  CHECK(start.definition == running_hash(d).substr(0, 32));
  REQUIRE(start.directories.size() == 1);
  CHECK(start.directories[0].path == "/h/data/shop/web/state");
  CHECK(start.directories[0].owner == "www");
  REQUIRE(start.files.size() == 1);
  CHECK(start.files[0].item == "bb-conf");
  CHECK(start.files[0].mode == 0600);
  CHECK(c.items == std::vector<std::string>{"aa-web", "bb-conf"});

  const auto again = frame<frames::Start>(compiled<effect::Start>(d, true));
  CHECK(again.already);
  CHECK(again.check.empty());  // the runner knows whether it lives

  const auto stop = frame<frames::Stop>(compiled<effect::Stop>(d));
  CHECK(stop.daemon);
  CHECK(stop.program.argv.empty());
}

TEST_CASE("compile: an idempotent start asks `alive`, else `validate`, whether it is up") {
  Definition d = program_service();
  CHECK(frame<frames::Start>(compiled<effect::Start>(d, true)).check.empty());
  d.programs["validate"] = command({"ctl", "ping"});
  CHECK(frame<frames::Start>(compiled<effect::Start>(d, true)).check ==
        std::vector<std::string>{"ctl", "ping"});
  CHECK(frame<frames::Start>(compiled<effect::Start>(d)).check.empty());
  d.programs["alive"] = command({"ctl", "status"});
  CHECK(frame<frames::Start>(compiled<effect::Start>(d, true)).check ==
        std::vector<std::string>{"ctl", "status"});
}

TEST_CASE("compile: what has files alone is started by installing them, and there is nothing to stop") {
  Definition d = daemon_service();
  d.programs.clear();
  const auto start = frame<frames::Start>(compiled<effect::Start>(d));
  CHECK(start.program.argv.empty());
  CHECK(start.files.size() == 1);
  succeeds_at_once(compiled<effect::Stop>(d));
}

TEST_CASE("compile: a stop program is waited for to take effect only where `alive` can say so") {
  Definition d = program_service();
  d.programs["validate"] = command({"ctl", "ping"});
  auto stop = frame<frames::Stop>(compiled<effect::Stop>(d));
  CHECK(stop.program.argv == std::vector<std::string>{"ctl", "stop"});
  CHECK(stop.limit == 20);
  CHECK(stop.check == std::vector<std::string>{"ctl", "ping"});
  CHECK_FALSE(stop.gone);
  d.programs["alive"] = command({"ctl", "status"});
  stop = frame<frames::Stop>(compiled<effect::Stop>(d));
  CHECK(stop.check == std::vector<std::string>{"ctl", "status"});
  CHECK(stop.gone);
}

TEST_CASE("compile: a one-shot has nothing to stop") {
  Definition d{.service = "schema", .version = "1", .one_shot = true};
  d.programs["start"] = command({"migrate"});
  succeeds_at_once(compiled<effect::Stop>(d));
}

TEST_CASE("compile: validating") {
  SUBCASE("tries the hook until it succeeds, and a daemon must live meanwhile") {
    Definition d = daemon_service();
    d.programs["validate"] = command({"curl"}, 15);
    const auto run = frame<frames::Run>(compiled<effect::Validate>(d));
    CHECK(run.program.argv == std::vector<std::string>{"curl"});
    CHECK(run.every == 1);
    CHECK(run.limit == 15);
    CHECK(run.service == "web");
  }
  SUBCASE("a daemon without a hook must live") {
    const auto run = frame<frames::Run>(compiled<effect::Validate>(daemon_service()));
    CHECK(run.program.argv == std::vector<std::string>{"true"});
    CHECK(run.service == "web");
  }
  SUBCASE("a service with `alive` is asked that") {
    Definition d = program_service();
    d.programs["alive"] = command({"ctl", "status"});
    const auto run = frame<frames::Run>(compiled<effect::Validate>(d));
    CHECK(run.program.argv == std::vector<std::string>{"ctl", "status"});
    CHECK(run.service.empty());
  }
  SUBCASE("what cannot be asked is taken as well") {
    succeeds_at_once(compiled<effect::Validate>(program_service()));
  }
}

TEST_CASE("compile: reloading installs the files and runs the hook") {
  Definition d = daemon_service();
  CHECK(error(compiled<effect::Reload>(d)).find("reload") != std::string::npos);
  d.programs["reload"] = command({"kill", "-HUP"}, 3);
  const auto start = frame<frames::Start>(compiled<effect::Reload>(d));
  CHECK_FALSE(start.daemon);
  CHECK(start.program.argv == std::vector<std::string>{"kill", "-HUP"});
  CHECK(start.files.size() == 1);
  CHECK(start.limit == 3);
}

TEST_CASE("compile: settling makes directories and needs no items") {
  const Compiled c = compiled<effect::MakeDirectories>(daemon_service());
  const auto start = frame<frames::Start>(c);
  CHECK(start.directories.size() == 1);
  CHECK(start.files.empty());
  CHECK(start.program.argv.empty());
  CHECK(c.items.empty());
  succeeds_at_once(compiled<effect::MakeDirectories>(program_service()));
}

TEST_CASE("compile: an entry says how to judge that the instance lives") {
  const auto entry = [](const Definition& d) {
    const ManifestEntry manifest{.service = d.service,
                                 .new_definition = std::make_shared<const Definition>(d)};
    return compiled({.effect = effect::WriteEntry{.about = nullptr, .entry = manifest}});
  };
  const auto probed = [&](const Definition& d) { return frame<frames::Entry>(entry(d)); };
  CHECK(probed(daemon_service()).probe == frames::Probe::daemon);
  CHECK(probed(daemon_service()).service == "web");

  Definition d = program_service();
  CHECK(probed(d).probe == frames::Probe::none);
  d.programs["validate"] = command({"ctl", "ping"}, 600);
  CHECK(probed(d).probe == frames::Probe::run);
  CHECK(probed(d).program.argv == std::vector<std::string>{"ctl", "ping"});
  CHECK(probed(d).limit == 10);
  d.programs["alive"] = command({"ctl", "status"}, 4);
  CHECK(probed(d).program.argv == std::vector<std::string>{"ctl", "status"});
  CHECK(probed(d).limit == 4);
  d.one_shot = true;
  CHECK(probed(d).probe == frames::Probe::none);
}

TEST_CASE("compile: a first entry needs the items, a last one does with those there are") {
  const ManifestEntry manifest{.state = ManifestEntry::State::changing,
                               .service = "web",
                               .new_definition = std::make_shared<const Definition>(daemon_service())};
  const Compiled begin =
      compiled({.effect = effect::WriteEntry{.about = nullptr, .entry = manifest, .is_first = true}});
  CHECK(begin.items == std::vector<std::string>{"aa-web", "bb-conf"});
  CHECK(begin.items_required);
  CHECK_FALSE(compiled({.effect = effect::WriteEntry{.about = nullptr, .entry = manifest}}).items_required);
}

TEST_CASE("compile: an empty last entry drops it") {
  const auto entry = frame<frames::Entry>(
      compiled({.effect = effect::WriteEntry{std::make_shared<const Definition>(daemon_service())}}));
  CHECK(entry.probe == frames::Probe::drop);
  CHECK(entry.service == "web");
}

TEST_CASE("compile: files are relative to the host's root, and stay within it where hosts are directories") {
  const auto put = frame<frames::Put>(
      compiled({.effect = effect::PutFile{.path = "etc/motd", .content = "hi", .mode = 0640}}));
  CHECK(put.path == "/h/etc/motd");
  CHECK(put.mode == 0640);
  CHECK(put.sha256 == "8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4");
  CHECK(frame<frames::Get>(compiled({.effect = effect::GetFile{.path = "/h/etc/motd"}})).max ==
        most_file_bytes);
  CHECK(frame<frames::Unput>(compiled({.effect = effect::RestoreFile{.path = "etc/motd", .of = "t1"}})).of ==
        "t1");
  CHECK(error(compiled({.effect = effect::PutFile{.path = "/etc/motd", .content = ""}})).find("below /h") !=
        std::string::npos);
  CHECK(error(compiled({.effect = effect::PutFile{.path = "a/../../etc", .content = ""}})).find("below /h") !=
        std::string::npos);

  const Layout real{.state = "/s", .store = "/t", .data = "/d", .root = "/", .confined = false};
  const Compiled c = compiled({.effect = effect::PutFile{.path = "/etc/motd", .content = ""}}, "t", real);
  CHECK(frame<frames::Put>(c).path == "/etc/motd");
}

TEST_CASE("compile: the files of a service are those of a definition, or none") {
  const auto d = std::make_shared<Definition>(daemon_service());
  const Compiled exact =
      compiled({.effect = effect::InstallFiles{.service = "web", .definition = d, .former = {nullptr, d}}});
  const auto files = frame<frames::Files>(exact);
  CHECK(files.service == "web");
  CHECK(files.user == d->user);
  REQUIRE(files.files.size() == 1);
  CHECK(files.files[0].path == "/h/etc/web.conf");
  REQUIRE(files.adopt.size() == 1);
  CHECK(files.adopt[0].item == "bb-conf");
  CHECK_FALSE(files.gone);
  CHECK(exact.items == std::vector<std::string>{"bb-conf"});

  const auto none = frame<frames::Files>(compiled(
      {.effect = effect::InstallFiles{.service = "web", .definition = nullptr, .former = {d, nullptr}}}));
  CHECK(none.service == "web");
  CHECK(none.user == d->user);
  CHECK(none.files.empty());
  CHECK(none.adopt.size() == 1);
  CHECK(none.gone);
}

TEST_CASE("compile: sleep and now touch no host") {
  const Compiled sleep = compiled({.effect = effect::Sleep{.seconds = 3}});
  CHECK(sleep.pause == 3);
  const Compiled now = compiled({.effect = effect::Now{}});
  REQUIRE(now.answer.has_value());
  CHECK(now.asks_time);
}

TEST_CASE("result: success is status 0 of a program, or that it was so already") {
  const Request request{.effect = effect::Run{.command = {.argv = {"x"}, .limit = 5}}};
  const auto result = [&](frames::How how, int status, std::string err = "") {
    return to_result(request, "t", "h1",
                     {.how = how,
                      .status = status,
                      .output = {},
                      .error = {.size = err.size(), .sha256 = {}, .preview = err}});
  };
  CHECK(result(How::exit, 0).succeeded);
  CHECK(result(How::already, 0).succeeded);
  CHECK(result(How::absent, 0).succeeded);
  CHECK(result(How::exit, 0).error.empty());
  for (const auto how :
       {How::timeout, How::killed, How::busy, How::died, How::lingers, How::error, How::flood, How::full}) {
    CHECK_FALSE(result(how, 0).succeeded);
    CHECK(result(how, 0).how == how);
    CHECK_FALSE(result(how, 0).error.empty());
  }
  CHECK(result(How::exit, 3, "no such table\n").error == "no such table");
  CHECK(result(How::exit, 3).error == "it ended with status 3 and said nothing");
  CHECK(result(How::timeout, 143, "waiting").error == "it did not end within 5 s and was killed: waiting");
  CHECK(result(How::died, 1, "File x\nAddress in use\n").error ==
        "the daemon ended with status 1:\nFile x\nAddress in use");
  CHECK(result(How::full, 0).error.starts_with("the disk of the host is full: it ended with status 0, but"));
}

TEST_CASE("result: of a long complaint the last lines are kept, without control characters") {
  std::string err = "first\n";
  for (int i = 0; i < 3000; ++i) err += "line " + std::to_string(i) + "\n";
  err += "\033[31mthe reason\n";
  const Result result = to_result(any_program, "t", "h1",
                                  {.how = How::exit,
                                   .status = 1,
                                   .output = {},
                                   .error = {.size = err.size(), .sha256 = {}, .preview = err}});
  CHECK(result.error.ends_with("line 2999\n\\x1b[31mthe reason"));
  CHECK(result.error.size() < 2100);
  const Result cut = to_result(any_program, "t", "h1",
                               {.how = How::exit,
                                .status = 1,
                                .output = {},
                                .error = {.size = 9999, .sha256 = {}, .preview = "begin"}},
                               "the end");
  CHECK(cut.error == "the end");
}

TEST_CASE("result: a program that says why on standard output alone is heard there") {
  const Request request{.effect = effect::Validate{}, .limit = 5};
  const auto done = [](frames::How how, std::string out, std::string err) {
    return frames::Done{.how = how,
                        .status = 3,
                        .output = {.size = out.size(), .sha256 = {}, .preview = out},
                        .error = {.size = err.size(), .sha256 = {}, .preview = err}};
  };
  const auto why = [&](const frames::Done& said) { return to_result(request, "t", "h1", said).error; };
  CHECK(why(done(How::exit, "port taken\n", "")) == "port taken");
  CHECK(why(done(How::exit, "port taken\n", " \n")) == "port taken");
  CHECK(why(done(How::exit, "200 lines of page\n", "port taken\n")) == "port taken");
  CHECK(why(done(How::timeout, "port taken\n", "")) == "it did not succeed within 5 s: port taken");
  CHECK(why(done(How::error, "of the try before\n", "")) == "the host could not prepare it");
  // Of a long one the end, which is asked for.
  frames::Done cut = done(How::exit, "begin", "");
  cut.output.size = 9999;
  CHECK(says_why(cut) == frames::Stream::out);
  CHECK(to_result(request, "t", "h1", cut, "the end").error == "the end");
}

TEST_CASE("result: an output that is more than its preview stays on the host") {
  const Result result = to_result(any_program, "t7", "h1",
                                  {.how = How::exit,
                                   .status = 0,
                                   .output = {.size = 5000, .sha256 = "abc", .preview = "beginning"},
                                   .error = {}});
  CHECK(result.output ==
        Output{.text = "beginning", .cut = true, .size = 5000, .sha256 = "abc", .host = "h1", .token = "t7"});
}
