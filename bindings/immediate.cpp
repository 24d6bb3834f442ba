// Effects outside of a run, at the REPL: they take the host's lock and a token as in a run, and are never
// resumed.

#include <tutti/deployment.hpp>

#include "data.hpp"

namespace tutti::guile {
namespace {

void authorise(DeploymentBox& box, const Host& host) {
  if (box.epochs.contains(host.name)) return;
  State& state = box.deployment.state();
  const std::int64_t epoch = state.next_epoch();
  box.deployment.transport().authorise(
      host, {.lineage = state.lineage(), .epoch = epoch, .holder = "on-host", .seen = state.seen(host.name)});
  box.epochs[host.name] = epoch;
}

SCM open(SCM handle, SCM host) {
  return gate("%immediate-open!", [&] {
    const auto box = unwrap<DeploymentBox>(handle, 1);
    (void)box->deployment.fleet().at(to_string(host, 2));
    if (box->run) throw Error(ErrorCode::misuse, "a run is under way: on-host in it belongs in a transition");
    if (box->immediate == 0) box->deployment.state().hold("on-host");
    ++box->immediate;
  });
}

SCM close_immediate(SCM handle) {
  return gate("%immediate-close!", [&] {
    const auto box = unwrap<DeploymentBox>(handle, 1);
    if (box->immediate > 0 && --box->immediate == 0) {
      box->epochs.clear();
      box->deployment.state().release();
    }
  });
}

SCM perform(SCM handle, SCM host_name, SCM operation, SCM subject, SCM a, SCM b, SCM c) {
  return gate("%immediate-perform!", [&] {
    const auto box = unwrap<DeploymentBox>(handle, 1);
    if (box->immediate == 0) throw Error(ErrorCode::misuse, "no host: use (on-host HOST ...)");
    const Host& host = box->deployment.fleet().at(to_string(host_name, 2));
    const Request request = to_request(operation, subject, a, b, c, SCM_BOOL_F, 3);
    authorise(*box, host);
    const std::string token = "i." + box->deployment.state().lineage().substr(0, 12) + "." +
                              std::to_string(box->epochs.at(host.name)) + "-" +
                              std::to_string(++box->next_token);
    box->last_token = token;
    std::vector<Completion> completions;
    without_guile([&] {
      Transport& transport = box->deployment.transport();
      transport.send(token, host.name, request);
      while (completions.empty()) {
        transport.wait(completions, std::nullopt);
        std::erase_if(completions, [&](const Completion& c) { return c.token != token; });
      }
    });
    const Completion& completion = completions.front();
    switch (completion.kind) {
      case Completion::Kind::answered: break;
      case Completion::Kind::lost:
        throw Error(ErrorCode::lost, "host '" + host.name + "' was lost during `" + request.describe() +
                                         "`: nobody knows what became of it. " + completion.why);
      case Completion::Kind::unreachable:
        throw Error(ErrorCode::unreachable, "host '" + host.name + "' does not answer: " + completion.why);
      case Completion::Kind::refused:
        throw Error(ErrorCode::locked, "host '" + host.name + "' refused: " + completion.why);
    }
    return from_result(SCM_BOOL_F, completion.result);
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
