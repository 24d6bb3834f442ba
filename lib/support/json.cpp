#include "support/json.hpp"

#include <algorithm>
#include <fmt/format.h>

#include "support/text.hpp"

namespace tutti {

Json parse_json(std::string_view text, const std::string& what) {
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& e) {
    const auto at = std::min(e.byte, text.size());
    const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n');
    std::string why = e.what();  // "[json.exception.parse_error.101] parse error at line 1, column 2: …"
    if (const auto colon = why.find(": "); colon != std::string::npos) why.erase(0, colon + 2);
    throw Error(ErrorCode::misuse, fmt::format("{}: line {} is no JSON: {}", what, line, escaped(why)));
  }
}

Reader::Reader(const Json& object, std::string where, std::initializer_list<const char*> keys)
    : object_(&object), where_(std::move(where)) {
  if (!object.is_object()) throw Error(ErrorCode::misuse, fmt::format("{}: an object is wanted here", where_));
  for (const auto& [key, value] : object.items()) {
    if (std::any_of(keys.begin(), keys.end(), [&](const char* k) { return key == k; })) continue;
    throw Error(ErrorCode::misuse, fmt::format("{}: unknown key '{}'.{}", where_, escaped(key),
                                               suggestion(key, std::vector<std::string>(keys.begin(), keys.end()))));
  }
}

const Json& Reader::at(const char* key) const {
  if (!has(key)) throw Error(ErrorCode::misuse, fmt::format("{}: '{}' is missing", where_, key));
  return (*object_)[key];
}

void Reader::wrong(const char* key, const char* wanted) const {
  throw Error(ErrorCode::misuse, fmt::format("{}: '{}' is {}; {} is wanted", where_, key,
                                             escaped(at(key).dump(-1, ' ', false, Json::error_handler_t::replace)), wanted));
}

std::string Reader::text(const char* key) const {
  if (!at(key).is_string()) wrong(key, "a string");
  return at(key).get<std::string>();
}
std::string Reader::text(const char* key, std::string otherwise) const { return has(key) ? text(key) : otherwise; }

std::int64_t Reader::integer(const char* key, std::int64_t otherwise) const {
  if (!has(key)) return otherwise;
  if (!at(key).is_number_integer()) wrong(key, "a whole number");
  return at(key).get<std::int64_t>();
}

std::int64_t Reader::integer(const char* key, std::int64_t otherwise, std::int64_t least, std::int64_t most) const {
  const std::int64_t value = integer(key, otherwise);
  const Json* given = has(key) ? &at(key) : nullptr;
  if (given && (value < least || value > most || (given->is_number_unsigned() && given->get<std::uint64_t>() > static_cast<std::uint64_t>(most))))
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

}  // namespace tutti
