// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// All that goes on with one host: what waits for it, with which authority, over which connection.
// Threads: all on the thread that runs the network.

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "transport/channel.hpp"
#include "transport/compile.hpp"
#include "transport/gate.hpp"
#include <tutti/engine/transport.hpp>

namespace tutti {

/// What is offered to be put into the hosts' stores.
class Offer {
 public:
  void add(const Items& items) { all_.insert(items.begin(), items.end()); }
  /// nullptr when nobody offered it.
  [[nodiscard]] std::shared_ptr<const ItemContent> find(const std::string& name) const;
  /// Of an item that is offered; computed once.
  [[nodiscard]] const std::string& sha256_of(const std::string& name);

 private:
  Items all_;
  std::map<std::string, std::string> hashes_;
};

/// What the links of a transport share.
struct Shared {
  /// More at once gain little (a key exchange computes: 48 hosts on two cores take 2.8 s with 8, 2.5 s
  /// with 16 or 48), and beyond 10 that are not logged in yet an sshd that all pass through, a jump
  /// host, begins to drop some (MaxStartups).
  static constexpr std::size_t most_opening = 10;
  /// Of items on their way, each encoded for its host.
  static constexpr std::size_t most_uploading_bytes = std::size_t{64} << 20;

  std::unique_ptr<Network> network;
  Gate opening{most_opening};
  Gate uploading{most_uploading_bytes};
  Offer offer = {};
  CanonicalForms forms = {};
  std::vector<Completion> completed = {};
  std::uint64_t frames = 0;  ///< asked so far
};

class Link {
 public:
  Link(Shared& shared, Host host);
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  [[nodiscard]] const Host& host() const noexcept { return host_; }
  /// The host is (still) there. Its connection is given up when it is to be reached otherwise.
  void locate(const Host& host);
  void authorise(Authority authority);
  void read(const std::vector<WantedPath>& paths, std::function<void(HostReading)> then);
  void fetch(const Kept& what, std::uint64_t offset, std::uint64_t most, std::function<void(Piece)> then);
  void send(std::string token, Request request, Compiled compiled);

  bool hang_up() noexcept;  ///< see Channel
  void reap(double seconds) noexcept;

 private:
  /// What needs no lock.
  struct Question {
    frames::Frame frame;
    double seconds;
    std::function<void(const frames::Answer*, const std::string& why)> then;  ///< nullptr: no answer, why
    bool again = false;  ///< tried over a connection that turned out to be dead
  };
  struct Effect {
    std::string token;
    Request request;
    Compiled compiled;
    std::optional<std::vector<std::string>> missing = {};  ///< items; none: not asked yet
    std::optional<frames::Done> done = {};                 ///< the rest of its standard error is asked for
  };
  using Job = std::variant<Question, Effect>;
  enum class Stage { question, lock, items, item, effect, error_tail };

  void pump();          ///< does the next thing for the first job, if nothing is under way
  bool is_connected();  ///< finds out about a channel that ended while idle
  void connect();
  void opened(const std::string& why);
  void ask_next(Effect& effect);
  void upload(const std::string& item);
  void send_item(const std::string& item, const std::shared_ptr<const ItemContent>& content);
  void ask(Stage stage, frames::Frame frame, double seconds);
  void answered(Stage stage, Channel::Reply reply);
  void lost(Stage stage, const std::string& why);
  void take_question(const frames::Answer* answer, const std::string& why);
  void take_lock(const frames::Answer& answer);
  void take_items(Stage stage, const frames::Answer& answer);
  void take_effect(const frames::Answer& answer);
  void take_error_tail(const frames::Answer& answer);

  void complete(Completion::Kind kind, std::string why);
  void complete(Result result);
  void give_up(const std::string& why);  ///< the first job, for want of a connection
  [[nodiscard]] Effect& effect() { return std::get<Effect>(queue_.front()); }
  [[nodiscard]] std::string out_of_turn() const;

  Shared& shared_;
  Host host_;
  std::deque<Job> queue_;
  bool busy_ = false;  ///< something is under way for the first job
  std::shared_ptr<Channel> channel_;
  Gate::Pass pass_;          ///< while it opens, or an item is uploaded
  bool fresh_ = false;       ///< the channel was opened for the first job
  bool moved_ = false;       ///< the channel is with where the host was before
  bool may_connect_ = true;  ///< no attempt has failed since the last loss
  std::string why_not_;      ///< the last attempt failed
  std::optional<Authority> authority_;
  bool locked_ = false;
  std::string refused_;            ///< with this authority
  std::set<std::string> present_;  ///< items known to be there
};

/// What READ answered. An entry that can't be read becomes one in state failed: it is never lost.
/// `asked`: the paths that READ was about.
[[nodiscard]] HostReading to_reading(const std::string& host, const frames::Manifest& manifest,
                                     const std::vector<frames::WantedPath>& asked);

}  // namespace tutti
