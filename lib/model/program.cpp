// SPDX-License-Identifier: LGPL-3.0-or-later
#include <tutti/program.hpp>

#include <fstream>
#include <iterator>
#include <sys/stat.h>

#include <fmt/format.h>

#include "support/text.hpp"
#include <tutti/engine/not_built.hpp>
#include <tutti/error.hpp>

namespace tutti {

bool Item::operator==(const Item& other) const {
  return name == other.name && executable == other.executable &&
         (content == other.content || (content && other.content && *content == *other.content));
}

Text::Text(std::string text) {
  if (!text.empty()) pieces_.emplace_back(std::move(text));
}

Text& Text::operator+=(const Text& other) {
  const std::vector<Piece> more = other.pieces_;  // `other` may be this
  for (const Piece& piece : more) {
    auto* left = pieces_.empty() ? nullptr : std::get_if<std::string>(&pieces_.back());
    const auto* right = std::get_if<std::string>(&piece);
    if (left && right)
      *left += *right;
    else
      pieces_.push_back(piece);
  }
  return *this;
}

Item plain_file(std::string name, std::string text) {
  return mixed_text_file(std::move(name), Text(std::move(text)));
}

Item mixed_text_file(std::string name, Text text) {
  if (!is_item_name(name))
    throw Error(ErrorCode::misuse,
                fmt::format("'{}' can't name an item: use letters, digits and any of `._-`, at most 100, "
                            "beginning with a letter or digit",
                            escaped(name)));
  return {.name = std::move(name), .content = std::make_shared<const Text>(std::move(text))};
}

Item local_file(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0)
    throw Error(ErrorCode::misuse, fmt::format("local-file '{}' does not exist or can't be reached", path));
  if (S_ISDIR(status.st_mode))
    throw_not_built("an item that is a folder", fmt::format("local-file '{}'", path));
  if (!S_ISREG(status.st_mode))
    throw Error(ErrorCode::misuse, fmt::format("local-file '{}' is no regular file", path));
  std::ifstream file(path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file.good() && !file.eof())
    throw Error(ErrorCode::misuse, fmt::format("local-file '{}' can't be read", path));
  std::string name;
  for (const char c : path.substr(path.rfind('/') + 1)) name += is_item_name(std::string("a") + c) ? c : '_';
  while (!name.empty() && (name[0] == '.' || name[0] == '-')) name.erase(0, 1);
  if (name.empty()) name = "file";
  Item item = mixed_text_file(name.substr(0, 100), Text(std::move(bytes)));
  item.executable = (status.st_mode & S_IXUSR) != 0;
  return item;
}

Program Program::within(double seconds) const {
  Program copy = *this;
  copy.limit = seconds;
  return copy;
}

Program program(std::vector<Text> argv) {
  Program result;
  result.argv = std::move(argv);
  return result;
}

Program daemon(std::vector<Text> argv) {
  Program result = program(std::move(argv));
  result.is_daemon = true;
  return result;
}

Program systemd_unit(Text name) {
  Program result = program({std::move(name)});
  result.is_unit = true;
  return result;
}

Program script(const Item& file, std::vector<Text> arguments) {
  const auto& pieces = file.content->pieces();
  const auto* beginning = pieces.empty() ? nullptr : std::get_if<std::string>(&pieces.front());
  Item item = file;
  item.executable = beginning && beginning->starts_with("#!");
  std::vector<Text> argv;
  if (!item.executable) argv.emplace_back("/bin/sh");
  argv.emplace_back(std::move(item));
  argv.insert(argv.end(), std::make_move_iterator(arguments.begin()),
              std::make_move_iterator(arguments.end()));
  return program(std::move(argv));
}

}  // namespace tutti
