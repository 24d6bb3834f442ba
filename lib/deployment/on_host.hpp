// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// What acts on a host outside of a run.

#include <cstdint>
#include <map>
#include <string>

#include <tutti/engine/on_host.hpp>
#include <tutti/engine/state.hpp>
#include <tutti/site.hpp>

namespace tutti {

struct OnHost::Impl {
  /// Holds the state, unless another one does; `open` counts them. Borrows all. Throws Error(locked).
  Impl(State& state, Transport& transport, const Fleet& fleet, int& open);
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  /// The epoch under which we act there; the first time a new one.
  std::int64_t epoch_on(const Host& host);

  State& state;
  Transport& transport;
  const Fleet& fleet;
  int& open;
  std::map<std::string, std::int64_t> epochs = {};  // by host
  std::uint64_t tokens = 0;
  std::string last_token = {};
};

}  // namespace tutti
