// SPDX-License-Identifier: LGPL-3.0-or-later
#include <tutti/transition.hpp>

#include <stdexcept>
#include <unordered_map>

#include <fmt/format.h>

#include "support/describe.hpp"
#include <tutti/error.hpp>

namespace tutti {

struct Driver::Impl {
  using Body = std::function<Transition(Context)>;
  /// One running body. Pinned: the frame refers to it through its Context.
  struct Running {
    Body body;  // outlives the frame
    StepId step{};
    std::optional<Transition> frame;
    EffectBase* awaited = nullptr;
    Result result;
    std::string request;  // described, when the result is that it failed
    bool dropped = false;
  };

  Executor& executor;
  const Plan& plan;
  Bodies transition_of;
  std::unordered_map<TaskId, Running> running;
  std::vector<std::vector<Body>> compensations;  // by step, by serial from 1

  Impl(Executor& e, const Plan& p, Bodies bodies)
      : executor(e), plan(p), transition_of(std::move(bodies)), compensations(p.steps.size()) {}

  static Change change(const Step& step) {
    return {.old_service = step.old_definition,
            .new_service = step.new_definition ? *step.new_definition : *step.old_definition,
            .host = step.host};
  }
  std::vector<Body>& compensations_of(StepId step) { return compensations[static_cast<std::size_t>(step)]; }

  Body body(const StartTask& start) {
    const Step& step = plan.at(start.step);
    if (start.kind == TaskKind::compensation) return compensations_of(start.step).at(start.serial - 1);
    return
        [procedure = transition_of(step), &step](Context c) { return procedure(std::move(c), change(step)); };
  }
};

Driver::Driver(Executor& executor, const Plan& plan, Bodies transition_of)
    : impl_(std::make_unique<Impl>(executor, plan, std::move(transition_of))) {}
Driver::~Driver() = default;

void Driver::run(const std::function<void(const Progress&)>& on_progress) {
  const auto step = [&](TaskId id, Impl::Running& body) {
    body.awaited = nullptr;
    const auto handle = body.frame->handle_;
    handle.resume();
    if (body.dropped) return void(impl_->running.erase(id));
    if (!handle.done() && !body.awaited) {
      impl_->running.erase(id);
      return impl_->executor.raised(
          id, "the transition waits for something that is no effect: it would never go on");
    }
    if (!handle.done() && !body.awaited->request_) {
      impl_->running.erase(id);
      return impl_->executor.raised(
          id, "the transition awaits an effect for the second time: make another one for that");
    }
    if (!handle.done()) return impl_->executor.perform(id, std::move(body.awaited->request_));
    const std::exception_ptr failure = handle.promise().failure;
    impl_->running.erase(id);
    if (failure)
      impl_->executor.raised(id, describe(failure));
    else
      impl_->executor.done(id);
  };
  const auto report = [&](const Progress& progress) {
    try {
      on_progress(progress);
    } catch (...) {
      throw Error(
          ErrorCode::callback,
          fmt::format("the progress callback failed{}: {}",
                      progress.host.empty() ? "" : fmt::format(" at {}@{}", progress.service, progress.host),
                      describe(std::current_exception())));
    }
  };
  for (;;) {
    for (Event& event : impl_->executor.next()) {
      if (std::holds_alternative<Finished>(event)) return;
      if (const auto* start = std::get_if<StartTask>(&event)) {
        Context context;
        context.driver_ = this;
        context.task_ = start->task;
        Impl::Running& running = impl_->running[start->task];
        running.step = start->step;
        try {
          running.body = impl_->body(*start);
          running.frame.emplace(running.body(context));
        } catch (...) {
          impl_->running.erase(start->task);
          impl_->executor.raised(start->task, describe(std::current_exception()));
          continue;
        }
        step(start->task, running);
      } else if (auto* resume = std::get_if<ResumeTask>(&event)) {
        Impl::Running& running = impl_->running.at(resume->task);
        running.result = std::move(resume->result);
        running.request = std::move(resume->request);
        step(resume->task, running);
      } else if (const auto* drop = std::get_if<DropTask>(&event)) {
        impl_->running.erase(drop->task);
      } else if (const auto* asked = std::get_if<AskPolicy>(&event)) {
        impl_->executor.policy_failed(fmt::format("nobody here can answer for host '{}'", asked->host));
      } else if (on_progress) {
        report(std::get<Progress>(event));
      }
    }
  }
}

void EffectBase::await_suspend(std::coroutine_handle<>) {
  context_.driver_->impl_->running.at(context_.task_).awaited = this;
}

Result EffectBase::take() {
  Driver::Impl::Running& running = context_.driver_->impl_->running.at(context_.task_);
  if (!running.result.succeeded) throw EffectFailed(std::move(running.request), std::move(running.result));
  return std::move(running.result);
}

Result EffectBase::take_result() {
  return std::move(context_.driver_->impl_->running.at(context_.task_).result);
}

void Context::register_compensation(std::function<Transition(Context)> body) const {
  Driver::Impl& driver = *driver_->impl_;
  const auto serial = driver.executor.on_roll_back(task_);
  Driver::Impl::Running& running = driver.running.at(task_);
  if (!serial) {
    running.dropped = true;
    throw std::logic_error("this task was dropped");
  }
  std::vector<Driver::Impl::Body>& compensations = driver.compensations_of(running.step);
  if (compensations.size() < *serial) compensations.resize(*serial);
  // The compensation acts where it was registered.
  if (!host_.empty())
    body = [body = std::move(body), host = host_](Context c) {
      c.host_ = host;
      return body(std::move(c));
    };
  compensations[*serial - 1] = std::move(body);
}

DefinitionPtr Context::shared(const Definition& service) const {
  const Driver::Impl& driver = *driver_->impl_;
  const Step& step = driver.plan.at(driver.running.at(task_).step);
  for (const DefinitionPtr& known : {step.new_definition, step.old_definition})
    if (known && (known.get() == &service || *known == service)) return known;
  return std::make_shared<const Definition>(service);
}

const Host& Context::current_host() const {
  const Driver::Impl& driver = *driver_->impl_;
  return driver.plan.fleet.at(host_.empty() ? driver.plan.at(driver.running.at(task_).step).host : host_);
}

Definition Context::deployed(const std::string& service) const {
  const Driver::Impl& driver = *driver_->impl_;
  const std::string& host = current_host().name;
  std::vector<std::string> known;
  for (const Step& step : driver.plan.steps) {
    if (step.host != host || !step.new_definition) continue;
    if (step.service == service) return *step.new_definition;
    known.push_back(step.service);
  }
  for (const HostReading::Entry& one : driver.plan.readings.at(host).entries) {
    if (one.entry.service == service && one.entry.new_definition) return *one.entry.new_definition;
    known.push_back(one.entry.service);
  }
  throw Error(ErrorCode::misuse, fmt::format("no service '{}' is deployed on '{}'.{}", service, host,
                                             suggestion(service, known)));
}

}  // namespace tutti
