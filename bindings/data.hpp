// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// What is behind handles, and values of the library as Scheme data.

#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <tutti/tutti.hpp>

#include "gate.hpp"

namespace tutti::guile {

struct PlanBox {
  Plan plan;
};

/// One execution. Its executor is gone when it has finished.
struct RunBox {
  std::shared_ptr<PlanBox> plan;  // shared: the executor borrows it
  Executor* executor = nullptr;
  [[nodiscard]] Executor& get() const;
};

/// A site in use: the one owner of it and of its fleet. Its state is opened when something needs it.
struct DeploymentBox {
  DeploymentBox(Site site, const std::string& state_file)
      : deployment(Deployment::open_late(std::move(site), state_file)) {}
  Deployment deployment;
  std::shared_ptr<RunBox> run;    // shared with its handle; the one under way
  std::optional<OnHost> on_host;  // while an `on-host` is under way
  int immediate = 0;              // how many are, one in the other
  std::string last_token = {};    // of an effect outside of a run
};

struct ElaborationBox {
  explicit ElaborationBox(std::shared_ptr<DeploymentBox> the_owner)
      : owner(std::move(the_owner)), elaboration(owner->deployment.site(), owner->deployment.fleet()) {}
  std::shared_ptr<DeploymentBox> owner;  // shared: its site and fleet are borrowed
  Elaboration elaboration;
};

struct DesiredBox {
  std::shared_ptr<ElaborationBox> owner;  // shared: it borrows the site
  Desired desired;
};

struct PreviewBox {
  PreviewBox(std::shared_ptr<PlanBox> the_plan, const Policy& policy)
      : plan(std::move(the_plan)), preview(plan->plan, policy, real_clock()) {}
  std::shared_ptr<PlanBox> plan;
  Preview preview;
};

/// The rollout of a run or of a preview; a policy may keep it for longer than that lasts.
struct RolloutBox {
  std::shared_ptr<RunBox> run;  // one of these two, shared to know whether it still lives
  std::shared_ptr<PreviewBox> preview;
  [[nodiscard]] const Rollout& get() const;
};

struct LogBox {
  std::shared_ptr<DeploymentBox> owner;  // shared: its state and transport are borrowed
  RunLog log;
};

struct ReportBox {
  Report report;
};

[[nodiscard]] SCM from_host(const Host& host);
[[nodiscard]] SCM from_definition(const DefinitionPtr& definition);  ///< #f for none
[[nodiscard]] SCM from_instance(const Instance& instance);
/// #(resume TASK SUCCEEDED? STATUS HOW OUTPUT ERROR)
[[nodiscard]] SCM from_result(SCM task, const Result& result);

/// An effect, as the operation's name and positional arguments; what they are is said in request.cpp.
[[nodiscard]] Request to_request(SCM operation, SCM subject, SCM a, SCM b, SCM c, SCM host, int position);

// The tables, by area.
void define_site();
void define_definitions();
void define_deployment();
void define_plans();
void define_requests();
void define_runs();
void define_policies();
void define_immediate();
void define_log();
void define_terminal();
void define_text();

}  // namespace tutti::guile
