// SPDX-License-Identifier: LGPL-3.0-or-later
#include "support/text.hpp"

#include <doctest/doctest.h>

#include <string>

#include <tutti/world.hpp>

using namespace tutti;

TEST_CASE("text: hexadecimal digits there and back") {
  const std::string bytes("\0\x7f\xff a", 5);
  CHECK(from_hex(to_hex(bytes)) == bytes);
  CHECK(from_hex("") == "");
  CHECK(from_hex("6162c") == "ab");
  CHECK(from_hex("61zz62") == "a");
}

TEST_CASE("text: a name needs no quoting anywhere and never looks like an option") {
  for (const std::string good : {"web", "h1", "9lives", "a.b_c-d", "A"}) CHECK_MESSAGE(is_name(good), good);
  for (const std::string bad :
       {"", "-web", ".web", "_web", "a b", "a/b", "a\nb", "a;b", "$x", "wéb", "a\x1b[0m"})
    CHECK_MESSAGE(!is_name(bad), bad);
  CHECK(is_name(std::string(64, 'x')));
  CHECK(!is_name(std::string(65, 'x')));
  CHECK(!is_name(std::string("a\0b", 3)));
}

TEST_CASE("text: addresses may be names or IPv4 or IPv6, and no options") {
  for (const std::string good : {"db.example.org", "127.0.1.1", "::1", "[fe80::1%eth0]"})
    CHECK_MESSAGE(is_address(good), good);
  for (const std::string bad : {"", "-oProxyCommand=x", ".x", "a b", "a\tb", "a@b", "a;b"})
    CHECK_MESSAGE(!is_address(bad), bad);
}

TEST_CASE("text: user names") {
  CHECK(is_user("www-data"));
  CHECK(is_user("_apt"));
  for (const std::string bad : {"", "-root", "0", "a b", "root\n", "a:b"}) CHECK_MESSAGE(!is_user(bad), bad);
}

TEST_CASE("text: what a host says can't act on the terminal") {
  CHECK(escaped("plain — text") == "plain — text");
  CHECK(escaped("a\x1b[31mred\x07") == "a\\x1b[31mred\\x07");
  CHECK(escaped("line\nnext\r") == "line\\x0anext\\x0d");
  CHECK(escaped("line\nnext\r", true) == "line\nnext\\x0d");
  CHECK(escaped("\xc2\x9b"
                "31m") == "\\xc2\\x9b31m");  // the 8-bit CSI
  CHECK(escaped("\xff\xfe") == "\\xff\\xfe");
  CHECK(escaped("\x7f") == "\\x7f");
  CHECK(escaped(std::string("a\0b", 3)) == "a\\x00b");
}

TEST_CASE("text: only well-formed UTF-8 is taken for it") {
  CHECK(is_utf8("häß 日本 😀"));
  CHECK(!is_utf8("\xc3"));              // cut
  CHECK(!is_utf8("\xc0\xaf"));          // overlong
  CHECK(!is_utf8("\xed\xa0\x80"));      // a surrogate
  CHECK(!is_utf8("\xf4\x90\x80\x80"));  // beyond the end
  CHECK(to_utf8("a\xff"
                "b") == "a\xef\xbf\xbd"
                        "b");
  CHECK(to_utf8("ä") == "ä");
}

TEST_CASE("text: SHA-256 is that of FIPS 180") {
  CHECK(sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sha256("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST_CASE("text: hexadecimal digits and random ones") {
  CHECK(to_hex(std::string("\x00\xff\x10", 3)) == "00ff10");
  CHECK(real_entropy().hex(8).size() == 16);
  CHECK(real_entropy().hex(8) != real_entropy().hex(8));
}

TEST_CASE("text: width counts characters, not bytes") {
  CHECK(width("1 → 2") == 5);
  CHECK(width("") == 0);
}
