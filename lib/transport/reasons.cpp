// SPDX-License-Identifier: LGPL-3.0-or-later
#include "transport/reasons.hpp"

#include <vector>

#include <fmt/format.h>

#include "support/text.hpp"

namespace tutti {
namespace {

constexpr std::size_t most_lines = 2;  ///< of ssh's last words that are repeated

std::string last_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty() && lines.size() < most_lines) {
    const auto begin = text.rfind('\n') + 1;  // npos + 1 is 0
    std::string_view line = text.substr(begin);
    text = begin == 0 ? std::string_view{} : text.substr(0, begin - 1);
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '.'))
      line.remove_suffix(1);
    if (line.find_first_not_of("@ \t") != std::string_view::npos) lines.insert(lines.begin(), line);
  }
  std::string joined;
  for (const std::string_view line : lines) joined += (joined.empty() ? "" : "; ") + escaped(line);
  return joined;
}

const std::string& address(const Host& host) { return host.address.empty() ? host.name : host.address; }

std::string login(const Host& host, const Platform& platform) {
  const std::string& user = host.user.empty() ? platform.user : host.user;
  return user.empty() ? "that user" : "'" + user + "'";
}

/// "LINEAGE:EPOCH:HOLDER"; a holder may have colons.
struct Standing {
  std::string lineage, epoch, holder;
};
Standing standing(const std::string& detail) {
  const auto first = detail.find(':');
  const auto second = first == std::string::npos ? first : detail.find(':', first + 1);
  if (second == std::string::npos) return {escaped(detail), "?", "?"};
  return {escaped(detail.substr(0, first)), escaped(detail.substr(first + 1, second - first - 1)),
          escaped(detail.substr(second + 1))};
}

/// What ssh calls the host: its configuration may give another address than we know.
std::string between(std::string_view text, std::string_view before, std::string_view after,
                    const std::string& otherwise) {
  const auto begin = text.find(before);
  const auto end = begin == std::string_view::npos ? begin : text.find(after, begin);
  if (end == std::string_view::npos) return otherwise;
  return escaped(text.substr(begin + before.size(), end - begin - before.size()));
}

/// "[10.0.0.3]:2222" as ssh-keyscan takes it.
std::string scanned(const std::string& address) {
  const auto end = address.find("]:");
  if (!address.starts_with('[') || end == std::string::npos) return address;
  return "-p " + address.substr(end + 2) + " " + address.substr(1, end - 1);
}

/// The option of ssh-keygen for the file that ssh names, if it does: "Offending ED25519 key in FILE:12".
std::string known_hosts(std::string_view said) {
  const auto begin = said.find("Offending ");
  const std::string file =
      begin == std::string_view::npos ? "" : between(said.substr(begin), " key in ", "\n", "");
  const auto colon = file.rfind(':');
  return colon == std::string::npos || colon == 0 ? "" : fmt::format(" -f '{}'", file.substr(0, colon));
}

/// What to do about what ssh (or sudo) said, or "".
std::string remedy(const Host& host, const Platform& platform, std::string_view said) {
  const auto has = [&](std::string_view text) { return said.find(text) != std::string_view::npos; };
  if (has("IDENTIFICATION HAS CHANGED") || has("has changed and you have requested strict"))
    return fmt::format(
        "its host key is not the one in known_hosts; if the machine was made anew, remove the old one: "
        "ssh-keygen{} -R '{}'",
        known_hosts(said), between(said, "key for ", " has changed", address(host)));
  if (has("Host key verification failed") || has("host key is known"))
    return "check its host key and add it to known_hosts: ssh-keyscan " +
           scanned(between(said, "key is known for ", " and you", address(host)));
  if (has("Could not resolve hostname"))
    return "give the host an `address` that resolves, or name it in your ssh configuration";
  if (has("Permission denied ("))
    return fmt::format("it must accept a key of yours for {}: see ssh-add -l and authorized_keys there",
                       login(host, platform));
  if (!host.become.empty()) {
    if (has("password is required") || has("terminal is required") || has("Authorization required") ||
        has("Authentication failed") || has("not in the sudoers") || has("Operation not permitted"))
      return fmt::format("to become root with '{}', {} needs a rule {}", host.become, login(host, platform),
                         host.become == "sudo" ? "NOPASSWD in sudoers" : "'permit nopass' in doas.conf");
    if (has(host.become) && has("not found"))
      return fmt::format("install {} there, or log in as root and leave `become` out", host.become);
  }
  if (has("can't run 'ssh'")) return "install the OpenSSH client on this machine";
  if (has("Bad configuration option") || has("bad configuration options"))
    return "correct your ssh configuration";
  return "";
}

}  // namespace

std::string whereabouts(const Host& host) {
  return host.address.empty() || host.address == host.name ? host.name
                                                           : fmt::format("{} ({})", host.name, host.address);
}

std::string why_unreachable(const Host& host, const Platform& platform, std::string_view last_words,
                            const std::string& otherwise) {
  std::string why = last_lines(last_words);
  if (why.empty())
    why = otherwise;
  else if (platform.kind == Platform::Kind::ssh && !why.starts_with("ssh: "))
    why = "ssh: " + why;
  const std::string help = remedy(host, platform, std::string(last_words) + otherwise);
  return fmt::format("{}: {}{}{}", whereabouts(host), why, help.empty() ? "" : "; ", help);
}

std::string why_unreachable(const Host& host, const frames::Ended& ended) {
  const bool sentence = ended.why == "bootstrap" || ended.why == "format";
  std::string help;
  const bool is_root = ended.detail.ends_with("as user root");
  if (ended.why == "bootstrap" && ended.detail.find(", and not to us") != std::string::npos)
    help = host.become.empty() && !is_root ? "; log in as root, or set the host's `become` to sudo or doas"
                                           : "; whose is it? Give it to root with chown, or remove it";
  if (ended.why == "bootstrap" && (ended.detail.find("cannot make") != std::string::npos ||
                                   ended.detail.find("cannot write") != std::string::npos))
    help = host.become.empty() && !is_root ? "; log in as root, or set the host's `become` to sudo or doas"
                                           : "; is the disk full, or mounted read-only?";
  return fmt::format("{}: {}{}{}", whereabouts(host), sentence ? "" : ended.why + ": ", escaped(ended.detail),
                     help);
}

std::string why_refused(const Host& host, const frames::Refused& refused) {
  const std::string& why = refused.why;
  const Standing there = standing(refused.detail);
  if (why == "lineage")
    return fmt::format("{} is held by lineage {} ({}), epoch {}: a deploy that takes over displaces it",
                       host.name, there.lineage, there.holder, there.epoch);
  if (why == "epoch")
    return fmt::format("{}: a deployment of this site with a later epoch ({}, {}) came first: is the state "
                       "file an old copy?",
                       host.name, there.epoch, there.holder);
  if (why == "busy")
    return fmt::format("{}: another deployment is running there (process {}): wait for it, or end it",
                       host.name, escaped(refused.detail));
  if (why == "went-back")
    return fmt::format(
        "{} was restored from an old image: its records are those of epoch {}, older than what this site "
        "did there; what it holds must be looked at before anything is deployed to it",
        host.name, escaped(refused.detail));
  if (why == "name")
    return fmt::format(
        "{} is called '{}' in this site: accept that name if it is the same machine under a new "
        "one, else correct its address",
        whereabouts(host), escaped(refused.detail));
  if (why == "nonce")
    return fmt::format(
        "{}: its records were lost or replaced since it was last read, so what was done there is not known: "
        "look at what runs there, then plan again",
        whereabouts(host));
  if (why == "baseline")
    return fmt::format("{} lacks '{}', which the runner needs", host.name, escaped(refused.detail));
  if (why == "state")
    return fmt::format("{}: its state can't be used: {} (is the disk full, or read-only?)", host.name,
                       escaped(refused.detail));
  return fmt::format("{} refused: {} {}", host.name, escaped(why), escaped(refused.detail));
}

}  // namespace tutti
