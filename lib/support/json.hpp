#pragma once
// Reading JSON strictly: every error names the place, every key must be known.

#include <initializer_list>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include <tutti/error.hpp>

namespace tutti {

using Json = nlohmann::json;

/// Parses, or throws Error(misuse) that begins with `what`.
[[nodiscard]] Json parse_json(std::string_view text, const std::string& what);

/// A JSON object being read. Its keys are checked at once: an unknown one is an Error.
class Reader {
 public:
  Reader(const Json& object, std::string where, std::initializer_list<const char*> keys);

  [[nodiscard]] bool has(const char* key) const { return object_->contains(key); }
  /// The member; throws Error when it is missing.
  [[nodiscard]] const Json& at(const char* key) const;
  [[nodiscard]] std::string text(const char* key) const;                        ///< required
  [[nodiscard]] std::string text(const char* key, std::string otherwise) const;
  [[nodiscard]] std::int64_t integer(const char* key, std::int64_t otherwise) const;
  /// The same, refused outside of `least` to `most`.
  [[nodiscard]] std::int64_t integer(const char* key, std::int64_t otherwise, std::int64_t least, std::int64_t most) const;
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

}  // namespace tutti
