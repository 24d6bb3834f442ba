// SPDX-License-Identifier: LGPL-3.0-or-later
#include <tutti/world.hpp>

#include <openssl/rand.h>

#include <chrono>

#include "support/text.hpp"
#include <tutti/error.hpp>

namespace tutti {
namespace {

class RealClock final : public Clock {
 public:
  [[nodiscard]] double now() const override {
    return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  }
};

class RealEntropy final : public Entropy {
 public:
  [[nodiscard]] std::string bytes(std::size_t count) override {
    std::string raw(count, '\0');
    if (RAND_bytes(reinterpret_cast<unsigned char*>(raw.data()), static_cast<int>(count)) != 1)
      throw Error(ErrorCode::system, "libcrypto has no random numbers");
    return raw;
  }
};

}  // namespace

std::string Entropy::hex(std::size_t count) { return to_hex(bytes(count)); }

const Clock& real_clock() noexcept {
  static const RealClock clock;
  return clock;
}

Entropy& real_entropy() noexcept {
  static RealEntropy entropy;
  return entropy;
}

}  // namespace tutti
