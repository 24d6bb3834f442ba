// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// Order between the steps of a plan. For `A requires B`: B changes before A changes; and what required B, by
// the definitions that are deployed, changes or goes before B goes. That is an order of groups, and runs
// through joins. On one host, what goes makes room for what comes, unless a requirement says otherwise: that
// is an order of steps. Steps and edges stay linear in instances and requirements.

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <tutti/plan.hpp>

namespace tutti {

/// What joins stand between: all changes of a service, all its removals, all that of it is let go.
enum class Part : std::uint8_t { change, removal, undrain };
struct Group {
  std::string service;
  Part part = Part::change;
  std::vector<std::uint32_t> steps = {};                          // index into the diff
  std::vector<std::pair<std::uint32_t, std::string>> after = {};  // groups before this one, and why
  bool is_live = false;   // has steps, or comes after a group that is live
  bool has_join = false;  // a live group comes after it
};

/// Steps of one host of which all `before` end before any of `after` begins.
struct Room {
  std::string host;
  std::vector<std::uint32_t> before;
  std::vector<std::uint32_t> after;
  std::string why;
};

/// The groups of a plan and the order among them, and what makes room for what.
class Order {
 public:
  /// `steps`: as the diff found them. Notes say which order was left out, and why.
  Order(const Desired&, const std::vector<Step>& steps, std::vector<std::string>& notes);

  [[nodiscard]] const std::vector<Group>& groups() const noexcept { return groups_; }
  [[nodiscard]] const std::vector<Room>& rooms() const noexcept { return rooms_; }
  /// From now on all of `group` comes after all of `earlier`, unless that closes a loop; whether it does come
  /// so.
  bool wait(std::uint32_t group, std::uint32_t earlier);

 private:
  std::uint32_t group(const std::string& service, Part part);
  std::uint32_t group_of(const Step& step);
  void edge(std::uint32_t before, std::uint32_t after, std::string why);
  void undrains(const Desired&);
  /// Removals, by what the definitions that are deployed say.
  void recorded(const std::vector<Step>&, std::vector<std::string>& notes);
  void make_room(const std::vector<Step>&);
  void make_room(const std::vector<Step>&, const std::string& host,
                 const std::vector<std::uint32_t>& removals, const std::vector<std::uint32_t>& changes);
  /// A file that one service gives up and another one of its host takes.
  void hand_over(const std::vector<Step>&, const std::string& host,
                 const std::vector<std::uint32_t>& changes);
  /// What moves is where it is wanted before it goes where it is not.
  void moves(std::vector<std::string>& notes);
  void live();
  /// Which nodes come before this one, and itself.
  [[nodiscard]] std::vector<bool> before(std::uint32_t node) const;

  std::vector<Group> groups_;
  std::map<std::pair<std::string, Part>, std::uint32_t> index_;
  std::vector<Room> rooms_;
  /// For each group, and then for each way to make room that hosts have in common, what comes before it.
  std::vector<std::vector<std::uint32_t>> nodes_;
  using Services = std::vector<std::string>;
  struct Decided {
    std::vector<bool> all = {};  // of the removals: those that make room for all
    std::vector<std::pair<std::size_t, std::size_t>> some = {};  // other pairs of a removal and a change
  };
  std::map<std::pair<Services, Services>, Decided> decided_;
};

}  // namespace tutti
