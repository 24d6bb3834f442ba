// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// What a transition asks of a host, and what comes of it: effects and results as values.
// Threads: values; the definitions in them are shared and immutable.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <tutti/definition.hpp>

namespace tutti {

/// What a program printed. The bytes stay on the host; `text` is all of it, or its beginning.
struct Output {
  std::string text;  ///< at most 4 KiB
  bool cut = false;  ///< there is more than `text` on the host
  std::uint64_t size = 0;
  std::string sha256;  ///< empty when `text` is all
  std::string host;
  std::string token;  ///< of the effect whose output it is
  bool operator==(const Output&) const = default;
};
using Input = std::variant<std::string, Output>;

/// The effects. Members after a blank line are the executor's to say: they follow from the step.
namespace effect {

struct Run {
  Command command;
  Input input = {};
};
/// Runs the program until it succeeds.
struct WaitUntil {
  Command command;
  double every = 0;  ///< seconds between tries; 0: one
};
struct Start {
  DefinitionPtr definition;

  std::vector<DefinitionPtr> former = {};  ///< what the manifest says may be there
  bool beside = false;                     ///< what may still run keeps its files
};
struct Stop {
  DefinitionPtr definition;

  bool untried = false;  ///< it may never have validated, so that says nothing now
};
struct Reload {
  DefinitionPtr definition;

  std::vector<DefinitionPtr> former = {};
};
struct Validate {
  DefinitionPtr definition;

  double settle = 0;        ///< seconds that it must then live, and at their end be valid once more
  bool is_started = false;  ///< by this step: then another process of it says that it died
};
struct PutFile {
  std::string path;
  std::string content;
  unsigned mode = 0644;

  std::string user = {};  ///< of the service, with whose rights it is done
};
struct GetFile {
  std::string path;

  std::string user = {};
};
struct Sleep {
  double seconds = 0;
};
/// The output is the time, in seconds since the epoch.
struct Now {};
/// Both are several effects, on the hosts of those who use the service: the executor takes them apart.
struct Drain {
  DefinitionPtr definition;
};
struct Undrain {
  DefinitionPtr definition;
};

// The executor's own.

/// What a host's manifest says of a service from now on; without an entry, nothing.
struct WriteEntry {
  DefinitionPtr about;  ///< whose entry it is, for people; and whose items a first one promises
  std::optional<ManifestEntry> entry = {};
  bool is_first = false;  ///< of a step: it promises what is to come
  std::string mark = {};  ///< it is written for this mark alone: "drain web@h1 10.0.0.1:80"
};
/// The data directories of a service that is not started yet.
struct MakeDirectories {
  DefinitionPtr definition;
};
/// A service has the files of `definition`, and no others; without one, none.
struct InstallFiles {
  std::string service;
  DefinitionPtr definition;
  std::vector<DefinitionPtr> former = {};
};
/// What stood at `path` before the PutFile with that token comes back.
struct RestoreFile {
  std::string path;
  std::string of = {};  ///< token

  std::string user = {};
};

}  // namespace effect

using Effect = std::variant<effect::Run, effect::WaitUntil, effect::Start, effect::Stop, effect::Reload,
                            effect::Validate, effect::PutFile, effect::GetFile, effect::Sleep, effect::Now,
                            effect::Drain, effect::Undrain, effect::WriteEntry, effect::MakeDirectories,
                            effect::InstallFiles, effect::RestoreFile>;

/// "put-file"
[[nodiscard]] TUTTI_EXPORT std::string_view name_of(const Effect&) noexcept;

/// An effect, and how it is to be performed.
struct TUTTI_EXPORT Request {
  Effect effect;
  std::string host = {};    ///< empty: the step's own
  double limit = 0;         ///< seconds; 0: the program's or the service's
  bool idempotent = false;  ///< a compensation: being so already is success

  /// The definition whose service it starts, stops, reloads, validates, drains, …; or none.
  [[nodiscard]] const DefinitionPtr& definition() const noexcept;
  /// The effect of that kind, or nullptr.
  template <class E> [[nodiscard]] const E* as() const noexcept { return std::get_if<E>(&effect); }
  template <class E> [[nodiscard]] E* as() noexcept { return std::get_if<E>(&effect); }
  /// One line for people and for the journal: `run db 2 migrate`, `put-file /etc/motd`.
  [[nodiscard]] std::string describe() const;
};

/// How an effect ended.
enum class How : std::uint8_t {
  exit,     ///< its program ended, with a status
  timeout,  ///< its limit was over
  killed,   ///< by somebody
  already,  ///< it was so before
  absent,   ///< there was nothing to undo
  busy,     ///< another daemon of the service runs
  died,     ///< the daemon ended
  lingers,  ///< it was stopped, and is still up
  fenced,   ///< another deployment took the host over; no Result says so
  error,    ///< it could not be prepared
  flood,    ///< it printed more than a host keeps
  full,     ///< what it printed did not fit on the disk
};
[[nodiscard]] TUTTI_EXPORT std::string_view to_string(How) noexcept;
[[nodiscard]] TUTTI_EXPORT std::optional<How> how_from_string(std::string_view) noexcept;

/// What an effect came to. A lost connection is no Result.
struct Result {
  bool succeeded = true;
  int status = 0;  ///< exit status
  How how = How::exit;
  Output output = {};
  std::string error = {};               ///< the end of what it said of itself, or why it failed
  std::vector<std::string> notes = {};  ///< what the host says of files although it succeeded: kept aside
  bool operator==(const Result&) const = default;
};

}  // namespace tutti
