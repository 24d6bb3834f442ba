// SPDX-License-Identifier: LGPL-3.0-or-later
// Sites, and their elaboration: late-bound settings are pulled by Scheme, which computes them.

#include <tutti/engine/elaborate.hpp>
#include <tutti/engine/executor.hpp>

#include "data.hpp"

namespace tutti::guile {
namespace {

SCM open_site(SCM json, SCM state_file) {
  return gate("%open-site", [&] {
    return wrap(
        std::make_shared<DeploymentBox>(site_from_json(to_string(json, 1)), to_string(state_file, 2)));
  });
}

SCM inventory(SCM file) {
  return gate("%inventory-file", [&] { return list(hosts_in_file(to_string(file, 1)), from_host); });
}

SCM fleet(SCM deployment) {
  return gate("%fleet", [&] {
    return list(unwrap<DeploymentBox>(deployment, 1)->deployment.fleet().hosts, from_host);
  });
}

SCM elaborate(SCM deployment) {
  return gate("%elaborate",
              [&] { return wrap(std::make_shared<ElaborationBox>(unwrap<DeploymentBox>(deployment, 1))); });
}

Elaboration& elaboration(SCM handle) { return unwrap<ElaborationBox>(handle, 1)->elaboration; }

SCM elsewhere(SCM handle) {
  return gate("%elaboration-elsewhere", [&] { return list(elaboration(handle).elsewhere(), from_instance); });
}

SCM unsettled(SCM handle, SCM service, SCM host, SCM of) {
  return gate("%elaboration-unsettled", [&] {
    return list(elaboration(handle).unsettled({to_string(service, 2), to_string(host, 3)}, to_string(of, 4)),
                from_instance);
  });
}

SCM begin(SCM handle, SCM service, SCM host) {
  return gate("%elaboration-begin!", [&] {
    elaboration(handle).begin({to_string(service, 2), to_string(host, 3)});
  });
}

SCM settle(SCM handle, SCM service, SCM host, SCM settings) {
  return gate("%elaboration-settle!", [&] {
    Settings values;
    each(settings, 4, [&](SCM pair) {
      if (!scm_is_pair(pair)) throw WrongType{4, settings, "association list of strings"};
      values[to_string(SCM_CAR(pair), 4)] = to_string(SCM_CDR(pair), 4);
    });
    elaboration(handle).settle({to_string(service, 2), to_string(host, 3)}, std::move(values));
  });
}

SCM hosts_of(SCM handle, SCM reader, SCM service) {
  return gate("%hosts-of", [&] {
    return list(elaboration(handle).hosts_of(to_string(reader, 2), to_string(service, 3)), from_host);
  });
}

SCM host_of(SCM handle, SCM reader, SCM service) {
  return gate("%host-of", [&] {
    return from_host(elaboration(handle).host_of(to_string(reader, 2), to_string(service, 3)));
  });
}

SCM endpoint(SCM handle, SCM reader, SCM service, SCM name) {
  return gate("%endpoint", [&] {
    return from_string(
        elaboration(handle).endpoint(to_string(reader, 2), to_string(service, 3), to_string(name, 4)));
  });
}

SCM endpoints_of(SCM handle, SCM reader, SCM service, SCM name) {
  return gate("%endpoints-of", [&] {
    return list(
        elaboration(handle).endpoints_of(to_string(reader, 2), to_string(service, 3), to_string(name, 4)),
        [](const std::string& text) { return from_string(text); });
  });
}

SCM finish(SCM handle) {
  return gate("%elaboration-finish!", [&] {
    const auto& box = unwrap<ElaborationBox>(handle, 1);
    return wrap(std::make_shared<DesiredBox>(DesiredBox{box, box->elaboration.finish()}));
  });
}

SCM desired_definition(SCM handle, SCM service, SCM host) {
  return gate("%desired-definition", [&] {
    const auto& definitions = unwrap<DesiredBox>(handle, 1)->desired.definitions;
    const auto found = definitions.find({to_string(service, 2), to_string(host, 3)});
    return found == definitions.end() ? SCM_BOOL_F : from_definition(found->second);
  });
}

SCM decimal_mode(SCM mode) {
  return gate("%decimal-mode?", [&] { return scm_from_bool(is_decimal_mode(to_unsigned(mode, 1))); });
}

const Primitive table[] = {
    {"%open-site", 2, subr(open_site),
     "Return the deployment of the site that is written in JSON: its fleet is looked up, its state in "
     "STATE-FILE "
     "is opened when something needs it."},
    {"%decimal-mode?", 1, subr(decimal_mode),
     "Was MODE, a number, meant in octal but written in decimal, as 644 for #o644?"},
    {"%inventory-file", 1, subr(inventory), "Return the hosts in FILE, a hosts.json, as vectors."},
    {"%fleet", 1, subr(fleet), "Return the hosts of DEPLOYMENT as vectors."},
    {"%elaborate", 1, subr(elaborate), "Begin the elaboration of the site of DEPLOYMENT."},
    {"%elaboration-elsewhere", 1, subr(elsewhere),
     "Return the instances, pairs of service and host, whose settings Scheme computes."},
    {"%elaboration-unsettled", 4, subr(unsettled),
     "Return those instances whose settings must be computed before SERVICE on HOST reads endpoints of OF."},
    {"%elaboration-begin!", 3, subr(begin), "Say that the settings of SERVICE on HOST are being computed."},
    {"%elaboration-settle!", 4, subr(settle),
     "Give the SETTINGS, an association list of strings, of SERVICE on HOST."},
    {"%hosts-of", 3, subr(hosts_of), "Return the hosts of SERVICE, as READER may see them, as vectors."},
    {"%host-of", 3, subr(host_of), "Return the one host of SERVICE, as READER may see it, as a vector."},
    {"%endpoint", 4, subr(endpoint), "Return ADDRESS:PORT of the endpoint NAME of the one SERVICE."},
    {"%endpoints-of", 4, subr(endpoints_of),
     "Return ADDRESS:PORT of the endpoint NAME on each host of SERVICE."},
    {"%elaboration-finish!", 1, subr(finish), "Return a handle on what is desired: every definition."},
    {"%desired-definition", 3, subr(desired_definition),
     "Return the definition of SERVICE on HOST in DESIRED, or #f."},
};

}  // namespace

template <> HandleType Handle<ElaborationBox>::type{"elaboration"};
template <> HandleType Handle<DesiredBox>::type{"desired"};

void define_site() {
  define_handle<ElaborationBox>("<elaboration>");
  define_handle<DesiredBox>("<desired>");
  define_primitives(table);
}

}  // namespace tutti::guile
