// SPDX-License-Identifier: LGPL-3.0-or-later
// One step alone: what happens to it is told by hand, and what it orders is looked at. No plan, no transport,
// no driver.
#include "executor/step.hpp"

#include <doctest/doctest.h>

#include <fmt/format.h>

using namespace tutti;

namespace {

using Lines = std::vector<std::string>;
using Orders = StepRun::Orders;

DefinitionPtr daemon(const std::string& version) {
  Definition web{.service = "web", .version = version};
  web.programs["start"] = {.argv = {"web"}, .is_daemon = true};
  return std::make_shared<const Definition>(web);
}

/// An upgrade of web 1 to web 2 on h1, or what the step is made to be.
struct Alone {
  explicit Alone(Step s, StepRun::Facts facts = {.token_prefix = "L.7."})
      : step(std::move(s)), run(StepId{0}, step, ledger, forms, facts) {}
  Alone()
      : Alone(Step{.action = Action::upgrade,
                   .service = "web",
                   .host = "h1",
                   .old_definition = daemon("1"),
                   .new_definition = daemon("2"),
                   .was_alive = true}) {}

  /// What is ordered, in lines; the place of what was sent last is kept.
  Lines lines(const Orders& orders) {
    Lines all;
    for (const StepRun::Order& one : orders) {
      if (const auto* write = std::get_if<StepRun::Write>(&one)) {
        if (const auto* entered = std::get_if<record::Entered>(&write->what))
          all.push_back(fmt::format("stage {}", static_cast<int>(entered->stage)));
        if (const auto* intent = std::get_if<record::Intent>(&write->what))
          all.push_back("intent " + intent->text);
        if (std::get_if<record::Answered>(&write->what)) all.emplace_back("answered");
        if (const auto* undo = std::get_if<record::Registered>(&write->what))
          all.push_back(fmt::format("registered {}", undo->serial));
        if (const auto* end = std::get_if<record::Ended>(&write->what))
          all.push_back(fmt::format("ended {}", to_string(end->outcome)));
      } else if (const auto* send = std::get_if<StepRun::Send>(&one)) {
        sent = send->at;
        Request shown = *run.under_way(sent);
        CHECK(shown.host == "h1");
        shown.host.clear();
        all.push_back(fmt::format("send {} {}.{}", shown.describe(), to_string(sent.path), sent.sequence));
      } else if (const auto* body = std::get_if<StepRun::StartBody>(&one)) {
        all.push_back(fmt::format("body {}", body->serial));
      } else if (const auto* resume = std::get_if<StepRun::ResumeBody>(&one)) {
        all.push_back(resume->result.succeeded ? "resume" : "raise " + resume->request);
      } else if (std::get_if<StepRun::DropBody>(&one)) {
        all.emplace_back("drop");
      } else if (std::get_if<StepRun::Failed>(&one)) {
        all.emplace_back("failed");
      } else if (std::get_if<StepRun::MadeRoom>(&one)) {
        all.emplace_back("room");
      } else if (std::get_if<StepRun::Over>(&one)) {
        all.emplace_back("over");
      }
    }
    return all;
  }

  StepRun::Moment now() { return {.time = ++time, .is_interrupted = is_interrupted}; }
  Lines answer(Result result = {}) {
    return lines(run.answered(sent, {.result = std::move(result)}, false, now()));
  }
  Lines lose() {
    return lines(run.answered(sent, {.kind = Completion::Kind::lost, .why = "gone"}, false, now()));
  }
  Lines perform(Effect effect) {
    return lines(run.perform(std::make_unique<Request>(Request{.effect = std::move(effect)}), now()));
  }
  Lines over(bool succeeded, std::string why = "") {
    return lines(run.body_over(succeeded, std::move(why), now()));
  }
  /// Until its transition runs.
  void begin() {
    (void)lines(run.begin(now()));
    (void)answer();
  }

  Fleet fleet{.hosts = {{.name = "h1", .host_class = "front"}}};
  std::map<std::string, HostReading> readings{{"h1", {.host = "h1", .reached = true}}};
  Step step;
  CanonicalForms forms;
  Ledger ledger{fleet, readings, 7, "lineage"};
  StepRun run;
  Place sent = {};
  double time = 1000;
  bool is_interrupted = false;
};

Result fails() { return {.succeeded = false, .status = 1, .error = "no"}; }

}  // namespace

TEST_CASE("step: each effect's intent is written before it is sent, and its way is told stage by stage") {
  Alone one;
  CHECK(one.lines(one.run.begin(one.now())) ==
        Lines{"stage 1", "intent begin web 2", "send begin web 2 b.0"});
  CHECK(one.answer() == Lines{"answered", "stage 2", "body 0"});
  CHECK(one.perform(effect::Stop{one.step.old_definition}) ==
        Lines{"registered 1", "intent stop web 1", "send stop web 1 t.1"});
  CHECK(one.answer() == Lines{"answered", "resume"});
  CHECK(one.perform(effect::Start{one.step.new_definition}) ==
        Lines{"registered 2", "intent start web 2", "send start web 2 t.3"});
  CHECK(one.answer() == Lines{"answered", "resume"});
  CHECK(one.perform(effect::Validate{one.step.new_definition}) ==
        Lines{"intent validate web 2", "send validate web 2 t.4"});
  CHECK(one.answer() == Lines{"answered", "resume"});
  CHECK(one.over(true) == Lines{"stage 5", "intent end web 2", "send end web 2 e.0"});
  CHECK(one.answer() == Lines{"answered", "ended upgraded", "over"});
  CHECK(one.run.outcome() == Outcome::upgraded);
  CHECK(one.run.effects() == Lines{"stop web 1", "start web 2", "validate web 2"});
}

TEST_CASE("step: the new service settles once after each start, in its validation or else in the proof") {
  const auto settle = [](const Alone& one) {
    return one.run.under_way(one.sent)->as<effect::Validate>()->settle;
  };
  SUBCASE("the validation waits, and after it nothing does") {
    Alone one;
    one.begin();
    (void)one.perform(effect::Start{one.step.new_definition});
    (void)one.answer();
    (void)one.perform(effect::Validate{one.step.new_definition});
    CHECK(settle(one) == 1);  // it has no `validate`
    (void)one.answer();
    (void)one.perform(effect::Validate{one.step.new_definition});
    CHECK(settle(one) == 0);
    (void)one.answer();
    CHECK(one.over(true).front() == "stage 5");
  }
  SUBCASE("started again, it settles again: the proof waits, and who dies meanwhile is rolled back") {
    Alone one;
    one.begin();
    (void)one.perform(effect::Start{one.step.new_definition});
    (void)one.answer();
    (void)one.perform(effect::Validate{one.step.new_definition});
    (void)one.answer();
    (void)one.perform(effect::Start{one.step.new_definition});
    (void)one.answer();
    CHECK(one.over(true) == Lines{"intent validate web 2", "send validate web 2 p.0"});
    CHECK(settle(one) == 1);
    const Lines after = one.answer({.succeeded = false, .status = 1, .how = How::died});
    CHECK(std::find(after.begin(), after.end(), "failed") != after.end());
  }
  SUBCASE("the old one does not settle") {
    Alone one;
    one.begin();
    (void)one.perform(effect::Validate{one.step.old_definition});
    CHECK(settle(one) == 0);
  }
}

TEST_CASE("step: what raised is undone last first, and what runs then is verified before it is called rolled "
          "back") {
  Alone one;
  one.begin();
  (void)one.perform(effect::Stop{one.step.old_definition});
  (void)one.answer();
  (void)one.perform(effect::Start{one.step.new_definition});
  CHECK(one.answer(fails()) == Lines{"answered", "raise start web 2"});
  CHECK(one.over(false, "it raised") ==
        Lines{"failed", "stage 3", "intent stop web 2", "send stop web 2 c2.0"});
  CHECK(one.answer() == Lines{"answered", "stage 3", "intent start web 1", "send start web 1 c1.0"});
  CHECK(one.answer() == Lines{"answered", "stage 4", "intent validate web 1", "send validate web 1 v.0"});
  SUBCASE("it validates") {
    (void)one.answer();
    (void)one.answer();  // the entry
    CHECK(one.run.outcome() == Outcome::rolled_back);
  }
  SUBCASE("it does not") {
    (void)one.answer(fails());
    (void)one.answer();
    CHECK(one.run.outcome() == Outcome::roll_back_failed);
    CHECK(one.run.message() ==
          "it raised; after rolling back, web 1 does not validate: validate web 1 failed: no");
  }
}

TEST_CASE(
    "step: a lost host parks it with nothing more sent and nothing ended, and late answers are nothing") {
  Alone one;
  one.begin();
  (void)one.perform(effect::Start{one.step.new_definition});
  CHECK(one.lose() == Lines{"drop", "over"});
  CHECK(one.run.stage() == Stage::parked);
  CHECK(one.run.outcome() == Outcome::unknown);
  CHECK(one.answer().empty());
}

TEST_CASE("step: what was asked for after an interrupt is not sent") {
  Alone one;
  one.begin();
  one.is_interrupted = true;
  CHECK(one.perform(effect::Start{one.step.new_definition}) == Lines{"drop", "over"});
  CHECK(one.run.message() == "interrupted before: start web 2");
}

TEST_CASE("step: an upgrade that did nothing is none") {
  Alone one;
  one.begin();
  CHECK(one.over(true) == Lines{"failed", "stage 5", "intent end web 2", "send end web 2 e.0"});
  (void)one.answer();
  CHECK(one.run.outcome() == Outcome::unchanged);
}

TEST_CASE("step: a removal that makes room ends when it has turned out what came in its place") {
  Alone one({.action = Action::remove,
             .service = "web",
             .host = "h1",
             .old_definition = daemon("1"),
             .new_definition = nullptr,
             .was_alive = true},
            {.makes_room = true, .token_prefix = "L.7."});
  one.begin();
  (void)one.perform(effect::Stop{one.step.old_definition});
  (void)one.answer();
  CHECK(one.over(true) == Lines{"room"});
  CHECK_FALSE(one.run.is_over());
  SUBCASE("that runs: it is gone") {
    CHECK(one.lines(one.run.settle(RoomTaken::taken, "", one.now())) ==
          Lines{"stage 5", "intent end web 1", "send end web 1 e.0"});
  }
  SUBCASE("that does not: it is started again") {
    const Lines back =
        one.lines(one.run.settle(RoomTaken::missing, "app@h1, which is rolled-back", one.now()));
    CHECK(back == Lines{"failed", "stage 3", "intent start web 1", "send start web 1 c1.0"});
  }
  SUBCASE("we leave: what comes of the others later is nothing to it") {
    CHECK(one.lines(one.run.leave(one.now())) == Lines{"over"});
    CHECK(one.run.settle(RoomTaken::missing, "app@h1, which is skipped", one.now()).empty());
    CHECK(one.run.stage() == Stage::parked);
  }
  SUBCASE("nobody knows: nor does anybody of this one") {
    CHECK(one.lines(one.run.settle(RoomTaken::unknown, "app@h1, which is unknown", one.now())) ==
          Lines{"over"});
    CHECK(one.run.outcome() == Outcome::unknown);
  }
}

TEST_CASE("step: a first effect that was refused leaves it skipped, and unreachable where its host was lost "
          "before") {
  for (const bool was_lost : {false, true}) {
    Alone one;
    (void)one.lines(one.run.begin(one.now()));
    (void)one.run.answered(one.sent, {.kind = Completion::Kind::refused, .why = "held"}, was_lost, one.now());
    CHECK(one.run.outcome() == (was_lost ? Outcome::unreachable : Outcome::skipped));
  }
}

TEST_CASE("step: a removal that stopped nothing and finds the daemon dead stops it, for its keeper would "
          "start it") {
  Alone one(Step{.action = Action::remove,
                 .service = "web",
                 .host = "h1",
                 .old_definition = daemon("1"),
                 .was_alive = false});
  one.begin();
  CHECK(one.over(true) == Lines{"intent validate web 1", "send validate web 1 p.0"});
  CHECK(one.answer({.succeeded = false, .status = 1, .how = How::died}) ==
        Lines{"answered", "intent stop web 1", "send stop web 1 p.1"});
  CHECK(one.run.under_way(one.sent)->idempotent);
  SUBCASE("then it is gone") {
    (void)one.answer({.how = How::absent});
    (void)one.answer();
    CHECK(one.run.outcome() == Outcome::upgraded);
  }
  SUBCASE("or nobody knows") {
    const Lines after = one.answer({.succeeded = false, .status = 1, .how = How::timeout});
    CHECK(std::find(after.begin(), after.end(), "failed") != after.end());
  }
}

TEST_CASE("step: only who was started here is asked whether it is still the same process") {
  const auto asks = [](const Alone& one) {
    return one.run.under_way(one.sent)->as<effect::Validate>()->is_started;
  };
  Alone one;
  one.begin();
  (void)one.perform(effect::Validate{one.step.old_definition});
  CHECK_FALSE(asks(one));  // it may have been restarted long ago
  (void)one.answer();
  (void)one.perform(effect::Start{one.step.new_definition});
  (void)one.answer();
  (void)one.perform(effect::Validate{one.step.old_definition});
  CHECK_FALSE(asks(one));
  (void)one.answer();
  (void)one.perform(effect::Validate{one.step.new_definition});
  CHECK(asks(one));
}
