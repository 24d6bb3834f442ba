// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// The frames that the coordinator and the runner on a host exchange: the protocol, an encoder for what
// the coordinator sends, and an incremental parser for what the host answers.
// Threads: everything here is a value or owned by one thread. Nothing here does any I/O.
//
// lib/doc/protocol.md describes the protocol: frames, replies, their keys and what they mean. The structs
// below have a field for each key; what a field's name does not say is said there.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <tutti/engine/effect.hpp>

namespace tutti::frames {

inline constexpr int protocol_version = 4;
inline constexpr std::size_t max_header = 4096;  ///< bytes of a header line, with its end
inline constexpr std::size_t max_word = 64;
inline constexpr std::size_t max_item_name = 160;

/// The other side does not speak this protocol, or a bound was hit; the connection is of no use any more.
class ProtocolError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Is `text` a word of the protocol: [A-Za-z0-9._-]{1,limit}, not beginning with '-' or '.'?
[[nodiscard]] bool is_word(std::string_view text, std::size_t limit = max_word) noexcept;
/// A line: '%' and LF escaped.
[[nodiscard]] std::string escape(std::string_view bytes);
/// The bytes of a line or text. Throws ProtocolError for an escape that is none of ours.
[[nodiscard]] std::string unescape(std::string_view line);

// ------------------------------------------------------------------ what the coordinator sends
//
// encode() throws std::invalid_argument when a field cannot be sent: a name that is no word, a NUL in a
// line, an environment variable whose name is none, a header of more than max_header bytes.

/// Seconds, rounded up to milliseconds when sent.
using Seconds = double;
using Environment = std::vector<std::pair<std::string, std::string>>;

/// What a program is run with. Empty `user`: the runner's own; empty `cwd`: `/`.
struct Program {
  std::vector<std::string> argv = {};
  Environment env = {};
  std::string user = {};
  std::string cwd = {};
  bool operator==(const Program&) const = default;
};

/// What may be large: one content that all who have it share.
class Bytes {
 public:
  Bytes() = default;
  Bytes(std::string bytes)  // NOLINT(google-explicit-constructor): it is that content
      : shared_(std::make_shared<const std::string>(std::move(bytes))) {}
  Bytes(std::shared_ptr<const std::string> bytes)  // NOLINT(google-explicit-constructor)
      : shared_(std::move(bytes)) {}
  [[nodiscard]] std::string_view view() const noexcept {
    return shared_ ? std::string_view(*shared_) : std::string_view();
  }

 private:
  std::shared_ptr<const std::string> shared_;
};

/// The standard output of an effect on the same host.
struct Blob {
  std::string token;
  bool operator==(const Blob&) const = default;
};
/// Standard input: none, bytes, or what is on the host already.
using Input = std::variant<std::monostate, std::string, Blob>;

struct Fence {
  std::string lineage;
  std::int64_t epoch = 0;
  bool operator==(const Fence&) const = default;
};

struct Hello {
  std::string site;
  std::string store = {};  ///< empty: no items
};
/// A path that a service of the site wants.
struct WantedPath {
  std::string service;
  std::string path;
};
struct Read {
  std::string id = {};
  std::vector<WantedPath> paths = {};
};
struct Lock {
  std::string id = {};
  std::string lineage;
  std::int64_t epoch = 0;
  std::int64_t seen = 0;
  std::string nonce = {};   ///< empty: none known
  std::string holder = {};  ///< for people
  std::optional<Fence> expect = {};
  bool end_others = false;
  int forget_before = 0;  ///< with end_others: the run
  std::string name = {};  ///< empty: none said
  std::string was = {};   ///< empty: no other one is replaced
};
struct Run {
  std::string id = {};
  std::string token;
  Program program;
  Seconds limit = 60;
  Seconds every = 0;
  Seconds settle = 0;
  bool first = false;
  Seconds grace = 2;
  std::string service = {};
  Input input = {};
};
struct Directory {
  std::string path;
  std::string owner = {};
};
struct InstalledFile {
  std::string item;
  std::string path;
  unsigned mode = 0644;
  std::string owner = {};
};
/// Who may keep a service: we alone, or the host's service manager where there is one for us.
enum class KeptOn : std::uint8_t { own, host };
enum class Restart : std::uint8_t { never, on_failure, always };
/// When a daemon counts as started: it lives; it said so (NOTIFY_SOCKET); something listens at its TCP port.
struct Ready {
  enum class When : std::uint8_t { lives, notified, listens } when = When::lives;
  std::uint16_t port = 0;
  bool operator==(const Ready&) const = default;
};
/// How a service is kept from START to STOP.
struct Keeping {
  KeptOn on = KeptOn::own;
  Restart restart = Restart::never;  ///< of a daemon
  bool boot = false;                 ///< it comes back after a reboot
  std::string signal = "TERM";       ///< that stops a daemon, without SIG
  Seconds grace = 10;                ///< of that, before KILL
  std::optional<int> nice = {};      ///< -20 to 19
  unsigned umask = 022;
  /// open-files, processes, memory (bytes), cpu (percent of one processor)
  std::vector<std::pair<std::string, std::uint64_t>> limits = {};
  bool journal = false;  ///< its output goes there, where there is one; else to its log
  Ready ready = {};
  std::vector<std::string> after = {};  ///< services of this host that a boot starts first
  std::vector<std::string> stop = {};   ///< the argv that stops what a START program began
};
struct Start {
  std::string id = {};
  std::string token;
  std::string service;
  std::string definition = {};  ///< the definition's running hash
  bool daemon = false;
  bool already = false;
  std::vector<Directory> directories = {};
  std::vector<InstalledFile> files = {};
  std::vector<InstalledFile> adopt = {};
  bool release = true;
  Program program = {};
  std::vector<std::string> check = {};
  Seconds check_limit = 10;
  Seconds limit = 60;
  Seconds grace = 2;  ///< of a program that took too long
  Keeping keeping = {};
  std::string unit = {};  ///< of the host's service manager, in the place of a program
  bool reload = false;    ///< of the unit: it reads its files anew
};
struct Files {
  std::string id = {};
  std::string token;
  std::string service;
  std::string user = {};  ///< the service's
  std::vector<InstalledFile> files = {};
  std::vector<InstalledFile> adopt = {};
  bool gone = false;
};
struct Stop {
  std::string id = {};
  std::string token;
  std::string service;
  bool daemon = false;
  bool gone = false;
  Program program = {};
  std::vector<std::string> check = {};
  Seconds check_limit = 10;  ///< of each time that the check is run
  Seconds limit = 60;
  Seconds grace = 10;
  std::string signal = "TERM";  ///< of a daemon, without SIG
  std::string unit = {};        ///< in the place of a program
};
struct Put {
  std::string id = {};
  std::string token;
  std::string path;
  std::string bytes;
  std::string sha256;  ///< of `bytes`, in hexadecimal
  unsigned mode = 0644;
  std::string owner = {};
  std::string user = {};  ///< with whose rights, in folders of that one
};
struct Unput {
  std::string id = {};
  std::string token;
  std::string of;
  std::string path;
  std::string user = {};
};
enum class Probe : std::uint8_t { none, daemon, run, unit, drop };
struct Entry {
  std::string id = {};
  std::string token;
  std::string service;
  std::string json;
  Probe probe = Probe::none;
  Program program = {};  ///< Probe::run; Probe::unit: its argv is the unit's name
  Seconds limit = 10;
};
struct Ask {
  std::string id = {};
  std::string token;
  std::uint32_t wait_milliseconds = 0;
};
struct End {
  std::string id = {};
  std::string token;
};
struct Forget {
  std::string id = {};
  std::string token;
};
struct Get {
  std::string id = {};
  std::string path;
  std::uint64_t max = 0;
  std::string user = {};
};
enum class Stream : std::uint8_t { out, err };
struct Out {
  std::string id = {};
  std::string token;
  Stream stream = Stream::out;
  std::uint64_t offset = 0;
  std::uint64_t max = 0;
};
struct Log {
  std::string id = {};
  std::string service;
  std::uint64_t max = 0;
};
struct Items {
  std::string id = {};
  std::vector<std::string> names;
};
struct Item {
  std::string id = {};
  std::string name;
  Bytes bytes;
  std::string sha256;
  unsigned mode = 0444;
};
struct Bye {
  std::string id = {};
};

[[nodiscard]] std::string encode(const Hello&);
[[nodiscard]] std::string encode(const Read&);
[[nodiscard]] std::string encode(const Lock&);
[[nodiscard]] std::string encode(const Run&);
[[nodiscard]] std::string encode(const Start&);
[[nodiscard]] std::string encode(const Files&);
[[nodiscard]] std::string encode(const Stop&);
[[nodiscard]] std::string encode(const Put&);
[[nodiscard]] std::string encode(const Unput&);
[[nodiscard]] std::string encode(const Entry&);
[[nodiscard]] std::string encode(const Ask&);
[[nodiscard]] std::string encode(const End&);
[[nodiscard]] std::string encode(const Forget&);
[[nodiscard]] std::string encode(const Get&);
[[nodiscard]] std::string encode(const Out&);
[[nodiscard]] std::string encode(const Log&);
[[nodiscard]] std::string encode(const Items&);
[[nodiscard]] std::string encode(const Item&);
[[nodiscard]] std::string encode(const Bye&);

/// A frame of a connection that was greeted.
using Frame = std::variant<Read, Lock, Run, Start, Files, Stop, Put, Unput, Entry, Ask, End, Forget, Get, Out,
                           Log, Items, Item, Bye>;
[[nodiscard]] std::string encode(const Frame&);

/// The remote command that brings the runner to a host, once, and becomes it: POSIX shell, one line
/// without a quote ('), to be given to `sh -c` or ssh as it is. `state_dir` is absolute and has none of
/// `'"$\`\\!` (else std::invalid_argument), `runner_sha256` in hexadecimal.
[[nodiscard]] std::string bootstrap(std::string_view state_dir, std::string_view runner_sha256,
                                    std::size_t runner_size);

// ------------------------------------------------------------------ what the host answers

/// HAVE or NEED, from bootstrap().
struct Bootstrapped {
  bool need = false;
};
/// OK.
struct Greeting {
  std::string boot;
  std::string shell;
  std::uint64_t uid = 0;
};
/// REFUSED: the connection has ended.
struct Ended {
  std::string why;     ///< bootstrap, format, protocol, baseline
  std::string detail;  ///< text from the host: inert bytes
};
enum class Life : std::uint8_t { alive, dead, unknown, torn };
/// What keeps a service that was started; none: nothing does, or nobody said so.
enum class Keeper : std::uint8_t { none, plain, cgroup, systemd, unit };
struct ManifestEntry {
  std::string service;
  Life life = Life::unknown;
  std::string bytes;
  Keeper keeper = Keeper::none;
  std::uint64_t restarts = 0;                      ///< since START
  std::uint64_t recent_restarts = 0;               ///< of the last 600 s
  std::optional<std::uint64_t> last_restart = {};  ///< seconds ago; none: none since the host's boot
  std::optional<bool> boot = {};                   ///< will it come back after a reboot? none: it is not to
  std::string note = {};                           ///< a sentence from the host: inert bytes
};
enum class Stands : std::uint8_t { file, link, directory, other, unreachable, service, site };
/// What stands at a path.
struct FoundPath {
  std::size_t index = 0;  ///< of the paths asked about
  Stands what = Stands::file;
  std::string service;  ///< service, site: whose it is
  std::string site;     ///< site
};
struct Manifest {
  std::optional<Fence> fence;  ///< none: it never saw us
  std::string holder;
  std::string nonce;
  std::string name;                    ///< of the host in this site; empty: none is kept
  std::vector<ManifestEntry> entries;  ///< by name
  std::vector<FoundPath> paths;
};
struct Locked {
  std::string nonce;
};
/// To LOCK, or `unlocked` to what needs the lock.
struct Refused {
  std::string why;
  std::string detail;
};
using tutti::How;
struct Captured {
  std::uint64_t size = 0;
  std::string sha256;   ///< empty when `preview` is all
  std::string preview;  ///< all, or its beginning
};
struct Done {
  How how = How::exit;
  int status = 0;
  Captured output;
  Captured error;
  /// Status 0 of exit, already or absent.
  [[nodiscard]] bool succeeded() const noexcept;
};
enum class TokenState : std::uint8_t { started, orphan, lost, absent };
/// error WHY: this was not done.
struct Failed {
  std::string why;
};
struct Got {
  std::string sha256;
  std::string bytes;
};
struct OutputPart {
  std::uint64_t size = 0;  ///< of the whole output
  std::string bytes;
};
struct LogTail {
  std::string bytes;
};
struct Missing {
  std::vector<std::string> names;
};
struct ItemStored {};
struct Farewell {};

using Answer = std::variant<Bootstrapped, Greeting, Ended, Manifest, Locked, Refused, Done, TokenState,
                            Failed, Got, OutputPart, LogTail, Missing, ItemStored, Farewell>;

struct Reply {
  std::string id;  ///< of the frame; empty for Bootstrapped, Greeting and Ended
  Answer answer;
};

/// How much of a host's answer is taken; more is a ProtocolError that names the bound.
struct Limits {
  std::size_t preview = std::size_t{1} << 16;   ///< of one stream
  std::size_t entry = std::size_t{1} << 22;     ///< one manifest entry
  std::size_t manifest = std::size_t{1} << 26;  ///< all entries of a READ
  std::size_t entries = 10'000;
  std::size_t paths = 100'000;                ///< of a READ
  std::size_t file = std::size_t{1} << 28;    ///< GET
  std::size_t output = std::size_t{1} << 26;  ///< OUT, LOG
  std::size_t items = 1'000'000;              ///< missing names
};

/// Takes bytes as they come and gives replies as they are complete. Throws ProtocolError; after that it
/// is of no use. The input is never trusted: no size is allocated before its bytes are there.
class ReplyParser {
 public:
  explicit ReplyParser(Limits limits = {}) : limits_(limits) {}
  void feed(std::string_view bytes);
  /// The next complete reply, if any.
  [[nodiscard]] std::optional<Reply> next();
  /// Are there bytes of a reply that has not ended? At the end of a connection: it was cut.
  [[nodiscard]] bool partial() const noexcept { return begin_ < buffer_.size(); }

 private:
  Limits limits_;
  std::string buffer_;
  std::size_t begin_ = 0;   ///< of what was not yet given out
  std::size_t wanted_ = 0;  ///< bytes from begin_ on that must be there before another try is worth it
};

[[nodiscard]] std::string_view name(Life) noexcept;
[[nodiscard]] std::string_view name(Keeper) noexcept;
[[nodiscard]] std::string_view name(Restart) noexcept;
[[nodiscard]] std::string_view name(TokenState) noexcept;

}  // namespace tutti::frames
