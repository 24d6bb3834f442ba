// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// A thin, checked wrapper around one SQLite connection.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include <sqlite3.h>

namespace tutti {

class Database;

/// A prepared statement. Steps through rows; columns are read by position.
class Statement {
 public:
  Statement(Database&, const char* sql);
  ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& bind(int position, std::int64_t);
  Statement& bind(int position, double);
  /// As TEXT; what is not UTF-8, or holds a zero byte, as a BLOB of the same bytes.
  Statement& bind(int position, std::string_view);
  /// Whether there is a row. Throws Error(system).
  bool step();
  /// Steps to the end, and resets for the next use.
  void run();
  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] double number(int column) const;
  [[nodiscard]] std::string text(int column) const;  ///< also of a BLOB: its bytes; of NULL: ""
  [[nodiscard]] bool is_null(int column) const;

 private:
  Database& database_;
  sqlite3_stmt* statement_ = nullptr;
};

class Database {
 public:
  enum class Access : std::uint8_t {
    write,      ///< WAL, synchronous=FULL; made when it is not there
    read,       ///< of a file in a folder that we may not write
    in_memory,  ///< empty, and gone with the object; the file is only named in errors
  };
  /// Throws Error(system) that names the file.
  explicit Database(const std::filesystem::path& file, Access access = Access::write);
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  void execute(const char* sql);
  /// Becomes a copy of that one, whatever it was before. Throws Error(system).
  void copy(const Database& other);
  [[noreturn]] void fail(const char* doing) const;
  [[nodiscard]] sqlite3* handle() const noexcept { return handle_.get(); }

 private:
  struct Close {
    void operator()(sqlite3* handle) const noexcept { sqlite3_close(handle); }
  };
  std::filesystem::path file_;
  std::unique_ptr<sqlite3, Close> handle_;
};

/// All that is written while it lives is committed by commit(), else undone.
class Transaction {
 public:
  explicit Transaction(Database& database) : database_(database) { database_.execute("BEGIN IMMEDIATE"); }
  ~Transaction() {
    if (is_open_) sqlite3_exec(database_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
  }
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit() {
    database_.execute("COMMIT");
    is_open_ = false;
  }

 private:
  Database& database_;
  bool is_open_ = true;
};

}  // namespace tutti
