// SPDX-License-Identifier: LGPL-3.0-or-later
#include <tutti/engine/not_built.hpp>

#include <algorithm>

#include <fmt/format.h>

#include <tutti/error.hpp>

namespace tutti {
namespace {

constexpr std::string_view out = "leave it out";
constexpr std::string_view own_policy = "use (at-most N), or a procedure (lambda (view host) ...)";
constexpr std::string_view own_transition = "use replace-service, or a transition of your own";
constexpr std::string_view other_file = "name a file that the host has, or use a local file";
constexpr std::string_view other_platform = "use a local or an ssh platform for the whole site";
constexpr std::string_view file_inventory = "use an inventory file";

constexpr NotBuilt table[] = {
    // Fields of a service, and what its fields may hold.
    {"placement", "list the service in a host class"},
    {"before-rollout", out},
    {"after-rollout", out},
    {"slots other than 1", out},
    {"switch-back", "leave it out; going back to an older version is a switch-to-service like any other"},
    {"#:versions other than \"*\"", out},
    {"#:on-change", out},
    {"#:scope", "leave it out: the whole site is meant"},
    {"#:label", out},
    {"secret", "let the program read the secret from a file that is already on the host"},
    {"by-slot", "services have one slot so far"},
    {"guix-service", "use (service ...) with programs"},
    {"guix-package", other_file},
    {"nix-package", other_file},
    {"git-source", "fetch it before the deployment, and use a local file"},
    {"an item that is a folder", "give each file as an item of its own"},
    // Fields of a host class.
    {"size", out},
    {"platform", other_platform},
    {"image", "hosts must exist so far"},
    {"operating-system", out},
    {"capacity", out},
    {"change", out},
    {"blue-green", "hosts are changed in place so far"},
    {"requirements of a class", "give them to its services"},
    // Fields of a site.
    {"a service that is listed in no class (placement)", "list the service in a host class"},
    {"store", out},
    {"guix-store", "leave the field 'store' out"},
    {"nix-store", "leave the field 'store' out"},
    {"state", out},
    {"etcd-state", "leave the field 'state' out: state is a file"},
    {"container-platform", other_platform},
    {"vm-platform", other_platform},
    {"command-platform", other_platform},
    {"inventory-command", file_inventory},
    {"inventory-ansible", file_inventory},
    {"inventory-ec2", file_inventory},
    {"agent-configuration", "run 'tutti deploy' instead"},
    // Policies.
    {"one-group-at-a-time", "use (at-most 1 #:of LABEL)"},
    {"canary", own_policy},
    {"waves", own_policy},
    {"only-between", "use a procedure (lambda (view host) (between-hours? (view-time view) ...))"},
    {"never-between", "use a procedure with (not (between-hours? (view-time view) ...))"},
    {"failure-budget", "a failed instance is rolled back and halts the run"},
    // Transitions and their operations.
    {"start-before-stop", own_transition},
    {"backup-and-restore", "write it: (run (hook old 'backup)), then (on-roll-back ...)"},
    {"migrate-while-running", own_transition},
    {"switch-over", "services have one slot so far"},
    {"checkpoint", "leave it out: all effects are undone on failure"},
    {"in-parallel", "write the effects one after another"},
    {"in-parallel-map", "use map"},
    // The command and the REPL.
    {"tutti build", "items are made when a site is planned"},
    {"tutti resume", "'tutti abandon' ends the unfinished run, and the next plan repairs what it left"},
    {"tutti roll-back", "deploy the older version of the site program"},
    {"tutti requisites", "'tutti plan --json' names the items"},
    {"tutti graph", "'tutti plan --json' has the steps and their order"},
    {"tutti explain", "(explain PLAN SERVICE) in 'tutti repl' does it"},
    {"tutti agent", "run 'tutti deploy' instead"},
    {"resume", "(abandon) ends the unfinished run, and the next plan repairs what it left"},
    {"roll-back", "deploy the older version of the site program"},
    {"requisites", "look at (display (plan))"},
    {"plan #:upgrade", "plan for all that changed"},
    {"plan #:do-not-upgrade", "plan for all that changed"},
    {"plan #:limit", "plan for all that changed"},
    {"plan #:to", "plan for all that changed"},
};

}  // namespace

std::span<const NotBuilt> not_built() { return table; }

void throw_not_built(std::string_view name, const std::string& where) {
  const auto row = std::find_if(std::begin(table), std::end(table),
                                [&](const NotBuilt& candidate) { return candidate.name == name; });
  const std::string_view remedy = row == std::end(table) ? out : row->remedy;
  throw Error(ErrorCode::not_built,
              fmt::format("{}{}{} is not built yet: {}", where, where.empty() ? "" : ": ", name, remedy));
}

}  // namespace tutti
