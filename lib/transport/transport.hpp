// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// The transport to hosts over any network.
// Threads: as Transport.

#include <memory>

#include "transport/channel.hpp"
#include <tutti/engine/transport.hpp>

namespace tutti {

[[nodiscard]] std::unique_ptr<Transport> make_transport(std::unique_ptr<Network> network);

}  // namespace tutti
