// SPDX-License-Identifier: LGPL-3.0-or-later
// Effects outside of a run, at the REPL.

#include <tutti/deployment.hpp>

#include "data.hpp"

namespace tutti::guile {
namespace {

SCM open(SCM handle, SCM host) {
  return gate("%immediate-open!", [&] {
    const auto box = unwrap<DeploymentBox>(handle, 1);
    (void)box->deployment.fleet().at(to_string(host, 2));
    if (!box->on_host) box->on_host.emplace(box->deployment.on_host());
    ++box->immediate;
  });
}

SCM close_immediate(SCM handle) {
  return gate("%immediate-close!", [&] {
    const auto box = unwrap<DeploymentBox>(handle, 1);
    if (box->immediate > 0 && --box->immediate == 0) box->on_host.reset();
  });
}

SCM perform(SCM handle, SCM host_name, SCM operation, SCM subject, SCM a, SCM b, SCM c) {
  return gate("%immediate-perform!", [&] {
    const auto box = unwrap<DeploymentBox>(handle, 1);
    if (!box->on_host) throw Error(ErrorCode::misuse, "no host: use (on-host HOST ...)");
    const std::string host = to_string(host_name, 2);
    const Request request = to_request(operation, subject, a, b, c, SCM_BOOL_F, 3);
    std::optional<Result> result;
    without_guile([&] { result = box->on_host->perform(host, request); });
    box->last_token = box->on_host->last_token();
    return from_result(SCM_BOOL_F, *result);
  });
}

SCM token(SCM handle) {
  return gate("%immediate-token", [&] {
    const std::string& last = unwrap<DeploymentBox>(handle, 1)->last_token;
    return last.empty() ? SCM_BOOL_F : from_string(last);
  });
}

const Primitive table[] = {
    {"%immediate-open!", 2, subr(open), "Begin to act on HOST, a name, outside of a run."},
    {"%immediate-close!", 1, subr(close_immediate), "End what %immediate-open! began."},
    {"%immediate-perform!", 7, subr(perform),
     "Perform OPERATION on SUBJECT with A, B and C on HOST now; return the same vector as a resumed task "
     "gets."},
    {"%immediate-token", 1, subr(token), "Return the token of the last effect outside of a run, or #f."},
};

}  // namespace

void define_immediate() { define_primitives(table); }

}  // namespace tutti::guile
