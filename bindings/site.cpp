// Sites, and their elaboration: late-bound settings are pulled by Scheme, which computes them.

#include <tutti/elaborate.hpp>
#include <tutti/executor.hpp>

#include "data.hpp"

namespace tutti::guile {
namespace {

SCM make_site(SCM json) {
  return gate("%make-site", [&] {
    auto box = std::make_shared<SiteBox>();
    box->site = site_from_json(to_string(json, 1));
    box->fleet = look_up(box->site);
    return wrap(std::move(box));
  });
}

SCM inventory(SCM file) {
  return gate("%inventory-file", [&] { return list(hosts_in_file(to_string(file, 1)), from_host); });
}

SCM notes_on_classes(SCM file, SCM hosts, SCM classes) {
  return gate("%notes-on-classes", [&] {
    std::vector<Host> all;
    each(hosts, 2, [&](SCM pair) {
      if (!scm_is_pair(pair)) throw WrongType{2, hosts, "association list of strings"};
      all.push_back({.name = to_string(SCM_CAR(pair), 2), .host_class = to_string(SCM_CDR(pair), 2)});
    });
    std::vector<std::string> names;
    each(classes, 3, [&](SCM name) { names.push_back(to_string(name, 3)); });
    return list(tutti::notes_on_classes(to_string(file, 1), all, names),
                [](const std::string& text) { return from_string(text); });
  });
}

SCM fleet(SCM owner) {
  return gate("%fleet", [&] {
    if (is<SiteBox>(owner)) return list(unwrap<SiteBox>(owner, 1)->fleet.hosts, from_host);
    return list(unwrap<DeploymentBox>(owner, 1)->deployment.fleet().hosts, from_host);
  });
}

SCM elaborate(SCM owner) {
  return gate("%elaborate", [&] {
    if (is<SiteBox>(owner)) {
      const auto& box = unwrap<SiteBox>(owner, 1);
      return wrap(std::make_shared<ElaborationBox>(box, box->site, box->fleet));
    }
    const auto& box = unwrap<DeploymentBox>(owner, 1);
    return wrap(std::make_shared<ElaborationBox>(box, box->deployment.site(), box->deployment.fleet()));
  });
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

SCM check_plan(SCM site, SCM desired) {
  return gate("%check-plan", [&] {
    const auto& box = unwrap<SiteBox>(site, 1);
    std::vector<HostReading> readings;
    for (const Host& host : box->fleet.hosts) readings.push_back({.host = host.name, .reached = true});
    Plan plan = make_plan(box->site, unwrap<DesiredBox>(desired, 2)->desired, std::move(readings));
    (void)expect_waves(plan, box->site.policy, real_clock());
    return wrap(std::make_shared<PlanBox>(PlanBox{std::move(plan)}));
  });
}

SCM decimal_mode(SCM mode) {
  return gate("%decimal-mode?", [&] { return scm_from_bool(is_decimal_mode(to_unsigned(mode, 1))); });
}

const Primitive table[] = {
    {"%make-site", 1, subr(make_site),
     "Return a handle on the site that is written in JSON, and its fleet: the site's checks are made."},
    {"%decimal-mode?", 1, subr(decimal_mode),
     "Was MODE, a number, meant in octal but written in decimal, as 644 for #o644?"},
    {"%inventory-file", 1, subr(inventory), "Return the hosts in FILE, a hosts.json, as vectors."},
    {"%notes-on-classes", 3, subr(notes_on_classes),
     "Return a sentence for each class in HOSTS, pairs of names and classes that FILE holds, that is none of "
     "CLASSES."},
    {"%fleet", 1, subr(fleet), "Return the hosts of OWNER, a site or a deployment, as vectors."},
    {"%elaborate", 1, subr(elaborate), "Begin the elaboration of OWNER, a site or a deployment."},
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
    {"%check-plan", 2, subr(check_plan), "Return a plan of DESIRED as though nothing were deployed yet."},
};

}  // namespace

template <> HandleType Handle<SiteBox>::type{"site"};
template <> HandleType Handle<ElaborationBox>::type{"elaboration"};
template <> HandleType Handle<DesiredBox>::type{"desired"};

void define_site() {
  define_handle<SiteBox>("<site-handle>");
  define_handle<ElaborationBox>("<elaboration>");
  define_handle<DesiredBox>("<desired>");
  define_primitives(table);
}

}  // namespace tutti::guile
