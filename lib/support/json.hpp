// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// Reading JSON strictly: every error names the place, every key must be known. Writing it piece by piece.

#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include <tutti/error.hpp>

namespace tutti {

using Json = nlohmann::json;

/// Parses, or throws Error(misuse) that begins with `what`.
[[nodiscard]] Json parse_json(std::string_view text, const std::string& what);

/// The same for what people write: a key that stands twice in one object is an error too, not the last one.
[[nodiscard]] Json parse_written_json(std::string_view text, const std::string& what);

/// A JSON object being read. Its keys are checked at once: an unknown one is an Error.
class Reader {
 public:
  Reader(const Json& object, std::string where, const std::vector<std::string>& keys);

  [[nodiscard]] bool has(const char* key) const { return object_->contains(key); }
  /// The member; throws Error when it is missing.
  [[nodiscard]] const Json& at(const char* key) const;
  [[nodiscard]] std::string text(const char* key) const;  ///< required
  [[nodiscard]] std::string text(const char* key, std::string otherwise) const;
  [[nodiscard]] std::int64_t integer(const char* key, std::int64_t otherwise) const;
  /// The same, refused outside of `least` to `most`.
  [[nodiscard]] std::int64_t integer(const char* key, std::int64_t otherwise, std::int64_t least,
                                     std::int64_t most) const;
  [[nodiscard]] double number(const char* key, double otherwise) const;
  [[nodiscard]] bool flag(const char* key, bool otherwise) const;
  /// The members of an array, or nothing when the key is absent.
  [[nodiscard]] const Json& array(const char* key) const;
  [[nodiscard]] const Json& object(const char* key) const;
  [[noreturn]] void wrong(const char* key, const char* wanted) const;
  [[nodiscard]] const std::string& where() const noexcept { return where_; }

 private:
  const Json* object_;
  std::string where_;
};

/// Writes an object as Json::dump would, without making a Json first: for what is written with every
/// effect. Who writes puts the keys in their order (by byte value).
class ObjectWriter {
 public:
  /// A literal, which is taken as it is, or any other string.
  class Key {
   public:
    template <std::size_t N>
    consteval Key(const char (&literal)[N]) : text_(literal, N - 1), is_plain_(true) {}
    Key(const std::string& text) : text_(text), is_plain_(false) {}

   private:
    friend class ObjectWriter;
    std::string_view text_;
    bool is_plain_;
  };

  /// Appends to `out`, which is borrowed.
  explicit ObjectWriter(std::string& out) : out_(out) { out_ += '{'; }
  ~ObjectWriter() { out_ += '}'; }
  ObjectWriter(const ObjectWriter&) = delete;
  ObjectWriter& operator=(const ObjectWriter&) = delete;

  /// Where the value is to be appended.
  std::string& key(Key key);
  void text(Key key, std::string_view value);
  void integer(Key key, std::int64_t value);
  void number(Key key, double value);
  void flag(Key key, bool value);
  void texts(Key key, const std::vector<std::string>& values);
  void texts(Key key, const std::map<std::string, std::string>& values);

 private:
  std::string& out_;
  bool is_first_ = true;
};
/// Appends a string with its quotes. Throws Json::type_error when it is not UTF-8.
void append_json(std::string& out, std::string_view text);

}  // namespace tutti
