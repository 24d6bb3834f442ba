#pragma once
// All of it. To read it in order: site, service, program, platform, policy (what is declared);
// elaborate, definition (what that means); plan; executor, rollout, report, transition (what happens);
// transport, journal, state, world (through what); log; deployment (all together).

#include <tutti/definition.hpp>
#include <tutti/deployment.hpp>
#include <tutti/elaborate.hpp>
#include <tutti/error.hpp>
#include <tutti/executor.hpp>
#include <tutti/journal.hpp>
#include <tutti/log.hpp>
#include <tutti/not_built.hpp>
#include <tutti/plan.hpp>
#include <tutti/platform.hpp>
#include <tutti/policy.hpp>
#include <tutti/program.hpp>
#include <tutti/report.hpp>
#include <tutti/rollout.hpp>
#include <tutti/service.hpp>
#include <tutti/site.hpp>
#include <tutti/state.hpp>
#include <tutti/transition.hpp>
#include <tutti/transport.hpp>
#include <tutti/version.hpp>
#include <tutti/world.hpp>
