// SPDX-License-Identifier: LGPL-3.0-or-later
// What a run printed, and what else stays on hosts.

#include <tutti/deployment.hpp>

#include <algorithm>

#include "data.hpp"

namespace tutti::guile {
namespace {

SCM open(SCM handle, SCM run, SCM host, SCM bytes, SCM daemons) {
  return gate("%open-log", [&] {
    const auto box = unwrap<DeploymentBox>(handle, 1);
    const int number = scm_is_true(run) ? static_cast<int>(std::min(to_unsigned(run, 2), 2'000'000'000U)) : 0;
    LogOptions options{.host = scm_is_true(host) ? to_string(host, 3) : "", .daemons = scm_is_true(daemons)};
    if (scm_is_true(bytes)) options.most_bytes = to_unsigned(bytes, 4);
    std::shared_ptr<LogBox> log;
    without_guile([&] { log = std::make_shared<LogBox>(LogBox{box, box->deployment.log(number, options)}); });
    return wrap(std::move(log));
  });
}

SCM next(SCM handle) {
  return gate("%log-next", [&] {
    const auto box = unwrap<LogBox>(handle, 1);
    std::optional<std::string> text;
    without_guile([&] { text = box->log.next(); });
    return text ? from_string(*text) : SCM_BOOL_F;
  });
}

SCM close_log(SCM handle) {
  return gate("%close-log!", [&] { close<LogBox>(handle, 1); });
}

SCM fetch(SCM handle, SCM host_name, SCM token, SCM error, SCM offset, SCM most) {
  return gate("%deployment-fetch", [&] {
    const auto box = unwrap<DeploymentBox>(handle, 1);
    const Host& host = box->deployment.fleet().at(to_string(host_name, 2));
    const Kept what{.kind = scm_is_true(error) ? Kept::Kind::error : Kept::Kind::output,
                    .of = to_string(token, 3)};
    const auto from = static_cast<std::uint64_t>(to_double(offset, 5));
    const std::uint64_t at_most = to_unsigned(most, 6);
    Piece piece;
    without_guile([&] { piece = box->deployment.transport().fetch(host, what, from, at_most); });
    if (!piece.found) throw Error(ErrorCode::unreachable, piece.why);
    return from_bytes(piece.bytes);
  });
}

const Primitive table[] = {
    {"%open-log", 5, subr(open),
     "Open the log of RUN, a number or #f for the last, on HOST or #f for all, with at most BYTES of each "
     "output (0: "
     "all, #f: as much as is usual), and that of the daemons if DAEMONS? is true."},
    {"%log-next", 1, subr(next), "Return the next piece of text of LOG, or #f at its end."},
    {"%close-log!", 1, subr(close_log), "Close the handle LOG."},
    {"%deployment-fetch", 6, subr(fetch),
     "Return bytes of what the effect TOKEN printed on HOST, of standard error if ERROR? is true, from "
     "OFFSET, at most "
     "MOST; none at the end."},
};

}  // namespace

template <> HandleType Handle<LogBox>::type{"log"};

void define_log() {
  define_handle<LogBox>("<log>");
  define_primitives(table);
}

}  // namespace tutti::guile
