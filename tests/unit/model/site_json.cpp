// SPDX-License-Identifier: LGPL-3.0-or-later
// A site as data: what is refused, and how that is said.
#include <doctest/doctest.h>

#include <string>

#include "unit/support/fakes.hpp"
#include <tutti/site.hpp>

using namespace tutti;
using namespace tutti::fake;

namespace {

/// A site of one class with one service; `more` are further members of the service.
std::string with_service(const std::string& more) {
  return R"({"name": "shop", "host_classes": [{"name": "front", "services": [{"name": "web", "version": "1")" +
         (more.empty() ? "" : ", " + more) + "}]}]}";
}
std::string with_class(const std::string& more) {
  return R"({"name": "shop", "host_classes": [{"name": "front", )" + more + "}]}";
}
std::string with_site(const std::string& more) { return R"({"name": "shop", )" + more + "}"; }

std::string error(const std::string& json) {
  return error_of([&] { (void)site_from_json(json); });
}

}  // namespace

TEST_CASE("site as data: all that a service may say arrives") {
  const Site site = site_from_json(R"_({
    "name": "shop", "source": {"shop.scm": "(site …)"},
    "host_classes": [{"name": "front", "labels": {"rack": "r1"}, "declared": "shop.scm:1", "services": [{
      "name": "web", "version": "7", "declared": "shop.scm:2", "user": "www", "limit": 30, "one_shot": false, "slots": 1,
      "payload": [{"name": "tool", "content": "x", "executable": true}],
      "files": [{"path": ["a/", {"setting": "k"}], "content": {"item": {"name": "i", "content": "y"}}, "mode": 384, "owner": "www"}],
      "settings": {"k": "v"}, "environment": {"DIR": {"data_directory": "d"}},
      "endpoints": [{"name": "http", "port": "8080"}],
      "start": {"argv": ["/bin/web", {"setting": "k"}], "daemon": true}, "validate": {"argv": ["check"], "limit": 5},
      "hooks": {"warm": {"script": {"name": "warm", "content": "#!/bin/sh\n"}, "argv": ["x"]}},
      "requirements": [{"service": "db", "declared": "shop.scm:3"}], "connections": [{"service": "cache"}],
      "switch_to_service": "switch-web", "switch_back": "irreversible", "remove_service": "drop-web"}]}],
    "hosts": [{"name": "h1", "class": "front", "address": "10.0.0.1", "port": 2222, "user": "root", "become": "sudo", "labels": {"dc": "a"}}],
    "platform": {"kind": "ssh", "user": "me", "config": "ssh_config"},
    "policy": [{"at_most": 2, "of": "dc"}, {"at_most": 30, "percent": true}, {"ask": "mine"}]})_");
  REQUIRE(site.host_classes.size() == 1);
  const Service& web = site.host_classes[0].services.at(0);
  CHECK(web.version == "7");
  CHECK(web.declared.at == "shop.scm:2");
  CHECK(web.limit == 30);
  CHECK(web.files.at(0).mode == 0600);
  CHECK(web.files.at(0).path == Text("a/") + Setting{"k"});
  CHECK(web.settings.fixed() == Settings{{"k", "v"}});
  CHECK(web.start.is_daemon);
  CHECK(web.start.argv == std::vector<Text>{"/bin/web", Setting{"k"}});
  CHECK(web.validate.limit == 5.0);
  CHECK(web.hooks.at("warm").argv.size() == 2);
  CHECK(web.requirements.at(0).declared.at == "shop.scm:3");
  CHECK(web.connections.at(0).declared.at == "shop.scm:2");  // that of the service
  CHECK(web.switch_to_service.name == "switch-web");
  CHECK(web.switch_back.name == "irreversible");
  CHECK(web.remove_service.name == "drop-web");
  const Fleet fleet = look_up(site);
  CHECK(fleet.at("h1") ==
        Host{"h1", "10.0.0.1", 2222, "root", "sudo", {{"dc", "a"}, {"rack", "r1"}}, "front"});
  CHECK(site.platform == ssh_platform("me", "ssh_config"));
  CHECK(site.policy.describe() == "at most 2 of each dc, and at most 30% of each class, and mine");
  CHECK(site.source == Source{{"shop.scm", "(site …)"}});
}

TEST_CASE("site as data: what is not built yet is refused with a sentence that says so") {
  struct Case {
    std::string json, what;
  };
  for (const Case& one :
       std::vector<Case>{{with_service(R"("placement": {})"), "placement"},
                         {with_service(R"("before_rollout": "f")"), "before-rollout"},
                         {with_service(R"("after_rollout": "f")"), "after-rollout"},
                         {with_service(R"("requirements": [{"service": "web", "label": "dc"}])"), "#:label"},
                         {with_service(R"("environment": {"P": {"secret": "p"}})"), "secret"},
                         {with_service(R"("environment": {"P": {"by_slot": ["a", "b"]}})"), "by-slot"},
                         {with_service(R"("environment": {"P": {"guix_package": "hello"}})"), "guix-package"},
                         {with_service(R"("environment": {"P": {"nix_package": "hello"}})"), "nix-package"},
                         {with_service(R"("start": {"guix_service": "nginx"})"), "guix-service"},
                         {with_class(R"("size": 3)"), "size"},
                         {with_class(R"("platform": {})"), "platform"},
                         {with_class(R"("image": {})"), "image"},
                         {with_class(R"("operating_system": "os.scm")"), "operating-system"},
                         {with_class(R"("capacity": {})"), "capacity"},
                         {with_class(R"("change": "blue-green")"), "change"},
                         {with_site(R"("services": [{"name": "web", "version": "1"}])"),
                          "a service that is listed in no class (placement)"},
                         {with_site(R"("store": "nix")"), "store"},
                         {with_site(R"("state": "etcd")"), "state"},
                         {with_site(R"("platform": {"kind": "vm"})"), "the kind 'vm'"}}) {
    const auto parse = [&] { (void)site_from_json(one.json); };
    CHECK_MESSAGE(code_of(parse) == ErrorCode::not_built, one.json);
    CHECK_MESSAGE(has(error_of(parse), one.what), error_of(parse));
    CHECK_MESSAGE(has(error_of(parse), "is not built yet"), error_of(parse));
  }
}

TEST_CASE("site as data: an unknown key is named with its place and the nearest known one") {
  CHECK(error(with_service(R"("enviroment": {})")) ==
        "site 'shop': service 'web': unknown key 'enviroment'. Did you mean 'environment'?");
  CHECK(error(with_class(R"("servces": [])")) ==
        "site 'shop': host class: unknown key 'servces'. Did you mean 'services'?");
  CHECK(error(with_site(R"("polcy": [])")) == "site: unknown key 'polcy'. Did you mean 'policy'?");
  CHECK(has(error(with_service(R"("start": {"argv": ["x"], "deamon": true})")),
            "web': start: unknown key 'deamon'. Did you mean 'daemon'?"));
}

TEST_CASE("site as data: a wrong type is an Error that names service and field, whatever the type is") {
  for (const std::string more : {R"("version": 7)",
                                 R"("payload": [1])",
                                 R"("payload": {})",
                                 R"("files": [1])",
                                 R"("files": [{"path": "x"}])",
                                 R"("settings": {"k": 1})",
                                 R"("settings": [])",
                                 R"("environment": {"A": 1})",
                                 R"("user": 1)",
                                 R"("endpoints": [1])",
                                 R"("endpoints": [{"name": "http", "port": 80}])",
                                 R"("slots": "2")",
                                 R"("start": "x")",
                                 R"("start": {"argv": []})",
                                 R"("start": {"argv": [1]})",
                                 R"("start": {"argv": "x"})",
                                 R"("hooks": {"a": 1})",
                                 R"("requirements": ["db"])",
                                 R"("requirements": [{"service": 1}])",
                                 R"("switch_to_service": 1)",
                                 R"("limit": "x")",
                                 R"("one_shot": 1)"}) {
    const std::string message = error(with_service(more));
    CHECK_MESSAGE(has(message, "service 'web'"), more << " → " << message);
  }
  for (const std::string& json :
       {with_class(R"("requirements": [1])"), with_class(R"("labels": {"dc": 1})"),
        with_class(R"("services": [1])"), with_site(R"("policy": [1])"),
        with_site(R"("policy": [{"at_most": "x"}])"), with_site(R"("hosts": [1])"),
        with_site(R"("host_classes": 1)"), std::string("[]"), std::string("{}"), std::string("1")})
    CHECK_MESSAGE(!error(json).empty(), json);
}

TEST_CASE("site as data: numbers that fit nowhere are refused, not cut to what fits") {
  CHECK(!error(with_site(R"("policy": [{"at_most": 2.5}])")).empty());
  CHECK(!error(with_site(R"("policy": [{"at_most": 1e300}])")).empty());
  CHECK(!error(with_site(R"("policy": [{"at_most": 0}])")).empty());
  CHECK(!error(with_site(R"("policy": [{"at_most": 130, "percent": true}])")).empty());
  const auto late = [](const std::string& json) {
    return error_of([&] {
      const Site site = site_from_json(json);
      (void)elaborate(site, look_up(site));
    });
  };
  CHECK(!late(with_service(R"("slots": 4294967297)")).empty());
  CHECK(!late(with_service(R"("files": [{"path": "/a", "content": "x", "mode": 4294967716}])"))
             .empty());  // 2³² + 0644
  CHECK(
      !late(
           with_site(
               R"("host_classes": [{"name": "front"}], "hosts": [{"name": "h1", "class": "front", "port": 4294967318}])"))
           .empty());
}

TEST_CASE("site as data: text that is no JSON is refused with its line") {
  CHECK(error("{\n\"name\": }").starts_with("site: line 2 is no JSON"));
}
