// SPDX-License-Identifier: LGPL-3.0-or-later
// The terminal that the command writes to.

#include <sys/ioctl.h>
#include <unistd.h>

#include "data.hpp"

namespace tutti::guile {
namespace {

SCM terminal_size() {
  return gate("%terminal-size", [] {
    winsize size{};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0)
      return scm_cons(scm_from_int(80), scm_from_int(24));
    return scm_cons(scm_from_int(size.ws_col), scm_from_int(size.ws_row));
  });
}

const Primitive table[] = {
    {"%terminal-size", 0, subr(terminal_size), "Return the columns and the rows of the terminal, as a pair."},
};

}  // namespace

void define_terminal() { define_primitives(table); }

}  // namespace tutti::guile
