// A request as people read it, and as the journal recognises it.
#include <tutti/transport.hpp>

#include <algorithm>

#include <fmt/format.h>

#include "support/text.hpp"

namespace tutti {
namespace {

constexpr std::size_t most_columns = 100;  ///< of a described request
constexpr std::size_t item_hash_length = 32;

const char* word(Operation operation) {
  switch (operation) {
    case Operation::run: return "run";
    case Operation::wait_until: return "wait-until";
    case Operation::start: return "start";
    case Operation::stop: return "stop";
    case Operation::reload: return "reload";
    case Operation::validate: return "validate";
    case Operation::put_file: return "put-file";
    case Operation::get_file: return "get-file";
    case Operation::sleep: return "sleep";
    case Operation::now: return "now";
    case Operation::drain: return "drain";
    case Operation::undrain: return "undrain";
    case Operation::begin: return "begin";
    case Operation::settle: return "settle";
    case Operation::end: return "end";
    case Operation::files: return "files";
    case Operation::restore_file: return "restore-file";
  }
  return "?";
}

/// The last part of a path, of an item its name without the hash.
std::string short_name(const std::string& path) {
  std::string name = path.substr(path.rfind('/') + 1);
  const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if (name.size() > item_hash_length + 1 && name[item_hash_length] == '-' &&
      std::all_of(name.begin(), name.begin() + item_hash_length, is_hex))
    name.erase(0, item_hash_length + 1);
  return name.empty() ? path : name;
}

std::string described(const Command& command) {
  std::string text = command.service;
  if (!command.hook.empty()) return text + " " + command.hook;
  for (std::size_t i = 0; i < command.argv.size(); ++i) {
    if (!text.empty()) text += ' ';
    const std::string& argument = command.argv[i];
    const bool is_item =
        argument.starts_with('/') && short_name(argument).size() + item_hash_length < argument.size();
    text += i == 0 || is_item ? short_name(argument) : argument;
  }
  return text;
}

/// Writes values so that no two sequences of values look alike.
class Hashed {
 public:
  Hashed() : bytes_(buffer()) { bytes_.clear(); }
  /// Defaults are left out, so that members that come later change no hash of today.
  void text(std::string_view name, std::string_view value) {
    if (value.empty()) return;
    bytes_ += name;
    bytes_ += '=';
    sized(value);
  }
  void number(std::string_view name, double value) {
    if (value != 0) text(name, fmt::format("{}", value));
  }
  void texts(std::string_view name, const std::vector<std::string>& values) {
    if (values.empty()) return;
    text(name, std::to_string(values.size()));
    for (const std::string& value : values) sized(value);
  }
  [[nodiscard]] std::string digest() const { return sha256(bytes_); }

 private:
  void sized(std::string_view value) {
    bytes_ += std::to_string(value.size());
    bytes_ += ':';
    bytes_ += value;
    bytes_ += '\n';
  }

  /// Kept from one to the next: this is done for every effect.
  static std::string& buffer() {
    thread_local std::string bytes;
    return bytes;
  }

  std::string& bytes_;
};

}  // namespace

std::string Request::describe() const {
  std::string text = word(operation);
  const auto add = [&](const std::string& more) {
    if (!more.empty()) text += " " + more;
  };
  switch (operation) {
    case Operation::run:
    case Operation::wait_until: add(described(command)); break;
    case Operation::put_file:
    case Operation::get_file:
    case Operation::restore_file: add(path); break;
    case Operation::sleep: add(fmt::format("{}", every)); break;
    case Operation::files: add(definition ? definition->title() : service + " none"); break;
    default: add(definition ? definition->title() : path);
  }
  if (!is_plain(text)) text = escaped(text);
  if (text.size() > most_columns && width(text) > most_columns) {
    std::size_t end = text.size();
    for (std::size_t columns = width(text); columns >= most_columns; --columns) do
        --end;
      while ((static_cast<unsigned char>(text[end]) & 0xc0) == 0x80);
    text = text.substr(0, end) + "…";
  }
  return host.empty() ? text : text + " on " + host;
}

std::string Request::hash() const { return hash(definition ? canonical(*definition) : ""); }

std::string Request::hash(const std::string& canonical_definition) const {
  Hashed all;
  all.text("operation", word(operation));
  all.texts("argv", command.argv);
  for (const auto& [name, value] : command.environment) all.text("environment", name + "=" + value);
  all.text("user", command.user);
  all.text("directory", command.directory);
  if (!command.argv.empty()) all.number("command-limit", command.limit);
  all.text("service", command.service);
  all.text("definition", canonical_definition);
  if (const auto* output = std::get_if<Output>(&input)) {
    all.text("output", output->token);
    all.text("output-host", output->host);
    all.text("output-sha256", output->sha256);
    all.text("output-text", output->text);
    all.text("output-size", std::to_string(output->size));
  } else {
    all.text("input", std::get<std::string>(input));
  }
  all.text("path", path);
  all.text("content", content);
  if (operation == Operation::put_file) all.number("mode", mode);
  all.text("of", of);
  all.text("host", host);
  all.number("limit", limit);
  all.number("every", every);
  if (idempotent) all.text("idempotent", "yes");
  all.text("of-service", service);
  return all.digest();
}

}  // namespace tutti
