// SPDX-License-Identifier: LGPL-3.0-or-later
#include "data.hpp"

namespace tutti::guile {

Executor& RunBox::get() const {
  if (!executor) throw Error(ErrorCode::misuse, "this run has finished");
  return *executor;
}

const Rollout& RolloutBox::get() const {
  if (preview) return preview->preview.rollout();
  if (!run->executor) throw Error(ErrorCode::misuse, "this view is of a run that has finished");
  return run->executor->rollout();
}

SCM from_host(const Host& host) {
  const SCM labels = list(host.labels, [](const auto& label) {
    return scm_cons(from_string(label.first), from_string(label.second));
  });
  return vector(from_string(host.name), from_string(host.address), scm_from_int(host.port),
                from_string(host.user), from_string(host.become), labels, from_string(host.host_class));
}

SCM from_definition(const DefinitionPtr& definition) {
  return definition ? wrap<const Definition>(definition) : SCM_BOOL_F;
}

SCM from_instance(const Instance& instance) {
  return scm_cons(from_string(instance.service), from_string(instance.host));
}

}  // namespace tutti::guile
