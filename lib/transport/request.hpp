// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// What recognises a request when its run is resumed.
// Threads: pure but for the forms.

#include <string>

#include "model/canonical.hpp"
#include <tutti/engine/effect.hpp>

namespace tutti {

/// SHA-256 of all that makes it this request. What follows from its step, the time of a manifest entry and
/// the marks that others set are not in it. A hash is journaled: once runs are resumed by it, it stays as it
/// is from version to version.
[[nodiscard]] std::string hash(const Request&, CanonicalForms&);

}  // namespace tutti
