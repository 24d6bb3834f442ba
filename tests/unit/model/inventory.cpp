// SPDX-License-Identifier: LGPL-3.0-or-later
// Who says which hosts there are: files, lists, and what a fleet can't be.
#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "unit/support/fakes.hpp"

using namespace tutti;
using namespace tutti::fake;

namespace {

/// hosts.json in a folder of its own, gone with the test.
struct HostsFile {
  explicit HostsFile(const std::string& text) {
    char name[] = "/tmp/tutti-inventory.XXXXXX";
    folder = ::mkdtemp(name);
    std::ofstream(path()) << text;
  }
  ~HostsFile() { std::filesystem::remove_all(folder); }
  HostsFile(const HostsFile&) = delete;
  HostsFile& operator=(const HostsFile&) = delete;
  [[nodiscard]] std::string path() const { return (folder / "hosts.json").string(); }
  std::filesystem::path folder;
};

/// The error of asking that file, without the folder's name.
std::string error(const std::string& text) {
  const HostsFile file(text);
  std::string message = error_of([&] { (void)inventory_file(file.path()).ask({"front"}); });
  if (const auto at = message.find(file.folder.string()); at != std::string::npos)
    message.erase(at, file.folder.string().size() + 1);
  return message;
}
std::string one_host(const std::string& members) {
  return R"({"format_version": 1, "hosts": [{)" + members + "}]}";
}

Site asking(Inventory inventory, const std::vector<std::string>& classes = {"front", "data"}) {
  std::vector<Class> all;
  for (const std::string& name : classes) all.push_back({name, {}, {}});
  Site made = site(all);
  made.host_class_to_hosts = std::move(inventory);
  return made;
}

}  // namespace

TEST_CASE("inventory file: its hosts are found by class, in its order") {
  const HostsFile file(R"({"format_version": 1, "hosts": [
    {"name": "h2", "class": "front", "address": "10.0.0.2", "port": 22, "user": "root", "become": "doas", "labels": {"datacenter": "east"}},
    {"name": "d1", "class": "data"}, {"name": "h1", "class": "front"}]})");
  const Fleet fleet = look_up(asking(inventory_file(file.path())));
  REQUIRE(fleet.hosts.size() == 3);
  CHECK(fleet.hosts[0] == Host{"h2", "10.0.0.2", 22, "root", "doas", {{"datacenter", "east"}}, "front"});
  CHECK(fleet.hosts[1].name == "h1");
  CHECK(fleet.hosts[2].host_class == "data");
  CHECK(fleet.at("h2").label("datacenter") == "east");
  CHECK(fleet.at("h2").label("class") == "front");
  CHECK(fleet.at("h1").label("datacenter").empty());
  CHECK(error_of([&] { (void)fleet.at("h3"); }) == "no host 'h3' in the fleet. Did you mean 'h2'?");
}

TEST_CASE("inventory file: what is wrong in it is named with file, host and key") {
  CHECK(error("{\n\"hosts\": [,]}").starts_with("hosts.json: line 2 is no JSON"));
  CHECK(error("[]") == "hosts.json: an object is wanted here");
  CHECK(error(R"({"format_version": 1, "host": []})") ==
        "hosts.json: unknown key 'host'. Did you mean 'hosts'?");
  CHECK(error(R"({"hosts": []})") == "hosts.json: 'format_version' is missing");
  CHECK(error(R"({"format_version": 2, "hosts": []})") ==
        "hosts.json: 'format_version' is 2; 1, which is all that this version reads, is wanted");
  CHECK(error(R"({"format_version": 1})") == "hosts.json: 'hosts' is missing");
  CHECK(error(R"({"format_version": 1, "hosts": [1]})") == "hosts.json: host 1: an object is wanted here");
  CHECK(error(one_host(R"("class": "front")")) == "hosts.json: host 1: 'name' is missing");
  CHECK(error(one_host(R"("name": "h1")")) == "hosts.json: host 1 ('h1'): 'class' is missing");
  CHECK(error(one_host(R"("name": "h1", "class": "front", "adress": "x")")) ==
        "hosts.json: host 1 ('h1'): unknown key 'adress'. Did you mean 'address'?");
  CHECK(error(one_host(R"("name": "h1", "class": "front", "port": "22")")) ==
        "hosts.json: host 1 ('h1'): 'port' is \"22\"; a whole number is wanted");
  CHECK(error(one_host(R"("name": "h1", "class": "front", "labels": {"dc": 1})")) ==
        "hosts.json: host 1 ('h1'): labels: 'dc' is 1; a string is wanted");
  CHECK(error(one_host(R"("name": "", "class": "front")"))
            .starts_with("hosts.json: host 1 (''): a name has letters"));
  CHECK(error(one_host(R"("name": "h1", "class": "a b")"))
            .starts_with("hosts.json: host 1 ('h1'): class 'a b': a name has letters"));
  CHECK(error(one_host(R"("name": "h1", "class": "")")) ==
        "hosts.json: host 1 ('h1'): 'class' is \"\"; the name of a host class is wanted");
  CHECK(error(one_host(R"("name": "h1", "class": "front"}, {"name": "h1", "class": "data")")) ==
        "hosts.json: host 2 ('h1'): host 1 has that name already: a host is named once, and has one class");
}

TEST_CASE("inventory file: a key that stands twice in an object is refused, wherever it is") {
  CHECK(error(R"({"hosts": [], "format_version": 1, "hosts": []})") ==
        "hosts.json: key 'hosts' stands there twice");
  CHECK(
      error(one_host(R"("name": "h1", "class": "front"}, {"name": "h2", "class": "front", "name": "h3")")) ==
      "hosts.json: host 2: key 'name' stands there twice");
  CHECK(error(one_host(R"("name": "h1", "class": "front", "labels": {"a": "1", "b": "1", "a": "1"})")) ==
        "hosts.json: host 1: labels: key 'a' stands there twice");
  CHECK(error(one_host(R"("name": "h1", "class": "front", "labels": {"name": "1"})"))
            .empty());  // of another object
}

TEST_CASE("inventory file: one that is not there is named") {
  CHECK(error_of([] { (void)inventory_file("/nowhere/hosts.json").ask({"front"}); }) ==
        "/nowhere/hosts.json: the inventory can't be read: No such file or directory");
  CHECK(error_of([] { (void)inventory_file("/tmp").ask({"front"}); }) ==
        "/tmp: the inventory can't be read: Is a directory");
  CHECK(error("").starts_with("hosts.json: line 1 is no JSON"));
}

TEST_CASE("inventory file: an answer that failed is not remembered as an empty one") {
  const HostsFile file(one_host(R"("name": "h1", "class": "front"}, {"name": 1)"));
  const Inventory inventory = inventory_file(file.path());
  CHECK(!error_of([&] { (void)inventory.ask({"front"}); }).empty());
  std::ofstream(file.path()) << one_host(R"("name": "h1", "class": "front")");
  CHECK(inventory.ask({"front"}).hosts.size() == 1);
}

TEST_CASE("fleet: a host has exactly one class, and is named once") {
  CHECK(error_of([] {
          (void)look_up(asking(inventory_list({{"front", {{.name = "h1"}}}, {"data", {{.name = "h1"}}}})));
        }) == "host 'h1' is in two classes, 'front' and 'data': a host has exactly one. Make one class of "
              "both roles, or take the host out of one");
  CHECK(error_of([] {
          (void)look_up(asking(inventory_list({{"front", {{.name = "h1"}, {.name = "h1"}}}})));
        }) == "the inventory names host 'h1' of class 'front' twice");
}

TEST_CASE("fleet: what an inventory says of a host is checked before anything is made of it") {
  const auto broken = [](Host host) {
    return error_of([&] { (void)look_up(asking(inventory_list({{"front", {host}}}))); });
  };
  CHECK(broken({.name = "h1"}).empty());
  CHECK(has(broken({.name = "-oProxyCommand=evil"}), "a name has letters"));
  CHECK(has(broken({.name = "h1\x1b[2J"}), "host 'h1\\x1b[2J' of class 'front'"));
  CHECK(has(broken({.name = "h1", .address = "-oProxyCommand=evil"}), "is no address"));
  CHECK(has(broken({.name = "h1", .address = "a b"}), "is no address"));
  CHECK(has(broken({.name = "h1", .port = 70000}), "70000 is no port"));
  CHECK(has(broken({.name = "h1", .port = -1}), "-1 is no port"));
  CHECK(has(broken({.name = "h1", .user = "-l"}), "is no user name"));
  CHECK(has(broken({.name = "h1", .become = "su"}), "'sudo' or 'doas' is wanted"));
}

TEST_CASE("fleet: without an inventory the remedy is said") {
  CHECK(has(error_of([] { (void)look_up(asking({})); }), "has no inventory: give it one"));
}

TEST_CASE("fleet: labels of the class are those of its hosts, unless a host says otherwise") {
  Site shop =
      asking(inventory_list({{"front", {{.name = "h1", .labels = {{"rack", "own"}}}, {.name = "h2"}}}}));
  shop.host_classes[0].labels = {{"rack", "r1"}, {"tier", "1"}};
  const Fleet fleet = look_up(shop);
  CHECK(fleet.at("h1").labels == std::map<std::string, std::string>{{"rack", "own"}, {"tier", "1"}});
  CHECK(fleet.at("h2").label("rack") == "r1");
}

TEST_CASE("fleet: on the local platform host N is 127.0.1.N, and no two are the same") {
  std::vector<Host> many(300);
  for (std::size_t i = 0; i < many.size(); ++i) many[i].name = "h" + std::to_string(i + 1);
  many[6].address = "localhost";
  Site shop = asking(inventory_list({{"front", many}}));
  shop.platform = local_platform("/tmp/nowhere");
  const Fleet fleet = look_up(shop);
  CHECK(fleet.at("h1").address == "127.0.1.1");
  CHECK(fleet.at("h7").address == "localhost");
  CHECK(fleet.at("h8").address == "127.0.1.8");
  CHECK(fleet.at("h254").address == "127.0.1.254");
  CHECK(fleet.at("h255").address == "127.0.2.1");
}

TEST_CASE("fleet: two hosts at one address and port are an error that names both, however it is spelt") {
  const auto error_with = [](std::vector<Host> front, std::vector<Host> data) {
    return error_of([&] {
      (void)look_up(asking(inventory_list({{"front", std::move(front)}, {"data", std::move(data)}})));
    });
  };
  CHECK(
      error_with({{.name = "web1", .address = "10.97.101.3"}}, {{.name = "db1", .address = "10.97.101.3"}}) ==
      "host 'web1' of class 'front' and host 'db1' of class 'data' have one address, 10.97.101.3, and one "
      "port, 22: "
      "one machine has one name and one class. Take one of them out, or correct its address");
  CHECK(has(error_with({{.name = "web1", .address = "db1", .port = 22}}, {{.name = "db1"}}),
            "'web1' of class"));
  CHECK(has(
      error_with({{.name = "a", .address = "Host.Example."}, {.name = "b", .address = "host.example"}}, {}),
      "host 'a' of class 'front' and host 'b' of class 'front' have one address"));
  CHECK(has(error_with({{.name = "a", .address = "::1"}, {.name = "b", .address = "[0:0::1]"}}, {}),
            "one address"));
  CHECK(error_with({{.name = "a", .address = "10.0.0.1"}, {.name = "b", .address = "10.0.0.1", .port = 2222}},
                   {})
            .empty());
}

TEST_CASE("fleet: on the local platform an address that is given may not be one that another host gets") {
  const auto error_with = [](std::vector<Host> hosts) {
    Site shop = asking(inventory_list({{"front", std::move(hosts)}}));
    shop.platform = local_platform("/tmp/nowhere");
    return error_of([&] { (void)look_up(shop); });
  };
  CHECK(error_with({{.name = "a"}, {.name = "b"}, {.name = "c", .address = "127.0.0.9"}}).empty());
  CHECK(has(
      error_with({{.name = "a", .address = "127.0.0.9"}, {.name = "b", .address = "127.0.0.9"}}),
      "host 'a' of class 'front' and host 'b' of class 'front' have one address, 127.0.0.9: one machine"));
  CHECK(has(error_with({{.name = "a", .address = "127.0.1.2"}, {.name = "b"}}), "one address, 127.0.1.2"));
}

TEST_CASE("fleet: an inventory is asked once, and a file's hosts of other classes are noted") {
  const HostsFile file(R"({"format_version": 1, "hosts": [
    {"name": "h1", "class": "front"}, {"name": "d1", "class": "dat"}, {"name": "d2", "class": "dat"}]})");
  int asked = 0;
  const Inventory counting([&](const std::vector<std::string>& classes) {
    ++asked;
    CHECK(classes == std::vector<std::string>{"front", "data"});
    return inventory_file(file.path()).ask(classes);
  });
  const Fleet fleet =
      look_up(asking(inventory_append({counting, inventory_list({{"data", {{.name = "x"}}}})})));
  CHECK(asked == 1);
  CHECK(fleet.hosts.size() == 2);
  CHECK(fleet.notes == std::vector<std::string>{
                           file.path() + ": host 'd1' and 1 more is of class 'dat', which this site does not "
                                         "have; did you mean 'data'?"});
  const Fleet of_classes = look_up(asking([](const std::string& host_class) {
    return std::vector<Host>{{.name = "of-" + host_class, .host_class = "is filled in"}};
  }));
  CHECK(of_classes.hosts.at(1).name == "of-data");
  CHECK(of_classes.hosts.at(1).host_class == "data");
}

TEST_CASE("inventory: appended ones answer in order, and a host of both is still an error") {
  const Inventory both = inventory_append(
      {inventory_list({{"front", {{.name = "h2"}}}}), inventory_list({{"front", {{.name = "h1"}}}})});
  const Fleet fleet = look_up(asking(both));
  CHECK(fleet.hosts.at(0).name == "h2");
  CHECK(fleet.hosts.at(1).name == "h1");
  const Inventory twice = inventory_append(
      {inventory_list({{"front", {{.name = "h1"}}}}), inventory_list({{"data", {{.name = "h1"}}}})});
  CHECK(has(error_of([&] { (void)look_up(asking(twice)); }), "is in two classes"));
}

TEST_CASE(
    "inventory: in a site as data, hosts and files of hosts answer in the order in which they are written") {
  const HostsFile file(R"({"format_version": 1, "hosts": [
    {"name": "b", "class": "front"}, {"name": "x", "class": "dat"}]})");
  const Site shop =
      site_from_json(R"({"name": "shop", "host_classes": [{"name": "front"}, {"name": "data"}], "hosts": [
    {"name": "a", "class": "front"}, {"file": ")" +
                     file.path() + R"("},
    {"file": "other.scm", "hosts": [{"name": "c", "class": "front"}, {"name": "y", "class": "daat"}]},
    {"name": "d", "class": "front"}]})");
  const Fleet fleet = look_up(shop);
  std::vector<std::string> names;
  for (const Host& host : fleet.hosts) names.push_back(host.name);
  CHECK(names == std::vector<std::string>{"a", "b", "c", "d"});
  REQUIRE(fleet.notes.size() == 2);
  CHECK(has(fleet.notes[0], file.path() + ": host 'x' is of class 'dat'"));
  CHECK(has(fleet.notes[1], "other.scm: host 'y' is of class 'daat'"));
}
