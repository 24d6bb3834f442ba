// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// What a service says of how it is kept, checked.

#include <tutti/service.hpp>

namespace tutti {

/// Throws Error with what is wrong, and with which field.
void check_keeping(const Service&);

}  // namespace tutti
