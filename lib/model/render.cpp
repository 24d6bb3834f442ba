// SPDX-License-Identifier: LGPL-3.0-or-later
#include "model/render.hpp"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <filesystem>
#include <pwd.h>
#include <set>

#include <fmt/format.h>

#include "model/hooks.hpp"
#include "support/text.hpp"
#include <tutti/error.hpp>

namespace tutti {
namespace {

constexpr std::string_view udp = "/udp";

std::string item_name(const std::string& name, const ItemContent& content) {
  std::string hashed = content.executable ? "file\nx\n" : "file\n\n";
  hashed += content.bytes;
  return sha256(hashed).substr(0, 32) + "-" + name;
}

/// Renders the texts of one service on one host.
class Renderer {
 public:
  Renderer(std::string data, std::string store, const Service& service, const Host& host,
           const Settings& settings, Items& items)
      : data_(std::move(data)),
        store_(std::move(store)),
        service_(service),
        host_(host),
        settings_(settings),
        items_(items) {}

  [[noreturn]] void wrong(const std::string& what, ErrorCode code = ErrorCode::misuse) const {
    const std::string& at = service_.declared.at;
    throw Error(code, fmt::format("{}{}service '{}' on host '{}': {}: {}", at, at.empty() ? "" : ": ",
                                  service_.name, host_.name, field_, what));
  }
  /// What is being rendered, for errors.
  void field(std::string name) { field_ = std::move(name); }
  /// Where names of items go that are met from now on.
  void collect(std::set<std::string>* into) { met_ = into; }

  std::string bytes(const Text& text) {
    std::string rendered;
    for (const Text::Piece& piece : text.pieces()) {
      if (const auto* plain = std::get_if<std::string>(&piece)) rendered += *plain;
      if (const auto* setting = std::get_if<Setting>(&piece)) rendered += value(setting->key);
      if (const auto* directory = std::get_if<DataDirectory>(&piece)) rendered += path(*directory);
      if (const auto* item = std::get_if<Item>(&piece)) rendered += store_ + "/" + put(*item);
    }
    return rendered;
  }
  /// As bytes, but fit for an argument, a variable or a path.
  std::string line(const Text& text) {
    std::string rendered = bytes(text);
    if (rendered.find('\0') != std::string::npos) wrong("a NUL character can't be in it");
    if (!is_utf8(rendered)) wrong("it is no UTF-8");
    return rendered;
  }
  /// Remembers an item's content, returns its name in the store.
  std::string put(const Item& item) {
    if (!is_item_name(item.name) || !item.content)
      wrong(fmt::format("'{}' can't name an item, or it has no content", escaped(item.name)));
    std::string rendered = bytes(*item.content);
    const ItemContent content{.bytes = std::move(rendered), .executable = item.executable};
    std::string name = item_name(item.name, content);
    if (!items_.contains(name)) items_.emplace(name, std::make_shared<const ItemContent>(content));
    if (met_) met_->insert(name);
    return name;
  }
  const std::set<std::string>& directories() const noexcept { return directories_; }

 private:
  std::string value(const std::string& key) const {
    if (key == "drained" && (field_ == "drain" || field_ == "undrain")) return std::string(drained_mark);
    if (const auto found = settings_.find(key); found != settings_.end()) return found->second;
    std::vector<std::string> known;
    for (const auto& [name, ignored] : settings_) known.push_back(name);
    wrong(fmt::format("(setting {}) has no value: its settings do not give it.{}", escaped(key),
                      known.empty() ? " It has no settings." : suggestion(key, known)));
  }
  std::string path(const DataDirectory& directory) {
    if (!is_name(directory.name))
      wrong(fmt::format("'{}' can't name a data directory", escaped(directory.name)));
    std::string path = data_ + "/" + directory.name;
    directories_.insert(path);
    return path;
  }

  std::string data_, store_;
  const Service& service_;
  const Host& host_;
  const Settings& settings_;
  Items& items_;
  std::set<std::string>* met_ = nullptr;
  std::set<std::string> directories_;
  std::string field_;
};

/// `what`: what stands there, a file or a folder.
std::string absolute(const Renderer& renderer, const Layout& layout, const std::string& path,
                     std::string_view what = "file") {
  const std::filesystem::path given(path);
  if (path.empty() || path.back() == '/')
    renderer.wrong(fmt::format("'{}' is no path of a {}", escaped(path), what));
  if (given.is_relative() && !layout.confined)
    renderer.wrong(
        fmt::format("'{}' is relative: on a real host a {} needs an absolute path, or one that begins with "
                    "a (data-directory …)",
                    escaped(path), what));
  const std::filesystem::path whole = (std::filesystem::path(layout.root) / given).lexically_normal();
  if (!whole.has_filename()) renderer.wrong(fmt::format("'{}' is no path of a {}", escaped(path), what));
  if (layout.confined) {
    const std::filesystem::path inside = whole.lexically_relative(layout.root);
    if (inside.empty() || *inside.begin() == "..")
      renderer.wrong(fmt::format(
          "'{}' is outside of the host's directory {}: on the local platform give a relative path",
          escaped(path), layout.root));
    if (*inside.begin() == ".tutti" || *inside.begin() == "store")
      renderer.wrong(
          fmt::format("'{}' is in a folder that the runner keeps: give another path", escaped(path)));
  }
  return whole.string();
}

void check_user(const Renderer& renderer, const Site& site, const std::string& user) {
  if (site.platform.kind != Platform::Kind::local || user.empty() || ::geteuid() == 0) return;
  const passwd* me = ::getpwuid(::geteuid());
  if (!me || user != me->pw_name)
    renderer.wrong(fmt::format(
        "the local platform acts as you ({}) and can't become '{}': leave it out, or deploy as root",
        me ? me->pw_name : "?", user));
}

void check_unit(const Renderer& renderer, const Layout& layout, const std::string& name) {
  if (layout.confined)
    renderer.wrong(
        "the local platform leaves the units of this machine alone: make it a daemon, or deploy to a host");
  const auto is_allowed = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("@:_.-\\").find(c) != std::string_view::npos;
  };
  if (!std::all_of(name.begin(), name.end(), is_allowed) || name.front() == '-' ||
      !name.ends_with(".service"))
    renderer.wrong(
        fmt::format("'{}' is no name of a unit: give one such as \"nginx.service\"", escaped(name)));
}

}  // namespace

std::string render_port(const Service& service, const Endpoint& endpoint, const Host& host,
                        const Settings& settings) {
  Items none;
  Renderer renderer("", "", service, host, settings, none);
  renderer.field(fmt::format("endpoint '{}'", endpoint.name));
  const std::string given = renderer.line(endpoint.port);
  const std::string_view protocol = std::string_view(given).substr(std::min(given.find('/'), given.size()));
  const std::string port = given.substr(0, given.size() - protocol.size());
  int number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error != std::errc() || end != port.data() + port.size() || number < 1 || number > 65535 ||
      !(protocol.empty() || protocol == "/tcp" || protocol == udp))
    renderer.wrong(fmt::format(
        "'{}' is no port: give 1 to 65535, and \"/udp\" after it where it is one of UDP", escaped(given)));
  return protocol == udp ? port + std::string(udp) : port;
}

std::string number_of(const std::string& port) { return port.substr(0, port.find('/')); }

Definition render(const Site& site, const Service& s, const Host& host, const Settings& settings,
                  Items& items) {
  const Layout layout = site.platform.layout(host);
  Renderer renderer(fmt::format("{}/{}/{}", layout.data, site.name, s.name), layout.store, s, host, settings,
                    items);
  Definition d{.service = s.name, .version = s.version};
  d.user = s.user;
  d.directory = layout.root == "/" ? "" : layout.root;
  d.one_shot = s.one_shot;
  d.limit = s.limit;
  d.limits = s.limits;
  d.umask = s.umask;
  d.nice = s.nice;
  d.stop_signal = s.stop_signal;
  d.restart = s.restart;
  d.log = s.log;
  d.grace = s.grace;
  d.settle = s.settle;

  std::set<std::string> running, for_files, for_hooks;
  renderer.field("user");
  check_user(renderer, site, s.user);
  renderer.collect(&running);
  renderer.field("payload");
  for (const Item& item : s.payload) (void)renderer.put(item);
  for (const auto& [name, value] : s.environment) {
    renderer.field(fmt::format("environment '{}'", name));
    d.environment.emplace(name, renderer.line(value));
  }
  for (const Endpoint& endpoint : s.endpoints)
    d.endpoints.emplace(endpoint.name, render_port(s, endpoint, host, settings));
  d.ready = s.ready;
  if (s.ready.when == Ready::When::port) {
    renderer.field("ready");
    d.ready.endpoint = d.endpoints.at(s.ready.endpoint);
    if (d.ready.endpoint.ends_with(udp))
      renderer.wrong(
          fmt::format("endpoint '{}' is one of UDP, where nobody can see who listens: name one of TCP",
                      s.ready.endpoint));
  }
  if (!s.working_directory.empty()) {
    renderer.field("working-directory");
    d.directory = absolute(renderer, layout, renderer.line(s.working_directory), "folder");
  }
  for (const File& file : s.files) {
    renderer.field("files");
    const std::string path = absolute(renderer, layout, renderer.line(file.path));
    renderer.field(fmt::format("file '{}'", path));
    check_user(renderer, site, file.owner);
    const auto& pieces = file.content.pieces();
    const Item* item = pieces.size() == 1 ? std::get_if<Item>(&pieces.front()) : nullptr;
    std::string base = path.substr(path.rfind('/') + 1);
    for (char& c : base)
      if (!is_item_name(std::string("a") + c)) c = '_';
    if (!is_item_name(base)) base = "file";
    renderer.collect(&for_files);
    d.files.push_back(
        {.path = path,
         .item = renderer.put(item ? *item : mixed_text_file(base.substr(0, 100), file.content)),
         .mode = file.mode,
         .owner = file.owner});
    renderer.collect(&running);
  }
  std::sort(d.files.begin(), d.files.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  for (std::size_t i = 1; i < d.files.size(); ++i)
    if (d.files[i].path == d.files[i - 1].path)
      renderer.wrong(fmt::format("'{}' is given twice", d.files[i].path));

  const auto add = [&](const std::string& name, const Program& program) {
    if (!program) return;
    const bool is_running = name == "start" || name == "stop";
    renderer.collect(is_running ? &running : &for_hooks);
    renderer.field(name);
    Command command{.environment = d.environment,
                    .user = s.user,
                    .directory = d.directory,
                    .limit = program.limit.value_or(s.limit),
                    .service = d.title(),
                    .hook = name,
                    .is_daemon = program.is_daemon,
                    .is_unit = program.is_unit};
    for (const Text& word : program.argv) command.argv.push_back(renderer.line(word));
    if (command.argv.front().empty()) renderer.wrong("the name of the program is empty");
    if (command.is_unit) check_unit(renderer, layout, command.argv.front());
    d.programs.emplace(name, std::move(command));
  };
  for (const HookField& hook : hook_fields) add(hook.name, s.*hook.program);
  for (const auto& [name, program] : s.hooks) add(name, program);

  d.payload.assign(running.begin(), running.end());
  for (const std::string& name : for_hooks)
    if (!running.contains(name) && !for_files.contains(name)) d.hook_items.push_back(name);
  d.data_directories.assign(renderer.directories().begin(), renderer.directories().end());
  const auto names = [](const std::vector<Requirement>& relations) {
    std::set<std::string> unique;
    for (const Requirement& one : relations) unique.insert(one.service);
    return std::vector<std::string>(unique.begin(), unique.end());
  };
  d.requirements = names(s.requirements);
  d.connections = names(s.connections);
  d.switch_to_service = s.switch_to_service.name;
  d.switch_back = s.switch_back.name;
  d.remove_service = s.remove_service.name;
  return d;
}

}  // namespace tutti
