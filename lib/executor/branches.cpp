// Effects that are several: drain and undrain, a branch for each consumer on its own host; and what
// an ended run left over, which ends before the effect that asks for it.
#include <fmt/format.h>

#include "executor/machine.hpp"
#include "executor/outcome.hpp"
#include "model/render.hpp"

namespace tutti {

void Executor::Impl::take_apart(TaskId id, std::unique_ptr<Request> request) {
  Task& task = at(id);
  const Step& about_step = step(task.step);
  const bool is_drain = request->as<effect::Drain>() != nullptr;
  const std::string about = request->definition()->service + "@" + about_step.host;
  const std::vector<Instance> consumers =
      is_drain ? entries.consumers(request->definition()->service) : entries.holding(about);
  if (!consumers.empty() && interrupts > 0)
    return park(task.step, fmt::format("interrupted before: {}", request->describe()));
  if (!consumers.empty()) at(task.step).touched = true;
  if (is_drain && task.kind == Task::Kind::body && task.body == TaskKind::transition)
    (void)register_undo(id, Request{.effect = effect::Undrain{request->definition()}});
  const std::string address = address_of(about_step, *request->definition());
  std::vector<std::string> names;
  for (const Instance& one : consumers) names.push_back(one.service + "@" + one.host);
  task.text = fmt::format("{}{}", request->describe(),
                          names.empty() ? "" : fmt::format(" ({})", fmt::join(names, ", ")));
  task.request = std::move(request);
  task.waiting = true;
  task.failures.clear();
  write_forked(task, *task.request, consumers);
  task.branches = consumers.size();
  if (consumers.empty()) return branches_over(id);
  const StepId step_id = task.step;
  const std::string path = fmt::format("{}.{}", task.path, task.sequence);
  at(step_id).branches.clear();
  for (std::size_t k = 0; k < consumers.size(); ++k) {
    Task branch{
        .step = step_id, .kind = Task::Kind::branch, .path = fmt::format("{}.{}", path, k), .parent = id};
    const Instance& one = consumers[k];
    if (is_drain) {
      branch.own.emplace_back([this, one, address] { return entries.drain(one, address); });
      branch.own.emplace_back([this, one, about, address] { return entries.mark(one, about, address); });
    } else {
      branch.own.emplace_back([this, one, about] { return entries.unmark(one, about); });
      branch.own.emplace_back([this, one, about] { return entries.undrain(one, about); });
    }
    next_own(spawn(std::move(branch)));
  }
}

bool Executor::Impl::must_stop_left_over(const Task& task, const Request& request) {
  const Step& here = step(task.step);
  return here.left_over && !at(task.step).left_over_is_stopped &&
         (request.host.empty() || request.host == here.host) &&
         (request.as<effect::Stop>() || request.as<effect::Start>()) &&
         request.definition()->service == here.service;
}

void Executor::Impl::stop_left_over(TaskId id, std::unique_ptr<Request> then) {
  Task& task = at(id);
  Request request{.effect = effect::Stop{.definition = step(task.step).left_over, .untried = true},
                  .idempotent = true};
  task.text = request.describe() + " (left over)";
  task.waiting = true;
  task.failures.clear();
  task.branches = 1;
  task.then = std::move(then);
  write_forked(task, request, {{step(task.step).service, step(task.step).host}});
  Task branch{.step = task.step,
              .kind = Task::Kind::branch,
              .path = fmt::format("{}.{}.0", task.path, task.sequence),
              .parent = id};
  // Only then does the entry name what is started next, instead of what was left over.
  branch.own.emplace_back([this, step_id = task.step] { return entries.go_on(step_id, clock.now()); });
  branch.own.emplace_back([request] { return request; });
  at(task.step).branches.clear();
  next_own(spawn(std::move(branch)));
}

std::string Executor::Impl::address_of(const Step& about, const Definition& given) const {
  const Definition& there =
      about.old_definition && about.old_definition->service == given.service ? *about.old_definition : given;
  const Host& host = plan.fleet.at(about.host);
  const std::string& address = host.address.empty() ? host.name : host.address;
  std::vector<std::string> all;
  for (const auto& [name, port] : there.endpoints) all.push_back(address + ":" + number_of(port));
  return all.empty() ? address : fmt::format("{}", fmt::join(all, " "));
}

void Executor::Impl::branch_answered(TaskId id, const Request& request, const Result& result) {
  Task& task = at(id);
  if (result.succeeded && request.as<effect::Stop>()) {
    Running& running = at(task.step);
    running.left_over_is_stopped = true;
    running.runs = Runs::nothing;
  }
  if (!result.succeeded)
    return branch_over(id, fmt::format("{}: {}: {}", request.host, task.text, reason(result)));
  if (task.own.empty()) return branch_over(id, "");
  if (interrupts > 0)
    return park(task.step, fmt::format("interrupted after: {} on {}", task.text, request.host));
  next_own(id);
}

void Executor::Impl::branch_over(TaskId id, const std::string& failure) {
  at(id).live = false;
  const TaskId parent = at(id).parent;
  Task& task = at(parent);
  if (!failure.empty()) task.failures += (task.failures.empty() ? "" : "; ") + failure;
  if (--task.branches == 0) branches_over(parent);
}

void Executor::Impl::branches_over(TaskId id) {
  Task& task = at(id);
  task.waiting = false;
  const bool told_somebody = !at(task.step).branches.empty();
  at(task.step).branches.clear();
  Result result{
      .succeeded = task.failures.empty(), .status = task.failures.empty() ? 0 : 1, .error = task.failures};
  write_answer(task, result);
  ++task.sequence;
  if (told_somebody) {
    at(task.step).effects.push_back(task.text + (result.succeeded ? "" : " ✗"));
    tell(Progress::Kind::effect, task.step, at(task.step).effects.back());
  }
  if (task.then && result.succeeded) return dispatch(id, std::move(task.then));
  // What was left over failed, and what should come after it was not sent.
  std::string failed = result.succeeded ? "" : task.then ? task.text : task.request->describe();
  task.then.reset();
  task.request.reset();
  resume(id, std::move(result), std::move(failed));
}

}  // namespace tutti
