// SPDX-License-Identifier: LGPL-3.0-or-later
#include "support/json.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "support/text.hpp"

namespace tutti {
namespace {

/// Reads JSON for its keys only, and stops at one that stands twice in its object.
class KeyCheck final : public nlohmann::json_sax<Json> {
 public:
  /// Where, and which: "host 2: labels: key 'rack' stands there twice", or "".
  [[nodiscard]] const std::string& what() const noexcept { return what_; }

  bool null() override { return value(); }
  bool boolean(bool) override { return value(); }
  bool number_integer(number_integer_t) override { return value(); }
  bool number_unsigned(number_unsigned_t) override { return value(); }
  bool number_float(number_float_t, const string_t&) override { return value(); }
  bool string(string_t&) override { return value(); }
  bool binary(binary_t&) override { return value(); }
  bool start_object(std::size_t) override { return open(false); }
  bool start_array(std::size_t) override { return open(true); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }
  bool key(string_t& key) override {
    levels_.back().key = key;
    if (levels_.back().keys.insert(key).second) return true;
    levels_.pop_back();
    for (std::size_t i = 0; i < levels_.size(); ++i) {
      const Level& level = levels_[i];
      if (level.is_array)  // "hosts", then its second element: "host 2"
        what_ += fmt::format("{} {}: ", i > 0 ? singular(levels_[i - 1].key) : "element", level.elements);
      else if (i + 1 == levels_.size() || !levels_[i + 1].is_array)
        what_ += escaped(level.key) + ": ";
    }
    what_ += fmt::format("key '{}' stands there twice", escaped(key));
    return false;
  }

 private:
  struct Level {
    bool is_array;
    std::size_t elements = 0;
    std::string key = {};
    std::set<std::string> keys = {};
  };

  static std::string singular(const std::string& key) {
    return escaped(key.ends_with('s') ? key.substr(0, key.size() - 1) : key);
  }
  bool value() {
    if (!levels_.empty()) ++levels_.back().elements;
    return true;
  }
  bool open(bool is_array) {
    value();
    levels_.push_back({.is_array = is_array});
    return true;
  }
  bool close() {
    levels_.pop_back();
    return true;
  }

  std::vector<Level> levels_;
  std::string what_;
};

}  // namespace

Json parse_written_json(std::string_view text, const std::string& what) {
  Json json = parse_json(text, what);
  KeyCheck check;
  if (!Json::sax_parse(text, &check) && !check.what().empty())
    throw Error(ErrorCode::misuse, what + ": " + check.what());
  return json;
}

Json parse_json(std::string_view text, const std::string& what) {
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& e) {
    const auto at = std::min(e.byte, text.size());
    const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n');
    std::string why = e.what();  // "[json.exception.parse_error.101] parse error at line 1, column 2: …"
    if (const auto colon = why.find(": "); colon != std::string::npos) why.erase(0, colon + 2);
    throw Error(ErrorCode::misuse, fmt::format("{}: line {} is no JSON: {}", what, line, escaped(why)));
  } catch (const Json::out_of_range& e) {
    std::string why = e.what();  // "[json.exception.out_of_range.406] number overflow parsing '1e400'"
    if (const auto end = why.find("] "); end != std::string::npos) why.erase(0, end + 2);
    throw Error(ErrorCode::misuse, fmt::format("{}: {}", what, escaped(why)));
  }
}

Reader::Reader(const Json& object, std::string where, const std::vector<std::string>& keys)
    : object_(&object), where_(std::move(where)) {
  if (!object.is_object())
    throw Error(ErrorCode::misuse, fmt::format("{}: an object is wanted here", where_));
  for (const auto& [key, value] : object.items()) {
    if (std::find(keys.begin(), keys.end(), key) != keys.end()) continue;
    throw Error(ErrorCode::misuse,
                fmt::format("{}: unknown key '{}'.{}", where_, escaped(key), suggestion(key, keys)));
  }
}

const Json& Reader::at(const char* key) const {
  if (!has(key)) throw Error(ErrorCode::misuse, fmt::format("{}: '{}' is missing", where_, key));
  return (*object_)[key];
}

void Reader::wrong(const char* key, const char* wanted) const {
  throw Error(ErrorCode::misuse,
              fmt::format("{}: '{}' is {}; {} is wanted", where_, key,
                          escaped(at(key).dump(-1, ' ', false, Json::error_handler_t::replace)), wanted));
}

std::string Reader::text(const char* key) const {
  if (!at(key).is_string()) wrong(key, "a string");
  return at(key).get<std::string>();
}
std::string Reader::text(const char* key, std::string otherwise) const {
  return has(key) ? text(key) : otherwise;
}

std::int64_t Reader::integer(const char* key, std::int64_t otherwise) const {
  if (!has(key)) return otherwise;
  if (!at(key).is_number_integer()) wrong(key, "a whole number");
  return at(key).get<std::int64_t>();
}

std::int64_t Reader::integer(const char* key, std::int64_t otherwise, std::int64_t least,
                             std::int64_t most) const {
  const std::int64_t value = integer(key, otherwise);
  const Json* given = has(key) ? &at(key) : nullptr;
  if (given &&
      (value < least || value > most ||
       (given->is_number_unsigned() && given->get<std::uint64_t>() > static_cast<std::uint64_t>(most))))
    wrong(key, fmt::format("{} to {}", least, most).c_str());
  return value;
}

double Reader::number(const char* key, double otherwise) const {
  if (!has(key)) return otherwise;
  if (!at(key).is_number()) wrong(key, "a number");
  return at(key).get<double>();
}

bool Reader::flag(const char* key, bool otherwise) const {
  if (!has(key)) return otherwise;
  if (!at(key).is_boolean()) wrong(key, "true or false");
  return at(key).get<bool>();
}

const Json& Reader::array(const char* key) const {
  static const Json none = Json::array();
  if (!has(key)) return none;
  if (!at(key).is_array()) wrong(key, "a list");
  return at(key);
}

const Json& Reader::object(const char* key) const {
  static const Json none = Json::object();
  if (!has(key)) return none;
  if (!at(key).is_object()) wrong(key, "an object");
  return at(key);
}

void append_json(std::string& out, std::string_view text) {
  static constexpr auto table = [] {  // the characters that are written as they are
    std::array<bool, 256> all{};
    for (unsigned c = 0x20; c < 0x7f; ++c) all[c] = c != '"' && c != '\\';
    return all;
  }();
  const std::size_t begin = out.size();
  const auto is_itself = [](char c) { return table[static_cast<unsigned char>(c)]; };
  auto next = std::find_if_not(text.begin(), text.end(), is_itself);
  if (next == text.end()) {  // nearly always
    out.resize(begin + text.size() + 2, '"');
    text.copy(out.data() + begin + 1, text.size());
    return;
  }
  out += '"';
  for (auto done = text.begin(); done != text.end(); next = std::find_if_not(done, text.end(), is_itself)) {
    out.append(done, next);
    done = next;
    if (done == text.end()) break;
    switch (*done++) {
      case '\n': out += "\\n"; break;
      case '\t': out += "\\t"; break;
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      default:  // what is rare
        out.resize(begin);
        out += Json(text).dump();
        return;
    }
  }
  out += '"';
}

std::string& ObjectWriter::key(Key key) {
  if (!std::exchange(is_first_, false)) out_ += ',';
  if (key.is_plain_)
    ((out_ += '"') += key.text_) += '"';
  else
    append_json(out_, key.text_);
  return out_ += ':';
}
void ObjectWriter::text(Key name, std::string_view value) { append_json(key(name), value); }
void ObjectWriter::integer(Key name, std::int64_t value) { key(name) += std::to_string(value); }
void ObjectWriter::number(Key name, double value) { key(name) += Json(value).dump(); }
void ObjectWriter::flag(Key name, bool value) { key(name) += value ? "true" : "false"; }

void ObjectWriter::texts(Key name, const std::vector<std::string>& values) {
  key(name) += '[';
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0) out_ += ',';
    append_json(out_, values[i]);
  }
  out_ += ']';
}

void ObjectWriter::texts(Key name, const std::map<std::string, std::string>& values) {
  ObjectWriter object(key(name));
  for (const auto& [member, value] : values) object.text(member, value);
}

}  // namespace tutti
