// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// A definition: a service on a host as pure data, after late-bound settings are computed. All that
// is needed to stop, start, validate or restore the instance is in it, so it outlives its source.
// Threads: values; a shared definition is immutable.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tutti/export.hpp>
#include <tutti/keeping.hpp>

namespace tutti {

/// Stands, in the drain and undrain programs of a definition, for the "ADDRESS:PORT" of whom they
/// are about: `Setting{"drained"}`. Characters of Unicode's private use, so that no text has it by chance.
inline constexpr std::string_view drained_mark = "\uE000drained\uE001";

/// A program with nothing left to bind. Runs on a host as `user` in `directory`.
struct Command {
  std::vector<std::string> argv = {};
  std::map<std::string, std::string> environment = {};
  std::string user = {};       ///< empty: whom we act as
  std::string directory = {};  ///< working directory; empty: /
  double limit = 600;          ///< seconds
  std::string service = {};    ///< whose program it is, if any's: "db 2"
  std::string hook = {};       ///< and which of it: "migrate"
  bool is_daemon = false;
  bool is_unit = false;  ///< argv is the name of a unit of systemd

  [[nodiscard]] explicit operator bool() const noexcept { return !argv.empty(); }
  bool operator==(const Command&) const = default;
};

/// An ad-hoc command: `co_await c.run(command("sync", "-f", "/data"))`. (GCC 12 takes no braced list
/// inside of co_await.)
template <class... Words> [[nodiscard]] Command command(Words&&... words) {
  Command made;
  (made.argv.emplace_back(std::forward<Words>(words)), ...);
  return made;
}

/// A file of the service: the content is an item of the host's store. What stood at the path before, a file
/// or a link, is kept on the host, and comes back when the service has the file no more; a link there is
/// replaced, never followed.
struct InstalledFile {
  std::string path;
  std::string item;
  unsigned mode = 0644;
  std::string owner = {};
  bool operator==(const InstalledFile&) const = default;
};

/// Two parts. What the running process sees is hashed into the running hash: a change there needs a
/// transition. The rest is handling data: a change there only rewrites the manifest.
///
/// Canonical form: the JSON object {"format":1,"handling":{…},"running":{…}} with the members in
/// `canonical`'s order (keys sorted by byte value), no white space, members with their default value
/// left out (a file's mode never is), strings in UTF-8 with only `"`, `\` and controls escaped, whole
/// numbers in decimal, seconds as the shortest decimal that has a point.
/// The running hash is the SHA-256, in hexadecimal, of the "running" object in that form. Vector: of
///   {"start":{"argv":["/bin/web"],"daemon":true},"version":"1"}   (service web)
/// it is what tests/unit/model/definition.cpp says.
struct TUTTI_EXPORT Definition {
  std::string service;
  std::string version;
  // running
  std::vector<std::string> payload = {};  ///< items, and those that start, stop and environment refer to
  std::vector<InstalledFile> files = {};
  std::vector<std::string> data_directories = {};  ///< absolute, sorted
  std::map<std::string, std::string> environment = {};
  std::string user = {};
  std::string directory = {};                         ///< working directory of its programs
  std::map<std::string, std::string> endpoints = {};  ///< name → port: "53", "53/udp"
  bool one_shot = false;
  ResourceLimits limits = {};
  std::optional<unsigned> umask = {};
  std::optional<int> nice = {};
  std::string stop_signal = "TERM";
  // handling; "start" and "stop" are running data
  std::map<std::string, Command> programs = {};  ///< by hook name: start, stop, validate, …
  std::vector<std::string> hook_items = {};      ///< items that only hooks refer to
  std::vector<std::string> requirements = {};    ///< services, sorted
  std::vector<std::string> connections = {};
  std::string switch_to_service = "replace-service";  ///< transitions by name
  std::string switch_back = "same";
  std::string remove_service = "remove-service";
  double limit = 600;
  Restart restart = Restart::always;
  Ready ready = {};
  LogTo log = LogTo::file;
  double grace = 10;
  std::optional<double> settle = {};

  [[nodiscard]] bool has_hook(const std::string& name) const { return programs.contains(name); }
  /// The program of that name, ready to run as the service's. Throws Error, with the nearest name.
  [[nodiscard]] Command hook(const std::string& name) const;
  /// Its host keeps it and knows whether it lives: a daemon, or a unit of systemd.
  [[nodiscard]] bool is_daemon() const;
  /// The name of the unit that starts it; nullptr: none does.
  [[nodiscard]] const std::string* unit() const;
  /// How long a new one must live, and stay valid, before its transition counts. If it does not say: a second
  /// where no `validate` tells that it is well; a one-shot's success is all there is to wait for.
  [[nodiscard]] double settle_seconds() const;
  /// "web 7"
  [[nodiscard]] std::string title() const { return service + " " + version; }
  /// The drain or undrain program (`name`) about `address`. Throws Error when there is none.
  [[nodiscard]] Command hook_about(const std::string& name, const std::string& address) const;
  /// Items that must be in the host's store, sorted, unique.
  [[nodiscard]] std::vector<std::string> items() const;
  bool operator==(const Definition&) const = default;
};
using DefinitionPtr = std::shared_ptr<const Definition>;  // shared: plan, requests and drivers hold one

/// Whether version `a` comes before `b`: part by part, between any of `.-+~_`; parts that are whole numbers
/// by their value ("9.1" before "10"), others by their bytes, and before numbers ("1.0-rc" before "1.0.1").
[[nodiscard]] TUTTI_EXPORT bool version_less(std::string_view a, std::string_view b) noexcept;

[[nodiscard]] TUTTI_EXPORT std::string canonical(const Definition&);
[[nodiscard]] TUTTI_EXPORT std::string running_hash(const Definition&);
/// Reads what `canonical` wrote. Throws Error when it is not of that form.
[[nodiscard]] TUTTI_EXPORT Definition definition_from_json(std::string_view json);

/// What a host keeps about one instance.
struct TUTTI_EXPORT ManifestEntry {
  enum class State { deployed, changing, failed };
  State state = State::deployed;
  std::string service;
  DefinitionPtr old_definition = {};  ///< changing, failed: what was there before, if anything
  DefinitionPtr new_definition =
      {};  ///< deployed: what is there; changing, failed: what was to be; absent in a removal
  std::string transition = {};  ///< by name
  std::string lineage = {};
  int run = 0;
  int generation = 0;
  double time = 0;  ///< seconds since the epoch, the coordinator's clock
  /// Whom this instance holds back from, by "SERVICE@HOST", and the address that it was told: marks
  /// that outlive the run which set them.
  std::map<std::string, std::string> drained = {};

  [[nodiscard]] std::string to_json() const;
  /// Throws Error.
  [[nodiscard]] static ManifestEntry from_json(std::string_view json);
  /// By value: definitions are compared, not where they are.
  bool operator==(const ManifestEntry&) const;
};

}  // namespace tutti
