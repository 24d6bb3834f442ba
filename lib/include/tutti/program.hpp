// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// Programs and the text in them, as a person writes them: values with late-bound places that
// `elaborate` fills in. No closure of this process is ever part of a program.
// Threads: values, free to copy and move.

#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <tutti/export.hpp>

namespace tutti {

class Text;

/// The value that the service's `settings` give to `key`.
struct Setting {
  std::string key;
  bool operator==(const Setting&) const = default;
};
/// The absolute path of a directory of the service on its host, kept across versions.
struct DataDirectory {
  std::string name;
  bool operator==(const DataDirectory&) const = default;
};
/// A single file that is put on the host by hash: in a text it stands for its path there.
struct TUTTI_EXPORT Item {
  std::string name;                     ///< letters, digits and `._-`, at most 100
  std::shared_ptr<const Text> content;  ///< shared: immutable, and may be large
  bool executable = false;
  bool operator==(const Item&) const;
};

/// A string with late-bound places: the concatenation of its pieces.
class TUTTI_EXPORT Text {
 public:
  using Piece = std::variant<std::string, Setting, DataDirectory, Item>;

  Text() = default;
  Text(const char* text) : Text(std::string(text)) {}
  Text(std::string text);
  Text(std::string_view text) : Text(std::string(text)) {}
  Text(Setting setting) : pieces_{std::move(setting)} {}
  Text(DataDirectory directory) : pieces_{std::move(directory)} {}
  Text(Item item) : pieces_{std::move(item)} {}

  Text& operator+=(const Text& other);
  friend Text operator+(Text left, const Text& right) { return left += right; }
  [[nodiscard]] const std::vector<Piece>& pieces() const noexcept { return pieces_; }
  [[nodiscard]] bool empty() const noexcept { return pieces_.empty(); }
  bool operator==(const Text&) const = default;

 private:
  std::vector<Piece> pieces_;  // no two neighbours are strings, none is an empty string
};

/// The file at `path` of this machine, read now. Throws Error when it can't be read.
[[nodiscard]] TUTTI_EXPORT Item local_file(const std::string& path);
[[nodiscard]] TUTTI_EXPORT Item plain_file(std::string name, std::string text);
/// A file whose text may hold settings and other items, rendered for each host.
[[nodiscard]] TUTTI_EXPORT Item mixed_text_file(std::string name, Text text);

/// What runs on a host: a file and its arguments. The default is "none".
struct TUTTI_EXPORT Program {
  std::vector<Text> argv;
  bool is_daemon = false;       ///< kept in the background by the host
  bool is_unit = false;         ///< argv is the name of a unit of systemd that the host has
  std::optional<double> limit;  ///< seconds; else the service's

  Program() = default;
  Program(std::initializer_list<Text> arguments) : argv(arguments) {}
  [[nodiscard]] explicit operator bool() const noexcept { return !argv.empty(); }
  /// The same program with at most `seconds` to run (or, validating, to succeed).
  [[nodiscard]] Program within(double seconds) const;
  bool operator==(const Program&) const = default;
};

[[nodiscard]] TUTTI_EXPORT Program program(std::vector<Text> argv);
/// A program that does not end by itself: the runner keeps it, `stop` and `alive` are implied.
[[nodiscard]] TUTTI_EXPORT Program daemon(std::vector<Text> argv);
/// A unit that the host has, such as "nginx.service": the service is started and stopped by it. Whether it
/// was enabled and active before is kept, and put back when the service goes.
[[nodiscard]] TUTTI_EXPORT Program systemd_unit(Text name);
/// A file to run: by its `#!` line if it has one, else by /bin/sh.
[[nodiscard]] TUTTI_EXPORT Program script(const Item& file, std::vector<Text> arguments = {});

}  // namespace tutti
