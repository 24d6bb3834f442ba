// SPDX-License-Identifier: LGPL-3.0-or-later
#include "state/database.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include <fmt/format.h>

#include "support/text.hpp"
#include <tutti/error.hpp>

namespace tutti {

Statement::Statement(Database& database, const char* sql) : database_(database) {
  if (sqlite3_prepare_v2(database.handle(), sql, -1, &statement_, nullptr) != SQLITE_OK)
    database.fail("prepare");
}
Statement::~Statement() { sqlite3_finalize(statement_); }

Statement& Statement::bind(int position, std::int64_t value) {
  if (sqlite3_bind_int64(statement_, position, value) != SQLITE_OK) database_.fail("bind");
  return *this;
}
Statement& Statement::bind(int position, double value) {
  if (sqlite3_bind_double(statement_, position, value) != SQLITE_OK) database_.fail("bind");
  return *this;
}
Statement& Statement::bind(int position, std::string_view value) {
  const bool is_text = is_utf8(value) && value.find('\0') == std::string_view::npos;
  const auto size = static_cast<int>(value.size());
  const int code = is_text ? sqlite3_bind_text(statement_, position, value.data(), size, SQLITE_TRANSIENT)
                           : sqlite3_bind_blob(statement_, position, value.data(), size, SQLITE_TRANSIENT);
  if (code != SQLITE_OK) database_.fail("bind");
  return *this;
}

bool Statement::step() {
  const int code = sqlite3_step(statement_);
  if (code != SQLITE_ROW && code != SQLITE_DONE) database_.fail("write");
  return code == SQLITE_ROW;
}

void Statement::run() {
  while (step()) {}
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

std::int64_t Statement::integer(int column) const { return sqlite3_column_int64(statement_, column); }
double Statement::number(int column) const { return sqlite3_column_double(statement_, column); }
std::string Statement::text(int column) const {
  const void* bytes = sqlite3_column_blob(statement_, column);
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
  return bytes ? std::string(static_cast<const char*>(bytes), size) : std::string();
}
bool Statement::is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }

namespace {

/// The name to open a file by that is only read. Readers of a WAL need its index beside the file, which can't
/// be made here; where there is no WAL, nobody writes, and the file is all there is.
std::string name_to_read(const std::filesystem::path& file) {
  std::string uri = "file:";
  for (const char c : file.string())
    if (c == '?' || c == '#' || c == '%')
      uri += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    else
      uri += c;
  std::error_code error;
  const bool has_wal = std::filesystem::file_size(file.string() + "-wal", error) > 0 && !error;
  return uri + (has_wal ? "?mode=ro" : "?immutable=1");
}

}  // namespace

Database::Database(const std::filesystem::path& file, Access access) : file_(file) {
  const int flags =
      SQLITE_OPEN_NOMUTEX | (access == Access::read ? SQLITE_OPEN_READONLY | SQLITE_OPEN_URI
                                                    : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  const std::string name = access == Access::write  ? file.string()
                           : access == Access::read ? name_to_read(file)
                                                    : ":memory:";
  sqlite3* opened = nullptr;
  const int code = sqlite3_open_v2(name.c_str(), &opened, flags, nullptr);
  handle_.reset(opened);
  if (code != SQLITE_OK) {
    std::string why = opened ? sqlite3_errmsg(opened) : "no memory";
    const std::filesystem::path folder = file.has_parent_path() ? file.parent_path() : ".";
    if (::access(::access(file.c_str(), F_OK) == 0 ? file.c_str() : folder.c_str(), W_OK) != 0)
      why += fmt::format(" ({})", std::strerror(errno));
    throw Error(ErrorCode::system,
                fmt::format("the state file {} can't be opened: {}. Give another file", file.string(), why),
                Remedy::state_file);
  }
  sqlite3_busy_timeout(handle(), 5000);  // milliseconds; another process that reads history
  if (access != Access::write) return;
  execute("PRAGMA journal_mode=WAL");
  execute("PRAGMA synchronous=FULL");
  execute("PRAGMA foreign_keys=ON");
}

void Database::execute(const char* sql) {
  if (sqlite3_exec(handle(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) fail("write");
}

void Database::copy(const Database& other) {
  sqlite3_backup* backup = sqlite3_backup_init(handle(), "main", other.handle(), "main");
  if (!backup) fail("read");
  const bool is_whole = sqlite3_backup_step(backup, -1) == SQLITE_DONE;
  if (sqlite3_backup_finish(backup) != SQLITE_OK || !is_whole) fail("read");
}

void Database::fail(const char* doing) const {
  const int code = sqlite3_errcode(handle());
  const char* remedy =
      code == SQLITE_FULL     ? " Make room there, then go on"
      : code == SQLITE_NOTADB ? " Give another file; if it was Tutti's and is "
                                "damaged, move it away: the hosts are the truth, "
                                "a deploy that takes over goes on without it"
      : code == SQLITE_CORRUPT
          ? " Move it away: the hosts are the truth, a deploy that takes over goes on without it"
          : "";
  throw Error(ErrorCode::system,
              fmt::format("the state file {}: can't {}: {}.{}", file_.string(), doing,
                          sqlite3_errmsg(handle()), remedy),
              code == SQLITE_NOTADB ? Remedy::state_file : Remedy::none);
}

}  // namespace tutti
