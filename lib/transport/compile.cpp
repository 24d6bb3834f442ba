#include "transport/compile.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <utility>

#include <fmt/format.h>

#include "support/text.hpp"
#include <tutti/error.hpp>

namespace tutti {
namespace {

constexpr double stop_grace_seconds = 10;  ///< of a daemon, between TERM and KILL
constexpr double probe_seconds = 10;       ///< at most, of judging that an instance lives
constexpr double try_again_seconds = 1;    ///< at most, between tries to validate
constexpr double answer_seconds = 30;      ///< for the reply, besides what the effect itself may take
constexpr double files_seconds = 600;      ///< to keep, copy and put back files, however large
constexpr std::size_t running_hash_length = 32;

/// A request and what every case below needs of it.
class Compiler {
 public:
  Compiler(const std::string& token, const std::string& host, const Layout& layout, const Request& request)
      : token_(token), host_(host), layout_(layout), request_(request) {}

  Compiled compile() {
    switch (request_.operation) {
      case Operation::run: return run(0);
      case Operation::wait_until: return run(request_.every > 0 ? request_.every : try_again_seconds);
      case Operation::start: return start();
      case Operation::stop: return stop();
      case Operation::reload: return reload();
      case Operation::validate: return validate();
      case Operation::put_file: return put();
      case Operation::get_file:
        return frame(frames::Get{.id = {}, .path = path(), .max = most_file_bytes, .user = request_.user}, 0);
      case Operation::restore_file:
        if (!whole_path()) return {.answer = absent()};  // nothing was put there
        return frame(
            frames::Unput{
                .id = {}, .token = token_, .of = request_.of, .path = path(), .user = request_.user},
            0);
      case Operation::sleep: return {.answer = Result{}, .pause = std::max(0.0, request_.every)};
      case Operation::now: return now();
      case Operation::begin:
      case Operation::end: return entry();
      case Operation::settle: return settle();
      case Operation::files: return files();
      case Operation::drain:
      case Operation::undrain: break;  // the executor takes them apart
    }
    return {.answer = failed("an operation that this version does not know")};
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

  [[nodiscard]] const Definition& definition() const {
    if (!request_.definition)
      throw Error(ErrorCode::misuse, fmt::format("`{}` names no service", request_.describe()));
    return *request_.definition;
  }

  /// Definitions have absolute paths; what a transition writes may be relative to the host's root. None: it
  /// is outside of that, on a host that is a directory.
  [[nodiscard]] std::optional<std::string> whole_path() const {
    namespace fs = std::filesystem;
    const fs::path root(layout_.root);
    const fs::path whole = (root / request_.path).lexically_normal();
    if (request_.path.empty() ||
        (layout_.confined && whole.lexically_relative(root).string().starts_with("..")))
      return {};
    return whole.string();
  }
  static Result absent() {
    Result result;
    result.how = "absent";
    return result;
  }

  [[nodiscard]] std::string path() const {
    const auto whole = whole_path();
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

  [[nodiscard]] frames::Input input() const {
    const auto* output = std::get_if<Output>(&request_.input);
    if (!output) {
      const std::string& text = std::get<std::string>(request_.input);
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

  Compiled run(double every) {
    const Command& command = request_.command;
    if (!command) throw Error(ErrorCode::misuse, "a program without a name can't be run");
    frames::Run run{.id = {},
                    .token = token_,
                    .program = program(command),
                    .limit = limit(command.limit),
                    .every = every,
                    .service = {},
                    .input = input()};
    const double seconds = run.limit + run.grace;
    Compiled compiled = frame(std::move(run), seconds);
    if (request_.definition) compiled.items = request_.definition->items();
    return compiled;
  }

  Compiled validate() {
    const Definition& d = definition();
    const std::string service = d.is_daemon() ? d.service : "";
    const auto hook = d.programs.find("validate");
    const auto alive = d.programs.find("alive");
    Command command;
    if (hook != d.programs.end())
      command = hook->second;
    else if (d.is_daemon())
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
                    .service = service,
                    .input = {}};
    const double seconds = run.limit + run.grace;
    return frame(std::move(run), seconds);
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
  void add_files(frames::Start& start, const Definition& d) const {
    add(start.files, d);
    add_former(start.adopt);
    start.release = !request_.beside;
  }
  void add_former(std::vector<frames::InstalledFile>& adopt) const {
    for (const DefinitionPtr& one : request_.former)
      if (one) add(adopt, *one);
  }

  Compiled start() {
    const Definition& d = definition();
    frames::Start start = bare_start(d);
    add_files(start, d);
    start.limit = limit(d.limit);
    start.already = request_.idempotent;
    if (const auto found = d.programs.find("start"); found != d.programs.end()) {
      start.daemon = found->second.is_daemon;
      start.program = program(found->second);
      start.limit = limit(found->second.limit);
      if (const Command* how = request_.idempotent && !start.daemon ? check(d) : nullptr) {
        start.check = how->argv;
        start.check_limit = how->limit;
      }
    }
    return started(std::move(start), d);
  }

  Compiled reload() {
    const Definition& d = definition();
    const Command hook = d.hook("reload");
    frames::Start start = bare_start(d);
    add_files(start, d);
    start.program = program(hook);
    start.limit = limit(hook.limit);
    return started(std::move(start), d);
  }

  /// Directories alone: what a program that runs before the service may count on.
  Compiled settle() {
    const Definition& d = definition();
    if (d.data_directories.empty()) return nothing_to_do();
    frames::Start start = bare_start(d);
    start.release = false;
    Compiled compiled = started(std::move(start), d);
    compiled.items.clear();
    return compiled;
  }

  Compiled stop() {
    const Definition& d = definition();
    frames::Stop stop{.id = {}, .token = token_, .service = d.service, .grace = stop_grace_seconds};
    if (d.is_daemon()) {
      stop.daemon = true;
      stop.limit = limit(d.limit);
    } else if (const auto found = d.programs.find("stop"); found != d.programs.end()) {
      stop.program = program(found->second);
      stop.limit = limit(found->second.limit);
      // A `validate` that fails does not say that nothing runs: `alive` is there to say it. Only of what was
      // well before, and whose `stop` fails, is it taken for that.
      stop.gone = d.has_hook("alive");
      if (const Command* how = stop.gone || !request_.untried ? check(d) : nullptr) {
        stop.check = how->argv;
        stop.check_limit = how->limit;
      }
    } else {
      return nothing_to_do();
    }
    const double seconds = stop.limit + stop.grace + (stop.check.empty() ? 0 : stop.check_limit);
    return frame(std::move(stop), seconds);
  }

  Compiled put() {
    frames::Put put{.id = {},
                    .token = token_,
                    .path = path(),
                    .bytes = request_.content,
                    .sha256 = sha256(request_.content),
                    .mode = request_.mode,
                    .owner = {},
                    .user = request_.user};
    return frame(std::move(put), 0);
  }

  Compiled entry() {
    frames::Entry entry{.id = {}, .token = token_, .service = {}, .json = request_.content};
    if (request_.content.empty()) {
      entry.service = request_.path.empty() ? definition().service : request_.path;
      entry.probe = frames::Probe::drop;
      return frame(std::move(entry), 0);
    }
    const ManifestEntry manifest = ManifestEntry::from_json(request_.content);
    entry.service = manifest.service;
    if (const DefinitionPtr d = manifest.new_definition ? manifest.new_definition : manifest.old_definition)
      set_probe(entry, *d);
    Compiled compiled = frame(std::move(entry), 0);
    // A first entry promises what is to come. A last one may bring hooks that changed alone, or take
    // back what was there: then it must be written even if the store has lost something. So must one that
    // names what an ended run left over.
    if (manifest.new_definition) {
      const bool is_first = request_.operation == Operation::begin;
      const Definition& promised =
          is_first && request_.definition ? *request_.definition : *manifest.new_definition;
      compiled.items = promised.items();
      compiled.items_required = is_first && promised == *manifest.new_definition;
    }
    return compiled;
  }

  void set_probe(frames::Entry& entry, const Definition& d) const {
    if (d.is_daemon()) {
      entry.probe = frames::Probe::daemon;
    } else if (const Command* how = d.one_shot ? nullptr : check(d)) {
      entry.probe = frames::Probe::run;
      entry.program = program(*how);
      entry.limit = std::min(how->limit, probe_seconds);
    }
  }

  Compiled files() {
    const DefinitionPtr& d = request_.definition;
    frames::Files files{
        .id = {}, .token = token_, .service = d ? d->service : request_.service, .gone = d == nullptr};
    std::vector<std::string> items;
    if (d) {
      add(files.files, *d);
      files.user = d->user;
      for (const InstalledFile& file : d->files) items.push_back(file.item);
    } else {
      for (const DefinitionPtr& one : request_.former)
        if (one && files.user.empty()) files.user = one->user;
    }
    add_former(files.adopt);
    Compiled compiled = frame(std::move(files), files_seconds);
    compiled.items = std::move(items);
    return compiled;
  }

  static Compiled now() {
    const std::chrono::duration<double> time = std::chrono::system_clock::now().time_since_epoch();
    Result result;
    result.output.text = fmt::format("{:.6f}", time.count());
    result.output.size = result.output.text.size();
    return {.answer = std::move(result)};
  }

  const std::string& token_;
  const std::string& host_;
  const Layout& layout_;
  const Request& request_;
};

}  // namespace

Compiled compile(const std::string& token, const std::string& host, const Layout& layout,
                 const Request& request) {
  try {
    return Compiler(token, host, layout, request).compile();
  } catch (const Error& e) { return {.answer = failed(e.what())}; }
}

}  // namespace tutti
