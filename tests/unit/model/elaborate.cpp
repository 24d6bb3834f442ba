// SPDX-License-Identifier: LGPL-3.0-or-later
// From a site and its fleet to definitions: settings, files, directories, items.
#include <doctest/doctest.h>

#include <stdexcept>

#include "support/text.hpp"
#include "unit/support/fakes.hpp"

using namespace tutti;
using namespace tutti::fake;

namespace {

Desired elaborated(const Site& site) { return elaborate(site, look_up(site)); }
std::string error(const Site& site) {
  return error_of([&] { (void)elaborated(site); });
}
const Definition& of(const Desired& desired, const std::string& service, const std::string& host) {
  return *desired.definitions.at({service, host});
}
/// One service on h1, on real hosts (over SSH) or on this machine.
Site on_ssh(const Service& one) { return site({{"front", {one}, {"h1"}}}); }
Site on_local(const Service& one) {
  Site made = on_ssh(one);
  made.platform = local_platform("/srv/hosts");
  return made;
}
template <class F> Service web(F spoil) {
  Service one = service("web", "1");
  spoil(one);
  return one;
}
std::string item_name(const std::string& name, const std::string& bytes, bool executable = false) {
  return sha256("file\n" + std::string(executable ? "x" : "") + "\n" + bytes).substr(0, 32) + "-" + name;
}

}  // namespace

TEST_CASE("settings: bound late, they read addresses and ports of what the service relates to") {
  Service db = service("db", "1");
  db.settings = Settings{{"port", "5432"}};
  db.endpoints = {{"sql", Setting{"port"}}};
  Service one = web([](Service& s) {
    s.connections = {{.service = "db"}};
    s.settings = [](const SiteView& view, const Host& host) {
      std::string all;
      for (const std::string& endpoint : view.endpoints_of("db", "sql")) all += endpoint + ";";
      return Settings{{"all", all}, {"me", host.name}, {"first", view.hosts_of("db").front().name}};
    };
    s.environment = {{"DB", Text("x=") + Setting{"all"}}, {"ME", Setting{"me"}}, {"FIRST", Setting{"first"}}};
  });
  Site shop = site({{"front", {one}, {"h1", "h2"}}, {"data", {db}, {"d1", "d2"}}});
  shop.host_class_to_hosts =
      inventory_list({{"front", {{.name = "h1"}, {.name = "h2"}}},
                      {"data", {{.name = "d1", .address = "10.0.0.1"}, {.name = "d2", .address = "::1"}}}});
  const Desired desired = elaborated(shop);
  CHECK(of(desired, "web", "h1").environment.at("DB") == "x=10.0.0.1:5432;[::1]:5432;");
  CHECK(of(desired, "web", "h2").environment.at("ME") == "h2");
  CHECK(of(desired, "web", "h2").environment.at("FIRST") == "d1");
  CHECK(of(desired, "db", "d1").endpoints.at("sql") == "5432");
  CHECK(running_hash(of(desired, "web", "h1")) != running_hash(of(desired, "web", "h2")));
}

TEST_CASE(
    "settings: reading a service that is declared neither way is an error with the place and the remedy") {
  Service one = web([](Service& s) {
    s.settings = [](const SiteView& view, const Host&) { return Settings{{"db", view.host_of("db").name}}; };
  });
  CHECK(error(site({{"front", {one, service("db", "1")}, {"h1"}}})) ==
        "settings of 'web' on host 'h1': shop.scm:web: the settings of 'web' read 'db', which it declares "
        "neither as a requirement "
        "(needs it running) nor as a connection (talks to it): add (connections '(\"db\"))");
  CHECK(has(error(site({{"front", {one}, {"h1"}}})), "no service 'db' in site 'shop'"));
}

TEST_CASE("settings: an endpoint or host that is not exactly one is an error that says how many") {
  const auto reading = [](auto read, const std::vector<std::string>& data) {
    Service one = service("web", "1", {"db"});
    one.settings = [read](const SiteView& view, const Host&) { return Settings{{"db", read(view)}}; };
    Service db = service("db", "1");
    db.endpoints = {{"sql", "5432"}};
    return error(site({{"front", {one}, {"h1"}}, {"data", {db}, data}}));
  };
  const auto endpoint = [](const SiteView& view) { return view.endpoint("db", "sql"); };
  CHECK(reading(endpoint, {"d1"}).empty());
  CHECK(has(reading(endpoint, {"d1", "d2"}),
            "'db' is on 2 hosts, exactly one is wanted here: use hosts-of or endpoints-of"));
  CHECK(has(reading(endpoint, {}), "'db' is on 0 hosts, exactly one is wanted here: give its class a host"));
  CHECK(has(reading([](const SiteView& view) { return view.host_of("db").name; }, {"d1", "d2"}),
            "'db' is on 2 hosts"));
  CHECK(has(reading([](const SiteView& view) { return view.endpoint("db", "sqll"); }, {"d1"}),
            "service 'db' has no endpoint 'sqll'. Did you mean 'sql'?"));
}

TEST_CASE("settings: those that wait for each other are an error that shows the loop") {
  // a reads b's endpoint, whose port is a setting of b, which reads a's endpoint …
  const auto make = [](const std::string& name, const std::string& other) {
    Service one = service(name, "1");
    one.connections = {{.service = other}};
    one.endpoints = {{"http", Setting{"port"}}};
    one.settings = [other](const SiteView& view, const Host&) {
      return Settings{{"port", view.endpoint(other, "http")}};
    };
    return one;
  };
  CHECK(has(
      error(site({{"front", {make("a", "b"), make("b", "a")}, {"h1"}}})),
      "settings wait for each other: a on h1 → b on h1 → a on h1. Give one of the endpoints a fixed port"));
}

TEST_CASE("settings: connected both ways is fine where the ports are fixed") {
  const auto make = [](const std::string& name, const std::string& other) {
    Service one = service(name, "1");
    one.connections = {{.service = other}};
    one.endpoints = {{"http", name == "a" ? "81" : "80"}};
    one.settings = [other](const SiteView& view, const Host&) {
      return Settings{{"peer", view.endpoint(other, "http")}};
    };
    one.environment = {{"PEER", Setting{"peer"}}};
    return one;
  };
  const Desired desired = elaborated(site({{"front", {make("a", "b"), make("b", "a")}, {"h1"}}}));
  CHECK(of(desired, "a", "h1").environment.at("PEER") == "h1:80");
}

TEST_CASE("settings: a missing one is named with the nearest, where it stands") {
  CHECK(error(on_ssh(web([](Service& s) {
          s.settings = Settings{{"port", "80"}, {"name", "x"}};
          s.environment = {{"PORT", Setting{"prot"}}};
        }))) == "shop.scm:web: service 'web' on host 'h1': environment 'PORT': (setting prot) has no value: "
                "its settings do not give it. Did you mean 'port'?");
  CHECK(has(error(on_ssh(web([](Service& s) {
              s.start = daemon({"x", Setting{"port"}});
            }))),
            "start: (setting port) has no value"));
  CHECK(has(error(on_ssh(web([](Service& s) {
              s.endpoints = {{"http", Setting{"port"}}};
            }))),
            "endpoint 'http': (setting port) has no value"));
}

TEST_CASE("settings: what a procedure throws says whose it was") {
  const auto throwing = [](auto thrown) {
    return on_ssh(web(
        [=](Service& s) { s.settings = [=](const SiteView&, const Host&) -> Settings { throw thrown; }; }));
  };
  CHECK(has(error(throwing(Error(ErrorCode::misuse, "no such thing"))),
            "settings of 'web' on host 'h1': no such thing"));
  CHECK(has(error(throwing(std::out_of_range("map::at"))), "settings of 'web' on host 'h1': map::at"));
}

TEST_CASE("settings computed elsewhere are asked for, and given") {
  Service db = service("db", "1");
  db.settings = LateSettings::elsewhere();
  db.endpoints = {{"sql", Setting{"port"}}};
  Service one = service("web", "1", {"db"});
  one.settings = LateSettings::elsewhere();
  one.environment = {{"DB", Setting{"db"}}};
  const Site shop = site({{"front", {one, db}, {"h1"}}});
  const Fleet fleet = look_up(shop);
  Elaboration elaboration(shop, fleet);
  CHECK(elaboration.elsewhere() == std::vector<Instance>{{"db", "h1"}, {"web", "h1"}});
  CHECK_THROWS_AS((void)elaboration.finish(), std::logic_error);
  elaboration.begin({"web", "h1"});
  CHECK(elaboration.unsettled({"web", "h1"}, "db") == std::vector<Instance>{{"db", "h1"}});
  elaboration.begin({"db", "h1"});
  CHECK(has(error_of([&] { elaboration.begin({"web", "h1"}); }), "web on h1 → db on h1 → web on h1"));
  elaboration.settle({"db", "h1"}, {{"port", "5432"}});
  CHECK(elaboration.unsettled({"web", "h1"}, "db").empty());
  elaboration.settle({"web", "h1"}, {{"db", elaboration.endpoint("web", "db", "sql")}});
  CHECK(of(elaboration.finish(), "web", "h1").environment.at("DB") == "h1:5432");
}

TEST_CASE("endpoints: a port is 1 to 65535") {
  for (const std::string port : {"0", "65536", "http", "", "80 ", "-1", "99999999999999999999"})
    CHECK_MESSAGE(has(error(on_ssh(web([&](Service& s) {
                        s.endpoints = {{"http", port}};
                      }))),
                      "is no port: give 1 to 65535"),
                  port);
}

TEST_CASE(
    "endpoints: two services of one host at one port are an error that names both, the host and the port") {
  const auto at = [](const std::string& name, std::vector<Endpoint> endpoints) {
    Service one = service(name, "1");
    one.endpoints = std::move(endpoints);
    return one;
  };
  const Service a = at("a", {{"http", "8010"}});
  CHECK(error(site({{"front", {a, at("b", {{"api", "8010"}})}, {"h1"}}})) ==
        "host 'h1' of class 'front': 'a' and 'b' both have an endpoint at port 8010: give one of them "
        "another port");
  CHECK(error(site({{"front", {a, at("b", {{"api", "8010"}})}, {}}})) ==
        "host class 'front': 'a' and 'b' both have an endpoint at port 8010: give one of them another port");
  CHECK(error(site({{"front", {at("a", {{"http", "8010"}, {"api", "8010"}})}, {"h1"}}})).empty());
  CHECK(error(site({{"front", {a}, {"h1"}}, {"back", {at("b", {{"api", "8010"}})}, {"h2"}}})).empty());
  Service late = at("late", {{"api", Setting{"port"}}});
  late.settings = [](const SiteView&, const Host& host) {
    return Settings{{"port", host.name == "h2" ? "8010" : "8011"}};
  };
  CHECK(error(site({{"front", {a, late}, {"h1"}}})).empty());
  CHECK(has(error(site({{"front", {a, late}, {"h1", "h2"}}})),
            "host 'h2' of class 'front': 'a' and 'late' both"));
}

TEST_CASE("endpoints: a port of UDP is another one than that of TCP, and addresses do not say it") {
  Service dns = service("dns", "1"), proxy = service("proxy", "1");
  dns.endpoints = {{"dns", "53/udp"}};
  proxy.endpoints = {{"dns", "53/tcp"}};
  proxy.connections = {{.service = "dns"}};
  proxy.settings = [](const SiteView& view, const Host&) {
    return Settings{{"upstream", view.endpoint("dns", "dns")}};
  };
  proxy.environment = {{"UPSTREAM", Setting{"upstream"}}};
  const Desired desired = elaborated(site({{"front", {dns, proxy}, {"h1"}}}));
  CHECK(of(desired, "proxy", "h1").environment.at("UPSTREAM") == "h1:53");
  CHECK(of(desired, "dns", "h1").endpoints.at("dns") == "53/udp");
  CHECK(of(desired, "proxy", "h1").endpoints.at("dns") == "53");
  proxy.endpoints = {{"dns", "53/udp"}};
  CHECK(has(error(site({{"front", {dns, proxy}, {"h1"}}})), "both have an endpoint at port 53/udp"));
  proxy.endpoints = {{"dns", "53/icmp"}};
  CHECK(has(error(site({{"front", {dns, proxy}, {"h1"}}})), "'53/icmp' is no port"));
}

TEST_CASE("files: a real host wants an absolute path, or one in a data directory") {
  const auto at = [](Text path) { return on_ssh(web([&](Service& s) { s.files = {{path, "x"}}; })); };
  CHECK(of(elaborated(at("/etc/../etc/web.conf")), "web", "h1").files.at(0).path == "/etc/web.conf");
  CHECK(of(elaborated(at(Text(DataDirectory{"d"}) + "/conf")), "web", "h1").files.at(0).path ==
        "/var/lib/tutti-data/shop/web/d/conf");
  CHECK(has(error(at("etc/web.conf")),
            "service 'web' on host 'h1': files: 'etc/web.conf' is relative: on a real host"));
}

TEST_CASE("files: on the local platform they are below the host's directory") {
  const auto at = [](const std::string& path) {
    return on_local(web([&](Service& s) { s.files = {{path, "x"}}; }));
  };
  CHECK(of(elaborated(at("etc/web.conf")), "web", "h1").files.at(0).path == "/srv/hosts/h1/etc/web.conf");
  CHECK(of(elaborated(at("/srv/hosts/h1/web.conf")), "web", "h1").files.at(0).path ==
        "/srv/hosts/h1/web.conf");
  for (const std::string outside : {"/etc/web.conf", "../h2/web.conf", "a/../../h2/x", "/srv/hosts/h10/x"})
    CHECK_MESSAGE(has(error(at(outside)), "is outside of the host's directory /srv/hosts/h1"), outside);
}

TEST_CASE("files: what names a folder, or the same file twice, is refused") {
  for (const std::string path : {"", "/", "/etc/", "/etc/.", "/etc/.."})
    CHECK_MESSAGE(has(error(on_ssh(web([&](Service& s) {
                        s.files = {{path, "x"}};
                      }))),
                      "is no path of a file"),
                  path);
  CHECK(has(error(on_local(web([](Service& s) { s.files = {{".", "x"}}; }))), "is no path of a file"));
  CHECK(has(error(on_ssh(web([](Service& s) {
              s.files = {{"/a/b", "x"}, {"/a/./b", "y"}};
            }))),
            "'/a/b' is given twice"));
}

TEST_CASE("files: no NUL and only UTF-8 in paths, arguments and variables; any bytes in contents") {
  const std::string nul("a\0b", 3);
  CHECK(has(error(on_ssh(web([&](Service& s) {
              s.files = {{"/" + nul, "x"}};
            }))),
            "a NUL character can't be in it"));
  CHECK(has(error(on_ssh(web([&](Service& s) {
              s.environment = {{"A", nul}};
            }))),
            "environment 'A': a NUL character"));
  CHECK(has(error(on_ssh(web([&](Service& s) {
              s.start = daemon({"x", "\xff"});
            }))),
            "start: it is no UTF-8"));
  CHECK(has(error(on_ssh(web([&](Service& s) {
              s.start = daemon({"", "x"});
            }))),
            "the name of the program is empty"));
  const Desired desired = elaborated(on_ssh(web([&](Service& s) { s.files = {{"/a", nul + "\xff"}}; })));
  CHECK(desired.items.at(of(desired, "web", "h1").files.at(0).item)->bytes == nul + "\xff");
}

TEST_CASE("data directories: one for each site, service and name, sorted, once") {
  const Definition web_1 = of(elaborated(on_ssh(web([](Service& s) {
                                s.environment = {{"B", DataDirectory{"b"}},
                                                 {"A", Text(DataDirectory{"a"}) + "/x"},
                                                 {"C", DataDirectory{"b"}}};
                              }))),
                              "web", "h1");
  CHECK(web_1.data_directories ==
        std::vector<std::string>{"/var/lib/tutti-data/shop/web/a", "/var/lib/tutti-data/shop/web/b"});
  CHECK(web_1.environment.at("A") == "/var/lib/tutti-data/shop/web/a/x");
  CHECK(of(elaborated(on_local(web([](Service& s) {
             s.environment = {{"A", DataDirectory{"a"}}};
           }))),
           "web", "h1")
            .environment.at("A") == "/srv/hosts/h1/data/shop/web/a");
  CHECK(has(error(on_ssh(web([](Service& s) {
              s.environment = {{"A", DataDirectory{"../x"}}};
            }))),
            "'../x' can't name a data directory"));
}

TEST_CASE("items: named by hash, the same content once, settings rendered in them") {
  const auto with = [](const std::string& port) {
    return web([&](Service& s) {
      s.settings = Settings{{"port", port}};
      s.start = daemon({"/bin/web", mixed_text_file("web.conf", Text("port ") + Setting{"port"})});
      s.validate = program({"check", plain_file("check.txt", "hello")});
      s.files = {{"/etc/web.conf", mixed_text_file("web.conf", Text("port ") + Setting{"port"})},
                 {"/etc/a b", Text("x")}};
    });
  };
  const Desired desired = elaborated(on_ssh(with("80")));
  const Definition& d = of(desired, "web", "h1");
  const std::string conf = item_name("web.conf", "port 80");
  CHECK(d.programs.at("start").argv == std::vector<std::string>{"/bin/web", "/tutti/store/" + conf});
  CHECK(d.payload == std::vector<std::string>{conf});
  CHECK(d.files.at(1).item == conf);  // one item alone is the file's content
  CHECK(d.files.at(0).item == item_name("a_b", "x"));
  CHECK(d.hook_items == std::vector<std::string>{item_name("check.txt", "hello")});
  CHECK(desired.items.size() == 3);
  CHECK(d.items().size() == 3);
  CHECK(running_hash(d) != running_hash(of(elaborated(on_ssh(with("81"))), "web", "h1")));
}

TEST_CASE("items: an executable one is another than the same bytes to read") {
  Item tool = plain_file("tool", "x");
  tool.executable = true;
  const Desired desired = elaborated(on_ssh(web([&](Service& s) {
    s.payload = {tool, plain_file("tool", "x")};
  })));
  CHECK(desired.items.size() == 2);
  CHECK(desired.items.at(item_name("tool", "x", true))->executable);
  CHECK(!desired.items.at(item_name("tool", "x"))->executable);
}

TEST_CASE("items: one whose name was never checked can't leave the store") {
  const Item evil{.name = "../../etc/passwd", .content = std::make_shared<const Text>("x")};
  CHECK(has(error(on_ssh(web([&](Service& s) { s.payload = {evil}; }))), "can't name an item"));
  CHECK(!error(on_ssh(web([&](Service& s) { s.payload = {Item{.name = "empty", .content = {}}}; }))).empty());
  for (const std::string name : {"", "-x", ".x", "a/b", "a b"})
    CHECK_MESSAGE(!error_of([&] { (void)plain_file(name, "x"); }).empty(), name);
}

TEST_CASE("scripts: run by their #! line if they have one, else by /bin/sh") {
  const Program with = script(plain_file("go", "#!/usr/bin/env python3\n"), {"a"});
  CHECK(with.argv.size() == 2);
  CHECK(std::get<Item>(with.argv.at(0).pieces().at(0)).executable);
  const Program without = script(plain_file("go", "echo hi\n"), {"a"});
  CHECK(without.argv.at(0) == Text("/bin/sh"));
  CHECK(without.argv.size() == 3);
  CHECK(!std::get<Item>(without.argv.at(1).pieces().at(0)).executable);
  CHECK(script(plain_file("go", "")).argv.at(0) == Text("/bin/sh"));
}

TEST_CASE("local-file: keeps the bytes and whether it may be executed; a folder is not built yet") {
  const Item self = local_file("/bin/sh");
  CHECK(self.executable);
  CHECK(self.name == "sh");
  CHECK(code_of([] { (void)local_file("/tmp"); }) == ErrorCode::not_built);
  CHECK(error_of([] { (void)local_file("/nowhere/at-all"); }) ==
        "local-file '/nowhere/at-all' does not exist or can't be reached");
  CHECK(has(error_of([] { (void)local_file("/dev/null"); }), "is no regular file"));
}

TEST_CASE("elaboration: a class without hosts, or a service in two classes") {
  const Desired desired = elaborated(site({{"front", {service("web", "1")}, {"h1"}},
                                           {"back", {service("web", "1")}, {"h2"}},
                                           {"none", {service("x", "1")}, {}}}));
  CHECK(desired.definitions.size() == 2);
  CHECK(desired.definitions.contains({"web", "h2"}));
  CHECK(desired.services.size() == 2);
}
