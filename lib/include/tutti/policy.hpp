// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// A policy answers one question: may this host start now? It is asked host by host, in the plan's
// order, with a handle on the live rollout, which already counts the hosts admitted before.
// Threads: values; predicates are called on the thread that drives the executor.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include <tutti/export.hpp>

namespace tutti {

class Rollout;
struct Host;

/// The answer of a policy, from least to most restrictive.
struct Answer {
  enum class Kind {
    yes,
    not_before,  ///< ask again at `time`
    no,          ///< not this one, as things are
    wait,        ///< none now
  };
  Kind kind = Kind::yes;
  double time = 0;  ///< seconds since the epoch, for not_before

  Answer() = default;
  Answer(Kind k, double t = 0) : kind(k), time(t) {}
  Answer(bool yes) : kind(yes ? Kind::yes : Kind::no) {}
  bool operator==(const Answer&) const = default;
};
/// The more restrictive of two; of two not_before the later.
[[nodiscard]] TUTTI_EXPORT Answer most_restrictive(const Answer&, const Answer&);

/// Whether `host` may start now. Must not block, and must answer the same for the same rollout.
using Predicate = std::function<Answer(const Rollout&, const Host&)>;

/// A conjunction of terms.
class TUTTI_EXPORT Policy {
 public:
  /// At most this many unavailable hosts (in transition, known to be down) among those that share
  /// the label `of` ("class", "site" for all, or any label). A host already down may always start.
  struct AtMost {
    double bound = 0;      ///< hosts or percent
    bool percent = false;  ///< rounded down, at least 1
    std::string of = "class";
    bool operator==(const AtMost&) const = default;
  };
  /// A predicate; without a function it is one that the driver answers (`AskPolicy`), which knows it by
  /// number.
  struct Ask {
    std::string name;
    Predicate predicate = {};
    std::uint32_t number = 0;
  };
  /// A policy for the hosts of one class; all others may start.
  struct ForClass {
    std::string host_class;
    std::shared_ptr<const Policy> policy;  // shared, as it is immutable and not complete here
  };
  using Term = std::variant<AtMost, Ask, ForClass>;

  Policy() = default;
  explicit Policy(std::vector<Term> terms) : terms_(std::move(terms)) {}
  Policy(Predicate predicate) : terms_{Ask{"predicate", std::move(predicate)}} {}

  [[nodiscard]] const std::vector<Term>& terms() const noexcept { return terms_; }
  /// The answer of all terms that are decided here.
  [[nodiscard]] Answer operator()(const Rollout&, const Host&) const;
  /// Whether the driver must be asked too.
  [[nodiscard]] bool asks_driver() const noexcept;
  /// The terms about this host that the driver must be asked, in order. They live as long as the policy.
  [[nodiscard]] std::vector<const Ask*> driver_asks(const Host&) const;
  /// Calls `f` with each term, those within for_class() too.
  void each_term(const std::function<void(const Term&)>& f) const;
  /// "at most 30% of each class, and rack-policy".
  [[nodiscard]] std::string describe() const;

 private:
  std::vector<Term> terms_;
};

[[nodiscard]] TUTTI_EXPORT Policy at_most(int hosts, std::string of = "class");
[[nodiscard]] TUTTI_EXPORT Policy at_most_percent(double percent, std::string of = "class");
[[nodiscard]] TUTTI_EXPORT Policy all_of(const std::vector<Policy>& policies);
/// A named predicate, so that plans can say its name.
[[nodiscard]] TUTTI_EXPORT Policy ask(std::string name, Predicate predicate);
/// `policy` for the hosts of that class only.
[[nodiscard]] TUTTI_EXPORT Policy for_class(std::string host_class, Policy policy);
/// At most 30% of a class at once.
[[nodiscard]] TUTTI_EXPORT Policy default_policy();

}  // namespace tutti
