#pragma once
// The frames that the coordinator and the runner on a host exchange: the protocol, an encoder for what
// the coordinator sends, and an incremental parser for what the host answers.
// Threads: everything here is a value or owned by one thread. Nothing here does any I/O.
//
// THE PROTOCOL, VERSION 2
//
// `sh runner.sh STATE`: frames come on standard input, replies go to standard output, one for each
// frame, in order. A frame is a header line, then escaped lines, then exactly as many raw bytes as the
// header says. A header is words with one space between, at most 4096 bytes with its end of line:
// the operation, an id (comes back in the reply), for some a token, then KEY=VALUE words in any order.
// A key left out has the default given here; an unknown key is a protocol error.
//
//   word      [A-Za-z0-9._-], 1 to 64 of them, not beginning with '-' or '.': ids, tokens, sites,
//             lineages, services, users, hashes. Names of items have at most 160.
//   line      any bytes but NUL; '%' is written %25 and LF %0A.
//   text      any bytes but NUL in a header: as a line, and a space is written %20. Not empty.
//   '-'       as a value: none.
//   seconds   up to three decimals: 2, 0.25
//
// Per site the host keeps, under STATE/site-SITE: a fence (lineage, epoch, holder), a nonce (lost with
// the records, so another nonce means that the records were lost), a record for each effect token (e/),
// the manifest (m/) and the daemons (s/).
//
// HELLO 2 SITE STORE              first and once. STORE: text, the directory of items, or '-'.
//   OK 2 BOOT SHELL UID           creates nothing, locks nothing. SHELL is a word or `unknown`.
// READ ID paths=0                 the manifest, and what stands at paths that the site wants; needs no lock.
//     lines: paths "SERVICE PATH".
//   R ID read LINEAGE|- EPOCH HOLDER|- NONCE|- N P     HOLDER is text. Never seen us: - 0 - - 0 P
//     then N entries by name: E SERVICE LIVE SIZE, then SIZE bytes, the entry's JSON;
//     then P lines: P INDEX WHAT, for paths (counted from 0) that are not SERVICE's own already. WHAT: file,
//     link, directory, other, unreachable (we may not look there), service:SERVICE (of this site, which has
//     it now), site:SITE:SERVICE (another site's, which has it). Where nothing stands there is no line. LIVE:
//     alive, dead, unknown, torn (the bytes are what is there, not an entry). Each is read in one piece, but
//     not all of them at one moment, and LIVE is judged just before.
//   R ID error WHY                WHY: text.
// LOCK ID lineage= epoch= seen=0 nonce=- holder=- expect=- others=keep forget=0
//   R ID locked NONCE             and the fence stands at LINEAGE EPOCH HOLDER. holder: text.
//   R ID refused WHY DETAIL       nothing was changed; LOCK may be tried again. DETAIL: text or '-'.
//     busy       PID: a living runner with this epoch (or somebody for 5 seconds) holds the lock
//     lineage    LINEAGE:EPOCH:HOLDER that stands: it is not ours and not exactly expect=LINEAGE:EPOCH
//     epoch      LINEAGE:EPOCH:HOLDER that stands: it is higher
//     went-back  EPOCH that stands: lower than seen=, so the host was restored from an old image. An
//                absent fence is taken for a fresh machine where there is no manifest entry either.
//     nonce      the host's, or `absent`: it is not nonce=
//     state      sentence: the state cannot be read or written
//     baseline   a command that the host lacks
//   expect= exactly what stands: a take-over, which may displace a living owner of that lineage.
//   A runner of ours with a lower epoch is displaced (killed). The effects it began go on with
//   others=keep; with others=end what was begun under another lineage or epoch and has not ended is ended
//   before the answer comes, so that it cannot act beside what follows.
//   A runner that holds the lock may LOCK again.
//   forget=RUN, with others=end: the records and outputs of runs before that one go (the second part of a
//   token says the run), those of effects outside of a run (i.LINEAGE.EPOCH-N) of other epochs, and logs of
//   daemons that no manifest entry speaks of any more.
//
// All below need the lock, except ASK, GET, OUT, LOG, ITEMS and BYE. Without it:
//   R ID refused unlocked -
//
// RUN ID TOKEN limit=60 every=0 user=- cwd=- service=- grace=2 env=0 argv=0 input=none
//     lines: env NAME=VALUE; argv. input=none | bytes:N | blob:TOKEN; then the N bytes. cwd: text.
//   Runs a program once. every=SECONDS: again, until it exits 0 or limit is over; the pauses grow from
//   0.05 s to that, each twice the one before. The output kept is that of the last try. If service= has
//   a daemon and it died, HOW is died, at once.
// START ID TOKEN limit=60 user=- cwd=- service= def=- daemon=0 already=0 grace=2
//       dirs=0 files=0 adopt=0 release=1 env=0 argv=0 check=0
//     lines: dirs "OWNER|- PATH"; files "MODE OWNER|- ITEM PATH"; adopt, of the same form; env; argv; the
//     argv of check. OWNER: a user, whose login group the group becomes. PATH: absolute; may hold spaces.
//   Makes the directories; makes `files` the files of the service, as FILES does; then starts argv.
//   release=0: what may still run keeps its files: none goes.
//   daemon=1: detached, logging to the service's log. One that lives already: HOW is already if
//     already=1 and def= is that one's, else busy. One that does not live for 0.15 s: died.
//   daemon=0: runs argv to its end. With already=1, when check exits 0 within 10 s, HOW is already
//     and argv is not run. argv=0: only directories and files.
// FILES ID TOKEN service= user=- files=0 adopt=0 gone=0
//     lines: files "MODE OWNER|- ITEM PATH"; adopt, of the same form.
//   Makes exactly `files` the files of the service: what stood at a path that it did not have is kept, what
//   stood where it has none any more comes back. adopt: what it may have had before the host kept a record of
//   its files (see 72-files.sh of the runner). gone=1: the service goes. What somebody changed since we wrote
//   it is moved to STATE/site-SITE/k, and a line of standard error says so: "kept aside: ...".
// STOP ID TOKEN limit=60 user=- cwd=- service= daemon=0 gone=0 grace=10 env=0 argv=0 check=0
//     lines: env; argv; the argv of check.
//   daemon=1: TERM, after grace KILL, for the daemon, its session and everything it marked.
//     It does not live: HOW is absent.
//   daemon=0: runs argv. It failed, and so does check: HOW is absent. It succeeded, gone=1: waits until
//     check fails; when limit is over first, HOW is lingers.
// PUT ID TOKEN mode=644 owner=- user=- len=0 sha=
//     line: path; then len bytes. Replaces the file in one step, and keeps what was there for UNPUT.
// UNPUT ID TOKEN of=TOKEN user=-
//     line: path. Puts back what PUT found; what somebody changed since is kept aside, and said. A PUT that
//     was never done: HOW is absent.
// ENTRY ID TOKEN service= probe=none limit=10 user=- cwd=- env=0 argv=0 json=0
//     lines: env; argv; then json bytes: the manifest entry and how to judge that it lives.
//     probe=none: it does. daemon: the recorded daemon does. run: argv exits 0 within limit.
//     drop: removes the entry.
// ASK ID TOKEN wait=0             what became of the token; waits at most that many milliseconds.
// END ID TOKEN                    kills what runs for it and waits for its record.
// FORGET ID TOKEN                 removes its record, unless it is under way.
//   The reply to each of these:
//   R ID done HOW STATUS OSIZE OSHA|- ESIZE ESHA|- OPREV EPREV
//     then OPREV bytes of standard output and EPREV of standard error: the first 4096 of each (the
//     environment's TUTTI_PREVIEW on the host). SHA: the SHA-256 when there is more than that, else '-'.
//     A token that is done is answered from its record; nothing is done twice.
//     HOW exit      it ran to its end        timeout   limit was over; STATUS is the last
//         killed    by END                   already   it was so, START
//         absent    it was so, STOP, UNPUT   busy      another daemon of the service lives
//         died      the daemon did; the end of its log is on standard error
//         lingers   check still exits 0      fenced    another coordinator came first: it never ran
//         error     our own preparation failed, a sentence is on standard error, STATUS 125
//         flood     it printed more than is kept, was killed, and only the beginning is left
//         full      the disk was full: its output is not kept, since it may not be all; STATUS is its own
//     Success is STATUS 0 of exit, already or absent.
//   R ID started                  it is under way
//   R ID orphan                   it runs, but its supervisor was killed: its status will be lost
//   R ID lost                     it was started, and what became of it is not known
//   R ID absent                   it was never started (or is forgotten)
//   R ID error WHY                it could not be recorded, so it was not started. WHY: text.
//
// GET ID max= user=-              line: path.   R ID got SIZE SHA, then the bytes | R ID error WHY
// OUT ID TOKEN stream=out|err offset=0 max=
//                                 R ID out SIZE N, then N bytes from offset | R ID error WHY
// LOG ID service= max=            R ID log N, then the last N bytes of the service's log
// ITEMS ID n=0                    lines: names. R ID items M, then M lines: those that are missing
// ITEM ID name= mode=444 len=0 sha=
//     then len bytes. R ID item: it is there, whole | R ID error WHY
// Where files and directories are concerned, the runner acts as itself only below folders that belong to root
// or to it and that nobody else may write to; a link there was placed by root, and is followed. From the
// first folder on that belongs to user= (of START, FILES, PUT, UNPUT, GET), it acts with the rights of that
// user, and follows no link. Everything else is refused, with a sentence. A link in the place of the file
// itself is never followed: it is replaced, kept, and put back. BYE ID                          R ID bye, and
// the runner ends.
//
// REFUSED protocol WHAT           instead of a reply: the runner did not understand, and ends.
// REFUSED baseline WHAT           instead of OK: this is no host that it can work on.
// REFUSED format SENTENCE         instead of OK: the site's records there are of a format that it does not know.
//
// What is kept of what a program prints is not cut silently: it may be the input of another. A stream of more
// than 4 GiB (TUTTI_MOST_OUTPUT on the host, in bytes; looked at every 5 s) ends the program as flood. A
// daemon's log is only moved away at START, when it has more than 1 MiB: nobody watches a daemon that is up,
// so one that prints without end must bound its log itself.
//
// Programs run in their own session, umask 022, default signals, cwd (`/`), the runner's PATH with the
// usual directories appended, TUTTI_EFFECT=NONCE/TOKEN/ (a daemon: TUTTI_SERVICE=NONCE/SERVICE/) in the
// environment, by which they are found again. user= another one than the runner's needs uid 0 there.
//
// Before it, from bootstrap(): HAVE, or NEED (then exactly the runner's bytes are to be sent), or
// REFUSED bootstrap SENTENCE.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace tutti::frames {

inline constexpr int protocol_version = 3;
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
};
struct Run {
  std::string id = {};
  std::string token;
  Program program;
  Seconds limit = 60;
  Seconds every = 0;
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
  Seconds limit = 60;
  Seconds grace = 2;
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
  Seconds limit = 60;
  Seconds grace = 10;
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
enum class Probe : std::uint8_t { none, daemon, run, drop };
struct Entry {
  std::string id = {};
  std::string token;
  std::string service;
  std::string json;
  Probe probe = Probe::none;
  Program program = {};  ///< Probe::run
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
  std::string bytes;
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

/// The remote command that brings the runner to a host, once, and becomes it: POSIX shell, one line
/// without a quote ('), to be given to `sh -c` or ssh as it is. `state_dir` is absolute and of
/// absolute and without any of `'"$\`\\!` (else std::invalid_argument), `runner_sha256` in hexadecimal.
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
struct ManifestEntry {
  std::string service;
  Life life = Life::unknown;
  std::string bytes;
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
enum class How : std::uint8_t {
  exit,
  timeout,
  killed,
  already,
  absent,
  busy,
  died,
  lingers,
  fenced,
  error,
  flood,
  full
};
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

[[nodiscard]] std::string_view name(How) noexcept;
[[nodiscard]] std::string_view name(Life) noexcept;
[[nodiscard]] std::string_view name(TokenState) noexcept;

}  // namespace tutti::frames
