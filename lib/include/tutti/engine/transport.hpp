// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// How effects reach hosts. The simulator and the real hosts are two implementations.
// Threads: one thread owns a Transport; only wake() may come from another or from a signal handler.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <tutti/engine/effect.hpp>
#include <tutti/engine/elaborate.hpp>

namespace tutti {

struct Fence {
  std::string lineage = {};  ///< empty: nobody's
  std::int64_t epoch = 0;
  std::string holder = {};  ///< "user@machine", for people
  bool operator==(const Fence&) const = default;
};

/// A path that a service of the site is to have on a host.
struct WantedPath {
  std::string service;
  std::string path;
};
using WantedPaths = std::map<std::string, std::vector<WantedPath>>;  ///< by host

/// What stands at a path that a service is to have and does not have yet.
struct Found {
  enum class What {
    file,
    link,
    directory,
    other,        ///< a device, a socket, a FIFO
    unreachable,  ///< the host may not look there
    service,      ///< a file of another service of this site
    site,         ///< a file of a service of another site
  };
  What what = What::file;
  std::string service = {};  ///< service, site: whose it is
  std::string site = {};     ///< site: that one's name
  bool operator==(const Found&) const = default;
};

/// A host's manifest and the state of its instances, read without lock or fence.
struct HostReading {
  enum class Life { alive, dead, unknown };
  struct Entry {
    ManifestEntry entry;
    Life life = Life::unknown;
    Upkeep upkeep = {};

    /// Deployed, alive, and not restarted too often: it counts as available.
    [[nodiscard]] bool serves() const noexcept {
      return life == Life::alive && entry.state == ManifestEntry::State::deployed && !upkeep.is_failing();
    }
    bool operator==(const Entry&) const = default;
  };
  std::string host;
  bool reached = false;
  std::string why = {};  ///< when it was not
  Fence fence = {};
  std::string nonce = {};
  std::string name = {};  ///< what the host is called in this site, as it keeps it; empty: nothing yet
  std::vector<Entry> entries = {};          ///< by service name
  std::string digest = {};                  ///< of the entries; a plan is executed on what it was made from
  std::map<std::string, Found> paths = {};  ///< of those asked about, where something stands
  bool operator==(const HostReading&) const = default;
};

/// With whose authority effects act on a host.
struct Authority {
  std::string lineage;
  std::int64_t epoch = 0;
  std::string holder;
  std::int64_t seen = 0;               ///< the last epoch of ours that the host is known to have had
  std::optional<Fence> displace = {};  ///< take-over: the fence that must be there
  bool ends_others = false;            ///< what was begun under another epoch, and has not ended, is ended
  int forget_before = 0;               ///< with ends_others: records and outputs of runs before this one go
  std::string name = {};               ///< what the host is to be called in this site; empty: as it is
  std::string was = {};                ///< another name that it may have there, and that is replaced
  /// What the host is known to have. Empty: not known. A host that has another one, or none any more, lost
  /// its records and refuses; what it answers to the first lock holds from then on.
  std::string nonce = {};
};

/// What stays on a host.
struct Kept {
  enum class Kind : std::uint8_t { output, error, log };
  Kind kind = Kind::output;  ///< standard output or error of an effect; the log of a service's daemon
  std::string of = {};       ///< the effect's token; the service
};

/// A part of it.
struct Piece {
  bool found = false;
  std::string why = {};    ///< when it was not
  std::uint64_t size = 0;  ///< of all of it; of a log, of the part
  std::string bytes = {};
};

/// How an effect came back.
struct Completion {
  enum class Kind {
    answered,     ///< `result`
    lost,         ///< the connection is gone after the effect was sent: nobody knows
    unreachable,  ///< it was never sent: no connection
    refused,      ///< it was never run: the host refused us (lock, fence), `why`
  };
  std::string token = {};
  Kind kind = Kind::answered;
  Result result = {};
  std::string why = {};
  std::string nonce = {};  ///< answered: the host's; empty where the host was not asked
  std::int64_t epoch = 0;  ///< with the nonce: under which the host obeys us
};

class TUTTI_EXPORT Transport {
 public:
  virtual ~Transport() = default;

  /// Manifests and liveness of these hosts, and what stands at the paths wanted there; blocks. Never throws
  /// for a host that does not answer.
  [[nodiscard]] virtual std::vector<HostReading> read(const std::vector<Host>& hosts,
                                                      const WantedPaths& wanted) = 0;
  [[nodiscard]] std::vector<HostReading> read(const std::vector<Host>& hosts) { return read(hosts, {}); }
  /// At most `most` bytes (64 MiB at once) of what stays on a host: from `offset`, of a log the end. Needs
  /// no lock; blocks; never throws for a host that does not answer.
  [[nodiscard]] virtual Piece fetch(const Host& host, const Kept& what, std::uint64_t offset,
                                    std::uint64_t most) = 0;
  /// From now on effects on `host` act with this authority; the host's lock is taken with the first.
  virtual void authorise(const Host& host, Authority authority) = 0;
  /// Items that effects may need.
  virtual void offer(const Items& items) = 0;
  /// Sends one effect. Effects on one host run one after another.
  virtual void send(const std::string& token, const std::string& host, const Request& request) = 0;
  /// Blocks until something completed, `seconds` are over or wake() was called; appends to `into`.
  virtual void wait(std::vector<Completion>& into, std::optional<double> seconds) = 0;
  virtual void wake() noexcept = 0;
  /// Request frames sent after the handshakes so far, over all hosts.
  [[nodiscard]] virtual std::uint64_t frames_sent() const noexcept = 0;
};

/// Real hosts (and directories of this machine), through the platform and the runner.
[[nodiscard]] TUTTI_EXPORT std::unique_ptr<Transport> make_transport(std::string site, Platform platform);

}  // namespace tutti
