// SPDX-License-Identifier: LGPL-3.0-or-later
// The executor's contract with whoever drives it, answered by hand; and what the C++ driver makes of it.
#include <doctest/doctest.h>

#include <stdexcept>

#include "unit/support/fakes.hpp"

using namespace tutti;
using namespace tutti::fake;

namespace {

using Lines = std::vector<std::string>;
Site web_at(const std::string& version, int n = 1) {
  return site({{"front", {service("web", version)}, hosts(n)}});
}

/// A service that is programs: nothing but what they say tells whether it runs.
Site plain_at(const std::string& version, int n = 1) {
  Service web = service("web", version);
  web.start = program({"up"});
  web.stop = program({"down"});
  return site({{"front", {web}, hosts(n)}});
}

/// An executor on a plan for web 1 on some hosts, to be pulled by hand.
struct ByHand {
  explicit ByHand(int n = 1, Policy policy = {})
      : plan(world.plan(plain_at("1", n))),
        executor(plan, std::move(policy), 7, world.lineage, &world.journal, world.transport, world.clock) {}
  /// The next event of that kind; others are passed over.
  template <class T> T next() {
    for (int i = 0; i < 1000; ++i)
      for (const Event& event : executor.next(1))
        if (const auto* found = std::get_if<T>(&event)) return *found;
    throw std::logic_error("that event never came");
  }
  World world;
  Plan plan;
  Executor executor;
};

std::unique_ptr<Request> put(const std::string& path, const std::string& content) {
  return std::make_unique<Request>(Request{.effect = effect::PutFile{.path = path, .content = content}});
}

/// A command; GCC 12 takes no nested braces inside `co_await`.
template <class... W> Command words(W... word) {
  Command command{.limit = 1};
  (command.argv.push_back(std::string(word)), ...);
  return command;
}

Transition put_two(Context c, Change) {
  co_await c.put_file("/etc/a", "new a");
  co_await c.put_file("/etc/b", "new b", 0600);
  co_await c.run(words("fail"));
}
Transition put_with_decimal_mode(Context c, Change) { co_await c.put_file("/etc/a", "new a", 600); }
Transition nested(Context c, Change change) {
  c.on_roll_back(
      [](Context inner, std::string word) -> Transition { co_await inner.run(words("undo", word)); },
      std::string("first"));
  co_await c.start(change.new_service);
  c.on_roll_back(
      [](Context inner, std::string word) -> Transition { co_await inner.run(words("undo", word)); },
      std::string("second"));
  co_await c.run(words("fail"));
}
Transition swallows(Context c, Change change) {
  co_await c.start(change.new_service);
  bool failed = false;
  try {
    co_await c.run(words("fail"));
  } catch (const EffectFailed& failure) {
    failed = failure.result().error == "no" && failure.result().status == 3;
  }
  if (failed) co_await c.run(words("instead"));
}
Transition elsewhere(Context c, Change change) {
  co_await c.on_host("h2").run(words("there"));
  co_await c.run(words(c.current_host().name, c.on_host("h2").current_host().name));
  co_await c.start(change.new_service);
}
Transition reads(Context c, Change change) {
  const double before = co_await c.now();
  co_await c.sleep(5);
  const std::string text = co_await c.get_file("/etc/motd");
  const Output output = co_await c.run(words("x"));
  co_await c.run(words("saw", text, output.host, before > 0 ? "time" : ""), output);
  co_await c.start(change.new_service);
}
struct Odd {};
Transition throws_odd(Context c, Change change) {
  co_await c.start(change.new_service);
  throw Odd{};
}
Transition throws_int(Context, Change) {
  throw 42;
  co_return;
}
Transition suspends_for_nothing(Context c, Change change) {
  co_await c.start(change.new_service);
  co_await std::suspend_always{};
}
Transition awaits_twice(Context c, Change) {
  auto probe = c.run(words("probe"));
  co_await probe;
  co_await probe;
}

}  // namespace

TEST_CASE("driver: tasks, tokens and serials, answered by hand") {
  ByHand hand;
  const StartTask start = hand.next<StartTask>();
  CHECK(start.kind == TaskKind::transition);
  CHECK(hand.executor.on_roll_back(start.task) == 1u);
  hand.executor.perform(start.task, put("/etc/a", "x"));
  const ResumeTask resume = hand.next<ResumeTask>();
  CHECK(resume.task == start.task);
  CHECK(resume.result.succeeded);
  CHECK(resume.result.output.token == "0123456789ab.7.0.t.2");  // each registration has a number too
  hand.executor.raised(start.task, "I changed my mind");
  const StartTask compensation = hand.next<StartTask>();
  CHECK(compensation.kind == TaskKind::compensation);
  CHECK(compensation.serial == 1);
  CHECK(compensation.task != start.task);
  CHECK(hand.world.transport.log.back() == "h1: restore-file /etc/a");  // that came first, by itself
  hand.executor.done(compensation.task);
  CHECK(!hand.next<Finished>().interrupted);
  CHECK(!std::get<Finished>(hand.executor.next()[0]).interrupted);  // and again, for who asks twice
  CHECK(outcomes(hand.executor.report()) == Lines{"web@h1 rolled-back"});
}

TEST_CASE("driver: who does not answer is told, rather than left waiting for ever") {
  ByHand hand;
  (void)hand.next<StartTask>();
  CHECK_THROWS_AS((void)hand.executor.next(), std::logic_error);
}

TEST_CASE("driver: a task that was dropped gives no serial, and its late answers are nothing") {
  ByHand hand;
  const StartTask start = hand.next<StartTask>();
  hand.executor.interrupt();
  hand.executor.perform(start.task, put("/etc/a", "x"));
  CHECK(hand.next<DropTask>().task == start.task);
  CHECK(!hand.executor.on_roll_back(start.task));
  hand.executor.perform(start.task, put("/etc/a", "x"));
  hand.executor.done(start.task);
  hand.executor.raised(start.task, "x");
  CHECK(hand.next<Finished>().interrupted);
  CHECK(outcomes(hand.executor.report()) == Lines{"web@h1 unknown"});
  CHECK(!hand.world.transport.machines["h1"].files.contains("/etc/a"));
}

TEST_CASE("driver: a predicate of its own is asked host by host, after the built-in terms") {
  ByHand hand(3, all_of({at_most(1), ask("mine", {})}));
  CHECK(hand.next<AskPolicy>().host == "h1");
  CHECK(hand.executor.rollout().state("h1") == HostState::pending);
  hand.executor.answer(false);
  CHECK(hand.next<AskPolicy>().host == "h2");
  hand.executor.answer(true);
  const StartTask start = hand.next<StartTask>();
  CHECK(hand.plan.at(start.step).host == "h2");
  CHECK(hand.executor.rollout().state("h2") == HostState::in_transition);
  hand.executor.done(start.task);
  CHECK(hand.next<AskPolicy>().host == "h1");
  hand.executor.policy_failed("out of paper");
  CHECK(!hand.next<Finished>().interrupted);
  CHECK(hand.executor.report().halted == "the policy failed: out of paper");
  CHECK(outcomes(hand.executor.report()) == Lines{"web@h1 skipped", "web@h2 upgraded", "web@h3 skipped"});
  CHECK_THROWS_AS(hand.executor.answer(true), std::logic_error);
  CHECK_THROWS_AS(hand.executor.policy_failed("x"), std::logic_error);
}

TEST_CASE("driver: each term of its own is asked by number, and the most restrictive answer holds") {
  const Policy first(std::vector<Policy::Term>{Policy::Ask{.name = "first", .number = 0}});
  const Policy second(std::vector<Policy::Term>{Policy::Ask{.name = "second", .number = 1}});
  ByHand hand(2, all_of({first, for_class("front", second), for_class("back", ask("nobody's", {}))}));
  CHECK(hand.next<AskPolicy>().number == 0);
  hand.executor.answer(true);
  AskPolicy ask = hand.next<AskPolicy>();
  CHECK(ask.host == "h1");
  CHECK(ask.number == 1);
  hand.executor.answer(false);  // so h1 is not admitted
  ask = hand.next<AskPolicy>();
  CHECK(ask.host == "h2");
  CHECK(ask.number == 0);
  hand.executor.answer(true);
  (void)hand.next<AskPolicy>();
  hand.executor.answer(true);
  CHECK(hand.plan.at(hand.next<StartTask>().step).host == "h2");
}

TEST_CASE("driver: an answer that comes after an interrupt admits nobody") {
  ByHand hand(1, ask("mine", {}));
  (void)hand.next<AskPolicy>();
  hand.executor.interrupt();
  hand.executor.answer(true);
  CHECK(hand.next<Finished>().interrupted);
  CHECK(hand.world.transport.log.empty());
}

TEST_CASE("driver: events come in batches of at most the limit") {
  ByHand hand(10);
  std::size_t started = 0;
  std::vector<TaskId> tasks;
  while (started < 10) {
    const auto events = hand.executor.next(3);
    CHECK(events.size() <= 3);
    for (const Event& event : events)
      if (const auto* start = std::get_if<StartTask>(&event)) tasks.push_back(start->task), ++started;
  }
  for (const TaskId task : tasks) hand.executor.done(task);
  (void)hand.next<Finished>();
  CHECK(hand.executor.report().exit_status() == 0);
}

TEST_CASE("put-file: undone by the token of the effect that put it") {
  World world;
  (void)world.deploy(web_at("1"));
  world.transport.machines["h1"].files["/etc/a"] = "old a";
  world.transport.faults["h1: run fail"] = fails("no");
  const Report report = world.execute(world.plan(web_at("2")), {}, put_two);
  CHECK(outcomes(report) == Lines{"web@h1 rolled-back"});
  CHECK(world.transport.machines["h1"].files["/etc/a"] == "old a");
  CHECK(!world.transport.machines["h1"].files.contains("/etc/b"));
  std::map<std::string, std::string> token_of;  // by path, of the put
  for (std::size_t i = 0; i < world.transport.requests.size(); ++i) {
    const Request& request = world.transport.requests[i];
    if (const auto* put = request.as<effect::PutFile>()) token_of[put->path] = world.transport.tokens[i];
    if (const auto* back = request.as<effect::RestoreFile>()) CHECK(back->of == token_of.at(back->path));
  }
  CHECK(token_of.size() == 2);
}

TEST_CASE("put-file: a mode in decimal is refused before anything is written") {
  World world;
  const Report report = world.execute(world.plan(web_at("1")), {}, put_with_decimal_mode);
  REQUIRE(report.steps.size() == 1);
  CHECK(has(report.steps[0].message,
            "put_file '/etc/a': mode 600 is decimal, which is 1130 in octal: write 0600"));
  CHECK(!world.transport.machines["h1"].files.contains("/etc/a"));
}

TEST_CASE("transitions: compensations run in reverse, each with the arguments that it was given") {
  World world;
  world.transport.faults["h1: run fail"] = fails("no");
  const Report report = world.execute(world.plan(web_at("1")), {}, nested);
  CHECK(outcomes(report) == Lines{"web@h1 rolled-back"});
  CHECK(world.transport.of("h1") == Lines{"begin web 1", "start web 1", "run fail", "run undo second",
                                          "stop web 1", "run undo first", "stop web 1", "end web 1"});
}

TEST_CASE("transitions: an effect that fails raises, and may be caught") {
  World world;
  world.transport.faults["h1: run fail"] = fails("no", 3);
  const Report report = world.execute(world.plan(web_at("1")), {}, swallows);
  CHECK(outcomes(report) == Lines{"web@h1 upgraded"});
  CHECK(step_of(report, "web", "h1").effects == Lines{"start web 1", "run fail ✗", "run instead"});
}

TEST_CASE("transitions: an effect on another host is sent there") {
  World world;
  const Site shop = site({{"front", {service("web", "1")}, {"h1"}}, {"back", {}, {"h2"}}});
  const Report report = world.execute(world.plan(shop), {}, elsewhere);
  CHECK(outcomes(report) == Lines{"web@h1 upgraded"});
  CHECK(world.transport.of("h2") == Lines{"run there"});
  CHECK(world.transport.of("h1").at(1) == "run h1 h2");
  CHECK(step_of(report, "web", "h1").effects.at(0) == "run there on h2");
}

TEST_CASE("transitions: outputs, files and times come back to where they were asked for") {
  World world;
  world.transport.machines["h1"].files["/etc/motd"] = "hello";
  const Report report = world.execute(world.plan(web_at("1")), {}, reads);
  CHECK(outcomes(report) == Lines{"web@h1 upgraded"});
  CHECK(has(world.transport.of("h1").at(5), "run saw hello h1 time"));
  const Request& last = world.transport.requests.at(5);
  CHECK(std::get<Output>(last.as<effect::Run>()->input).token == world.transport.tokens.at(4));
}

TEST_CASE("transitions: the time is that of the world the effects act in") {
  World world;
  world.clock.time = 5000;
  (void)world.execute(world.plan(web_at("1")), {}, reads);
  const Lines lines = world.transport.of("h1");
  const auto asked = std::find(lines.begin(), lines.end(), "now");
  REQUIRE(asked != lines.end());
  const auto& told =
      world.transport.results.at(world.transport.tokens.at(static_cast<std::size_t>(asked - lines.begin())));
  CHECK(std::stod(told.output.text) >= 5000);
  CHECK(std::stod(told.output.text) <= world.clock.time);
}

TEST_CASE("transitions: whatever is thrown, there is a sentence for it, and the instance is rolled back") {
  World world;
  const Report odd = world.execute(world.plan(web_at("1")), {}, throws_odd);
  CHECK(outcomes(odd) == Lines{"web@h1 rolled-back"});
  CHECK(has(step_of(odd, "web", "h1").message, "something was thrown"));
  CHECK(world.transport.machines["h1"].running.empty());
  const Report number = world.execute(world.plan(web_at("1")), {}, throws_int);
  CHECK(outcomes(number) == Lines{"web@h1 unchanged"});
}

TEST_CASE("transitions: one that suspends for something that is no effect fails, and takes nobody along") {
  World world;
  const Report report = world.execute(world.plan(web_at("1")), {}, suspends_for_nothing);
  CHECK(outcomes(report) == Lines{"web@h1 rolled-back"});
  CHECK(has(step_of(report, "web", "h1").message, "no effect"));
}

TEST_CASE("transitions: an effect is awaited once") {
  World world;
  const Report report = world.execute(world.plan(web_at("1")), {}, awaits_twice);
  CHECK(outcomes(report) == Lines{"web@h1 rolled-back"});
  CHECK(has(step_of(report, "web", "h1").message, "for the second time"));
}

TEST_CASE("transitions: what is asked for that is not there is an error that names what is") {
  World world;
  const Report report = world.execute(world.plan(web_at("1")), {}, [](Context c, Change) -> Transition {
    (void)c.deployed("wbe");
    co_return;
  });
  CHECK(
      has(step_of(report, "web", "h1").message, "no service 'wbe' is deployed on 'h1'. Did you mean 'web'?"));
}

TEST_CASE("report: the exit status is 4 before 5 before 3, and 0 only if all is well") {
  const auto status = [](std::vector<Outcome> outcomes) {
    Report report;
    for (const Outcome outcome : outcomes) report.steps.push_back({.outcome = outcome});
    return report.exit_status();
  };
  CHECK(status({}) == 0);
  CHECK(status({Outcome::upgraded}) == 0);
  CHECK(status({Outcome::upgraded, Outcome::rolled_back}) == 3);
  CHECK(status({Outcome::unchanged}) == 3);
  CHECK(status({Outcome::skipped}) == 3);
  CHECK(status({Outcome::unreachable, Outcome::rolled_back}) == 5);
  for (const Outcome open : {Outcome::unknown, Outcome::failed, Outcome::roll_back_failed, Outcome::none})
    CHECK(status({Outcome::unreachable, Outcome::rolled_back, open}) == 4);
  CHECK(Report{.unreachable = {"h1"}}.exit_status() == 5);
  CHECK(Report{.halted = "why"}.exit_status() == 3);
  CHECK(Report{.steps = {{.outcome = Outcome::upgraded}}, .interrupted = true}.exit_status() == 0);
  CHECK(Report{.steps = {{.outcome = Outcome::skipped}}, .interrupted = true}.exit_status() == 3);
}
