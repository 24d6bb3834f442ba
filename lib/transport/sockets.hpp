// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// The network of real hosts, and of directories of this machine: each channel is a Session.
// Threads: as channel.hpp has it.

#include <memory>
#include <string>

#include "transport/channel.hpp"
#include <tutti/platform.hpp>

namespace tutti {

/// Throws Error(system) where this process may open no more files.
[[nodiscard]] std::unique_ptr<Network> make_network(std::string site, Platform platform);

}  // namespace tutti
