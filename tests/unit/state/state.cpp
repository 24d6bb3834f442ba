// SPDX-License-Identifier: LGPL-3.0-or-later
// What the coordinator keeps, in SQLite files of a folder that is gone with the test.
#include <tutti/engine/state.hpp>

#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include <sqlite3.h>

#include "unit/support/fakes.hpp"

using namespace tutti;
using namespace tutti::fake;
namespace fs = std::filesystem;

namespace {

using Lines = std::vector<std::string>;

struct Folder {
  Folder() {
    char name[] = "/tmp/tutti-state.XXXXXX";
    path = ::mkdtemp(name);
  }
  ~Folder() {
    for (const fs::path& one : {path, path / "theirs"})  // a case may have locked us out
      if (fs::exists(one)) fs::permissions(one, fs::perms::owner_all);
    fs::remove_all(path);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] fs::path file() const { return path / "state.db"; }
  fs::path path;
};

unsigned mode(const fs::path& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 0777;
}
void sql(const fs::path& file, const char* text) {
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open(file.c_str(), &database) == SQLITE_OK);
  CHECK(sqlite3_exec(database, text, nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(database);
}
/// Rows of that, one column.
Lines rows(const fs::path& file, const char* text) {
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open(file.c_str(), &database) == SQLITE_OK);
  Lines found;
  const auto take = [](void* into, int, char** columns, char**) {
    static_cast<Lines*>(into)->emplace_back(columns[0] ? columns[0] : "");
    return 0;
  };
  CHECK(sqlite3_exec(database, text, take, &found, nullptr) == SQLITE_OK);
  sqlite3_close(database);
  return found;
}
std::string error(const fs::path& file) {
  return error_of([&] { const State state(file); });
}
constexpr const char* plan =
    R"({"steps": [{"service": "web", "host": "h1"}, {"service": "db", "host": "d1"}]})";

HostReading reading(const std::string& host, const std::vector<std::string>& services) {
  HostReading reading{.host = host, .reached = true};
  for (const std::string& name : services)
    reading.entries.push_back(
        {{.service = name,
          .new_definition = std::make_shared<Definition>(Definition{.service = name, .version = "1"}),
          .run = 3,
          .generation = 3},
         HostReading::Life::alive});
  return reading;
}

Record intent(std::uint32_t step, const char* path, std::uint32_t sequence, const char* text) {
  return {1000,
          record::Intent{.at = {StepId{step}, task_path(path), sequence}, .effect = "run", .text = text}};
}

}  // namespace

TEST_CASE("state: a database has a lineage of its own, for life") {
  const Folder folder, other;
  std::string lineage;
  {
    const State state(folder.file());
    lineage = state.lineage();
    CHECK(lineage.size() == 16);
    CHECK(state.file() == folder.file());
  }
  CHECK(State(folder.file()).lineage() == lineage);
  CHECK(State(other.file()).lineage() != lineage);
}

TEST_CASE("state: its times and its lineage come from the clock and the entropy that it is given") {
  struct Counting final : Entropy {
    std::string bytes(std::size_t count) override { return std::string(count, static_cast<char>(++calls)); }
    int calls = 0;
  } entropy;
  FakeClock clock;
  const Folder folder;
  State state(folder.file(), clock, entropy);
  CHECK(state.lineage() == "0101010101010101");
  const int run = state.begin_run(plan, "", "", 0, 1);
  clock.time = 1007.5;
  state.end_run(run, "complete", "", "{}");
  CHECK(state.history().at(0).started == 1000);
  CHECK(state.history().at(0).ended == 1007.5);
  const State again(folder.file(), clock, entropy);
  CHECK(again.lineage() == state.lineage());
  CHECK(entropy.calls == 1);  // a file that is there has its lineage
}

TEST_CASE("state: file and folder are ours alone") {
  const Folder folder;
  State state(folder.path / "a" / "b" / "state.db");
  state.hold("testing");
  CHECK(mode(state.file()) == 0600);
  CHECK(mode(state.file().parent_path()) == 0700);
  CHECK(mode(state.file().string() + ".lock") == 0600);
  CHECK(mode(folder.path) == 0700);
}

TEST_CASE("state: epochs only rise, also for another process of the same file") {
  const Folder folder;
  State one(folder.file()), other(folder.file());
  CHECK(one.next_epoch() == 1);
  CHECK(other.next_epoch() == 2);
  CHECK(one.next_epoch() == 3);
  one.saw("h1", 3);
  one.saw("h1", 2);  // late
  CHECK(other.seen("h1") == 3);
  CHECK(other.seen("h2") == 0);
}

TEST_CASE("state: runs are numbered on from whatever was seen, here or in a manifest") {
  const Folder folder;
  State state(folder.file());
  CHECK(state.begin_run(plan, "", "", 0, 1) == 1);
  CHECK(state.begin_run(plan, "", "", 0, 1) == 2);
  CHECK(state.begin_run(plan, "", "", 7, 1) == 8);
  CHECK(state.begin_run(plan, "", "", 3, 1) == 9);
}

TEST_CASE("state: history has the newest first, with what was done and by whom") {
  const Folder folder;
  State state(folder.file());
  const int first = state.begin_run(plan, "hash one", "db 1", 0, 1);
  state.end_run(first, "complete", "", "{}");
  const int second = state.begin_run(plan, "hash two", "db 1→2", 0, 7);
  const auto history = state.history();
  REQUIRE(history.size() == 2);
  CHECK(history[0].number == second);
  CHECK(history[0].status == "running");
  CHECK(history[0].ended == 0);
  CHECK(history[1].number == first);
  CHECK(history[1].status == "complete");
  CHECK(history[1].ended >= history[1].started);
  CHECK(history[1].summary == "db 1");
  CHECK(has(history[1].by, "@"));
  CHECK(history[0].source_hash != history[1].source_hash);
  CHECK(history[0].epoch == 7);
  CHECK(State(folder.file()).history().size() == 2);
}

TEST_CASE("state: a run that did not end is unfinished, until it ends or is abandoned") {
  const Folder folder;
  State state(folder.file());
  CHECK(!state.unfinished());
  const int run = state.begin_run(plan, "", "web 1", 0, 1);
  REQUIRE(State(folder.file()).unfinished());
  CHECK(state.unfinished()->number == run);
  state.abandon(run);
  CHECK(!state.unfinished());
  CHECK(state.history()[0].status == "abandoned");
  const int next = state.begin_run(plan, "", "", 0, 1);
  state.end_run(next, "incomplete", "1 skipped", "{}");
  CHECK(!state.unfinished());
  state.abandon(next);  // too late: it ended otherwise
  CHECK(state.history()[0].status == "incomplete");
  CHECK(has(state.history()[0].summary, "1 skipped"));
}

TEST_CASE("state: what an unfinished run left open is said with the last effect sent") {
  const Folder folder;
  State state(folder.file());
  const int run = state.begin_run(plan, "", "", 0, 1);
  const auto journal = state.journal(run);
  journal->append(intent(0, "b", 0, "begin web 2"));
  journal->append(intent(1, "b", 0, "begin db 2"));
  journal->append(intent(0, "t", 1, "stop web 1"));
  journal->append({1, record::Ended{StepId{1}, Outcome::upgraded}});
  journal->append(intent(0, "t", 3, "start web 2"));
  journal->commit();
  CHECK(state.left_open(run) == Lines{"web@h1: last sent was `start web 2`"});
  CHECK(state.left_open(run + 1).empty());
}

TEST_CASE("state: the journal is there for others once it is committed, all at once, and not before") {
  const Folder folder;
  State state(folder.file());
  const int run = state.begin_run(plan, "", "", 0, 1);
  const auto journal = state.journal(run);
  journal->append(intent(0, "b", 0, "one"));
  journal->append(intent(1, "b", 0, "two"));
  CHECK(rows(folder.file(), "SELECT text FROM record").empty());
  journal->commit();
  CHECK(rows(folder.file(), "SELECT text FROM record ORDER BY id") == Lines{"one", "two"});
  CHECK(rows(folder.file(), "SELECT type||' '||path||'.'||sequence FROM record WHERE step=1") ==
        Lines{"intent b.0"});
  journal->commit();  // nothing to do
}

TEST_CASE("state: is fully synchronous, so that what is committed survives a power cut") {
  const Folder folder;
  const State state(folder.file());
  CHECK(rows(folder.file(), "PRAGMA journal_mode") ==
        Lines{"wal"});  // `synchronous` is of the connection: see database.cpp
}

TEST_CASE("state: while the journal has uncommitted records, the rest can be used") {
  const Folder folder;
  State state(folder.file());
  const auto journal = state.journal(state.begin_run(plan, "", "", 0, 1));
  journal->append(intent(0, "b", 0, "one"));
  state.remember(reading("h1", {"web"}));
  CHECK(state.next_epoch() == 1);
  state.saw("h1", 1);
  journal->commit();
  CHECK(state.last_known().size() == 1);
  CHECK(rows(folder.file(), "SELECT text FROM record") == Lines{"one"});
}

TEST_CASE("state: only one may hold it; the other is told who does") {
  const Folder folder;
  int to_child[2], to_parent[2];
  REQUIRE(::pipe(to_child) == 0);
  REQUIRE(::pipe(to_parent) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(to_child[1]);  // else its own end keeps the pipe open
    State state(folder.file());
    state.hold("deploying shop");
    char word = 'h';
    if (::write(to_parent[1], &word, 1) != 1 || ::read(to_child[0], &word, 1) < 0) ::_exit(1);
    ::_exit(0);  // without releasing: a process that dies lets go
  }
  char word = 0;
  REQUIRE(::read(to_parent[0], &word, 1) == 1);
  {
    State state(folder.file());
    CHECK(code_of([&] { state.hold("me too"); }) == ErrorCode::locked);
    const std::string message = error_of([&] { state.hold("me too"); });
    CHECK(has(message, "the site is locked by "));
    CHECK(has(message, "(process " + std::to_string(child) + ", deploying shop)"));
    CHECK(state.next_epoch() == 1);  // reading and the rest go on
    ::close(to_child[1]);
    int status = 1;
    CHECK(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    state.hold("me too");
    State other(folder.file());
    CHECK(code_of([&] { other.hold("and me"); }) == ErrorCode::locked);
    state.hold("again");  // it holds it already
    state.release();
    other.hold("and me");
  }
  for (const int fd : {to_child[0], to_parent[0], to_parent[1]}) ::close(fd);
}

TEST_CASE("state: the cache gives back what was remembered of hosts, the last time only") {
  const Folder folder;
  State state(folder.file());
  state.remember(reading("h1", {"web", "old"}));
  state.remember(reading("h2", {"web"}));
  state.remember(reading("h1", {"web"}));
  HostReading silent = reading("h2", {});
  silent.reached = false;
  state.remember(silent);  // nothing was learned
  const auto known = State(folder.file()).last_known();
  REQUIRE(known.size() == 2);
  CHECK(known.contains({"web", "h1"}));
  CHECK(known.at({"web", "h2"}).new_definition->version == "1");
  CHECK(known.at({"web", "h2"}).generation == 3);
  sql(folder.file(), "UPDATE instance SET entry='nonsense' WHERE host='h1'");
  CHECK(state.last_known().size() == 1);  // a cache: what can't be read is not known
}

TEST_CASE("state: a file that is no database is refused by name, with the remedy") {
  const Folder folder;
  std::ofstream(folder.file()) << std::string(10000, 'x');
  CHECK(code_of([&] { const State state(folder.file()); }) == ErrorCode::system);
  CHECK(has(error(folder.file()), folder.file().string()));
  CHECK(has(error(folder.file()), "move it away"));
}

TEST_CASE("state: a database that is damaged is refused with the remedy") {
  const Folder folder;
  {
    State state(folder.file());
    for (int i = 0; i < 50; ++i) (void)state.begin_run(plan, std::string(64, 'x'), "", 0, 1);
  }
  const auto size = fs::file_size(folder.file());
  std::fstream file(folder.file(), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(100);
  for (std::uintmax_t i = 100; i < size; ++i) file.put('x');
  file.close();
  CHECK(has(error(folder.file()), "Move it away"));
}

TEST_CASE("state: a database of a newer Tutti is left as it is") {
  const Folder folder;
  { const State state(folder.file()); }
  sql(folder.file(), "UPDATE meta SET value='4' WHERE key='schema'; DROP TABLE instance");
  CHECK(has(error(folder.file()), "has schema 4, this version knows 3: was it made by a newer Tutti?"));
  CHECK(rows(folder.file(), "SELECT name FROM sqlite_master WHERE name='instance'").empty());
}

TEST_CASE("state: a database of somebody else is left as it is") {
  const Folder folder;
  sql(folder.file(), "CREATE TABLE bookmark(url TEXT)");
  CHECK(code_of([&] { const State state(folder.file()); }) == ErrorCode::system);
  CHECK(has(error(folder.file()), folder.file().string()));
  CHECK(rows(folder.file(), "SELECT name FROM sqlite_master") == Lines{"bookmark"});
}

TEST_CASE("state: where no file can be made, that is said with the way out") {
  const Folder folder;
  std::ofstream(folder.path / "file") << "x";
  CHECK(has(error(folder.path / "file" / "state.db"), "Give another file"));
  CHECK(has(error(folder.path / "file" / "deep" / "state.db"), "Give another file"));
  CHECK(has(error(folder.path), "can't be opened"));  // a folder
  CHECK(has(error("/dev/null/state.db"), "Give another file"));
}

namespace {
/// Until it goes we have only the rights of another user, if we are root: files and folders can refuse us.
struct AsNobody {
  AsNobody() { REQUIRE(::seteuid(::geteuid() == 0 ? 65534 : ::geteuid()) == 0); }
  ~AsNobody() { (void)!::seteuid(::getuid()); }
};
}  // namespace

TEST_CASE("state: what we may not write is only read, and what deploys says why") {
  const Folder folder;
  {
    State state(folder.file());
    (void)state.begin_run(plan, "", "web 1", 0, 1);
    state.remember(
        {.host = "h1",
         .reached = true,
         .entries = {{{.service = "web",
                       .new_definition = std::make_shared<const Definition>(Definition{"web", "1"})}}}});
  }
  fs::permissions(folder.path, fs::perms(0555));
  fs::permissions(folder.file(), fs::perms(0444));
  {
    const AsNobody nobody;
    State state(folder.file());
    CHECK(state.why_read_only() == "the state file " + folder.file().string() +
                                       " can't be written: Permission denied. Give another file");
    REQUIRE(state.history().size() == 1);
    CHECK(state.history().at(0).summary == "web 1");
    CHECK(state.last_known().size() == 1);
    state.remember({.host = "h1", .reached = true});
    state.saw("h1", 7);
    CHECK(state.last_known().size() == 1);
    CHECK(error_of([&] { state.hold("deploying"); }) == state.why_read_only());
    CHECK(error_of([&] { state.forget_host("h1"); }) == state.why_read_only());
  }
  CHECK(std::distance(fs::directory_iterator(folder.path), {}) == 1);
}

TEST_CASE("state: what we may not even read is taken for empty, and nothing is made") {
  const Folder folder;
  fs::create_directory(folder.path / "theirs");
  { const State state(folder.path / "theirs" / "state.db"); }
  fs::permissions(folder.path, fs::perms(0555));
  fs::permissions(folder.path / "theirs", fs::perms(0));
  {
    const AsNobody nobody;
    State unreadable(folder.path / "theirs" / "state.db");
    CHECK(has(unreadable.why_read_only(), "can't be written: Permission denied"));
    CHECK(unreadable.history().empty());
    State absent(folder.path / ".tutti" / "state.db");
    CHECK(absent.why_read_only() == "the folder " + (folder.path / ".tutti").string() +
                                        " for the state can't be made: Permission denied. Give another file");
    CHECK(absent.last_known().empty());
  }
  fs::permissions(folder.path, fs::perms(0755));
  fs::permissions(folder.path / "theirs", fs::perms(0755));
  CHECK_FALSE(fs::exists(folder.path / ".tutti"));
}

TEST_CASE("state: the last runs are kept whole, and all since the last complete one") {
  const Folder folder;
  State state(folder.file());
  CHECK(state.first_kept(5) == 0);
  for (int i = 1; i <= 6; ++i) {
    const int run = state.begin_run(plan, "hash", "", 0, 1);
    const auto journal = state.journal(run);
    journal->append(intent(0, "t", 0, "one"));
    journal->commit();
    state.end_run(run, i == 3 ? "complete" : "incomplete", "", "{}");
  }
  CHECK(state.first_kept(2) == 3);
  CHECK(state.first_kept(5) == 2);
  CHECK(state.first_kept(7) == 0);  // there are not so many: whoever deployed before us keeps what is his
  state.forget_before(3);
  CHECK(state.history().size() == 6);
  CHECK(state.records(2).empty());
  CHECK(state.records(3).size() == 1);
  CHECK(state.plan_of(3) == plan);
  CHECK(rows(folder.file(), "SELECT count(*) FROM run WHERE plan<>''") == Lines{"4"});
}

TEST_CASE("state: text with any bytes survives") {
  const Folder folder;
  State state(folder.file());
  (void)state.begin_run(plan, "hash", "x'); DROP TABLE run; --", 0, 1);
  CHECK(state.history().at(0).summary == "x'); DROP TABLE run; --");
}
