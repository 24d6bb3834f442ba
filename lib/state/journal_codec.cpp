// SPDX-License-Identifier: LGPL-3.0-or-later
#include "state/journal_codec.hpp"

#include <algorithm>
#include <array>
#include <type_traits>

#include <fmt/format.h>

#include "support/json.hpp"
#include "support/text.hpp"
#include <tutti/error.hpp>

namespace tutti {
namespace {

// -- names on disk

enum class Type : std::uint8_t { intent, forked, answered, registered, entered, ended, met };
constexpr std::array types{std::pair{Type::intent, "intent"},
                           std::pair{Type::forked, "forked"},
                           std::pair{Type::answered, "answered"},
                           std::pair{Type::registered, "registered"},
                           std::pair{Type::entered, "entered"},
                           std::pair{Type::ended, "ended"},
                           std::pair{Type::met, "met"}};
constexpr std::array stages{
    std::pair{Stage::pending, "pending"},     std::pair{Stage::beginning, "beginning"},
    std::pair{Stage::running, "running"},     std::pair{Stage::compensating, "compensating"},
    std::pair{Stage::verifying, "verifying"}, std::pair{Stage::ending, "ending"},
    std::pair{Stage::parked, "parked"},       std::pair{Stage::ended, "ended"}};
constexpr std::array outcomes{std::pair{Outcome::none, "none"},
                              std::pair{Outcome::upgraded, "upgraded"},
                              std::pair{Outcome::unchanged, "unchanged"},
                              std::pair{Outcome::rolled_back, "rolled-back"},
                              std::pair{Outcome::roll_back_failed, "roll-back-failed"},
                              std::pair{Outcome::failed, "failed"},
                              std::pair{Outcome::unknown, "unknown"},
                              std::pair{Outcome::unreachable, "unreachable"},
                              std::pair{Outcome::skipped, "skipped"}};

template <class Names>
const char* name_of(const Names& names, typename Names::value_type::first_type value) noexcept {
  const auto found =
      std::find_if(names.begin(), names.end(), [&](const auto& one) { return one.first == value; });
  return found == names.end() ? "?" : found->second;
}
template <class Names> auto value_of(const Names& names, const char* what, const std::string& name) {
  const auto found =
      std::find_if(names.begin(), names.end(), [&](const auto& one) { return name == one.second; });
  if (found == names.end())
    throw Error(ErrorCode::system, fmt::format("'{}' is no {} that this version knows", escaped(name), what));
  return found->first;
}

// -- columns

/// Positions in INSERT, from 1; in SELECT one less.
namespace column {
enum Name : int {
  run = 1,
  time,
  type,
  step,
  path,
  sequence,
  effect,
  hash,
  text,
  host,
  branches,
  result,
  serial,
  stage,
  outcome,
  message,
  epoch,
  nonce
};
}  // namespace column
constexpr const char* insert_sql =
    "INSERT INTO record(run,time,type,step,path,sequence,effect,hash,text,host,branches,result,serial,stage,"
    "outcome,message,epoch,nonce) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";
constexpr const char* select_sql =
    "SELECT run,time,type,step,path,sequence,effect,hash,text,host,branches,result,serial,stage,"
    "outcome,message,epoch,nonce FROM record WHERE run=? ORDER BY id";

class Row {
 public:
  explicit Row(Statement& statement) : statement_(statement) {}
  void put(column::Name column, std::string_view value) { statement_.bind(column, value); }
  void put(column::Name column, std::int64_t value) { statement_.bind(column, value); }
  void put(Type value) { put(column::type, name_of(types, value)); }
  void put(const Place& at) {
    put(column::step, static_cast<std::int64_t>(at.step));
    put(column::path, to_string(at.path));
    put(column::sequence, std::int64_t{at.sequence});
  }

 private:
  Statement& statement_;
};

// -- JSON

void put_text(ObjectWriter& json, ObjectWriter::Key key, const std::string& text) {
  if (is_utf8(text)) return json.text(key, text);
  ObjectWriter(json.key(key)).text("hex", to_hex(text));
}
void put_text(std::string& out, const std::string& text) {
  if (is_utf8(text)) return append_json(out, text);
  ObjectWriter(out).text("hex", to_hex(text));
}
std::string text_of(const Json& json) {
  return json.is_object() ? from_hex(json.at("hex").get<std::string>()) : json.get<std::string>();
}
std::string text_of(const Json& json, const char* key) {
  return json.contains(key) ? text_of(json.at(key)) : std::string();
}

std::string branches_json(const std::vector<Instance>& all) {
  std::string out = "[";
  for (const Instance& one : all) {
    out += out.size() > 1 ? ",[" : "[";
    put_text(out, one.service);
    out += ',';
    put_text(out, one.host);
    out += ']';
  }
  return out += ']';
}
std::vector<Instance> branches_from_json(const std::string& text) {
  std::vector<Instance> all;
  for (const Json& one : Json::parse(text)) all.push_back({text_of(one.at(0)), text_of(one.at(1))});
  return all;
}

}  // namespace

const char* disk_name(Outcome outcome) noexcept { return name_of(outcomes, outcome); }
Outcome outcome_of(const std::string& disk_name) { return value_of(outcomes, "outcome", disk_name); }

std::string result_json(const Result& result) {
  const Output& output = result.output;
  std::string json;
  json.reserve(64 + output.text.size() + result.error.size());
  {
    ObjectWriter object(json);
    if (output.cut == output.sha256.empty()) object.flag("cut", output.cut);
    if (!result.error.empty()) put_text(object, "error", result.error);
    if (result.succeeded != (result.status == 0)) object.flag("failed", !result.succeeded);
    if (!output.host.empty()) put_text(object, "host", output.host);
    object.text("how", to_string(result.how));
    if (!result.notes.empty()) {
      std::string& notes = object.key("notes") += '[';
      for (const std::string& note : result.notes) {
        if (&note != &result.notes.front()) notes += ',';
        put_text(notes, note);
      }
      notes += ']';
    }
    if (!output.sha256.empty()) put_text(object, "sha256", output.sha256);
    object.key("size") += std::to_string(output.size);
    object.integer("status", result.status);
    if (!output.text.empty()) put_text(object, "text", output.text);
    if (!output.token.empty()) put_text(object, "token", output.token);
  }
  return json;
}

Result result_from_json(const std::string& text) {
  try {
    const Json json = Json::parse(text);
    Result result;
    result.status = json.at("status");
    result.succeeded = !json.value("failed", result.status != 0);
    const std::string how = text_of(json.at("how"));
    const auto known = how_from_string(how);
    if (!known)
      throw Error(ErrorCode::system,
                  fmt::format("the journal has a result that ended '{}', which this version does not know",
                              escaped(how)));
    result.how = *known;
    result.output.size = json.at("size");
    result.output.sha256 = text_of(json, "sha256");
    result.output.cut = json.value("cut", !result.output.sha256.empty());
    // Before schema 3 output that was no text stood in a member of its own.
    result.output.text =
        json.contains("hex") ? from_hex(json.at("hex").get<std::string>()) : text_of(json, "text");
    result.output.host = text_of(json, "host");
    result.output.token = text_of(json, "token");
    result.error = text_of(json, "error");
    for (const Json& note : json.value("notes", Json::array())) result.notes.push_back(text_of(note));
    return result;
  } catch (const Json::exception& e) {
    throw Error(ErrorCode::system,
                fmt::format("the journal has a result that can't be read ({}): {}", e.what(), escaped(text)));
  }
}

// -- writing

RecordWriter::RecordWriter(Database& database) : insert_(database, insert_sql) {}

void RecordWriter::insert(int run, const Record& record) {
  Row row(insert_);
  insert_.bind(column::run, std::int64_t{run}).bind(column::time, record.time);
  const auto effect_of = [&](const auto& one) {
    row.put(one.at);
    row.put(column::effect, one.effect);
    row.put(column::hash, one.hash);
    row.put(column::text, one.text);
  };
  std::visit(
      [&](const auto& one) {
        using T = std::decay_t<decltype(one)>;
        if constexpr (std::is_same_v<T, record::Intent>) {
          row.put(Type::intent);
          effect_of(one);
          if (!one.host.empty()) row.put(column::host, one.host);
        } else if constexpr (std::is_same_v<T, record::Forked>) {
          row.put(Type::forked);
          effect_of(one);
          row.put(column::branches, branches_json(one.branches));
        } else if constexpr (std::is_same_v<T, record::Answered>) {
          row.put(Type::answered);
          row.put(one.at);
          row.put(column::result, result_json(one.result));
        } else if constexpr (std::is_same_v<T, record::Registered>) {
          row.put(Type::registered);
          row.put(one.at);
          row.put(column::serial, std::int64_t{one.serial});
        } else if constexpr (std::is_same_v<T, record::Entered>) {
          row.put(Type::entered);
          row.put(column::step, static_cast<std::int64_t>(one.step));
          row.put(column::stage, name_of(stages, one.stage));
        } else if constexpr (std::is_same_v<T, record::Ended>) {
          row.put(Type::ended);
          row.put(column::step, static_cast<std::int64_t>(one.step));
          row.put(column::outcome, disk_name(one.outcome));
          row.put(column::message, one.message);
        } else {
          static_assert(std::is_same_v<T, record::Met>);
          row.put(Type::met);
          row.put(column::host, one.host);
          row.put(column::epoch, one.epoch);
          row.put(column::nonce, one.nonce);
        }
      },
      record.what);
  insert_.run();
}

// -- reading

RecordReader::RecordReader(Database& database, int run) : run_(run), select_(database, select_sql) {
  select_.bind(1, std::int64_t{run});
}

bool RecordReader::next() { return select_.step(); }

Record RecordReader::record() const {
  const auto text_at = [&](column::Name column) { return select_.text(column - 1); };
  const auto number_at = [&](column::Name column) { return select_.integer(column - 1); };
  const auto step_at = [&] { return StepId{static_cast<std::uint32_t>(number_at(column::step))}; };
  const auto place = [&] {
    return Place{step_at(), task_path(text_at(column::path)),
                 static_cast<std::uint32_t>(number_at(column::sequence))};
  };
  const auto what = [&]() -> Record::What {
    switch (value_of(types, "type of record", text_at(column::type))) {
      case Type::intent:
        return record::Intent{place(), text_at(column::effect), text_at(column::hash), text_at(column::text),
                              text_at(column::host)};
      case Type::forked:
        return record::Forked{place(), text_at(column::effect), text_at(column::hash), text_at(column::text),
                              branches_from_json(text_at(column::branches))};
      case Type::answered: return record::Answered{place(), result_from_json(text_at(column::result))};
      case Type::registered:
        return record::Registered{place(), static_cast<std::uint32_t>(number_at(column::serial))};
      case Type::entered:
        return record::Entered{step_at(), value_of(stages, "stage", text_at(column::stage))};
      case Type::ended:
        return record::Ended{step_at(), outcome_of(text_at(column::outcome)), text_at(column::message)};
      case Type::met:
        return record::Met{text_at(column::host), number_at(column::epoch), text_at(column::nonce)};
    }
    throw Error(ErrorCode::system, "it has no type");
  };
  try {
    return {select_.number(column::time - 1), what()};
  } catch (const Error& error) {
    throw Error(ErrorCode::system,
                fmt::format("the journal of run {} has a record that can't be read: {}. Was "
                            "it written by a newer Tutti?",
                            run_, error.what()));
  } catch (const Json::exception& error) {
    throw Error(ErrorCode::system,
                fmt::format("the journal of run {} has a record that can't be read: {}", run_, error.what()));
  }
}

}  // namespace tutti
