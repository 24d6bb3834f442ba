// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// Records of the journal as rows of the table `record`, and back. lib/doc/journal.md describes the form: the
// names that are written here are part of it, and none of them ever changes.

#include <string>
#include <string_view>

#include "state/database.hpp"
#include <tutti/engine/journal.hpp>

namespace tutti {

/// Inserts records. Borrows the database.
class RecordWriter {
 public:
  explicit RecordWriter(Database& database);
  /// Throws Error(system).
  void insert(int run, const Record& record);

 private:
  Statement insert_;
};

/// Reads the records of a run in order. Borrows the database.
class RecordReader {
 public:
  RecordReader(Database& database, int run);
  /// Whether there is another one; then `record` is that.
  bool next();
  /// Throws Error(system) when the row is not of the form, or of a newer one.
  [[nodiscard]] Record record() const;

 private:
  int run_;
  Statement select_;
};

/// An object with keys in order; what is at its default is left out. Text that is not UTF-8 is {"hex":"…"}.
[[nodiscard]] std::string result_json(const Result&);
/// The same back, also of what older versions wrote. Throws Error(system).
[[nodiscard]] Result result_from_json(const std::string&);

/// The name of an outcome on disk, "rolled-back", and what has that name. Throws Error(system).
[[nodiscard]] const char* disk_name(Outcome) noexcept;
[[nodiscard]] Outcome outcome_of(const std::string& disk_name);

}  // namespace tutti
