// SPDX-License-Identifier: LGPL-3.0-or-later
#include <tutti/platform.hpp>

#include <cstdlib>

#include <tutti/site.hpp>

namespace tutti {
namespace {

constexpr int connect_seconds = 10;        ///< TCP connect, greeting and key exchange
constexpr int alive_interval_seconds = 5;  ///< a silent network is noticed after
constexpr int alive_count = 3;             ///< … 3 × 5 seconds

/// One word of a POSIX shell's command line.
std::string quoted(const std::string& text) {
  std::string word = "'";
  for (const char c : text) {
    if (c == '\'')
      word += "'\\''";
    else
      word += c;
  }
  return word + "'";
}

/// Options that hold whatever the user's configuration says: the first value that ssh sees counts.
std::vector<std::string> fixed_options() {
  std::vector<std::string> options;
  for (const std::string& option : {
           std::string("BatchMode=yes"),              // never asks: there is no terminal to ask on
           std::string("StrictHostKeyChecking=yes"),  // unknown keys are refused, never learned
           std::string("ForwardAgent=no"),
           std::string("ForwardX11=no"),
           std::string("PermitLocalCommand=no"),
           std::string("RemoteCommand=none"),  // else ssh refuses to take ours
           // Of the user's LocalForward and the like: two connections can't both listen. A jump host
           // is another process, and ssh's own `-W` to it is not touched by this.
           std::string("ClearAllForwardings=yes"),
           // An open master of the user's is used (it may be the only way past a second factor), but
           // we never become one: a master outlives its own session and would keep our pipes open.
           std::string("ControlMaster=no"),
           std::string("LogLevel=INFO"),  // QUIET would hide why a connection failed
           "ConnectTimeout=" + std::to_string(connect_seconds),
           "ServerAliveInterval=" + std::to_string(alive_interval_seconds),
           "ServerAliveCountMax=" + std::to_string(alive_count),
           std::string("EscapeChar=none"),
       }) {
    options.emplace_back("-o");
    options.push_back(option);
  }
  return options;
}

}  // namespace

Layout Platform::layout(const Host& host) const {
  if (kind == Kind::ssh)
    return {.state = "/var/lib/tutti",
            .store = "/tutti/store",
            .data = "/var/lib/tutti-data",
            .root = "/",
            .confined = false};
  const std::string root = (std::filesystem::absolute(directory).lexically_normal() / host.name).string();
  return {.state = root + "/.tutti",
          .store = root + "/store",
          .data = root + "/data",
          .root = root,
          .confined = true};
}

std::vector<std::string> Platform::reach(const Host& host, const std::string& script) const {
  if (kind == Kind::local) {
    // Only what the runner itself needs: it must not depend on what the coordinator happens to have.
    std::vector<std::string> argv{"env", "-i"};
    for (const char* name : {"PATH", "TMPDIR"})
      if (const char* value = std::getenv(name)) argv.push_back(std::string(name) + "=" + value);
    argv.insert(argv.end(), {"/bin/sh", "-c", script});
    return argv;
  }
  std::vector<std::string> argv{"ssh"};
  if (!config.empty()) argv.insert(argv.end(), {"-F", config.string()});
  argv.emplace_back("-T");
  for (std::string& option : fixed_options()) argv.push_back(std::move(option));
  if (host.port != 0) argv.insert(argv.end(), {"-p", std::to_string(host.port)});
  if (const std::string& login = host.user.empty() ? user : host.user; !login.empty())
    argv.insert(argv.end(), {"-l", login});
  // The login shell may be any: all of them take `exec`, words and single quotes.
  std::string command = "exec ";
  if (!host.become.empty()) command += host.become + " -n ";  // -n: fail rather than ask for a password
  command += "sh -c " + quoted(script);
  argv.insert(argv.end(), {"--", host.address.empty() ? host.name : host.address, std::move(command)});
  return argv;
}

Platform local_platform(std::filesystem::path directory) {
  return {.kind = Platform::Kind::local,
          .directory = std::filesystem::absolute(directory).lexically_normal()};
}

Platform ssh_platform(std::string user, std::filesystem::path config) {
  return {.kind = Platform::Kind::ssh, .user = std::move(user), .config = std::move(config)};
}

}  // namespace tutti
