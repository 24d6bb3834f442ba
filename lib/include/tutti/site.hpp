// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// The site: host classes and the services in them, and the ways to find and reach their hosts.
// Threads: values, free to copy and move.

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <tutti/platform.hpp>
#include <tutti/policy.hpp>
#include <tutti/service.hpp>

namespace tutti {

/// One machine. Its class is known once an inventory has answered.
struct TUTTI_EXPORT Host {
  std::string name;          ///< letters, digits and `._-`, at most 64; begins with a letter or digit
  std::string address = {};  ///< empty: the name (on the local platform 127.0.1.N)
  int port = 0;              ///< of SSH; 0: what ssh's configuration says
  std::string user = {};     ///< of SSH; empty: what ssh's configuration says
  std::string become = {};   ///< "sudo" or "doas": how to become root there; empty: not at all
  std::map<std::string, std::string> labels = {};
  std::string host_class = {};

  /// A label, or the class for "class"; empty when the host has none of that name.
  [[nodiscard]] std::string label(const std::string& key) const;
  bool operator==(const Host&) const = default;
};

struct HostClass {
  std::string name;
  std::vector<Service> services = {};
  std::vector<std::string> requirements = {};
  std::map<std::string, std::string> labels = {};  ///< of its hosts, unless a host says otherwise
  Declared declared = {};
};

/// Which hosts there are, by class. It is asked once for a fleet, for all classes of the site together:
/// one answer is one fleet.
class TUTTI_EXPORT Inventory {
 public:
  struct Answer {
    std::vector<Host> hosts = {};  ///< each with its class; those of a class in order
    std::vector<std::string> notes =
        {};  ///< what a person should know: hosts of classes that were not asked for
  };
  using Function = std::function<Answer(const std::vector<std::string>& classes)>;

  Inventory() = default;
  /// Of a function that is asked for all classes at once.
  explicit Inventory(Function function) : ask_(std::move(function)) {}
  /// Of a function from the name of a class to its hosts, called once for each class.
  template <class F>
    requires std::is_invocable_r_v<std::vector<Host>, F&, const std::string&>
  Inventory(F of_class)
      : ask_([of_class = std::move(of_class)](const std::vector<std::string>& classes) {
          Answer answer;
          for (const std::string& host_class : classes)
            for (Host& host : of_class(host_class)) {
              host.host_class = host_class;
              answer.hosts.push_back(std::move(host));
            }
          return answer;
        }) {}

  [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(ask_); }
  /// Throws Error; whatever the function throws.
  [[nodiscard]] Answer ask(const std::vector<std::string>& classes) const { return ask_(classes); }

 private:
  Function ask_;
};

[[nodiscard]] TUTTI_EXPORT Inventory inventory_list(std::map<std::string, std::vector<Host>> hosts);
/// Reads `hosts.json` (format_version 1) each time it is asked. Errors name the file and the key.
[[nodiscard]] TUTTI_EXPORT Inventory inventory_file(std::string path);
/// All hosts of such a file, with their classes. Errors name the file, the host and the key.
[[nodiscard]] TUTTI_EXPORT std::vector<Host> hosts_in_file(const std::string& path);
/// The answers of all, in order.
[[nodiscard]] TUTTI_EXPORT Inventory inventory_append(std::vector<Inventory> inventories);
/// A sentence for each class of `hosts`, which `where` holds, that is none of `classes`.
[[nodiscard]] TUTTI_EXPORT std::vector<std::string> notes_on_classes(const std::string& where,
                                                                     const std::vector<Host>& hosts,
                                                                     const std::vector<std::string>& classes);

/// The texts of a site program, by the name of each file below the program's folder.
using Source = std::map<std::string, std::string>;
/// SHA-256, in hexadecimal, of the JSON object of it; "" of none.
[[nodiscard]] TUTTI_EXPORT std::string source_hash(const Source&);

struct Site {
  std::string name;
  std::vector<HostClass> host_classes = {};
  Inventory host_class_to_hosts = {};
  Platform platform = ssh_platform();
  Policy policy = default_policy();
  Source source = {};  ///< of the program that made it, if any: recorded with the generation
};

/// A site as data, as a driver hands it over: `settings` and transitions stay behind (each
/// service says by `"late_settings": true` and by name that it has them). The format is that of
/// the struct fields; an unknown key is an Error that names it and the nearest known one.
[[nodiscard]] TUTTI_EXPORT Site site_from_json(std::string_view json);
/// The same of a policy alone: a list of terms. Throws Error.
[[nodiscard]] TUTTI_EXPORT Policy policy_from_json(std::string_view json);

/// Hosts by class, as the inventory answered once: sorted as it answered, names unique, addresses too.
struct TUTTI_EXPORT Fleet {
  std::vector<Host> hosts = {};
  std::vector<std::string> notes = {};  ///< of the inventory; plans tell them

  /// Throws Error when there is none of that name.
  [[nodiscard]] const Host& at(const std::string& name) const;
  [[nodiscard]] const Host* find(const std::string& name) const noexcept;
};

/// Asks the inventory. Throws Error for a malformed name, a host in two classes, or two hosts at one address
/// and port.
[[nodiscard]] TUTTI_EXPORT Fleet look_up(const Site& site);

}  // namespace tutti
