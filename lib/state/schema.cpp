// SPDX-License-Identifier: LGPL-3.0-or-later
#include "state/schema.hpp"

#include <fmt/format.h>

#include "support/text.hpp"
#include <tutti/error.hpp>

namespace tutti {
namespace {

constexpr std::size_t lineage_bytes = 8;

constexpr const char* common_tables = R"(
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE host(name TEXT PRIMARY KEY, epoch INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE instance(
  host TEXT NOT NULL, service TEXT NOT NULL, entry TEXT NOT NULL, PRIMARY KEY(host, service)) WITHOUT ROWID;
CREATE TABLE run(
  number INTEGER PRIMARY KEY, started REAL NOT NULL, ended REAL NOT NULL DEFAULT 0, by TEXT NOT NULL,
  status TEXT NOT NULL, summary TEXT NOT NULL DEFAULT '', source_hash TEXT NOT NULL,
  plan TEXT NOT NULL, report TEXT NOT NULL DEFAULT '', epoch INTEGER NOT NULL DEFAULT 0,
  kept INTEGER NOT NULL DEFAULT 0);
)";
/// New with schema 3.
constexpr const char* new_tables = R"(
CREATE TABLE record(
  id INTEGER PRIMARY KEY, run INTEGER NOT NULL REFERENCES run(number), time REAL NOT NULL, type TEXT NOT NULL,
  step INTEGER, path TEXT, sequence INTEGER, effect TEXT, hash TEXT, text TEXT, host TEXT, branches TEXT,
  result TEXT, serial INTEGER, stage TEXT, outcome TEXT, message TEXT, epoch INTEGER, nonce TEXT);
CREATE INDEX record_of_run ON record(run, id);
CREATE TABLE content(id INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE, text TEXT NOT NULL);
CREATE TABLE generation_source(
  generation INTEGER NOT NULL REFERENCES run(number), file TEXT NOT NULL,
  content INTEGER NOT NULL REFERENCES content(id), PRIMARY KEY(generation, file)) WITHOUT ROWID;
CREATE TABLE generation_instance(
  generation INTEGER NOT NULL REFERENCES run(number), service TEXT NOT NULL, host TEXT NOT NULL,
  definition INTEGER REFERENCES content(id), outcome TEXT, PRIMARY KEY(generation, service, host)) WITHOUT ROWID;
)";

/// From schema 1, which had neither time nor host of a record.
constexpr const char* from_1_to_2 = "ALTER TABLE record ADD COLUMN host TEXT NOT NULL DEFAULT '';"
                                    "ALTER TABLE record ADD COLUMN time REAL NOT NULL DEFAULT 0;";

/// From schema 2, where `number` and `text` meant something else in each type, and a fork had only the number
/// of its branches: it has none now. The kind of an effect was the first word of its text.
constexpr const char* rename_records_of_2 = "ALTER TABLE record RENAME TO record_2; DROP INDEX record_of_run;"
                                            "ALTER TABLE run ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;"
                                            "ALTER TABLE run ADD COLUMN kept INTEGER NOT NULL DEFAULT 0;";
constexpr const char* records_from_2 = R"(
INSERT INTO record(id, run, time, type, step, path, sequence, effect, hash, text, host, branches)
  SELECT id, run, time, CASE type WHEN 1 THEN 'intent' ELSE 'forked' END, step, path, sequence,
         CASE instr(text, ' ') WHEN 0 THEN text ELSE substr(text, 1, instr(text, ' ') - 1) END, hash, text,
         CASE WHEN type = 1 AND host <> '' THEN host END, CASE type WHEN 4 THEN '[]' END
  FROM record_2 WHERE type IN (1, 4);
INSERT INTO record(id, run, time, type, step, path, sequence, result)
  SELECT id, run, time, 'answered', step, path, sequence, text FROM record_2 WHERE type = 2;
INSERT INTO record(id, run, time, type, step, path, sequence, serial)
  SELECT id, run, time, 'registered', step, path, sequence, number FROM record_2 WHERE type = 3;
INSERT INTO record(id, run, time, type, step, stage)
  SELECT id, run, time, 'entered', step,
         CASE number WHEN 0 THEN 'pending' WHEN 1 THEN 'beginning' WHEN 2 THEN 'running' WHEN 3 THEN 'compensating'
           WHEN 4 THEN 'verifying' WHEN 5 THEN 'ending' WHEN 6 THEN 'parked' ELSE 'ended' END
  FROM record_2 WHERE type = 6;
INSERT INTO record(id, run, time, type, step, outcome, message)
  SELECT id, run, time, 'ended', step,
         CASE number WHEN 1 THEN 'upgraded' WHEN 2 THEN 'unchanged' WHEN 3 THEN 'rolled-back'
           WHEN 4 THEN 'roll-back-failed' WHEN 5 THEN 'failed' WHEN 6 THEN 'unknown' WHEN 7 THEN 'unreachable'
           WHEN 8 THEN 'skipped' ELSE 'none' END, text
  FROM record_2 WHERE type = 7;
DROP TABLE record_2;
)";

/// The first Tutti kept the program of a run in one text: it is a source of one file now.
void take_sources_of_2(Database& database) {
  Statement old(database, "SELECT number, source FROM run WHERE source<>''");
  while (old.step())
    Statement(database, "INSERT INTO generation_source VALUES(?,'program',?)")
        .bind(1, old.integer(0))
        .bind(2, content_id(database, old.text(1)))
        .run();
}

bool has(Database& database, const char* sql) { return Statement(database, sql).step(); }
bool is_fresh(Database& database) { return !has(database, "SELECT 1 FROM sqlite_master"); }

}  // namespace

std::int64_t content_id(Database& database, std::string_view text) {
  const std::string hash = sha256(text);
  Statement(database, "INSERT OR IGNORE INTO content(hash, text) VALUES(?,?)")
      .bind(1, hash)
      .bind(2, text)
      .run();
  Statement statement(database, "SELECT id FROM content WHERE hash=?");
  (void)statement.bind(1, hash).step();
  return statement.integer(0);
}

std::string meta(Database& database, const char* key) {
  Statement statement(database, "SELECT value FROM meta WHERE key=?");
  return statement.bind(1, std::string_view(key)).step() ? statement.text(0) : "";
}

void set_meta(Database& database, const char* key, const std::string& value) {
  Statement(database, "INSERT INTO meta VALUES(?,?) ON CONFLICT(key) DO UPDATE SET value=excluded.value")
      .bind(1, std::string_view(key))
      .bind(2, value)
      .run();
}

Schema schema_of(Database& database, const std::string& file) {
  if (is_fresh(database)) return Schema::fresh;
  if (!has(database, "SELECT 1 FROM sqlite_master WHERE name='meta'") ||
      !has(database, "SELECT 1 FROM sqlite_master WHERE name='run'"))
    throw Error(ErrorCode::system,
                fmt::format("{} is a database of another program. Give another file", file),
                Remedy::state_file);
  const std::string version = meta(database, "schema");
  if (version == std::to_string(schema_version)) return Schema::current;
  if (version == "1" || version == "2") return Schema::older;
  throw Error(
      ErrorCode::system,
      fmt::format("the state file {} has schema {}, this version knows {}: was it made by a newer Tutti?",
                  file, version, schema_version));
}

void prepare(Database& database, const std::string& file, Entropy& entropy) {
  Transaction transaction(database);
  const Schema schema = schema_of(database, file);
  if (schema == Schema::current) return;
  if (schema == Schema::fresh) {
    database.execute(common_tables);
    database.execute(new_tables);
    set_meta(database, "lineage", entropy.hex(lineage_bytes));
  } else {
    if (meta(database, "schema") == "1") database.execute(from_1_to_2);
    database.execute(rename_records_of_2);
    database.execute(new_tables);
    database.execute(records_from_2);
    take_sources_of_2(database);
    database.execute("ALTER TABLE run DROP COLUMN source");
  }
  set_meta(database, "schema", std::to_string(schema_version));
  transaction.commit();
}

}  // namespace tutti
