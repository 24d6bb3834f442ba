// SPDX-License-Identifier: LGPL-3.0-or-later
#include "simulation/script.hpp"

#include <fmt/format.h>

namespace tutti::simulation {
namespace {

std::string quoted(const std::string& text) {
  std::string all = "'";
  for (const char c : text) all += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return all + "'";
}

std::string to_shell(const Act& act) {
  switch (act.kind) {
    case Act::Kind::say: return "printf %s " + quoted(act.text);
    case Act::Kind::complain: return "printf %s " + quoted(act.text) + " >&2";
    case Act::Kind::copy_input: return "cat";
    case Act::Kind::nap: return fmt::format("sleep {}", act.seconds);
    case Act::Kind::append: return "printf %s " + quoted(act.text) + " >>" + quoted(act.path);
    case Act::Kind::remove: return "rm -f " + quoted(act.path);
    case Act::Kind::need: return "test -e " + quoted(act.path) + " || exit 1";
    case Act::Kind::leave: return fmt::format("exit {}", act.status);
  }
  return "";
}

}  // namespace

std::string to_shell(const Script& script) {
  std::string all;
  for (const Act& act : script) all += to_shell(act) + "\n";
  return all + ":";
}

}  // namespace tutti::simulation
