// SPDX-License-Identifier: LGPL-3.0-or-later
#include "transport/frames.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <span>

namespace tutti::frames {

namespace {

constexpr std::size_t max_number = 18;  // digits: fits in 64 bits, and in a shell's arithmetic

bool is_word_character(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
         c == '-';
}

bool is_hexadecimal(std::string_view text, std::size_t size) noexcept {
  return text.size() == size && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

/// Some of the host's bytes, for an error message: short, and without control characters.
std::string excerpt(std::string_view bytes) {
  constexpr std::size_t enough = 80;
  std::string text;
  for (const char c : bytes.substr(0, enough)) text += c >= ' ' && c <= '~' ? c : '?';
  if (bytes.size() > enough) text += "...";
  return text;
}

// ------------------------------------------------------------------ encoding

[[noreturn]] void refuse(const std::string& what) { throw std::invalid_argument("frame: " + what); }

const std::string& word(const std::string& text, std::string_view what, std::size_t limit = max_word) {
  if (!is_word(text, limit))
    refuse(std::string(what) + " '" + excerpt(text) + "' is no word of [A-Za-z0-9._-], at most " +
           std::to_string(limit));
  return text;
}

std::string word_or_none(const std::string& text, std::string_view what) {
  return text.empty() ? "-" : word(text, what);
}

const std::string& digest(const std::string& text, std::string_view what) {
  if (!is_hexadecimal(text, 64)) refuse(std::string(what) + " is no SHA-256 in hexadecimal");
  return text;
}

void no_nul(std::string_view text, std::string_view what) {
  if (text.find('\0') != std::string_view::npos) refuse(std::string(what) + " holds a NUL byte");
}

/// What may stand in a header.
std::string text_or_none(std::string_view text, std::string_view what) {
  no_nul(text, what);
  if (text.empty()) return "-";
  if (text == "-") refuse(std::string(what) + " '-' means none");
  std::string escaped;
  for (const char c : escape(text))
    if (c == ' ')
      escaped += "%20";
    else
      escaped += c;
  return escaped;
}

std::string absolute(std::string_view path, std::string_view what) {
  if (!path.starts_with('/')) refuse(std::string(what) + " '" + excerpt(path) + "' is no absolute path");
  return text_or_none(path, what);
}

std::string epoch_text(std::int64_t epoch) {
  if (epoch < 0 || epoch >= 1'000'000'000'000'000'000) refuse("an epoch out of range");
  return std::to_string(epoch);
}

std::string seconds_text(Seconds seconds, std::string_view what) {
  constexpr double most = 999'999'999;
  if (!(seconds >= 0 && seconds <= most)) refuse(std::string(what) + " out of range");
  const auto milliseconds = static_cast<std::int64_t>(std::ceil(seconds * 1000 - 1e-6));
  std::string text = std::to_string(milliseconds / 1000);
  if (const auto rest = milliseconds % 1000; rest != 0) text += "." + std::to_string(1000 + rest).substr(1);
  return text;
}

std::string mode_text(unsigned mode) {
  if (mode > 07777) refuse("a file mode out of range");
  std::string text;
  for (int shift = mode > 0777 ? 9 : 6; shift >= 0; shift -= 3)
    text += static_cast<char>('0' + ((mode >> static_cast<unsigned>(shift)) & 7U));
  return text;
}

/// A frame in the making: the header's words, then lines, then bytes.
class Encoder {
 public:
  Encoder(std::string_view operation, const std::string& id) : header_(operation) { plain(word(id, "id")); }
  Encoder(std::string_view operation, const std::string& id, const std::string& token)
      : Encoder(operation, id) {
    plain(word(token, "token"));
  }

  Encoder& plain(const std::string& text) {
    header_ += ' ' + text;
    return *this;
  }
  Encoder& option(std::string_view key, const std::string& value) {
    header_ += ' ';
    header_ += key;
    return header_ += '=' + value, *this;
  }
  Encoder& flag(std::string_view key, bool value) { return option(key, value ? "1" : "0"); }
  Encoder& number(std::string_view key, std::uint64_t value) {
    if (value >= 1'000'000'000'000'000'000U) refuse(std::string(key) + " out of range");
    return option(key, std::to_string(value));
  }
  Encoder& seconds(std::string_view key, Seconds value) { return option(key, seconds_text(value, key)); }

  Encoder& line(std::string_view text, std::string_view what) {
    no_nul(text, what);
    lines_ += escape(text) + '\n';
    return *this;
  }
  Encoder& argument_lines(std::string_view key, const std::vector<std::string>& arguments) {
    for (const auto& argument : arguments) line(argument, "an argument");
    return number(key, arguments.size());
  }
  Encoder& environment_lines(const Environment& environment) {
    for (const auto& [name, value] : environment) {
      const bool good = !name.empty() && !(name[0] >= '0' && name[0] <= '9') &&
                        std::all_of(name.begin(), name.end(),
                                    [](char c) { return is_word_character(c) && c != '.' && c != '-'; });
      if (!good) refuse("'" + excerpt(name) + "' is no name of an environment variable");
      line(name + "=" + value, "the environment variable " + name);
    }
    return number("env", environment.size());
  }
  Encoder& user(const std::string& user) { return user.empty() ? *this : option("user", word(user, "user")); }
  Encoder& file_lines(std::string_view key, const std::vector<InstalledFile>& files) {
    for (const auto& file : files)
      line(mode_text(file.mode) + ' ' + word_or_none(file.owner, "owner") + ' ' +
               word(file.item, "item", max_item_name) + ' ' + file.path,
           "a file");
    return number(key, files.size());
  }
  Encoder& program(const Program& program) {
    option("user", word_or_none(program.user, "user"));
    option("cwd", program.cwd.empty() ? "-" : absolute(program.cwd, "cwd"));
    environment_lines(program.env);
    return argument_lines("argv", program.argv);
  }

  std::string end(std::string_view bytes = {}) {
    header_ += '\n';
    if (header_.size() > max_header) refuse("a header of more than " + std::to_string(max_header) + " bytes");
    header_ += lines_;
    return header_ += bytes, std::move(header_);
  }

 private:
  std::string header_;
  std::string lines_;
};

std::string_view probe_name(Probe probe) noexcept {
  constexpr std::array<std::string_view, 5> names = {"none", "daemon", "run", "unit", "drop"};
  return names[static_cast<std::size_t>(probe)];
}

constexpr std::array<std::string_view, 3> restart_names = {"never", "on-failure", "always"};

const std::string& signal(const std::string& name) {
  const bool good = !name.empty() && name.size() <= 10 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  });
  if (!good || name.starts_with("SIG"))
    refuse("'" + excerpt(name) + "' is no name of a signal, as TERM or USR1");
  return name;
}

std::string ready_text(const Ready& ready) {
  switch (ready.when) {
    case Ready::When::lives: return "-";
    case Ready::When::notified: return "notify";
    case Ready::When::listens: break;
  }
  if (ready.port == 0) refuse("a port out of range");
  return "port:" + std::to_string(ready.port);
}

/// As services, sockets and others are named by a service manager.
const std::string& unit_name(const std::string& name) {
  const bool good = name.size() <= 255 && name.find('.', 1) != std::string::npos && name[0] != '-' &&
                    name[0] != '.' && std::all_of(name.begin(), name.end(), [](char c) {
                      return is_word_character(c) || c == ':' || c == '@' || c == '\\';
                    });
  if (!good) refuse("'" + excerpt(name) + "' is no name of a unit, as nginx.service");
  return name;
}

/// What differs from the defaults.
void add(Encoder& frame, const Keeping& keeping) {
  if (keeping.on == KeptOn::host) frame.option("keeper", "host");
  if (keeping.restart != Restart::never) frame.option("restart", std::string(name(keeping.restart)));
  if (keeping.boot) frame.flag("boot", true);
  if (keeping.signal != "TERM") frame.option("signal", signal(keeping.signal));
  frame.seconds("stop_grace", keeping.grace);
  if (keeping.nice && (*keeping.nice < -20 || *keeping.nice > 19)) refuse("a niceness out of range");
  if (keeping.nice) frame.option("nice", std::to_string(*keeping.nice));
  if (keeping.umask > 0777) refuse("an umask out of range");
  if (keeping.umask != 022) frame.option("umask", mode_text(keeping.umask));
  if (keeping.journal) frame.option("log", "journal");
  if (keeping.ready != Ready{}) frame.option("ready", ready_text(keeping.ready));
}

void add_lines(Encoder& frame, const Keeping& keeping) {
  if (!keeping.stop.empty()) frame.argument_lines("stop", keeping.stop);
  for (const auto& service : keeping.after) frame.line(word(service, "service"), "a service");
  if (!keeping.after.empty()) frame.number("after", keeping.after.size());
  for (const auto& [name, value] : keeping.limits) {
    if (value >= 1'000'000'000'000'000'000U) refuse("a limit out of range");
    frame.line(word(name, "limit") + ' ' + std::to_string(value), "a limit");
  }
  if (!keeping.limits.empty()) frame.number("limits", keeping.limits.size());
}

}  // namespace

bool is_word(std::string_view text, std::size_t limit) noexcept {
  return !text.empty() && text.size() <= limit && text[0] != '-' && text[0] != '.' &&
         std::all_of(text.begin(), text.end(), is_word_character);
}

std::string escape(std::string_view bytes) {
  std::string line;
  line.reserve(bytes.size());
  for (const char c : bytes) {
    if (c == '%')
      line += "%25";
    else if (c == '\n')
      line += "%0A";
    else
      line += c;
  }
  return line;
}

std::string unescape(std::string_view line) {
  std::string bytes;
  bytes.reserve(line.size());
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] != '%') {
      bytes += line[i];
      continue;
    }
    const auto code = line.substr(i + 1, 2);
    if (code == "25")
      bytes += '%';
    else if (code == "0A")
      bytes += '\n';
    else if (code == "20")
      bytes += ' ';
    else
      throw ProtocolError("an escape that is none of ours: '" + excerpt(line.substr(i, 3)) + "'");
    i += 2;
  }
  return bytes;
}

std::string encode(const Hello& hello) {
  std::string header = "HELLO " + std::to_string(protocol_version) + " site=" + word(hello.site, "site") +
                       " store=" + (hello.store.empty() ? "-" : absolute(hello.store, "store")) + '\n';
  if (header.size() > max_header) refuse("a header of more than " + std::to_string(max_header) + " bytes");
  return header;
}

std::string encode(const Read& read) {
  Encoder frame("READ", read.id);
  if (read.paths.empty()) return frame.end();
  for (const auto& [service, path] : read.paths) frame.line(word(service, "service") + ' ' + path, "a path");
  return frame.number("paths", read.paths.size()).end();
}

std::string encode(const Lock& lock) {
  std::string expect = "-";
  if (lock.expect) expect = word(lock.expect->lineage, "lineage") + ':' + epoch_text(lock.expect->epoch);
  Encoder frame("LOCK", lock.id);
  frame.option("lineage", word(lock.lineage, "lineage"))
      .option("epoch", epoch_text(lock.epoch))
      .option("seen", epoch_text(lock.seen))
      .option("nonce", word_or_none(lock.nonce, "nonce"))
      .option("holder", text_or_none(lock.holder, "holder"))
      .option("expect", expect);
  if (lock.end_others) frame.option("others", "end");
  if (lock.forget_before > 0) frame.option("forget", std::to_string(lock.forget_before));
  if (!lock.name.empty()) frame.option("name", word(lock.name, "name"));
  if (!lock.was.empty()) frame.option("was", word(lock.was, "name"));
  return frame.end();
}

std::string encode(const Run& run) {
  Encoder frame("RUN", run.id, run.token);
  frame.seconds("limit", run.limit).seconds("every", run.every).seconds("grace", run.grace);
  if (run.settle > 0) frame.seconds("settle", run.settle);
  if (run.first) frame.option("first", "1");
  frame.option("service", word_or_none(run.service, "service")).program(run.program);
  if (const auto* bytes = std::get_if<std::string>(&run.input))
    return frame.option("input", "bytes:" + std::to_string(bytes->size())).end(*bytes);
  if (const auto* blob = std::get_if<Blob>(&run.input))
    return frame.option("input", "blob:" + word(blob->token, "token")).end();
  return frame.option("input", "none").end();
}

std::string encode(const Start& start) {
  Encoder frame("START", start.id, start.token);
  frame.seconds("limit", start.limit).seconds("grace", start.grace);
  if (!start.check.empty()) frame.seconds("check_limit", start.check_limit);
  frame.option("service", word(start.service, "service"))
      .option("def", word_or_none(start.definition, "definition"))
      .flag("daemon", start.daemon)
      .flag("already", start.already);
  add(frame, start.keeping);
  if (!start.unit.empty()) frame.option("unit", unit_name(start.unit));
  if (start.reload) frame.flag("reload", true);
  for (const auto& [path, owner] : start.directories)
    frame.line(word_or_none(owner, "owner") + ' ' + path, "a directory");
  frame.number("dirs", start.directories.size());
  frame.file_lines("files", start.files).file_lines("adopt", start.adopt).flag("release", start.release);
  frame.program(start.program).argument_lines("check", start.check);
  add_lines(frame, start.keeping);
  return frame.end();
}

std::string encode(const Files& files) {
  return Encoder("FILES", files.id, files.token)
      .option("service", word(files.service, "service"))
      .option("user", word_or_none(files.user, "user"))
      .file_lines("files", files.files)
      .file_lines("adopt", files.adopt)
      .flag("gone", files.gone)
      .end();
}

std::string encode(const Stop& stop) {
  Encoder frame("STOP", stop.id, stop.token);
  frame.seconds("limit", stop.limit).seconds("grace", stop.grace);
  if (!stop.check.empty()) frame.seconds("check_limit", stop.check_limit);
  frame.option("service", word(stop.service, "service")).flag("daemon", stop.daemon).flag("gone", stop.gone);
  if (stop.signal != "TERM") frame.option("signal", signal(stop.signal));
  if (!stop.unit.empty()) frame.option("unit", unit_name(stop.unit));
  return frame.program(stop.program).argument_lines("check", stop.check).end();
}

std::string encode(const Put& put) {
  return Encoder("PUT", put.id, put.token)
      .user(put.user)
      .option("mode", mode_text(put.mode))
      .option("owner", word_or_none(put.owner, "owner"))
      .number("len", put.bytes.size())
      .option("sha", digest(put.sha256, "sha"))
      .line(put.path, "a path")
      .end(put.bytes);
}

std::string encode(const Unput& unput) {
  return Encoder("UNPUT", unput.id, unput.token)
      .user(unput.user)
      .option("of", word(unput.of, "token"))
      .line(unput.path, "a path")
      .end();
}

std::string encode(const Entry& entry) {
  if (!(entry.limit > 0)) refuse("a probe without a limit");
  if (entry.probe == Probe::unit && (entry.program.argv.size() != 1 || entry.program.argv[0].empty()))
    refuse("a probe of a unit without its name");
  if (entry.probe == Probe::unit) unit_name(entry.program.argv[0]);
  return Encoder("ENTRY", entry.id, entry.token)
      .option("service", word(entry.service, "service"))
      .option("probe", std::string(probe_name(entry.probe)))
      .seconds("limit", entry.limit)
      .program(entry.program)
      .number("json", entry.json.size())
      .end(entry.json);
}

std::string encode(const Ask& ask) {
  return Encoder("ASK", ask.id, ask.token).number("wait", ask.wait_milliseconds).end();
}

std::string encode(const End& end) { return Encoder("END", end.id, end.token).end(); }

std::string encode(const Forget& forget) { return Encoder("FORGET", forget.id, forget.token).end(); }

std::string encode(const Get& get) {
  return Encoder("GET", get.id).user(get.user).number("max", get.max).line(get.path, "a path").end();
}

std::string encode(const Out& out) {
  return Encoder("OUT", out.id, out.token)
      .option("stream", out.stream == Stream::out ? "out" : "err")
      .number("offset", out.offset)
      .number("max", out.max)
      .end();
}

std::string encode(const Log& log) {
  return Encoder("LOG", log.id).option("service", word(log.service, "service")).number("max", log.max).end();
}

std::string encode(const Items& items) {
  Encoder frame("ITEMS", items.id);
  for (const auto& name : items.names) frame.line(word(name, "item", max_item_name), "an item");
  return frame.number("n", items.names.size()).end();
}

std::string encode(const Item& item) {
  return Encoder("ITEM", item.id)
      .option("name", word(item.name, "item", max_item_name))
      .option("mode", mode_text(item.mode))
      .number("len", item.bytes.view().size())
      .option("sha", digest(item.sha256, "sha"))
      .end(item.bytes.view());
}

std::string encode(const Bye& bye) { return Encoder("BYE", bye.id).end(); }

std::string encode(const Frame& frame) {
  return std::visit([](const auto& one) { return encode(one); }, frame);
}

std::string bootstrap(std::string_view state_dir, std::string_view runner_sha256, std::size_t runner_size) {
  // It stands between double quotes, in a text that stands between single quotes.
  const bool allowed =
      state_dir.starts_with('/') && std::none_of(state_dir.begin(), state_dir.end(), [](char c) {
        return static_cast<unsigned char>(c) < 0x20 || c == 0x7f ||
               std::string_view("'\"$`\\!").find(c) != std::string_view::npos;
      });
  if (!allowed)
    refuse("the state directory '" + excerpt(state_dir) +
           "' is not absolute, or has a control character or any of '\"$`\\!");
  if (!is_hexadecimal(runner_sha256, 64)) refuse("the runner's SHA-256 is none");
  // The name is the content's hash, yet the file is checked: after a power cut it may be empty. What comes
  // is written beside it and renamed. No single quote and no '!': the text is put inside quotes as it is.
  std::string text =
      "umask 077; s=\"@STATE\"; d=\"$s/runner\"; f=\"$d/@SHA\"; t=\"$d/new.$$\"; "
      "no() { printf \"REFUSED bootstrap %s, as user %s\\n\" \"$1\" \"$(id -un 2>/dev/null || id -u)\"; exit "
      "3; }; "
      "sum() { set -- $(sha256sum 2>/dev/null <\"$1\"); test \"$1\" = @SHA; }; "
      "for c in dd sha256sum sync mv rm mkdir chmod; do "
      "command -v $c >/dev/null || no \"the host lacks $c\"; done; "
      "if test -e \"$s\"; then set -- $(LC_ALL=C ls -ldn \"$s/.\"); test -O \"$s/.\" || "
      "no \"$s belongs to user $3, and not to us\"; case $1 in d????"
      "-??"
      "-*) ;; "
      "*) no \"others may write to $s (chmod go-w it)\" ;; esac; fi; "
      "test -d \"$d\" || e=$(LC_ALL=C mkdir -p \"$d\" 2>&1 && LC_ALL=C chmod 700 \"$d\" 2>&1) || "
      "no \"cannot make $d: ${e##*: }\"; "
      "if test -f \"$f\" && sum \"$f\"; then echo HAVE; else echo NEED; "
      "rm -f \"$t\"; { dd bs=@SIZE count=1 iflag=fullblock 2>/dev/null >\"$t\"; } 2>/dev/null || "
      "no \"cannot write $t\"; "
      "sum \"$t\" || { rm -f \"$t\"; no \"the runner arrived damaged\"; }; "
      "sync \"$t\" && mv -f \"$t\" \"$f\" && sync \"$d\" || no \"cannot write $f\"; fi; "
      "exec sh \"$f\" \"$s\"";
  const auto replace = [&text](std::string_view what, std::string_view with) {
    for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size()))
      text.replace(at, what.size(), with);
  };
  replace("@STATE", state_dir);
  replace("@SHA", runner_sha256);
  replace("@SIZE", std::to_string(runner_size));
  return text;
}

// ------------------------------------------------------------------ parsing

namespace {

constexpr std::array<std::string_view, 4> life_names = {"alive", "dead", "unknown", "torn"};
constexpr std::array<std::string_view, 5> keeper_names = {"-", "plain", "cgroup", "systemd", "unit"};
constexpr std::array<std::string_view, 5> stands_names = {"file", "link", "directory", "other",
                                                          "unreachable"};
constexpr std::array<std::string_view, 4> state_names = {"started", "orphan", "lost", "absent"};

template <typename Enum>
std::optional<Enum> find_name(std::span<const std::string_view> names, std::string_view text) {
  const auto found = std::find(names.begin(), names.end(), text);
  if (found == names.end()) return std::nullopt;
  return static_cast<Enum>(found - names.begin());
}

[[noreturn]] void bad(std::string_view what, std::string_view line) {
  throw ProtocolError("the host answered " + std::string(what) + ": '" + excerpt(line) + "'");
}

/// The bytes at hand of one reply. What is not there yet is asked for by throwing Incomplete, which next()
/// catches: a reply is parsed again from its start when the bytes that were missing have come.
struct Incomplete {
  std::size_t wanted;
};

class Cursor {
 public:
  explicit Cursor(std::string_view bytes) : bytes_(bytes) {}

  std::string_view header() {
    const auto rest = bytes_.substr(at_);
    const auto end = rest.substr(0, max_header).find('\n');
    if (end == std::string_view::npos) {
      if (rest.size() >= max_header) bad("with a header that is too long", rest);
      throw Incomplete{bytes_.size() + 1};
    }
    at_ += end + 1;
    return rest.substr(0, end);
  }
  std::string_view take(std::size_t size) {
    if (bytes_.size() - at_ < size) throw Incomplete{at_ + size};
    at_ += size;
    return bytes_.substr(at_ - size, size);
  }
  [[nodiscard]] std::size_t taken() const noexcept { return at_; }

 private:
  std::string_view bytes_;
  std::size_t at_ = 0;
};

/// The words of a header, taken one by one.
class Words {
 public:
  explicit Words(std::string_view line) : line_(line), rest_(line) {}

  std::string_view next() {
    if (at_end_) bad("with too few words", line_);
    const auto end = rest_.find(' ');
    const auto found = rest_.substr(0, end);
    if (found.empty()) bad("with an empty word", line_);
    at_end_ = end == std::string_view::npos;
    if (!at_end_) rest_.remove_prefix(end + 1);
    return found;
  }
  std::string word() {
    const auto text = next();
    if (!is_word(text)) bad("with what should be a word", line_);
    return std::string(text);
  }
  [[nodiscard]] bool at_end() const noexcept { return at_end_; }
  /// All that is left: a sentence.
  [[nodiscard]] std::string rest() const { return at_end_ ? std::string() : std::string(rest_); }
  [[nodiscard]] std::string_view line() const noexcept { return line_; }

 private:
  std::string_view line_;
  std::string_view rest_;
  bool at_end_ = false;
};

/// The KEY=VALUE words that are left of a header, taken by their keys, each once; end() refuses what was not
/// taken.
class Keys {
 public:
  explicit Keys(Words words) : line_(words.line()) {
    while (!words.at_end()) {
      const auto word = words.next();
      const auto equals = word.find('=');
      if (equals == std::string_view::npos) bad("with a word that is no KEY=VALUE", line_);
      pairs_.emplace_back(word.substr(0, equals), word.substr(equals + 1));
    }
  }
  void end() const {
    if (!pairs_.empty()) bad("with the key " + excerpt(pairs_[0].first) + ", unknown here or twice", line_);
  }

  std::string_view take(std::string_view key) {
    const auto found =
        std::find_if(pairs_.begin(), pairs_.end(), [&](const auto& pair) { return pair.first == key; });
    if (found == pairs_.end()) bad("without the key " + std::string(key), line_);
    const auto value = found->second;
    pairs_.erase(found);
    return value;
  }
  std::uint64_t number(std::string_view key) {
    const auto text = take(key);
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || text.size() > max_number)
      bad("with " + std::string(key) + "=, which should be a number", line_);
    return value;
  }
  std::optional<std::uint64_t> number_or_none(std::string_view key) {
    return none(key) ? std::nullopt : std::optional(number(key));
  }
  std::optional<bool> yes_or_no(std::string_view key) {
    if (none(key)) return std::nullopt;
    constexpr std::array<std::string_view, 2> names = {"no", "yes"};
    return one_of<int>(key, names) == 1;
  }
  std::size_t size(std::string_view key, std::size_t limit, std::string_view bound) {
    const auto value = number(key);
    if (value > limit)
      bad("with more than the bound on " + std::string(bound) + ", " + std::to_string(limit), line_);
    return static_cast<std::size_t>(value);
  }
  std::string word(std::string_view key) {
    const auto text = take(key);
    if (!is_word(text)) bad("with " + std::string(key) + "=, which should be a word", line_);
    return std::string(text);
  }
  std::string word_or_none(std::string_view key) { return none(key) ? std::string() : word(key); }
  std::string text(std::string_view key) {
    const auto text = take(key);
    if (text.empty()) bad("with " + std::string(key) + "=, which should not be empty", line_);
    return text == "-" ? std::string() : unescape(text);
  }
  std::string digest(std::string_view key) {
    const auto text = take(key);
    if (!is_hexadecimal(text, 64)) bad("with " + std::string(key) + "=, which should be a SHA-256", line_);
    return std::string(text);
  }
  std::string digest_or_none(std::string_view key) { return none(key) ? std::string() : digest(key); }
  template <typename Enum> Enum one_of(std::string_view key, std::span<const std::string_view> names) {
    const auto found = find_name<Enum>(names, take(key));
    if (!found) bad("with " + std::string(key) + "=, a word that means nothing here", line_);
    return *found;
  }
  [[nodiscard]] std::string_view line() const noexcept { return line_; }

 private:
  /// Takes the key if its value is '-'.
  bool none(std::string_view key) {
    const auto found =
        std::find(pairs_.begin(), pairs_.end(), std::pair<std::string_view, std::string_view>(key, "-"));
    if (found == pairs_.end()) return false;
    pairs_.erase(found);
    return true;
  }

  std::string_view line_;
  std::vector<std::pair<std::string_view, std::string_view>> pairs_;
};

Done parse_done(Keys& keys, Cursor& cursor, const Limits& limits) {
  Done done;
  const auto how = how_from_string(keys.take("how"));
  if (!how) bad("with how=, a word that means nothing here", keys.line());
  done.how = *how;
  done.status = static_cast<int>(keys.size("status", 255, "a status"));
  done.output.size = keys.number("osize");
  done.output.sha256 = keys.digest_or_none("osha");
  done.error.size = keys.number("esize");
  done.error.sha256 = keys.digest_or_none("esha");
  const auto out = keys.size("out", limits.preview, "a preview");
  const auto err = keys.size("err", limits.preview, "a preview");
  keys.end();
  if (out > done.output.size || err > done.error.size)
    bad("with a preview that is more than all", keys.line());
  const auto previews = cursor.take(out + err);
  done.output.preview = previews.substr(0, out);
  done.error.preview = previews.substr(out);
  return done;
}

/// P index= what=
FoundPath parse_path(Words words, const Limits& limits) {
  if (words.next() != "P") bad("with what should be a path", words.line());
  Keys keys(words);
  FoundPath found{.index = keys.size("index", limits.paths, "paths"), .service = {}, .site = {}};
  const auto what = keys.take("what");
  keys.end();
  if (const auto plain = find_name<Stands>(stands_names, what)) {
    found.what = *plain;
    return found;
  }
  const auto first = what.find(':');
  auto rest = first == std::string_view::npos ? std::string_view() : what.substr(first + 1);
  const auto colon = rest.find(':');
  if (what.starts_with("site:") && colon != std::string_view::npos) {
    found.what = Stands::site;
    found.site = rest.substr(0, colon);
    rest = rest.substr(colon + 1);
  } else if (what.starts_with("service:")) {
    found.what = Stands::service;
  } else {
    bad("with a word that means nothing here", words.line());
  }
  found.service = rest;
  if (!is_word(found.service) || (found.what == Stands::site && !is_word(found.site)))
    bad("with what should be a word", words.line());
  return found;
}

/// E service= life= size= keeper= restarts= recent= last= boot= note=
Keys entry_keys(std::string_view line) {
  Words words(line);
  if (words.next() != "E") bad("with what should be an entry", line);
  return Keys(words);
}

Manifest parse_manifest(Keys& keys, Cursor& cursor, const Limits& limits) {
  Manifest manifest;
  const auto lineage = keys.word_or_none("lineage");
  const auto epoch = keys.number("epoch");
  if (!lineage.empty()) manifest.fence = Fence{lineage, static_cast<std::int64_t>(epoch)};
  manifest.holder = keys.text("holder");
  manifest.nonce = keys.word_or_none("nonce");
  const auto count = keys.size("entries", limits.entries, "entries");
  const auto found = keys.size("paths", limits.paths, "paths");
  manifest.name = keys.word_or_none("name");
  keys.end();
  // First where the entries are, so that nothing is copied before all of it is there.
  std::vector<std::pair<std::string_view, std::string_view>> entries;
  std::size_t total = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto line = cursor.header();
    const auto size = entry_keys(line).size("size", limits.entry, "an entry");
    total += size;
    if (total > limits.manifest) bad("with more than the bound on a manifest", line);
    entries.emplace_back(line, cursor.take(size));
  }
  std::vector<std::string_view> paths;
  for (std::size_t i = 0; i < found; ++i) paths.push_back(cursor.header());
  for (const auto& [line, bytes] : entries) {
    auto entry = entry_keys(line);
    (void)entry.take("size");
    ManifestEntry one{.service = entry.word("service"),
                      .life = entry.one_of<Life>("life", life_names),
                      .bytes = std::string(bytes),
                      .keeper = entry.one_of<Keeper>("keeper", keeper_names),
                      .restarts = entry.number("restarts"),
                      .recent_restarts = entry.number("recent"),
                      .last_restart = entry.number_or_none("last"),
                      .boot = entry.yes_or_no("boot"),
                      .note = entry.text("note")};
    entry.end();
    manifest.entries.push_back(std::move(one));
  }
  for (const auto line : paths) manifest.paths.push_back(parse_path(Words(line), limits));
  return manifest;
}

Missing parse_missing(Keys& keys, Cursor& cursor, const Limits& limits) {
  const auto count = keys.size("n", limits.items, "items");
  keys.end();
  std::vector<std::string_view> lines;
  for (std::size_t i = 0; i < count; ++i) lines.push_back(cursor.header());
  Missing missing;
  for (const auto line : lines) {
    auto name = unescape(line);
    if (!is_word(name, max_item_name)) bad("with what should be an item's name", line);
    missing.names.push_back(std::move(name));
  }
  return missing;
}

Answer parse_answer(std::string_view kind, Keys keys, Cursor& cursor, const Limits& limits) {
  if (kind == "done") return parse_done(keys, cursor, limits);
  if (kind == "read") return parse_manifest(keys, cursor, limits);
  if (kind == "items") return parse_missing(keys, cursor, limits);
  if (kind == "out") {
    const auto size = keys.number("size");
    const auto part = keys.size("n", limits.output, "output");
    keys.end();
    return OutputPart{size, std::string(cursor.take(part))};
  }
  if (kind == "log") {
    const auto size = keys.size("n", limits.output, "output");
    keys.end();
    return LogTail{std::string(cursor.take(size))};
  }
  if (kind == "got") {
    const auto size = keys.size("size", limits.file, "a file");
    auto sha256 = keys.digest("sha");
    keys.end();
    return Got{std::move(sha256), std::string(cursor.take(size))};
  }
  if (kind == "refused") {
    auto why = keys.word("why");
    auto detail = keys.text("detail");
    keys.end();
    return Refused{std::move(why), std::move(detail)};
  }
  if (kind == "error") {
    auto why = keys.text("why");
    keys.end();
    return Failed{std::move(why)};
  }
  if (kind == "locked") {
    auto nonce = keys.word("nonce");
    keys.end();
    return Locked{std::move(nonce)};
  }
  keys.end();
  if (kind == "item") return ItemStored{};
  if (kind == "bye") return Farewell{};
  if (const auto state = find_name<TokenState>(state_names, kind)) return *state;
  bad("with a reply that is none of ours", keys.line());
}

Reply parse_reply(Cursor& cursor, const Limits& limits) {
  Words words(cursor.header());
  const auto kind = words.next();
  if (kind == "R") {
    auto id = words.word();
    const auto answer = words.next();
    return {std::move(id), parse_answer(answer, Keys(words), cursor, limits)};
  }
  if (kind == "REFUSED") {
    auto why = words.word();
    return {{}, Ended{std::move(why), words.rest()}};
  }
  if (kind == "OK") {
    if (const auto version = words.next(); version != std::to_string(protocol_version))
      bad("in another version of the protocol", words.line());
    Keys keys(words);
    Greeting greeting{keys.word("boot"), keys.word("shell"), keys.number("uid")};
    keys.end();
    return {{}, std::move(greeting)};
  }
  if ((kind == "HAVE" || kind == "NEED") && words.at_end()) return {{}, Bootstrapped{kind == "NEED"}};
  bad("with what is no reply", words.line());
}

}  // namespace

void ReplyParser::feed(std::string_view bytes) {
  if (begin_ > 0 && begin_ >= buffer_.size() / 2) {
    buffer_.erase(0, begin_);
    begin_ = 0;
  }
  buffer_ += bytes;
}

std::optional<Reply> ReplyParser::next() {
  const auto at_hand = std::string_view(buffer_).substr(begin_);
  if (at_hand.empty() || at_hand.size() < wanted_) return std::nullopt;
  Cursor cursor(at_hand);
  try {
    auto reply = parse_reply(cursor, limits_);
    begin_ += cursor.taken();
    wanted_ = 0;
    return reply;
  } catch (const Incomplete& incomplete) {
    wanted_ = incomplete.wanted;
    return std::nullopt;
  }
}

bool Done::succeeded() const noexcept {
  return status == 0 && (how == How::exit || how == How::already || how == How::absent);
}

std::string_view name(Life life) noexcept { return life_names[static_cast<std::size_t>(life)]; }
std::string_view name(Keeper keeper) noexcept { return keeper_names[static_cast<std::size_t>(keeper)]; }
std::string_view name(Restart restart) noexcept { return restart_names[static_cast<std::size_t>(restart)]; }
std::string_view name(TokenState state) noexcept { return state_names[static_cast<std::size_t>(state)]; }

}  // namespace tutti::frames
