// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// Small helpers on text: checks of names, escapes, hashes, UTF-8.

#include <string>
#include <string_view>

#include <tutti/error.hpp>  // escaped

namespace tutti {

/// Letters, digits and `._-`, at most 64, beginning with a letter or digit: what may name a site,
/// a service, a host. Such a name needs no quoting anywhere.
[[nodiscard]] bool is_name(std::string_view) noexcept;
/// What an item may be called: as a name, at most 100, and an underscore may begin it.
[[nodiscard]] bool is_item_name(std::string_view) noexcept;
/// A user name: letters, digits and `._-`, at most 32, beginning with a letter or `_`.
[[nodiscard]] bool is_user(std::string_view) noexcept;
/// A host name or IP address: letters, digits and `.:-_%[]`, at most 255, beginning with none of `-.`.
[[nodiscard]] bool is_address(std::string_view) noexcept;
[[nodiscard]] bool is_utf8(std::string_view) noexcept;
/// Printable ASCII only: nothing to escape or to convert.
[[nodiscard]] bool is_plain(std::string_view) noexcept;

/// Lower-case hexadecimal SHA-256.
[[nodiscard]] std::string sha256(std::string_view bytes);
/// Two lower-case hexadecimal digits for each byte.
[[nodiscard]] std::string to_hex(std::string_view bytes);
/// The bytes that to_hex() made it of; what follows the last whole pair of digits is left out.
[[nodiscard]] std::string from_hex(std::string_view digits);

/// Valid UTF-8: each byte that is not part of it becomes U+FFFD.
[[nodiscard]] std::string to_utf8(std::string_view bytes);
/// How many columns UTF-8 text takes, one for each code point.
[[nodiscard]] std::size_t width(std::string_view utf8) noexcept;
/// "user@machine", for people.
[[nodiscard]] std::string whoami();

}  // namespace tutti
