// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// The way of one step, as a state machine that acts on nothing: each thing that happens to it is a call, and
// the call's answer is what is to be done, in order. It calls neither plan, nor transport, nor driver.
//
// A step goes: begin (`b`: the manifest says `changing`) → transition (`t`) → end (`e`: the manifest says
// what is). When the transition raises: compensations (`cN`, last first) → verification (`v`) → end. A lost
// connection parks it: nothing more is sent, nothing ends.
//
// step.cpp has the way, rollback.cpp the way back, proof.cpp what is taken for proven, fan_out.cpp effects
// that are several on other hosts.
//
// Threads: one thread owns it. It stays where it is, and borrows its step, the ledger, the forms and the
// prefix.

#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "executor/ledger.hpp"
#include "model/canonical.hpp"
#include <tutti/engine/executor.hpp>
#include <tutti/engine/journal.hpp>

namespace tutti {

/// What runs of an instance, by what its host answered. `former` and `fresh` are the step's old and new one.
enum class Runs : std::uint8_t { unknown, nothing, former, fresh };

/// What became of those for whom a removal made room.
enum class RoomTaken : std::uint8_t {
  taken,    ///< all of them run
  missing,  ///< one does not, and nothing of it is left
  left,     ///< something of one may be left
  unknown,  ///< nobody knows
};

class StepRun {
 public:
  /// When a call is made.
  struct Moment {
    double time = 0;              ///< seconds since the epoch
    bool is_interrupted = false;  ///< what is under way ends, and nothing new begins
  };
  struct Facts {
    bool makes_room = false;             ///< a removal after which another service comes on its host
    bool is_dry = false;                 ///< nothing is done: what raises is not undone, and holds nothing up
    std::string_view token_prefix = {};  ///< LINEAGE.RUN., borrowed
  };

  // What is to be done.
  struct Write {
    Record::What what;
    double time;
  };
  /// The request is `under_way` there.
  struct Send {
    Place at;
  };
  struct StartBody {
    TaskKind kind;
    std::uint32_t serial;
  };
  struct ResumeBody {
    Result result;
    std::string request;  ///< described, when it failed
  };
  struct DropBody {
    std::string why;
  };
  /// For people.
  struct Tell {
    std::string text;
  };
  /// Its transition failed: nothing new starts while it goes back.
  struct Failed {
    std::string why;
  };
  /// Those who come in its place may begin; then `settle` says what came of that.
  struct MadeRoom {};
  /// It ended, or is parked: `outcome` and `message` say how.
  struct Over {};
  using Order = std::variant<Write, Send, StartBody, ResumeBody, DropBody, Tell, Failed, MadeRoom, Over>;
  using Orders = std::vector<Order>;

  StepRun(StepId, const Step&, Ledger&, CanonicalForms&, Facts);
  StepRun(const StepRun&) = delete;
  StepRun& operator=(const StepRun&) = delete;

  [[nodiscard]] Orders begin(Moment);
  /// Its host can't be reached: it does not begin.
  [[nodiscard]] Orders unreachable(const std::string& why, Moment);
  /// Others must come first and did not, or nothing begins any more. Nobody is told that it is over.
  [[nodiscard]] Orders skip(std::string why, Moment);
  /// What was sent there came back. `is_lost`: the host was known to be lost before.
  [[nodiscard]] Orders answered(const Place&, Completion, bool is_lost, Moment);
  [[nodiscard]] Orders settle(RoomTaken, const std::string& what, Moment);
  /// We leave while it is under way.
  [[nodiscard]] Orders leave(Moment);

  // Of its body. Each throws std::logic_error while an effect of the body is under way.
  [[nodiscard]] bool has_body() const noexcept { return has_body_; }
  [[nodiscard]] Orders perform(std::unique_ptr<Request>, Moment);
  /// What the driver keeps as number `serial` undoes what comes next.
  [[nodiscard]] Orders on_roll_back(std::uint32_t& serial, Moment);
  [[nodiscard]] Orders body_over(bool succeeded, std::string message, Moment);

  [[nodiscard]] Stage stage() const noexcept { return stage_; }
  [[nodiscard]] bool is_over() const noexcept { return stage_ == Stage::parked || stage_ == Stage::ended; }
  [[nodiscard]] Outcome outcome() const noexcept { return outcome_; }
  [[nodiscard]] const std::string& message() const noexcept { return message_; }
  [[nodiscard]] const std::vector<std::string>& effects() const noexcept { return effects_; }
  [[nodiscard]] const std::vector<std::string>& notes() const noexcept { return notes_; }
  [[nodiscard]] bool has_begun() const noexcept { return has_begun_; }
  [[nodiscard]] double seconds() const noexcept { return has_begun_ ? ended_ - started_ : 0; }
  /// What was sent there and has not come back, or nullptr.
  [[nodiscard]] const Request* under_way(const Place&) const;
  /// Its token; and where what has that token is under way.
  [[nodiscard]] const std::string& token(const Place&) const;
  [[nodiscard]] std::optional<Place> place_of(std::string_view token) const;

 private:
  /// What is done between two answers of the host: a body of the driver's, or requests of our own.
  struct Work {
    TaskPath path = {};
    std::uint32_t sequence = 0;  // of its next effect or registration
    bool is_body = false;
    std::unique_ptr<Request> request = {};           // sent, or taken apart; gone when it is answered
    bool is_sent = false;                            // it, not its branches
    std::string token = {};                          // of what was sent last
    std::string text = {};                           // how people read it
    std::vector<std::function<Request()>> own = {};  // what is still to be sent, last first
    std::uint32_t undone_by = 0;                     // serial of what undoes that effect
    [[nodiscard]] bool is_transition() const { return path.kind == TaskPath::Kind::transition; }
  };
  /// An effect of `work_` that is several.
  struct FanOut {
    FanOut() {}  // clang needs one of its own where an optional of a nested class is a member
    std::vector<Work> branches = {};
    std::size_t open = 0;  // that have not ended
    bool is_told = false;  // people hear of it
    std::string failures = {};
    std::unique_ptr<Request> then = {};  // what is sent once they have ended
  };
  /// What takes back an effect of the transition.
  struct Undo {
    std::uint32_t serial = 0;
    std::optional<Request> request = {};  // none: a body of the driver's
    bool has_failed = false;              // what it undoes came back as failed: nobody knows how far it came
  };

  template <class F> Orders orders(Moment moment, F happens) {
    constexpr std::size_t usual = 3;  // that a call gives; four would be more than malloc keeps at hand
    moment_ = moment;
    orders_.reserve(usual);
    happens();
    return std::exchange(orders_, {});
  }
  void order(Order one) { orders_.push_back(std::move(one)); }
  /// The record that `make` makes. Of a dry run there is none.
  template <class F> void write(F make) {
    if (!facts_.is_dry) order(Write{make(), moment_.time});
  }
  void enter(Stage);
  [[nodiscard]] Place place(const Work& work) const { return {id_, work.path, work.sequence}; }

  // -- the way (step.cpp)
  void begun();
  void start_body(TaskPath path);
  void start_own(TaskPath::Kind kind, std::vector<Request> requests);
  Work& start(TaskPath path);
  void next_own(Work&);
  void send(Work&, std::unique_ptr<Request>);
  [[nodiscard]] const Work* find(const Place&) const;
  void refuse_if_busy() const;
  void own_answered(const Request&, const Result&);
  void resume(Result, std::string request);
  void give_files(Request&);
  /// Writes what is into the manifest; then the step ends so.
  void finish(Outcome);
  [[nodiscard]] bool hold();
  void end(Outcome, std::string message);
  /// Unknown is an end for this process only: nothing is journaled, the instance stays open.
  void park(const std::string& why);

  // -- the way back (rollback.cpp)
  void roll_back(std::string message);
  /// Registers what undoes the request, if anything does; then sends it.
  void dispatch(std::unique_ptr<Request>);
  std::uint32_t register_undo(std::optional<Request>);
  /// Next compensation, or the verification, or the end.
  void compensate();
  void compensated(const std::string& failure);
  /// Whether what should run after a rollback does: the old service; on an install, nothing.
  void verify();
  void verify_answered(const Request&, const Result&);

  // -- what is proven (proof.cpp)
  /// The transition ended well. If that does not prove that the new service lives and has settled (in a
  /// removal, that the old one is gone), the host is asked.
  void prove();
  /// How long the new service has still to live before it counts; 0: it counts.
  [[nodiscard]] double left_to_settle() const;
  void prove_gone();
  void proof_answered(const Request&, const Result&);
  /// What the answer of the step's own host says about what runs there.
  void observe(const Request&, const Result&);
  [[nodiscard]] Runs which(const DefinitionPtr&) const;
  /// The old and the new service run the same: what is one is the other.
  [[nodiscard]] bool same_running() const;
  [[nodiscard]] bool left_over_may_run() const { return step_.left_over && !left_over_is_stopped_; }

  // -- effects that are several (fan_out.cpp)
  void take_apart(std::unique_ptr<Request>);
  /// What an ended run may have left running besides `old` ends where the transition first stops or
  /// starts the service: not before, so that whoever uses it can be drained first.
  [[nodiscard]] bool must_stop_left_over(const Request&) const;
  void stop_left_over(std::unique_ptr<Request> then);
  void fork(const Request&, std::vector<Instance> branches);
  /// Where consumers reach the service now: as it was before, if it was.
  [[nodiscard]] std::string address_of(const Definition& given) const;
  void branch_answered(Work&, const Request&, const Result&);
  void branch_over(const std::string& failure);
  void branches_over();

  StepId id_;
  const Step& step_;
  Ledger& ledger_;
  CanonicalForms& forms_;
  Facts facts_;

  Moment moment_ = {};
  Orders orders_ = {};

  Stage stage_ = Stage::pending;
  Outcome outcome_ = Outcome::none;
  Outcome ending_ = Outcome::none;  // what it is once its end is written
  std::string message_ = {};
  std::vector<std::string> effects_ = {};
  std::vector<std::string> notes_ = {};  // what its host said of files
  bool has_begun_ = false;
  double started_ = 0, ended_ = 0;

  Work work_ = {};
  bool has_body_ = false;  // `work_` is a body that has not ended
  std::optional<FanOut> fan_out_ = {};
  std::list<Undo> undos_ = {};  // registered and not yet done, ascending
  std::uint32_t serials_ = 0;   // compensations ever registered

  Runs runs_ = Runs::unknown;
  Runs begun_here_ = Runs::unknown;  // which of both an effect of this step started last
  bool is_proven_ = false;           // the new service was started or validated since it was last stopped
  bool is_settled_ = false;          // the new service lived as long as it must since it was last started
  bool is_touched_ = false;          // an effect of a body was sent
  bool has_run_ = false;      // a program of a body ended well on its host: that may have changed what runs
  bool may_be_left_ = false;  // of the new service, since a start of it, or a program, was sent
  bool left_over_is_stopped_ = false;  // what an ended run may have left running besides: it was seen to be
  bool has_made_room_ = false;         // its transition ended well; what it made room for decides how it ends
  DefinitionPtr files_ = {};           // whose files, and no others, the service was given last
};

}  // namespace tutti
