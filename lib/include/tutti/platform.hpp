// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// How hosts come to exist and are reached. So far: machines that exist, and this machine.
// Threads: a value.

#include <filesystem>
#include <string>
#include <vector>

#include <tutti/export.hpp>

namespace tutti {

struct Host;

/// Where things are on a host. All absolute.
struct Layout {
  std::string state;      ///< ours, mode 0700: records, manifests
  std::string store;      ///< items, mode 0755
  std::string data;       ///< data directories are DATA/SITE/SERVICE/NAME
  std::string root;       ///< working directory of programs; files of relative path are below it
  bool confined = false;  ///< an absolute path outside `root` is an error
};

struct TUTTI_EXPORT Platform {
  enum class Kind { local, ssh };

  Kind kind = Kind::ssh;
  std::filesystem::path directory = {};  ///< local: each host is a directory of its name in it
  std::string user = {};                 ///< ssh: where a host does not say
  std::filesystem::path config = {};     ///< ssh: an ssh_config file, empty: the user's own

  [[nodiscard]] Layout layout(const Host& host) const;
  /// The command, as argv, whose standard input and output are a POSIX shell on the host that runs
  /// `script` (with `become` where the host says so).
  [[nodiscard]] std::vector<std::string> reach(const Host& host, const std::string& script) const;
  bool operator==(const Platform&) const = default;
};

/// Host N is 127.0.1.N with a directory of its own; no root, no SSH.
[[nodiscard]] TUTTI_EXPORT Platform local_platform(std::filesystem::path directory);
/// The OpenSSH client with the user's own configuration. Host keys are always checked.
[[nodiscard]] TUTTI_EXPORT Platform ssh_platform(std::string user = {}, std::filesystem::path config = {});

}  // namespace tutti
