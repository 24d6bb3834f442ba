// SPDX-License-Identifier: LGPL-3.0-or-later
// A definition's canonical form and its running hash: the published vector, and what changes which.
#include <tutti/definition.hpp>

#include <doctest/doctest.h>

#include "support/text.hpp"
#include "unit/support/fakes.hpp"

using namespace tutti;
using namespace tutti::fake;

namespace {

Definition web() {
  const std::map<std::string, std::string> environment{{"DATABASE", "10.0.0.2:5432"},
                                                       {"GREETING", "häy \"you\"\n"}};
  const auto program = [&](const std::string& hook, std::vector<std::string> argv, double limit,
                           bool is_daemon = false) {
    return Command{.argv = std::move(argv),
                   .environment = environment,
                   .user = "www",
                   .directory = "/srv",
                   .limit = limit,
                   .service = "web 7",
                   .hook = hook,
                   .is_daemon = is_daemon};
  };
  return {.service = "web",
          .version = "7",
          .payload = {"00000000000000000000000000000001-web"},
          .files = {{.path = "/etc/web.conf",
                     .item = "00000000000000000000000000000002-web.conf",
                     .mode = 0600,
                     .owner = "www"}},
          .data_directories = {"/var/lib/tutti-data/shop/web/cache"},
          .environment = environment,
          .user = "www",
          .directory = "/srv",
          .endpoints = {{"http", "8080"}},
          .programs = {{"start", program("start", {"/opt/web", "--serve"}, 600, true)},
                       {"validate", program("validate", {"curl", "-fsS", "http://localhost:8080/"}, 30)}},
          .hook_items = {"00000000000000000000000000000003-check"},
          .requirements = {"db"},
          .connections = {"cache"}};
}

template <class F> bool changes_running_hash(F change) {
  Definition d = web();
  change(d);
  CHECK(canonical(d) != canonical(web()));
  return running_hash(d) != running_hash(web());
}

}  // namespace

TEST_CASE("definition: the published test vector") {
  // Of the least that a daemon is: `canonical` and `running_hash` of any implementation must say this.
  const Definition least = {
      .service = "web",
      .version = "1",
      .programs = {
          {"start", {.argv = {"/bin/web"}, .service = "web 1", .hook = "start", .is_daemon = true}}}};
  CHECK(
      canonical(least) ==
      R"({"format":1,"handling":{},"running":{"service":"web","start":{"argv":["/bin/web"],"daemon":true},"version":"1"}})");
  CHECK(running_hash(least) == "b54352467f8c4a44f2f412a25e0b9921c9690afd0046e295f5238d0ebe333e2d");

  // And of one that has most of what there is.
  CHECK(
      canonical(web()) ==
      R"({"format":1,"handling":{"connections":["cache"],"items":["00000000000000000000000000000003-check"],)"
      R"("limits":{"validate":30.0},"programs":{"validate":{"argv":["curl","-fsS","http://localhost:8080/"]}},"requirements":["db"]},)"
      R"("running":{"data_directories":["/var/lib/tutti-data/shop/web/cache"],"directory":"/srv","endpoints":{"http":"8080"},)"
      R"("environment":{"DATABASE":"10.0.0.2:5432","GREETING":"häy \"you\"\n"},)"
      R"("files":[{"item":"00000000000000000000000000000002-web.conf","mode":384,"owner":"www","path":"/etc/web.conf"}],)"
      R"("payload":["00000000000000000000000000000001-web"],"service":"web","start":{"argv":["/opt/web","--serve"],"daemon":true},)"
      R"("user":"www","version":"7"}})");
  CHECK(running_hash(web()) == "7161074b5d375e06077908357ac901badf455d71b430366118a7ab783e6095a6");
}

TEST_CASE(
    "definition: the running hash is the SHA-256 of the running member, as it stands in the canonical form") {
  const std::string text = canonical(web());
  const auto begin = text.find("\"running\":") + 10;
  CHECK(running_hash(web()) == sha256(text.substr(begin, text.size() - begin - 1)));
}

TEST_CASE("definition: reads what it wrote") {
  CHECK(definition_from_json(canonical(web())) == web());
  Definition plain{.service = "a", .version = "1"};
  CHECK(definition_from_json(canonical(plain)) == plain);
  Definition other = web();
  other.switch_to_service = "switch-web", other.switch_back = "irreversible", other.remove_service = "drop",
  other.limit = 12.5;
  other.one_shot = true;
  for (auto& [name, program] : other.programs) program.limit = 12.5;
  CHECK(definition_from_json(canonical(other)) == other);
}

TEST_CASE("definition: what elaboration makes survives the way to the host and back") {
  Service one = service("web", "1", {"db"});
  one.stop = {}, one.environment = {{"D", DataDirectory{"d"}}}, one.user = "www", one.limit = 20;
  one.hooks = {{"warm", program({"warm", plain_file("x", "y")}).within(3)}};
  one.files = {{"/etc/web", "x", 0600, "www"}};
  one.endpoints = {{"http", "80"}};
  const Site shop = site({{"front", {one, service("db", "1")}, {"h1"}}});
  for (const auto& [instance, definition] : elaborate(shop, look_up(shop)).definitions)
    CHECK(definition_from_json(canonical(*definition)) == *definition);
}

TEST_CASE("definition: what the running process sees changes the running hash") {
  CHECK(changes_running_hash([](Definition& d) { d.version = "8"; }));
  CHECK(changes_running_hash([](Definition& d) { d.payload.push_back("x"); }));
  CHECK(changes_running_hash([](Definition& d) { d.files[0].item = "x"; }));
  CHECK(changes_running_hash([](Definition& d) { d.files[0].mode = 0644; }));
  CHECK(changes_running_hash([](Definition& d) { d.files[0].owner = ""; }));
  CHECK(changes_running_hash([](Definition& d) { d.environment["X"] = ""; }));
  CHECK(changes_running_hash([](Definition& d) { d.user = ""; }));
  CHECK(changes_running_hash([](Definition& d) { d.directory = ""; }));
  CHECK(changes_running_hash([](Definition& d) { d.endpoints["http"] = "81"; }));
  CHECK(changes_running_hash([](Definition& d) { d.one_shot = true; }));
  CHECK(changes_running_hash([](Definition& d) { d.data_directories.clear(); }));
  CHECK(changes_running_hash([](Definition& d) { d.programs["start"].argv.push_back("-v"); }));
  CHECK(changes_running_hash([](Definition& d) { d.programs["start"].is_daemon = false; }));
  CHECK(changes_running_hash([](Definition& d) { d.programs["stop"].argv = {"stop"}; }));
}

TEST_CASE("definition: how it is handled does not change the running hash") {
  CHECK(!changes_running_hash([](Definition& d) { d.programs["validate"].argv = {"true"}; }));
  CHECK(!changes_running_hash([](Definition& d) { d.programs["backup"].argv = {"true"}; }));
  CHECK(!changes_running_hash([](Definition& d) { d.programs["start"].limit = 5; }));
  CHECK(!changes_running_hash([](Definition& d) { d.hook_items.clear(); }));
  CHECK(!changes_running_hash([](Definition& d) { d.requirements.clear(); }));
  CHECK(!changes_running_hash([](Definition& d) { d.connections.clear(); }));
  CHECK(!changes_running_hash([](Definition& d) { d.switch_to_service = "mine"; }));
  CHECK(!changes_running_hash([](Definition& d) { d.switch_back = "irreversible"; }));
  CHECK(!changes_running_hash([](Definition& d) { d.remove_service = "mine"; }));
  CHECK(!changes_running_hash([](Definition& d) { d.limit = 5; }));
}

TEST_CASE("definition: a hook that it has not is named with those it has") {
  CHECK(web().hook("validate").argv.front() == "curl");
  CHECK(error_of([] { (void)web().hook("valdate"); }) ==
        "web 7 has no hook 'valdate'; it has start, validate. Did you mean 'validate'?");
}

TEST_CASE("manifest entry: reads what it wrote, in every state") {
  const auto d = std::make_shared<const Definition>(web());
  using State = ManifestEntry::State;
  for (const ManifestEntry& entry : {ManifestEntry{.state = State::deployed,
                                    .service = "web",
                                    .new_definition = d,
                                    .transition = "replace-service",
                                    .lineage = "ab",
                                    .run = 3,
                                    .generation = 3,
                                    .time = 1234.5},
                                     ManifestEntry{.state = State::changing,
                                     .service = "web",
                                     .old_definition = d,
                                     .lineage = "ab",
                                     .run = 4,
                                     .generation = 4},
                                     ManifestEntry{.state = State::failed,
                                     .service = "web",
                                     .old_definition = d,
                                     .new_definition = d,
                                     .run = 5,
                                     .generation = 5}}) {
    const ManifestEntry back = ManifestEntry::from_json(entry.to_json());
    CHECK(back.to_json() == entry.to_json());
    CHECK(back.state == entry.state);
    CHECK(back.service == "web");
    CHECK(back.run == entry.run);
    CHECK(back.time == entry.time);
    CHECK(!back.old_definition == !entry.old_definition);
    CHECK(!back.new_definition == !entry.new_definition);
    if (back.new_definition) CHECK(*back.new_definition == *d);
  }
}

TEST_CASE("manifest entry: what a host says is checked, for it is only a host") {
  for (
      const std::string bad : {
          "",
          "[]",
          "1",
          "null",
          "{}",
          R"({"format":1})",
          R"({"format":1,"service":"web","state":"deployed"})",  // deployed, but what?
          R"({"format":1,"service":"web","state":"deployed","new":{}})",
          R"({"format":1,"service":"web","state":"deployed","new":{"format":1,"running":1,"handling":{}}})",
          R"({"format":1,"service":"web","state":"deployed","new":{"format":1,"running":{"service":"web","version":1},"handling":{}}})",
          R"({"format":1,"service":"web","state":"deployed","new":{"format":1,"running":{"service":"db","version":"1"},"handling":{}}})",
          R"({"format":1,"service":"web","state":"changing","run":2147483647,"generation":2147483647})",
          R"({"format":1,"service":"web","state":"changing","generation":1e300})",
          R"({"format":1,"service":"web","state":"changing","generation":-1})",
          R"({"format":1,"service":"web","state":"changing","run":"x"})",
      })
    CHECK_MESSAGE(!error_of([&] { (void)ManifestEntry::from_json(bad); }).empty(), bad);
  CHECK(has(
      error_of([] { (void)ManifestEntry::from_json(R"({"format":2,"service":"web","state":"deployed"})"); }),
      "a manifest entry of format 2 was met; this version knows 1: was it written by a newer Tutti?"));
}
