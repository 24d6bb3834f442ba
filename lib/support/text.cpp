// SPDX-License-Identifier: LGPL-3.0-or-later
#include "support/text.hpp"

#include <openssl/evp.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <memory>

#include <tutti/error.hpp>

namespace tutti {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool consists_of(std::string_view text, std::string_view others, std::size_t most) {
  if (text.empty() || text.size() > most) return false;
  for (const char c : text)
    if (!is_letter(c) && !is_digit(c) && others.find(c) == std::string_view::npos) return false;
  return true;
}

/// Length of the UTF-8 sequence at the beginning of `s`, 0 when there is none.
std::size_t sequence(std::string_view s) noexcept {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(s[i]); };
  if (s.empty()) return 0;
  if (at(0) < 0x80) return 1;
  const std::size_t n = at(0) >= 0xf0 ? 4 : at(0) >= 0xe0 ? 3 : 2;
  if (at(0) < 0xc2 || at(0) > 0xf4 || s.size() < n) return 0;
  for (std::size_t i = 1; i < n; ++i)
    if ((at(i) & 0xc0) != 0x80) return 0;
  if ((at(0) == 0xe0 && at(1) < 0xa0) || (at(0) == 0xed && at(1) > 0x9f) || (at(0) == 0xf0 && at(1) < 0x90) ||
      (at(0) == 0xf4 && at(1) > 0x8f))
    return 0;  // overlong, surrogate, beyond U+10FFFF
  return n;
}

}  // namespace

bool is_name(std::string_view s) noexcept {
  return consists_of(s, "._-", 64) && (is_letter(s[0]) || is_digit(s[0]));
}
bool is_item_name(std::string_view s) noexcept {
  return consists_of(s, "._-", 100) && s[0] != '-' && s[0] != '.';
}
bool is_user(std::string_view s) noexcept {
  return consists_of(s, "._-", 32) && (is_letter(s[0]) || s[0] == '_');
}
bool is_address(std::string_view s) noexcept {
  return consists_of(s, ".:-_%[]", 255) && s[0] != '-' && s[0] != '.';
}

bool is_utf8(std::string_view s) noexcept {
  while (!s.empty()) {
    const std::size_t n = sequence(s);
    if (n == 0) return false;
    s.remove_prefix(n);
  }
  return true;
}

std::string sha256(std::string_view bytes) {
  // Both are kept: to look up the algorithm and to make a context takes longer than a short digest.
  static EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  thread_local const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                                     EVP_MD_CTX_free);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  if (EVP_DigestInit_ex(context.get(), algorithm, nullptr) != 1 ||
      EVP_DigestUpdate(context.get(), bytes.data(), bytes.size()) != 1 ||
      EVP_DigestFinal_ex(context.get(), digest.data(), &length) != 1)
    throw Error(ErrorCode::system, "libcrypto can't compute SHA-256");
  return to_hex({reinterpret_cast<const char*>(digest.data()), length});
}

std::string from_hex(std::string_view digits) {
  std::string bytes;
  bytes.reserve(digits.size() / 2);
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    unsigned value = 0;
    const char* end = digits.data() + i + 2;
    if (std::from_chars(digits.data() + i, end, value, 16).ptr != end) break;
    bytes += static_cast<char>(value);
  }
  return bytes;
}

std::string to_hex(std::string_view bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text(2 * bytes.size(), '0');
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    text[2 * i] = digits[static_cast<unsigned char>(bytes[i]) >> 4];
    text[2 * i + 1] = digits[static_cast<unsigned char>(bytes[i]) & 15];
  }
  return text;
}

bool is_plain(std::string_view s) noexcept {
  return std::all_of(s.begin(), s.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

std::string escaped(std::string_view s, bool keep_lines) {
  if (is_plain(s)) return std::string(s);
  std::string text;
  while (!s.empty()) {
    const std::size_t n = sequence(s);
    const auto c = static_cast<unsigned char>(s[0]);
    const bool c1 = n == 2 && c == 0xc2 && static_cast<unsigned char>(s[1]) < 0xa0;  // the 8-bit controls
    if (n > 0 && !c1 && (c >= 0x20 || (c == '\n' && keep_lines)) && c != 0x7f) {
      text += s.substr(0, n);
      s.remove_prefix(n);
      continue;
    }
    for (std::size_t i = 0; i < (c1 ? 2u : 1u); ++i) {
      std::array<char, 5> hex{};
      std::snprintf(hex.data(), hex.size(), "\\x%02x", static_cast<unsigned char>(s[i]));
      text += hex.data();
    }
    s.remove_prefix(c1 ? 2 : 1);
  }
  return text;
}

std::string to_utf8(std::string_view s) {
  if (is_plain(s)) return std::string(s);
  std::string text;
  while (!s.empty()) {
    const std::size_t n = sequence(s);
    text += n > 0 ? s.substr(0, n) : std::string_view("\xef\xbf\xbd");
    s.remove_prefix(n > 0 ? n : 1);
  }
  return text;
}

std::size_t width(std::string_view utf8) noexcept {
  std::size_t n = 0;
  for (const char c : utf8) n += (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  return n;
}

std::string whoami() {
  std::array<char, 256> machine{};
  if (::gethostname(machine.data(), machine.size() - 1) != 0) machine[0] = '?';
  const passwd* user = ::getpwuid(::geteuid());
  return std::string(user ? user->pw_name : std::to_string(::geteuid())) + "@" + machine.data();
}

}  // namespace tutti
