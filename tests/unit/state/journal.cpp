// SPDX-License-Identifier: LGPL-3.0-or-later
// Runs that are read back: every record as it was appended, and what older versions wrote.
#include <tutti/engine/journal.hpp>

#include <doctest/doctest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <limits>
#include <random>

#include <sqlite3.h>

#include "state/journal_codec.hpp"
#include "unit/support/fakes.hpp"

using namespace tutti;
using namespace tutti::fake;
namespace fs = std::filesystem;

namespace {

struct Folder {
  Folder() {
    char name[] = "/tmp/tutti-journal.XXXXXX";
    path = ::mkdtemp(name);
  }
  ~Folder() { fs::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] fs::path file() const { return path / "state.db"; }
  fs::path path;
};

void sql(const fs::path& file, const std::string& text) {
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open(file.c_str(), &database) == SQLITE_OK);
  char* why = nullptr;
  if (sqlite3_exec(database, text.c_str(), nullptr, nullptr, &why) != SQLITE_OK) FAIL(why);
  sqlite3_close(database);
}

/// Records of every type, made of the seed. Texts hold any bytes.
class RandomRecords {
 public:
  explicit RandomRecords(unsigned seed) : random_(seed) {}

  Record next() { return {number() / 7.0, what()}; }

 private:
  std::uint32_t number() { return static_cast<std::uint32_t>(random_()); }
  std::uint32_t below(std::uint32_t most) { return number() % most; }
  bool flag() { return below(2) == 0; }
  std::string text() {
    static const std::string parts[] = {"web",  "ü",    "\"", "\\", "\n", "'", std::string(1, '\0'),
                                        "\xff", "\x01", "{"};
    std::string made;
    for (std::uint32_t n = below(6); n > 0; --n) made += parts[below(std::size(parts))];
    return made;
  }
  TaskPath path() {
    TaskPath made{.kind = static_cast<TaskPath::Kind>(below(7))};
    if (made.kind == TaskPath::Kind::compensation) made.serial = number();
    if (flag()) made.branch = {number(), below(3)};
    return made;
  }
  Place place() { return {StepId{number()}, path(), number()}; }
  Result result() {
    Result made;
    made.succeeded = flag();
    made.status = static_cast<int>(below(4)) - 1;
    made.how = static_cast<How>(below(12));
    made.output = {.text = text(),
                   .cut = flag(),
                   .size = flag() ? std::numeric_limits<std::uint64_t>::max() : below(9),
                   .sha256 = text(),
                   .host = text(),
                   .token = text()};
    made.error = text();
    for (std::uint32_t n = below(3); n > 0; --n) made.notes.push_back(text());
    return made;
  }
  Record::What what() {
    switch (below(std::variant_size_v<Record::What>)) {
      case 0: return record::Intent{place(), text(), text(), text(), text()};
      case 1: {
        record::Forked fork{place(), text(), text(), text(), {}};
        for (std::uint32_t n = below(4); n > 0; --n) fork.branches.push_back({text(), text()});
        return fork;
      }
      case 2: return record::Answered{place(), result()};
      case 3: return record::Registered{place(), number()};
      case 4: return record::Entered{StepId{number()}, static_cast<Stage>(below(8))};
      case 5: return record::Ended{StepId{number()}, static_cast<Outcome>(below(9)), text()};
      default: return record::Met{text(), static_cast<std::int64_t>(number()) - 5, text()};
    }
  }

  std::mt19937 random_;
};

}  // namespace

TEST_CASE("journal: records of every type, with any bytes in them, are read back equal and in order") {
  const Folder folder;
  RandomRecords random(7);
  std::vector<Record> appended;
  std::set<std::size_t> types;
  {
    State state(folder.file());
    const int run = state.begin_run("{}", "", "", 0, 1), other = state.begin_run("{}", "", "", 0, 2);
    const auto journal = state.journal(run), elsewhere = state.journal(other);
    for (int i = 0; i < 500; ++i) {
      appended.push_back(random.next());
      types.insert(appended.back().what.index());
      journal->append(appended.back());
      elsewhere->append(random.next());
      if (i % 50 == 0) journal->commit();
    }
    journal->commit();
    elsewhere->commit();
  }
  CHECK(types.size() == std::variant_size_v<Record::What>);
  const std::vector<Record> back = State(folder.file()).records(1);
  REQUIRE(back.size() == appended.size());
  for (std::size_t i = 0; i < back.size(); ++i) CHECK(back[i] == appended[i]);
}

TEST_CASE("journal: a path is a word, and only what a path makes is one") {
  const auto same = [](const char* word) { return to_string(task_path(word)) == word; };
  for (const char* word : {"b", "t", "c1", "c12", "p", "v", "r", "e", "t.3.0", "c2.0.11", "e.1.1"})
    CHECK(same(word));
  CHECK(task_path("t.3.0") == TaskPath{.kind = TaskPath::Kind::transition, .branch = {{3, 0}}});
  CHECK(task_path("c2").serial == 2);
  for (const char* word : {"", "x", "c", "t1", "t.", "t.3", "t.3.", "t.3.0.1", "t.03.0", "c-1", "t ", "cc1"})
    CHECK(code_of([&] { (void)task_path(word); }) == ErrorCode::system);
}

TEST_CASE("journal: a run of the executor is read back as it was written, with who its forks were for") {
  const Folder folder;
  World world;
  Service db = service("db", "1"), web = service("web", "1", {"db"});
  web.drain = program({"away"});
  web.undrain = program({"back"});
  (void)world.deploy(site({{"data", {db}, {"d1"}}, {"front", {web}, {"h1", "h2"}}}));
  db.version = "2";
  web.version = "2";
  const Plan plan = world.plan(site({{"data", {db}, {"d1"}}, {"front", {web}, {"h1", "h2"}}}));
  world.transport.faults["d1: validate db 2"] = fails("it lies\xff");  // and all is undone
  State state(folder.file());
  const int run = state.begin_run(plan.to_json(), "", "", 1, 7);
  const auto journal = state.journal(run);
  world.journal.also = journal.get();
  const Report report = world.execute(plan, {}, [](Context c, Change change) -> Transition {
    co_await c.drain(change.new_service);
    co_await c.stop(*change.old_service);
    co_await c.start(change.new_service);
    co_await c.validate(change.new_service);
  });
  world.journal.also = nullptr;
  journal->commit();
  CHECK(step_of(report, "db", "d1").outcome == Outcome::rolled_back);
  CHECK(state.records(run) == world.journal.records);
  const auto forks = world.journal.of<record::Forked>();
  REQUIRE(forks.size() == 2);
  CHECK(forks[0].branches == std::vector<Instance>{{"web", "h1"}, {"web", "h2"}});
  CHECK(forks[0].effect == "drain");
  CHECK(forks[1].effect == "undrain");
  // What the branches sent is found by the place of the fork.
  const auto intents = world.journal.of<record::Intent>();
  const auto of_second = std::count_if(intents.begin(), intents.end(), [&](const record::Intent& one) {
    return one.at.path == TaskPath{.branch = {{forks[0].at.sequence, 1}}} && one.host == "h2";
  });
  CHECK(of_second == 2);  // the mark and the program
  CHECK(plan_from_json(state.plan_of(run)) == plan);
  CHECK(state.history().at(0).epoch == 7);
}

TEST_CASE("journal: the first record of a step has the time that its manifest entry has") {
  World world;
  (void)world.deploy(site({{"front", {service("web", "1")}, {"h1"}}}));
  REQUIRE(!world.journal.records.empty());
  const Record& first = world.journal.records.front();
  CHECK(std::get<record::Entered>(first.what) == record::Entered{StepId{0}, Stage::beginning});
  const auto* begin = world.transport.requests.at(0).as<effect::WriteEntry>();
  REQUIRE((begin && begin->entry));
  CHECK(begin->entry->time == first.time);
  // Later ones have theirs.
  CHECK(world.journal.records.back().time > first.time);
}

TEST_CASE("journal: a record of a newer version is refused with a sentence that names the run") {
  const Folder folder;
  State state(folder.file());
  const int run = state.begin_run("{}", "", "", 0, 1);
  const auto refused = [&](const std::string& columns, const std::string& values) {
    sql(folder.file(),
        "DELETE FROM record; INSERT INTO record(run,time," + columns + ") VALUES(1,1," + values + ")");
    return error_of([&] { (void)state.records(run); });
  };
  CHECK(has(refused("type", "'checkpoint'"), "the journal of run 1 has a record that can't be read: "
                                             "'checkpoint' is no type of record that this version knows"));
  CHECK(has(refused("type,step,stage", "'entered',0,'waiting'"), "'waiting' is no stage"));
  CHECK(has(refused("type,step,outcome", "'ended',0,'lucky'"), "'lucky' is no outcome"));
  CHECK(has(refused("type,step,path,sequence,serial", "'registered',0,'q',0,1"), "'q' names no task"));
  CHECK(has(refused("type,step,path,sequence,result", "'answered',0,'t',0,'{'"),
            "a result that can't be read"));
  CHECK(has(refused("type,step,path,sequence,branches", "'forked',0,'t',0,'[['"), "can't be read"));
}

// -- what older versions wrote

namespace {

constexpr const char* tables_of_schema_1 = R"(
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE host(name TEXT PRIMARY KEY, epoch INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE run(
  number INTEGER PRIMARY KEY, started REAL NOT NULL, ended REAL NOT NULL DEFAULT 0, by TEXT NOT NULL,
  status TEXT NOT NULL, summary TEXT NOT NULL DEFAULT '', source TEXT NOT NULL, source_hash TEXT NOT NULL,
  plan TEXT NOT NULL, report TEXT NOT NULL DEFAULT '');
CREATE TABLE record(
  id INTEGER PRIMARY KEY, run INTEGER NOT NULL REFERENCES run(number), type INTEGER NOT NULL,
  step INTEGER NOT NULL, path TEXT NOT NULL, sequence INTEGER NOT NULL, hash TEXT NOT NULL,
  number INTEGER NOT NULL, text TEXT NOT NULL);
CREATE INDEX record_of_run ON record(run, id);
CREATE TABLE instance(
  host TEXT NOT NULL, service TEXT NOT NULL, entry TEXT NOT NULL, PRIMARY KEY(host, service)) WITHOUT ROWID;
INSERT INTO meta VALUES('schema', '1'), ('lineage', '0123456789abcdef'), ('epoch', '4');
INSERT INTO host VALUES('h1', 4);
INSERT INTO run VALUES(3, 1000.5, 1010, 'root@here', 'incomplete', 'web 1→2', '(site)', 'abc', '{"steps":[]}', '{}');
INSERT INTO run VALUES(4, 1020, 0, 'root@here', 'running', '', '', 'abc',
  '{"steps":[{"service":"web","host":"h1"}]}', '');
INSERT INTO instance VALUES('h1', 'web', '{"format":1,"generation":3,"lineage":"0123456789abcdef",
  "new":{"format":1,"handling":{},"running":{"service":"web","version":"1"}},"run":3,"service":"web",
  "state":"deployed","time":1.0,"transition":"replace-service"}');
)";
/// As 363d92e and what followed it wrote them: type, step, path, sequence, hash, number, text.
constexpr const char* records_of_schema_1 = R"(
INSERT INTO record(run, type, step, path, sequence, hash, number, text) VALUES
  (3, 6, 0, '', 0, '', 1, ''),
  (3, 1, 0, 'b', 0, 'aa', 0, 'begin web 2'),
  (3, 2, 0, 'b', 0, '', 0, '{"how":"exit","size":0,"status":0}'),
  (3, 3, 0, 't', 0, '', 1, ''),
  (3, 4, 0, 't', 1, 'bb', 1, 'drain web 2 (app@h2)'),
  (3, 1, 0, 't.1.0', 0, 'cc', 0, 'run app 1 drain'),
  (3, 2, 0, 't.1.0', 0, '', 7, '{"error":"no","hex":"00ff","how":"exit","size":2,"status":7}'),
  (3, 2, 0, 't', 1, '', 1, '{"error":"no","failed":true,"how":"timeout","sha256":"ab","size":9,"status":0,"text":"x"}'),
  (3, 7, 0, '', 0, '', 3, 'it failed'),
  (4, 1, 0, 't', 0, '', 0, 'sync')
)";

std::vector<Record::What> whats(const std::vector<Record>& records) {
  std::vector<Record::What> all;
  for (const Record& record : records) all.push_back(record.what);
  return all;
}

/// What is said above, as records.
std::vector<Record::What> records_of_run_3(const std::string& host_of_branch) {
  const auto at = [](const char* path, std::uint32_t sequence) {
    return Place{StepId{0}, task_path(path), sequence};
  };
  Result no;
  no.succeeded = false;
  no.status = 7;
  no.error = "no";
  no.output.text = std::string("\0\xff", 2);
  no.output.size = 2;
  Result cut;
  cut.succeeded = false;
  cut.how = How::timeout;
  cut.error = "no";
  cut.output = {.text = "x", .cut = true, .size = 9, .sha256 = "ab", .host = {}, .token = {}};
  return {record::Entered{StepId{0}, Stage::beginning},
          record::Intent{at("b", 0), "begin", "aa", "begin web 2", ""},
          record::Answered{at("b", 0), Result{}},
          record::Registered{at("t", 0), 1},
          record::Forked{at("t", 1), "drain", "bb", "drain web 2 (app@h2)", {}},
          record::Intent{at("t.1.0", 0), "run", "cc", "run app 1 drain", host_of_branch},
          record::Answered{at("t.1.0", 0), no},
          record::Answered{at("t", 1), cut},
          record::Ended{StepId{0}, Outcome::rolled_back, "it failed"}};
}

void check_it_is_read(State& state, const std::string& host_of_branch) {
  CHECK(state.lineage() == "0123456789abcdef");
  CHECK(state.seen("h1") == 4);
  REQUIRE(state.history().size() == 2);
  const Generation third = state.history().at(1);
  CHECK(third.number == 3);
  CHECK(third.started == 1000.5);
  CHECK(third.status == "incomplete");
  CHECK(third.summary == "web 1→2");
  CHECK(third.source_hash == "abc");
  CHECK(third.epoch == 0);
  REQUIRE(state.unfinished());
  CHECK(state.unfinished()->number == 4);
  CHECK(state.left_open(4) == std::vector<std::string>{"web@h1: last sent was `sync`"});
  CHECK(state.plan_of(3) == R"({"steps":[]})");
  CHECK(whats(state.records(3)) == records_of_run_3(host_of_branch));
  CHECK(state.last_known().contains({"web", "h1"}));
  CHECK(state.source_of(3) == Source{{"program", "(site)"}});
  CHECK(has(error_of([&] { (void)state.definitions_of(3); }), "it was forgotten, or made by an older Tutti"));
}

void make_schema_2(const fs::path& file) {
  sql(file, tables_of_schema_1);
  sql(file, "ALTER TABLE record ADD COLUMN host TEXT NOT NULL DEFAULT '';"
            "ALTER TABLE record ADD COLUMN time REAL NOT NULL DEFAULT 0;"
            "UPDATE meta SET value='2' WHERE key='schema'");
  sql(file, records_of_schema_1);
  sql(file, "UPDATE record SET time=1000+id; UPDATE record SET host='h2' WHERE path='t.1.0' AND type=1");
}

}  // namespace

TEST_CASE("state: a file of schema 1 is brought up to date with all that is in it, and goes on") {
  const Folder folder;
  sql(folder.file(), tables_of_schema_1);
  sql(folder.file(), records_of_schema_1);
  {
    State state(folder.file());
    CHECK(state.why_read_only().empty());
    check_it_is_read(state, "");
    CHECK(state.records(3).at(0).time == 0);
    CHECK(state.next_epoch() == 5);
    state.abandon(4);
    const int run = state.begin_run("{}", "", "", 0, 5);
    CHECK(run == 5);
    const auto journal = state.journal(run);
    journal->append({1, record::Met{"h1", 5, "nonce"}});
  }
  State again(folder.file());
  CHECK(again.records(5) == std::vector<Record>{{1, record::Met{"h1", 5, "nonce"}}});
  CHECK(whats(again.records(3)) == records_of_run_3(""));
}

TEST_CASE("state: a file of schema 2 is brought up to date with all that is in it") {
  const Folder folder;
  make_schema_2(folder.file());
  { State state(folder.file()); }
  State state(folder.file());
  check_it_is_read(state, "h2");
  CHECK(state.records(3).at(1).time == 1002);
}

TEST_CASE("state: a file of an older Tutti that is in use is only read, and left as it is until that ends") {
  const Folder folder;
  {
    State holder(folder.file());
    holder.hold("deploying shop");
    fs::remove(folder.file());
    fs::remove(folder.file().string() + "-wal");
    fs::remove(folder.file().string() + "-shm");
    make_schema_2(folder.file());
    sql(folder.file(), "PRAGMA journal_mode=WAL; UPDATE host SET epoch=4");
    State state(folder.file());
    CHECK(has(state.why_read_only(), "is of an older Tutti and in use: the site is locked by "));
    CHECK(has(state.why_read_only(), "deploying shop"));
    check_it_is_read(state, "h2");
    CHECK(error_of([&] { state.hold("me too"); }) == state.why_read_only());
    CHECK(code_of([&] { state.hold("me too"); }) == ErrorCode::locked);
    CHECK(code_of([&] { state.forget_host("h1"); }) == ErrorCode::locked);
    // An older one still finds its tables.
    sql(folder.file(),
        "INSERT INTO record(run,type,step,path,sequence,hash,number,text) VALUES(3,1,0,'t',9,'',0,'')");
    sql(folder.file(), "DELETE FROM record WHERE sequence=9");
  }
  State state(folder.file());
  CHECK(state.why_read_only().empty());
  check_it_is_read(state, "h2");
}

namespace {
/// Until it goes we have only the rights of another user, if we are root; then the folder is ours to remove.
struct AsNobody {
  explicit AsNobody(fs::path p) : path(std::move(p)) {
    REQUIRE(::seteuid(::geteuid() == 0 ? 65534 : ::geteuid()) == 0);
  }
  ~AsNobody() {
    (void)!::seteuid(::getuid());
    fs::permissions(path, fs::perms(0755));
  }
  AsNobody(const AsNobody&) = delete;
  AsNobody& operator=(const AsNobody&) = delete;
  fs::path path;
};
}  // namespace

TEST_CASE("state: a file of an older Tutti that we have no right to write is read all the same") {
  const Folder folder;
  make_schema_2(folder.file());
  fs::permissions(folder.path, fs::perms(0555));
  fs::permissions(folder.file(), fs::perms(0444));
  const AsNobody nobody{folder.path};
  State state(folder.file());
  CHECK(has(state.why_read_only(), "Permission denied"));
  check_it_is_read(state, "h2");
}
