// SPDX-License-Identifier: LGPL-3.0-or-later
#include <tutti/engine/state.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <system_error>

#include <fmt/format.h>

#include "state/impl.hpp"
#include "state/journal_codec.hpp"
#include "state/schema.hpp"
#include "support/json.hpp"
#include "support/text.hpp"
#include <tutti/error.hpp>

namespace tutti {
namespace {

constexpr std::int64_t tenfold =
    10;  // so many times as many runs as are kept, when none of them was complete

/// Why we have no right to write the file, or to make it; empty when we have it, or when that is not what is
/// wrong.
std::string forbidden(const std::filesystem::path& file) {
  const auto denied = [](const std::filesystem::path& path, int what) {
    return ::faccessat(AT_FDCWD, path.c_str(), what, AT_EACCESS) != 0 &&
           (errno == EACCES || errno == EPERM || errno == EROFS);
  };
  const auto because = [](const std::string& what, const std::string& remedy) {
    return fmt::format("{}: {}. {}", what, std::strerror(errno), remedy);
  };
  const std::string sentence = fmt::format("the state file {} can't be written", file.string());
  if (denied(file, W_OK)) return because(sentence, "Give another file");
  const std::filesystem::path folder = file.has_parent_path() ? file.parent_path() : ".";
  std::error_code error;
  if (std::filesystem::exists(folder, error))
    return std::filesystem::is_directory(folder, error) && denied(folder, W_OK | X_OK)
               ? because(sentence, "Give another file")
               : "";
  std::filesystem::path above = std::filesystem::absolute(folder);
  while (above.has_relative_path() && ::faccessat(AT_FDCWD, above.c_str(), F_OK, AT_EACCESS) != 0)
    above = above.parent_path();
  return std::filesystem::is_directory(above, error) && denied(above, W_OK | X_OK)
             ? because(fmt::format("the folder {} for the state can't be made", folder.string()),
                       "Give another file")
             : "";
}

/// The folder of the file, made 0700 when it is ours to make.
void make_folder(const std::filesystem::path& file) {
  const std::filesystem::path folder = file.parent_path();
  if (folder.empty() || std::filesystem::exists(folder)) return;
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error)
    throw Error(ErrorCode::system,
                fmt::format("the folder {} for the state can't be made: {}. Give another file",
                            folder.string(), error.message()),
                Remedy::state_file);
  std::filesystem::permissions(folder, std::filesystem::perms::owner_all, error);
}

/// Records wait in memory until they are committed, all in one transaction: none is open while a driver, and
/// what it calls, goes on.
class SqliteJournal final : public Journal {
 public:
  SqliteJournal(Database& database, int run) : database_(database), run_(run), writer_(database) {}
  ~SqliteJournal() override {
    try {
      SqliteJournal::commit();
    } catch (const Error&) {  // what was not committed was never sent
    }
  }
  void append(const Record& record) override { waiting_.push_back(record); }
  void commit() override {
    if (waiting_.empty()) return;
    Transaction transaction(database_);
    for (const Record& record : waiting_) writer_.insert(run_, record);
    transaction.commit();
    waiting_.clear();
  }

 private:
  Database& database_;
  int run_;
  RecordWriter writer_;
  std::vector<Record> waiting_;
};

Generation generation(const Statement& row) {
  return {.number = static_cast<int>(row.integer(0)),
          .started = row.number(1),
          .ended = row.number(2),
          .by = row.text(3),
          .status = row.text(4),
          .summary = row.text(5),
          .source_hash = row.text(6),
          .epoch = row.integer(7)};
}
constexpr const char* generation_columns = "number, started, ended, by, status, summary, source_hash, epoch";

/// Who locked the file.
std::string written_in(int fd) {
  char holder[256] = {};
  return ::pread(fd, holder, sizeof holder - 1, 0) > 0 ? escaped(holder) : "another process";
}

}  // namespace

void State::Impl::refuse_to_write() const {
  if (is_in_use) throw Error(ErrorCode::locked, why_read_only);
  throw Error(ErrorCode::system, why_read_only, Remedy::state_file);
}

void State::Impl::open_to_read() {
  try {
    database = std::make_unique<Database>(file, Database::Access::read);
    (void)Statement(*database, "SELECT 1 FROM sqlite_master").step();
  } catch (const Error&) {  // not there, or not for us to read
    database.reset();
  }
  if (database && schema_of(*database, file.string()) == Schema::current) return;
  auto copy = std::make_unique<Database>(file, Database::Access::in_memory);
  if (database) copy->copy(*database);
  database = std::move(copy);
  prepare(*database, file.string(), entropy);
}

State::State(std::filesystem::path file, const Clock& clock, Entropy& entropy)
    : impl_(new Impl{.file = std::move(file), .clock = clock, .entropy = entropy}) {
  if (impl_->file.empty())
    throw Error(ErrorCode::misuse, "the state file has no name: give the path of a file");
  impl_->why_read_only = forbidden(impl_->file);
  if (!impl_->why_read_only.empty()) {
    impl_->open_to_read();
    return;
  }
  make_folder(impl_->file);
  const mode_t before = ::umask(0077);
  try {
    impl_->database = std::make_unique<Database>(impl_->file);
    open_to_write();
  } catch (...) {
    release();
    ::umask(before);
    throw;
  }
  ::umask(before);
}
State::~State() { close(); }

void State::open_to_write() {
  const std::string name = impl_->file.string();
  const Schema schema = schema_of(*impl_->database, name);
  if (schema == Schema::older) {
    try {
      hold("bringing the state file up to date");
    } catch (const Error& error) {  // an older Tutti that writes there must find the tables that it knows
      if (error.code() != ErrorCode::locked) throw;
      impl_->why_read_only =
          fmt::format("the state file {} is of an older Tutti and in use: {}", name, error.what());
      impl_->is_in_use = true;
      impl_->open_to_read();
      return;
    }
  }
  if (schema != Schema::current) prepare(*impl_->database, name, impl_->entropy);
  release();
}

void State::close() noexcept {
  release();
  impl_->database.reset();
}

const std::filesystem::path& State::file() const noexcept { return impl_->file; }
const std::string& State::why_read_only() const noexcept { return impl_->why_read_only; }
std::string State::lineage() const { return meta(*impl_->database, "lineage"); }

std::int64_t State::next_epoch() {
  Transaction transaction(*impl_->database);
  const std::string last = meta(*impl_->database, "epoch");
  const std::int64_t next = (last.empty() ? 0 : std::stoll(last)) + 1;
  set_meta(*impl_->database, "epoch", std::to_string(next));
  transaction.commit();
  return next;
}

std::int64_t State::seen(const std::string& host) const {
  Statement statement(*impl_->database, "SELECT epoch FROM host WHERE name=?");
  return statement.bind(1, host).step() ? statement.integer(0) : 0;
}

void State::saw(const std::string& host, std::int64_t epoch) {
  if (!impl_->why_read_only.empty()) return;
  Statement(*impl_->database,
            "INSERT INTO host VALUES(?,?) ON CONFLICT(name) DO UPDATE SET epoch=max(epoch,excluded.epoch)")
      .bind(1, host)
      .bind(2, epoch)
      .run();
}

std::string State::holder() const {
  if (impl_->lock >= 0) return "";
  const int fd = ::open(impl_->lock_file().c_str(), O_RDONLY | O_CLOEXEC);
  const std::string who = fd < 0 || ::flock(fd, LOCK_SH | LOCK_NB) == 0 ? "" : written_in(fd);
  if (fd >= 0) ::close(fd);
  return who;
}

void State::hold(const std::string& why) {
  if (impl_->lock >= 0) return;
  if (!impl_->why_read_only.empty()) impl_->refuse_to_write();
  const std::string file = impl_->lock_file().string();
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0)
    throw Error(ErrorCode::system,
                fmt::format("the lock {} can't be opened: {}", file, std::strerror(errno)));
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const std::string who = written_in(fd);
    ::close(fd);
    throw Error(ErrorCode::locked, fmt::format("the site is locked by {}: wait for it to end", who));
  }
  const std::string text = fmt::format("{} (process {}, {})", whoami(), ::getpid(), why);
  if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, text.data(), text.size(), 0) < 0) {
    // The lock holds all the same; only its holder's name is missing.
  }
  impl_->lock = fd;
}

void State::release() noexcept {
  if (impl_->lock >= 0) ::close(std::exchange(impl_->lock, -1));
}

int State::begin_run(const std::string& plan_json, const std::string& source_hash, const std::string& summary,
                     int seen_generation, std::int64_t epoch) {
  Database& db = *impl_->database;
  Transaction transaction(db);
  Statement last(db, "SELECT coalesce(max(number), 0) FROM run");
  (void)last.step();
  const int number = std::max(static_cast<int>(last.integer(0)), seen_generation) + 1;
  last.run();
  Statement(db, "INSERT INTO run(number,started,by,status,source_hash,plan,summary,epoch) "
                "VALUES(?,?,?,'running',?,?,?,?)")
      .bind(1, std::int64_t{number})
      .bind(2, impl_->clock.now())
      .bind(3, whoami())
      .bind(4, source_hash)
      .bind(5, plan_json)
      .bind(6, summary)
      .bind(7, epoch)
      .run();
  transaction.commit();
  return number;
}

std::unique_ptr<Journal> State::journal(int run) {
  return std::make_unique<SqliteJournal>(*impl_->database, run);
}

void State::end_run(int run, const std::string& status, const std::string& result,
                    const std::string& report_json) {
  Statement(*impl_->database, "UPDATE run SET ended=?, status=?, report=?, summary=summary||? WHERE number=?")
      .bind(1, impl_->clock.now())
      .bind(2, status)
      .bind(3, report_json)
      .bind(4, result.empty() ? "" : ": " + result)
      .bind(5, std::int64_t{run})
      .run();
}

std::optional<Generation> State::unfinished() const {
  Statement statement(
      *impl_->database,
      fmt::format("SELECT {} FROM run WHERE ended=0 ORDER BY number DESC", generation_columns).c_str());
  if (!statement.step()) return {};
  return generation(statement);
}

std::vector<std::string> State::left_open(int run) const {
  // A step that has a record but no `ended`, with the last effect that it was sent.
  Statement statement(*impl_->database,
                      "SELECT step, text, max(id) FROM record WHERE run=?1 AND type='intent' AND step NOT IN "
                      "(SELECT step FROM record WHERE run=?1 AND type='ended') GROUP BY step ORDER BY step");
  statement.bind(1, std::int64_t{run});
  Statement plan(*impl_->database, "SELECT plan FROM run WHERE number=?");
  const Json steps =
      plan.bind(1, std::int64_t{run}).step() ? Json::parse(plan.text(0)).at("steps") : Json::array();
  std::vector<std::string> open;
  while (statement.step()) {
    const Json& step = steps.at(static_cast<std::size_t>(statement.integer(0)));
    open.push_back(fmt::format("{}@{}: last sent was `{}`", step.at("service").get<std::string>(),
                               step.at("host").get<std::string>(), statement.text(1)));
  }
  return open;
}

void State::abandon(int run) {
  Statement(*impl_->database, "UPDATE run SET ended=?, status='abandoned' WHERE number=? AND ended=0")
      .bind(1, impl_->clock.now())
      .bind(2, std::int64_t{run})
      .run();
}

std::vector<Generation> State::history() const {
  Statement statement(*impl_->database,
                      fmt::format("SELECT {} FROM run ORDER BY number DESC", generation_columns).c_str());
  std::vector<Generation> all;
  while (statement.step()) all.push_back(generation(statement));
  return all;
}

std::vector<Record> State::records(int run) const {
  RecordReader reader(*impl_->database, run);
  std::vector<Record> all;
  while (reader.next()) all.push_back(reader.record());
  return all;
}

void refuse_unknown_run(const State& state, int run) {
  const std::vector<Generation> all = state.history();
  throw Error(ErrorCode::misuse,
              all.empty() ? fmt::format("nothing was deployed with {}", state.file().string())
                          : fmt::format("there is no run {}: the last is {}", run, all.front().number));
}

std::string State::plan_of(int run) const {
  Statement statement(*impl_->database, "SELECT plan FROM run WHERE number=?");
  if (!statement.bind(1, std::int64_t{run}).step()) refuse_unknown_run(*this, run);
  std::string plan = statement.text(0);
  if (plan.empty())
    throw Error(ErrorCode::misuse, fmt::format("run {} was forgotten: only its line in the history is kept. "
                                               "Later runs can be kept longer (ExecuteOptions::keep)",
                                               run));
  return plan;
}

int State::first_kept(int keep) const {
  const std::int64_t least = std::max(keep, 1), most = least * tenfold;
  Statement statement(*impl_->database,
                      "SELECT number, status='complete' FROM run ORDER BY number DESC LIMIT ?");
  statement.bind(1, most);
  bool is_complete = false;
  for (std::int64_t count = 1; statement.step(); ++count) {
    is_complete = is_complete || statement.integer(1) != 0;
    if (count == most || (count >= least && is_complete)) return static_cast<int>(statement.integer(0));
  }
  return 0;
}

void State::forget_before(int run) {
  Transaction transaction(*impl_->database);
  Statement(*impl_->database, "DELETE FROM record WHERE run<?").bind(1, std::int64_t{run}).run();
  Statement(*impl_->database, "UPDATE run SET plan='', report='' WHERE number<? AND plan<>''")
      .bind(1, std::int64_t{run})
      .run();
  transaction.commit();
}

void State::remember(const HostReading& reading) {
  if (!reading.reached || !impl_->why_read_only.empty()) return;
  Database& db = *impl_->database;
  Transaction transaction(db);
  Statement(db, "DELETE FROM instance WHERE host=?").bind(1, reading.host).run();
  Statement insert(db, "INSERT OR REPLACE INTO instance VALUES(?,?,?)");
  for (const HostReading::Entry& one : reading.entries)
    insert.bind(1, reading.host).bind(2, one.entry.service).bind(3, one.entry.to_json()).run();
  transaction.commit();
}

void State::forget_host(const std::string& host) {
  if (!impl_->why_read_only.empty()) impl_->refuse_to_write();
  Transaction transaction(*impl_->database);
  for (const char* sql : {"DELETE FROM instance WHERE host=?", "DELETE FROM host WHERE name=?"})
    Statement(*impl_->database, sql).bind(1, host).run();
  transaction.commit();
}

std::map<Instance, ManifestEntry> State::last_known() const {
  Statement statement(*impl_->database, "SELECT host, service, entry FROM instance");
  std::map<Instance, ManifestEntry> all;
  while (statement.step()) {
    try {
      all.emplace(Instance{statement.text(1), statement.text(0)},
                  ManifestEntry::from_json(statement.text(2)));
    } catch (const Error&) {  // a cache: what can't be read is not known
    }
  }
  return all;
}

}  // namespace tutti
