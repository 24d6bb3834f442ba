// SPDX-License-Identifier: LGPL-3.0-or-later
#pragma once
// Marks what libtutti exports: everything else in it is hidden. A standard attribute, so that it
// may stand beside [[nodiscard]].

#if defined(__clang__) && __clang_major__ < 16
#error                                                                                                       \
    "Tutti needs GCC 12 or newer, or clang 16 or newer: older clangs lack parts of C++20 (std::source_location)."
#elif !defined(__clang__) && defined(__GNUC__) && __GNUC__ < 12
#error "Tutti needs GCC 12 or newer, or clang 16 or newer."
#endif

#define TUTTI_EXPORT [[gnu::visibility("default")]]
