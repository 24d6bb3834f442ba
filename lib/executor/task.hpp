#pragma once
// What the executor keeps of a step that is under way, and of the bodies that run for it.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <tutti/executor.hpp>

namespace tutti {

using Phase = Stage;

/// What runs of an instance, by what its host answered. `former` and `fresh` are the step's old and new one.
enum class Runs : std::uint8_t { unknown, nothing, former, fresh };

/// What takes back an effect of a transition, when that fails.
struct Undo {
  std::uint32_t serial = 0;
  std::optional<Request> request = {};  // none: a body of the driver's
  bool has_failed = false;              // what it undoes came back as failed: nobody knows how far it came
};

/// The work of a step between two answers of its host: a body of the driver, or the executor's own.
struct Task {
  StepId step{};
  enum class Kind : std::uint8_t { begin, body, undo, verify, proof, room, end, branch } kind = Kind::body;
  TaskKind body = TaskKind::transition;
  std::uint32_t serial = 0;  // of a compensation
  std::string path;  // b, t, cN, v, p, r, e, and PATH.SEQUENCE.K for branch K of an effect taken apart
  std::uint32_t sequence = 0;  // of its next effect or registration
  bool live = true;
  bool waiting = false;                            // an effect is under way
  std::unique_ptr<Request> request = {};           // that effect: gone when it is answered
  std::string text = {};                           // and how people read it
  std::vector<std::function<Request()>> own = {};  // not of a body: what is still to be sent, last first
  std::uint32_t undone_by = 0;                     // serial of what undoes that effect
  TaskId parent{};                                 // branch
  std::size_t branches = 0;                        // that have not ended
  std::string failures = {};                       // of branches
  std::unique_ptr<Request> then = {};              // what is sent once they have ended
};

struct Running {
  Phase phase = Phase::pending;
  Outcome outcome = Outcome::none;
  std::string message;
  std::vector<std::string> effects;
  bool begun = false;
  double started = 0, ended = 0;
  Runs runs = Runs::unknown;
  bool proven = false;         // the new service was started or validated since it was last stopped
  bool touched = false;        // an effect of a body was sent
  bool ran = false;            // a program of a body ended well on its host: that may have changed what runs
  bool may_be_left = false;    // of the new service, since a start of it, or a program, was sent
  std::uint32_t serials = 0;   // compensations ever registered
  std::vector<Undo> undos;     // registered and not yet done, ascending
  std::optional<TaskId> task;  // the one that is live
  std::vector<TaskId> branches;       // of its effect
  bool left_over_is_stopped = false;  // what an ended run may have left running besides: it was seen to be
  Outcome ending = Outcome::none;     // what it is once its end is written
  bool made_room = false;             // its transition ended well; what it made room for decides how it ends
  DefinitionPtr files = {};           // whose files, and no others, the service was given last
  std::vector<std::string> notes;     // what its host said of files
};

}  // namespace tutti
