// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// What stands where the files of a plan are to be.

#include <tutti/plan.hpp>

namespace tutti {

/// Notes which files are taken over, and what is in the way. Throws Error where another site has the path.
void note_places(Plan&);

}  // namespace tutti
