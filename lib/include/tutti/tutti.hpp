// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// All of it, in two tiers. What people use who deploy is here; to read it in order: site, service, program,
// platform, policy, rollout (what is declared); definition (what that means); plan; report, transition (what
// happens); deployment (all together); error; world (what comes from outside besides hosts). What drivers and
// back ends use is in engine/: elaborate; effect, executor (what happens, event by event); transport,
// journal, state (through what); log, on_host; not_built.

#include <tutti/definition.hpp>
#include <tutti/deployment.hpp>
#include <tutti/error.hpp>
#include <tutti/plan.hpp>
#include <tutti/platform.hpp>
#include <tutti/policy.hpp>
#include <tutti/keeping.hpp>
#include <tutti/program.hpp>
#include <tutti/report.hpp>
#include <tutti/rollout.hpp>
#include <tutti/service.hpp>
#include <tutti/site.hpp>
#include <tutti/transition.hpp>
#include <tutti/version.hpp>
#include <tutti/world.hpp>

#include <tutti/engine/effect.hpp>
#include <tutti/engine/elaborate.hpp>
#include <tutti/engine/executor.hpp>
#include <tutti/engine/journal.hpp>
#include <tutti/engine/log.hpp>
#include <tutti/engine/not_built.hpp>
#include <tutti/engine/on_host.hpp>
#include <tutti/engine/state.hpp>
#include <tutti/engine/transport.hpp>
