// SPDX-License-Identifier: LGPL-3.0-or-later
// The waves that a policy is expected to admit.
#include <doctest/doctest.h>

#include <stdexcept>

#include "unit/support/fakes.hpp"

using namespace tutti;
using namespace tutti::fake;

namespace {

/// "h1 h2 | h3", hosts by wave.
std::string waves(const Plan& plan, const Preview& preview) {
  std::string text;
  for (const auto& wave : preview.waves()) {
    if (!text.empty()) text += " | ";
    for (std::size_t i = 0; i < wave.size(); ++i) text += (i ? " " : "") + plan.at(wave[i]).host;
  }
  return text;
}
std::string waves(const Plan& plan, const Policy& policy, std::string* stuck = nullptr) {
  FakeClock clock;
  Preview preview(plan, policy, clock);
  CHECK(!preview.next());
  if (stuck)
    *stuck = preview.stuck();
  else
    CHECK(preview.stuck().empty());
  return waves(plan, preview);
}
Site web_on(int n) { return site({{"front", {service("web", "1")}, hosts(n)}}); }

}  // namespace

TEST_CASE("preview: hosts by waves, as the policy admits them") {
  World world;
  const Plan plan = world.plan(web_on(5));
  CHECK(waves(plan, at_most(2)) == "h1 h2 | h3 h4 | h5");
  CHECK(waves(plan, at_most_percent(60)) == "h1 h2 h3 | h4 h5");
  CHECK(waves(plan, Policy()) == "h1 h2 h3 h4 h5");
  CHECK(waves(Plan{}, at_most(1)).empty());
}

TEST_CASE("preview: what comes after something is in a later wave, whatever the policy") {
  //  web (h1, h2) → db (d1)
  World world;
  const Plan plan = world.plan(
      site({{"front", {service("web", "1", {"db"})}, {"h1", "h2"}}, {"data", {service("db", "1")}, {"d1"}}}));
  CHECK(waves(plan, Policy()) == "d1 | h1 h2");
  CHECK(waves(plan, at_most(1, "site")) == "d1 | h1 | h2");
}

TEST_CASE("preview: hosts that do not answer are in no wave, nor is what comes after them") {
  World world;
  world.transport.machines["d1"].reached = false;
  const Site shop = site({{"front", {service("web", "1", {"db"}), service("cache", "1")}, {"h1"}},
                          {"data", {service("db", "1")}, {"d1"}}});
  const Plan plan = world.plan(shop);
  CHECK(waves(plan, Policy()) == "h1");
}

TEST_CASE("preview: a host that is down takes from the bound, and may start itself") {
  World world;
  (void)world.deploy(web_on(3));
  world.transport.machines["h2"].running.clear();
  const Plan plan = world.plan(site({{"front", {service("web", "2")}, hosts(3)}}));
  CHECK(waves(plan, at_most(1)) == "h2 | h1 | h3");
}

TEST_CASE("preview: not before a time is a wave later; its clock goes there by itself") {
  World world;
  const Plan plan = world.plan(web_on(2));
  const Policy bake([](const Rollout& rollout, const Host& host) -> Answer {
    CHECK(rollout.simulated());
    if (host.name == "h1" || rollout.time() >= 5000) return true;
    return {Answer::Kind::not_before, 5000};
  });
  CHECK(waves(plan, bake) == "h1 | h2");
}

TEST_CASE("preview: a policy that can never admit the rest is said to, before anything happens") {
  World world;
  const Plan plan = world.plan(web_on(3));
  std::string stuck;
  CHECK(waves(plan, Policy([](const Rollout&, const Host& host) -> Answer { return host.name == "h1"; }),
              &stuck) == "h1");
  CHECK(stuck == "the policy (predicate) can never admit the rest");
  CHECK(waves(plan, Policy([](const Rollout&, const Host&) -> Answer { return Answer::Kind::wait; }), &stuck)
            .empty());
  CHECK(stuck == "the policy (predicate) can never admit the rest");
  CHECK(waves(plan, Policy([](const Rollout&, const Host&) -> Answer {
                return {Answer::Kind::not_before, 1};
              }),
              &stuck)
            .empty());
  CHECK(!stuck.empty());  // a time that is past for ever
}

TEST_CASE("preview: who takes the whole bound because he is unreachable or down is named, with what helps") {
  World world;
  (void)world.deploy(web_on(3));
  world.transport.machines["h2"].reached = false;
  std::string stuck;
  CHECK(waves(world.plan(site({{"front", {service("web", "2")}, hosts(3)}})), at_most(1), &stuck).empty());
  CHECK(
      stuck ==
      "the policy (at most 1 of each class) can never admit the rest: unreachable, and counted, is h2. What "
      "helps: make who is unreachable reachable, or take it out of the inventory; or let the policy have "
      "more at once");
}

TEST_CASE("preview: a policy that throws is said to fail, and nothing escapes") {
  World world;
  const Plan plan = world.plan(web_on(2));
  std::string stuck;
  CHECK(waves(plan,
              Policy([](const Rollout&, const Host&) -> Answer { throw std::runtime_error("no rack map"); }),
              &stuck)
            .empty());
  CHECK(stuck == "the policy failed: asked about host 'h1': no rack map");
  CHECK(waves(plan, Policy([](const Rollout&, const Host&) -> Answer { throw 42; }), &stuck).empty());
  CHECK(stuck.starts_with("the policy failed"));
}

TEST_CASE("preview: a policy that the driver decides is asked host by host, the built-in terms first") {
  World world;
  const Plan plan = world.plan(web_on(3));
  FakeClock clock;
  Preview preview(plan, all_of({at_most(2), ask("mine", {})}), clock);
  std::vector<std::string> asked;
  while (const auto ask = preview.next()) {
    CHECK(preview.next()->host == ask->host);  // the same until it is answered
    asked.push_back(ask->host);
    preview.answer(ask->host != "h2" || asked.size() > 3);
  }
  CHECK(asked == std::vector<std::string>{"h1", "h2", "h3", "h2"});  // no to h2, so h3 is asked too
  CHECK(waves(plan, preview) == "h1 h3 | h2");
}

TEST_CASE("preview: hundreds of hosts, one by one") {
  World world;
  const Plan plan = world.plan(web_on(400));
  FakeClock clock;
  Preview preview(plan, at_most(1), clock);
  CHECK(!preview.next());
  CHECK(preview.waves().size() == 400);
}
