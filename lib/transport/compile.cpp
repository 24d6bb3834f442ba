// SPDX-License-Identifier: LGPL-3.0-or-later
#include "transport/compile.hpp"

#include <algorithm>
#include <filesystem>
#include <utility>

#include <fmt/format.h>

#include "support/text.hpp"
#include <tutti/error.hpp>

namespace tutti {
namespace {

constexpr double probe_seconds = 10;     ///< at most, of judging that an instance lives
constexpr double try_again_seconds = 1;  ///< at most, between tries to validate
constexpr double answer_seconds = 30;    ///< for the reply, besides what the effect itself may take
constexpr double files_seconds = 600;    ///< to keep, copy and put back files, however large
constexpr std::size_t running_hash_length = 32;

/// A request and what every case below needs of it.
class Compiler {
 public:
  Compiler(const std::string& token, const std::string& host, const Layout& layout, const Request& request,
           CanonicalForms& forms)
      : token_(token), host_(host), layout_(layout), request_(request), forms_(forms) {}

  Compiled compile() {
    return std::visit([this](const auto& effect) { return of(effect); }, request_.effect);
  }

 private:
  /// An effect that may take `seconds`.
  static Compiled frame(Compiled::Frame frame, double seconds) {
    return {.frame = std::move(frame), .patience = seconds + answer_seconds};
  }
  static Compiled nothing_to_do() { return {.answer = Result{}}; }

  [[nodiscard]] double limit(double otherwise) const {
    return request_.limit > 0 ? request_.limit : otherwise;
  }

  [[nodiscard]] const Definition& known(const DefinitionPtr& definition) const {
    if (!definition)
      throw Error(ErrorCode::misuse, fmt::format("`{}` names no service", request_.describe()));
    return *definition;
  }

  /// Definitions have absolute paths; what a transition writes may be relative to the host's root. None: it
  /// is outside of that, on a host that is a directory.
  [[nodiscard]] std::optional<std::string> whole_path(const std::string& given) const {
    namespace fs = std::filesystem;
    const fs::path root(layout_.root);
    const fs::path whole = (root / given).lexically_normal();
    if (given.empty() || (layout_.confined && whole.lexically_relative(root).string().starts_with("..")))
      return {};
    return whole.string();
  }
  static Result absent() {
    Result result;
    result.how = How::absent;
    return result;
  }

  [[nodiscard]] std::string path(const std::string& given) const {
    const auto whole = whole_path(given);
    if (!whole)
      throw Error(ErrorCode::misuse, fmt::format("`{}`: on {} paths are below {}; write a relative path",
                                                 request_.describe(), host_, layout_.root));
    return *whole;
  }

  [[nodiscard]] frames::Program program(const Command& command) const {
    return {.argv = command.argv,
            .env = {command.environment.begin(), command.environment.end()},
            .user = command.user,
            .cwd = command.directory.empty() ? layout_.root : command.directory};
  }

  /// What tells that the service is up, and may be run at any time; none when nothing does.
  static const Command* check(const Definition& definition) {
    for (const char* name : {"alive", "validate"})
      if (const auto found = definition.programs.find(name); found != definition.programs.end())
        return &found->second;
    return nullptr;
  }

  [[nodiscard]] frames::Input input(const Input& given) const {
    const auto* output = std::get_if<Output>(&given);
    if (!output) {
      const std::string& text = std::get<std::string>(given);
      return text.empty() ? frames::Input{} : frames::Input{text};
    }
    if (!output->cut) return output->text;
    if (output->host != host_)
      throw Error(
          ErrorCode::not_built,
          fmt::format(
              "the output of {} ({} bytes) is on {}: carrying more than its beginning from host to host is "
              "not built yet; write it to where {} can read it",
              output->token, output->size, output->host, host_));
    return frames::Blob{output->token};
  }

  Compiled of(const effect::Run& run) const { return this->run(run.command, input(run.input), 0); }
  Compiled of(const effect::WaitUntil& wait) const {
    return run(wait.command, {}, wait.every > 0 ? wait.every : try_again_seconds);
  }
  Compiled run(const Command& command, frames::Input input, double every) const {
    if (!command) throw Error(ErrorCode::misuse, "a program without a name can't be run");
    frames::Run run{.id = {},
                    .token = token_,
                    .program = program(command),
                    .limit = limit(command.limit),
                    .every = every,
                    .service = {},
                    .input = std::move(input)};
    const double seconds = run.limit + run.grace;
    return frame(std::move(run), seconds);
  }

  Compiled of(const effect::Validate& validate) const {
    const Definition& d = known(validate.definition);
    const std::string service = d.is_daemon() && !d.unit() ? d.service : "";
    const auto hook = d.programs.find("validate");
    const auto alive = d.programs.find("alive");
    Command command;
    if (hook != d.programs.end())
      command = hook->second;
    else if (d.unit() && alive == d.programs.end())
      // Not is-active: a unit whose program ended well is that, too.
      command = {.argv = {"sh", "-c",
                          R"sh([ "$(systemctl show --property=SubState --value "$1")" = running ])sh", "sh",
                          *d.unit()},
                 .limit = probe_seconds};
    else if (d.is_daemon() && !d.unit())
      command = {.argv = {"true"}, .directory = d.directory, .limit = probe_seconds};
    else if (alive != d.programs.end())
      command = alive->second;
    else
      return nothing_to_do();
    frames::Run run{.id = {},
                    .token = token_,
                    .program = program(command),
                    .limit = limit(command.limit),
                    .every = try_again_seconds,
                    .settle = validate.settle,
                    .first = validate.is_started,
                    .service = service,
                    .input = {}};
    const double seconds = run.limit + run.grace + (run.settle > 0 ? run.settle + run.limit : 0);
    return frame(std::move(run), seconds);
  }

  /// How the host keeps it. A host that is a folder of this machine leaves the machine as it is.
  [[nodiscard]] frames::Keeping keeping(const Definition& d) const {
    frames::Keeping keeping{.on = layout_.confined ? frames::KeptOn::own : frames::KeptOn::host,
                            .boot = !d.one_shot && !layout_.confined,
                            .signal = d.stop_signal,
                            .grace = d.grace,
                            .nice = d.nice,
                            .limits = {d.limits.begin(), d.limits.end()},
                            .journal = d.log == LogTo::journal,
                            .after = d.requirements};
    if (d.umask) keeping.umask = *d.umask;
    if (d.is_daemon()) {
      keeping.restart = d.restart == Restart::always       ? frames::Restart::always
                        : d.restart == Restart::on_failure ? frames::Restart::on_failure
                                                           : frames::Restart::never;
      if (d.ready.when == Ready::When::told) keeping.ready.when = frames::Ready::When::notified;
      if (d.ready.when == Ready::When::port)
        keeping.ready = {.when = frames::Ready::When::listens,
                         .port = static_cast<std::uint16_t>(std::stoi(d.ready.endpoint))};
    }
    if (const auto stop = d.programs.find("stop"); stop != d.programs.end()) keeping.stop = stop->second.argv;
    return keeping;
  }

  frames::Start bare_start(const Definition& d) const {
    frames::Start start{.id = {},
                        .token = token_,
                        .service = d.service,
                        .definition = running_hash(d).substr(0, running_hash_length)};
    start.program.user = d.user;  // with whose rights we act in folders of its own
    for (const std::string& path : d.data_directories)
      start.directories.push_back({.path = path, .owner = d.user});
    return start;
  }
  static Compiled started(frames::Start start, const Definition& d) {
    const double seconds = start.limit + start.grace + (start.check.empty() ? 0 : start.check_limit);
    Compiled compiled = frame(std::move(start), seconds);
    compiled.items = d.items();
    return compiled;
  }
  static void add(std::vector<frames::InstalledFile>& files, const Definition& d) {
    for (const InstalledFile& file : d.files)
      files.push_back({.item = file.item, .path = file.path, .mode = file.mode, .owner = file.owner});
  }
  static void add(std::vector<frames::InstalledFile>& files, const std::vector<DefinitionPtr>& all) {
    for (const DefinitionPtr& one : all)
      if (one) add(files, *one);
  }

  Compiled of(const effect::Start& effect) const {
    const Definition& d = known(effect.definition);
    frames::Start start = bare_start(d);
    add(start.files, d);
    add(start.adopt, effect.former);
    start.release = !effect.beside;
    start.limit = limit(d.limit);
    start.already = request_.idempotent;
    if (const auto found = d.programs.find("start"); found != d.programs.end()) {
      start.daemon = found->second.is_daemon;
      if (found->second.is_unit)
        start.unit = *d.unit();
      else
        start.program = program(found->second);
      start.limit = limit(found->second.limit);
      start.keeping = keeping(d);
      if (const Command* how = request_.idempotent && !start.daemon ? check(d) : nullptr) {
        start.check = how->argv;
        start.check_limit = how->limit;
      }
    }
    return started(std::move(start), d);
  }

  Compiled of(const effect::Reload& reload) const {
    const Definition& d = known(reload.definition);
    const Command hook = d.hook("reload");
    frames::Start start = bare_start(d);
    add(start.files, d);
    add(start.adopt, reload.former);
    start.program = program(hook);
    start.limit = limit(hook.limit);
    return started(std::move(start), d);
  }

  /// Directories alone: what a program that runs before the service may count on.
  Compiled of(const effect::MakeDirectories& make) const {
    const Definition& d = known(make.definition);
    if (d.data_directories.empty()) return nothing_to_do();
    frames::Start start = bare_start(d);
    start.release = false;
    Compiled compiled = started(std::move(start), d);
    compiled.items.clear();
    return compiled;
  }

  Compiled of(const effect::Stop& effect) const {
    const Definition& d = known(effect.definition);
    frames::Stop stop{
        .id = {}, .token = token_, .service = d.service, .grace = d.grace, .signal = d.stop_signal};
    if (const std::string* unit = d.unit()) {
      stop.unit = *unit;
      stop.limit = limit(d.limit);
    } else if (d.is_daemon()) {
      stop.daemon = true;
      stop.limit = limit(d.limit);
    } else if (const auto found = d.programs.find("stop"); found != d.programs.end()) {
      stop.program = program(found->second);
      stop.limit = limit(found->second.limit);
      // A `validate` that fails does not say that nothing runs: `alive` is there to say it. Only of what was
      // well before, and whose `stop` fails, is it taken for that.
      stop.gone = d.has_hook("alive");
      if (const Command* how = stop.gone || !effect.untried ? check(d) : nullptr) {
        stop.check = how->argv;
        stop.check_limit = how->limit;
      }
    } else {
      return nothing_to_do();
    }
    const double seconds = stop.limit + stop.grace + (stop.check.empty() ? 0 : stop.check_limit);
    return frame(std::move(stop), seconds);
  }

  Compiled of(const effect::PutFile& file) const {
    frames::Put put{.id = {},
                    .token = token_,
                    .path = path(file.path),
                    .bytes = file.content,
                    .sha256 = sha256(file.content),
                    .mode = file.mode,
                    .owner = {},
                    .user = file.user};
    return frame(std::move(put), 0);
  }
  Compiled of(const effect::GetFile& file) const {
    return frame(frames::Get{.id = {}, .path = path(file.path), .max = most_file_bytes, .user = file.user},
                 0);
  }
  Compiled of(const effect::RestoreFile& file) const {
    if (!whole_path(file.path)) return {.answer = absent()};  // nothing was put there
    return frame(
        frames::Unput{.id = {}, .token = token_, .of = file.of, .path = path(file.path), .user = file.user},
        0);
  }

  Compiled of(const effect::WriteEntry& write) const {
    frames::Entry entry{.id = {}, .token = token_, .service = {}, .json = {}};
    if (!write.entry) {
      entry.service = known(write.about).service;
      entry.probe = frames::Probe::drop;
      return frame(std::move(entry), 0);
    }
    const ManifestEntry& manifest = *write.entry;
    entry.service = manifest.service;
    entry.json = to_json(manifest, forms_.of(manifest.old_definition), forms_.of(manifest.new_definition));
    if (const DefinitionPtr& d = manifest.new_definition ? manifest.new_definition : manifest.old_definition)
      set_probe(entry, *d);
    Compiled compiled = frame(std::move(entry), 0);
    // A first entry promises what is to come. A last one may bring hooks that changed alone, or take
    // back what was there: then it must be written even if the store has lost something. So must one that
    // names what an ended run left over.
    if (const DefinitionPtr& fresh = manifest.new_definition) {
      const Definition& promised = write.is_first && write.about ? *write.about : *fresh;
      compiled.items = promised.items();
      compiled.items_required = write.is_first && promised == *fresh;
    }
    return compiled;
  }

  void set_probe(frames::Entry& entry, const Definition& d) const {
    if (d.unit() && !d.has_hook("alive")) {
      entry.probe = frames::Probe::unit;
      entry.program.argv = {*d.unit()};
    } else if (d.is_daemon() && !d.unit()) {
      entry.probe = frames::Probe::daemon;
    } else if (const Command* how = d.one_shot ? nullptr : check(d)) {
      entry.probe = frames::Probe::run;
      entry.program = program(*how);
      entry.limit = std::min(how->limit, probe_seconds);
    }
  }

  Compiled of(const effect::InstallFiles& install) const {
    const DefinitionPtr& d = install.definition;
    frames::Files files{
        .id = {}, .token = token_, .service = d ? d->service : install.service, .gone = d == nullptr};
    std::vector<std::string> items;
    if (d) {
      add(files.files, *d);
      files.user = d->user;
      for (const InstalledFile& file : d->files) items.push_back(file.item);
    } else {
      for (const DefinitionPtr& one : install.former)
        if (one && files.user.empty()) files.user = one->user;
    }
    add(files.adopt, install.former);
    Compiled compiled = frame(std::move(files), files_seconds);
    compiled.items = std::move(items);
    return compiled;
  }

  Compiled of(const effect::Sleep& sleep) const {
    return {.answer = Result{}, .pause = std::max(0.0, sleep.seconds)};
  }
  Compiled of(const effect::Now&) const { return {.answer = Result{}, .asks_time = true}; }
  Compiled of(const effect::Drain&) const { return taken_apart(); }
  Compiled of(const effect::Undrain&) const { return taken_apart(); }
  [[nodiscard]] Compiled taken_apart() const {
    return {.answer = failed(
                fmt::format("`{}` acts on other hosts, and works in a run only", request_.describe()))};
  }

  const std::string& token_;
  const std::string& host_;
  const Layout& layout_;
  const Request& request_;
  CanonicalForms& forms_;
};

}  // namespace

Compiled compile(const std::string& token, const std::string& host, const Layout& layout,
                 const Request& request, CanonicalForms& forms) {
  try {
    return Compiler(token, host, layout, request, forms).compile();
  } catch (const Error& e) { return {.answer = failed(e.what())}; }
}

}  // namespace tutti
