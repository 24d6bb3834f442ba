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

struct SiteBox {
  Site site;
  Fleet fleet;
};

struct PlanBox {
  Plan plan;
};

/// One execution. Its executor is gone when it has finished.
struct RunBox {
  std::shared_ptr<PlanBox> plan;  // shared: the executor borrows it
  Executor* executor = nullptr;
  [[nodiscard]] Executor& get() const;
};

struct DeploymentBox {
  DeploymentBox(Site site, const std::string& state_file) : deployment(std::move(site), state_file) {}
  Deployment deployment;
  std::shared_ptr<RunBox> run;                 // shared with its handle; the one under way
  std::map<std::string, std::int64_t> epochs;  // of the hosts that are acted on outside of a run
  int immediate = 0;                           // how many `on-host` are under way
  std::uint64_t next_token = 0;
  std::string last_token = {};  // of an effect outside of a run
};

struct ElaborationBox {
  std::shared_ptr<const void> owner;  // shared: whose site and fleet are borrowed
  const Site* site;
  Elaboration elaboration;
  ElaborationBox(std::shared_ptr<const void> the_owner, const Site& the_site, const Fleet& fleet)
      : owner(std::move(the_owner)), site(&the_site), elaboration(the_site, fleet) {}
};

struct DesiredBox {
  std::shared_ptr<const void> owner;  // shared: it borrows the site
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
