// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// A service as a person declares it. All fields have defaults but the first two.
// Threads: values, free to copy and move; `settings` and transitions are called on the caller's thread.

#include <concepts>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <tutti/keeping.hpp>
#include <tutti/program.hpp>

namespace tutti {

class SiteView;
class Context;
class Transition;
struct Change;
struct Host;

/// Where something was declared: "shop.scm:12". In C++ it is filled in by itself.
struct TUTTI_EXPORT Declared {
  std::string at;
  Declared(std::source_location here = std::source_location::current());
  Declared(std::string place) : at(std::move(place)) {}
};

using Settings = std::map<std::string, std::string>;

/// Settings, given at once or bound late: computed for each host when its site is elaborated.
class TUTTI_EXPORT LateSettings {
 public:
  using Function = std::function<Settings(const SiteView&, const Host&)>;
  LateSettings() = default;
  LateSettings(Settings settings) : fixed_(std::move(settings)) {}
  template <std::invocable<const SiteView&, const Host&> F>
  LateSettings(F function) : function_(std::move(function)) {}
  /// Settings that somebody else computes and gives to the Elaboration.
  [[nodiscard]] static LateSettings elsewhere();

  [[nodiscard]] const Settings& fixed() const noexcept { return fixed_; }
  [[nodiscard]] const Function& function() const noexcept { return function_; }
  [[nodiscard]] bool is_elsewhere() const noexcept { return elsewhere_; }

 private:
  Settings fixed_;
  Function function_;
  bool elsewhere_ = false;
};

/// "Needs it running" (a requirement) or "talks to it" (a connection).
struct Requirement {
  std::string service;
  std::string versions = "*";
  std::string on_change = "nothing";
  std::string scope = "site";
  Declared declared = {};
};
using Connection = Requirement;

/// A port by name: the address is that of the host. Two services of a host have no port in common.
struct Endpoint {
  std::string name;
  Text port;  ///< of TCP, such as "80"; of UDP, such as "53/udp", which is another one than "53"
};

/// A file of the service on its host, written before the service starts.
struct File {
  Text path;               ///< absolute; on the local platform relative to the host's directory
  Text content;            ///< one item alone stands for the item's content
  unsigned mode = 0644;    ///< refused if is_decimal_mode()
  std::string owner = {};  ///< empty: whom we act as
};

/// Was this mode meant in octal but written in decimal, as 644 for 0644? So it is when its decimal digits are
/// those of a usual mode, and it is none itself. A usual mode lets read who may write, and lets others do no
/// more than the group, and the group no more than the owner.
[[nodiscard]] TUTTI_EXPORT bool is_decimal_mode(unsigned mode) noexcept;

/// Whose a transition is: never told by its name, which a site may give to a procedure of its own.
enum class Origin : std::uint8_t { built_in, site };
[[nodiscard]] TUTTI_EXPORT const char* to_string(Origin) noexcept;  ///< "built in", "the site"

/// A coroutine `Transition f(Context, Change)`, and the name that plans and manifests call it by.
struct TUTTI_EXPORT TransitionProcedure {
  using Body = std::function<Transition(Context, Change)>;
  std::string name;
  Body body = {};  ///< none: built in, or run by another driver
  Origin origin = Origin::site;

  TransitionProcedure(const char* built_in) : name(built_in), origin(Origin::built_in) {}
  TransitionProcedure(std::string the_name) : name(std::move(the_name)) {}
  /// A function of the site; `replace_service` and the like are the built-in ones, by their own names.
  TransitionProcedure(Transition (*function)(Context, Change));
  /// A function, or a lambda that captures nothing: its captures would be gone when it runs. A std::function
  /// is taken as it is, for who knows that what it calls is no coroutine itself.
  template <std::invocable<Context, Change> F>
  TransitionProcedure(std::string the_name, F the_body)
      : name(std::move(the_name)), body(std::move(the_body)) {
    static_assert(std::is_empty_v<F> || std::is_function_v<std::remove_pointer_t<F>> ||
                      std::is_same_v<F, Body>,
                  "a transition captures nothing: it runs on after the lambda is gone");
  }
};
/// The transitions that are built in.
[[nodiscard]] TUTTI_EXPORT bool is_built_in(std::string_view transition) noexcept;

struct Service {
  std::string name;
  std::string version;
  // what runs
  std::vector<Item> payload = {};
  std::vector<File> files = {};
  LateSettings settings = {};
  std::map<std::string, Text> environment = {};
  std::string user = {};  ///< whom its programs run as; empty: whom we act as
  std::vector<Endpoint> endpoints = {};
  int slots = 1;
  // programs
  Program prepare = {};
  Program start = {};
  Program stop = {};
  Program reload = {};
  bool one_shot = false;
  Program alive = {};
  // hooks
  Program validate = {};
  Program drain = {};
  Program undrain = {};
  Program backup = {};
  Program restore = {};
  Program migrate = {};
  Program migrate_back = {};
  std::map<std::string, Program> hooks = {};
  // relations
  std::vector<Requirement> requirements = {};
  std::vector<Connection> connections = {};
  // transitions
  TransitionProcedure switch_to_service = "replace-service";
  TransitionProcedure switch_back = "same";
  TransitionProcedure remove_service = "remove-service";
  double limit = 600;  ///< seconds, for one effect
  // how the host keeps it; restart, ready, log and stop_signal are of daemons
  Restart restart = Restart::always;
  Ready ready = {};
  LogTo log = LogTo::file;
  std::string stop_signal = "TERM";
  double grace = 10;                  ///< seconds between that and KILL
  std::optional<double> settle = {};  ///< seconds; none: as Definition::settle_seconds() says
  ResourceLimits limits = {};
  Text working_directory = {};         ///< of its programs; a path as a File's. Empty: the host's root
  std::optional<unsigned> umask = {};  ///< none: 022
  std::optional<int> nice = {};
  Declared declared = {};
};

}  // namespace tutti
