// SPDX-License-Identifier: LGPL-3.0-or-later
// Definitions, and the programs in them.

#include <tutti/definition.hpp>

#include "data.hpp"

namespace tutti::guile {
namespace {

const Definition& definition(SCM handle) { return *unwrap<const Definition>(handle, 1); }
SCM text(const std::string& value) { return from_string(value); }

SCM title(SCM handle) {
  return gate("%definition-title", [&] { return text(definition(handle).title()); });
}
SCM service(SCM handle) {
  return gate("%definition-service", [&] { return text(definition(handle).service); });
}
SCM version(SCM handle) {
  return gate("%definition-version", [&] { return text(definition(handle).version); });
}
SCM has_hook(SCM handle, SCM name) {
  return gate("%definition-has-hook?",
              [&] { return scm_from_bool(definition(handle).has_hook(to_symbol(name, 2))); });
}
SCM hook(SCM handle, SCM name) {
  return gate("%definition-hook", [&] {
    const auto& owner = unwrap<const Definition>(handle, 1);
    const std::string wanted = to_symbol(name, 2);
    const auto found = owner->programs.find(wanted);
    if (found == owner->programs.end()) (void)owner->hook(wanted);  // throws, with the nearest name
    return wrap(std::shared_ptr<const Command>(owner, &found->second));
  });
}
SCM endpoints(SCM handle) {
  return gate("%definition-endpoints", [&] {
    return list(definition(handle).endpoints,
                [](const auto& entry) { return scm_cons(text(entry.first), text(entry.second)); });
  });
}
SCM json(SCM handle) {
  return gate("%definition->json", [&] { return text(canonical(definition(handle))); });
}
SCM from_json(SCM json) {
  return gate("%json->definition", [&] {
    return from_definition(std::make_shared<const Definition>(definition_from_json(to_string(json, 1))));
  });
}
SCM argv(SCM handle) {
  return gate("%command-arguments", [&] { return list(unwrap<const Command>(handle, 1)->argv, text); });
}
SCM command_service(SCM handle) {
  return gate("%command-service", [&] { return text(unwrap<const Command>(handle, 1)->service); });
}
SCM close_definition(SCM handle) {
  return gate("%close-definition!", [&] { close<const Definition>(handle, 1); });
}

const Primitive table[] = {
    {"%definition-title", 1, subr(title), "Return the service and version of DEFINITION: \"web 7\"."},
    {"%definition-service", 1, subr(service), "Return the name of the service of DEFINITION."},
    {"%definition-version", 1, subr(version), "Return the version of DEFINITION."},
    {"%definition-has-hook?", 2, subr(has_hook), "Return true if DEFINITION has the program NAME, a symbol."},
    {"%definition-hook", 2, subr(hook), "Return the program NAME, a symbol, of DEFINITION as a command."},
    {"%definition-endpoints", 1, subr(endpoints), "Return the endpoints of DEFINITION: names and ports."},
    {"%definition->json", 1, subr(json), "Return the canonical form of DEFINITION."},
    {"%json->definition", 1, subr(from_json), "Return the definition that is written in JSON."},
    {"%command-arguments", 1, subr(argv), "Return the file and the arguments of COMMAND."},
    {"%command-service", 1, subr(command_service), "Return whose program COMMAND is: \"db 2\"."},
    {"%close-definition!", 1, subr(close_definition), "Close the handle DEFINITION."},
};

}  // namespace

template <> HandleType Handle<const Definition>::type{"definition"};
template <> HandleType Handle<const Command>::type{"command"};

void define_definitions() {
  define_handle<const Definition>("<definition>");
  define_handle<const Command>("<command>");
  define_primitives(table);
}

}  // namespace tutti::guile
