// SPDX-License-Identifier: LGPL-3.0-or-later
// A request as people read it, and as the journal recognises it.
#include "transport/request.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "support/text.hpp"

namespace tutti {
namespace {

constexpr std::size_t most_columns = 100;  ///< of a described request
constexpr std::size_t item_hash_length = 32;

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

/// Of a manifest entry, name_of says which it is: "begin" or "end".
constexpr std::array<std::string_view, std::variant_size_v<Effect>> effect_names = {
    "run",   "wait-until", "start", "stop",    "reload",      "validate", "put-file", "get-file",
    "sleep", "now",        "drain", "undrain", "write-entry", "settle",   "files",    "restore-file"};

constexpr std::array<std::string_view, 12> how_names = {"exit",   "timeout", "killed", "already",
                                                        "absent", "busy",    "died",   "lingers",
                                                        "fenced", "error",   "flood",  "full"};

template <class... F> struct Each : F... {
  using F::operator()...;
};
template <class... F> Each(F...) -> Each<F...>;  // clang 16 deduces none of its own

/// What comes after the effect's name.
std::string subject(const Effect& effect) {
  const auto title = [](const DefinitionPtr& d) { return d ? d->title() : std::string(); };
  return std::visit(Each{
                        [](const effect::Run& e) { return described(e.command); },
                        [](const effect::WaitUntil& e) { return described(e.command); },
                        [](const effect::PutFile& e) { return e.path; },
                        [](const effect::GetFile& e) { return e.path; },
                        [](const effect::RestoreFile& e) { return e.path; },
                        [](const effect::Sleep& e) { return fmt::format("{}", e.seconds); },
                        [](const effect::Now&) { return std::string(); },
                        [&](const effect::WriteEntry& e) { return title(e.about); },
                        [&](const effect::InstallFiles& e) {
                          return e.definition ? e.definition->title() : e.service + " none";
                        },
                        [&](const auto& e) { return title(e.definition); },
                    },
                    effect);
}

void add(Hashed& all, const Command& command) {
  all.texts("argv", command.argv);
  for (const auto& [name, value] : command.environment) all.text("environment", name + "=" + value);
  all.text("user", command.user);
  all.text("directory", command.directory);
  if (!command.argv.empty()) all.number("command-limit", command.limit);
  all.text("service", command.service);
}

void add(Hashed& all, const Input& input) {
  const auto* output = std::get_if<Output>(&input);
  if (!output) return all.text("input", std::get<std::string>(input));
  all.text("output", output->token);
  all.text("output-host", output->host);
  all.text("output-sha256", output->sha256);
  all.text("output-text", output->text);
  all.text("output-size", std::to_string(output->size));
}

/// Neither the time of an entry nor the marks of others: they depend on when it is written.
void add(Hashed& all, const effect::WriteEntry& write, CanonicalForms& forms) {
  all.text("of-service", write.about ? write.about->service : "");
  all.text("mark", write.mark);
  if (!write.entry || !write.mark.empty()) return;
  all.text("state", to_string(write.entry->state));
  all.text("old", forms.of(write.entry->old_definition));
  all.text("new", forms.of(write.entry->new_definition));
  all.text("transition", write.entry->transition);
  all.number("run", write.entry->run);
}

}  // namespace

std::string_view name_of(const Effect& effect) noexcept {
  if (const auto* write = std::get_if<effect::WriteEntry>(&effect)) return write->is_first ? "begin" : "end";
  return effect_names[effect.index()];
}

std::string_view to_string(How how) noexcept { return how_names[static_cast<std::size_t>(how)]; }

std::optional<How> how_from_string(std::string_view name) noexcept {
  const auto found = std::find(how_names.begin(), how_names.end(), name);
  if (found == how_names.end()) return {};
  return static_cast<How>(found - how_names.begin());
}

const DefinitionPtr& Request::definition() const noexcept {
  static const DefinitionPtr none;
  return std::visit(
      [](const auto& e) -> const DefinitionPtr& {
        if constexpr (requires { e.definition; })
          return e.definition;
        else if constexpr (requires { e.about; })
          return e.about;
        else
          return none;
      },
      effect);
}

std::string Request::describe() const {
  std::string text(name_of(effect));
  if (const std::string more = subject(effect); !more.empty()) text += " " + more;
  if (!is_plain(text)) text = escaped(text);
  if (text.size() > most_columns && width(text) > most_columns) {
    std::size_t end = text.size();
    for (std::size_t columns = width(text); columns >= most_columns; --columns) {
      do --end;
      while ((static_cast<unsigned char>(text[end]) & 0xc0) == 0x80);
    }
    text = text.substr(0, end) + "…";
  }
  return host.empty() ? text : text + " on " + host;
}

std::string hash(const Request& request, CanonicalForms& forms) {
  Hashed all;
  all.text("operation", name_of(request.effect));
  std::visit(Each{
                 [&](const effect::Run& e) {
                   add(all, e.command);
                   add(all, e.input);
                 },
                 [&](const effect::WaitUntil& e) {
                   add(all, e.command);
                   all.number("every", e.every);
                 },
                 [&](const effect::PutFile& e) {
                   all.text("path", e.path);
                   all.text("content", e.content);
                   all.number("mode", e.mode);
                 },
                 [&](const effect::GetFile& e) { all.text("path", e.path); },
                 [&](const effect::RestoreFile& e) {
                   all.text("path", e.path);
                   all.text("of", e.of);
                 },
                 [&](const effect::Sleep& e) { all.number("seconds", e.seconds); },
                 [](const effect::Now&) {},
                 [&](const effect::WriteEntry& e) { add(all, e, forms); },
                 [&](const effect::InstallFiles& e) {
                   all.text("of-service", e.service);
                   all.text("definition", forms.of(e.definition));
                 },
                 [&](const auto& e) { all.text("definition", forms.of(e.definition)); },
             },
             request.effect);
  all.text("host", request.host);
  all.number("limit", request.limit);
  if (request.idempotent) all.text("idempotent", "yes");
  return all.digest();
}

}  // namespace tutti
