// SPDX-License-Identifier: LGPL-3.0-or-later
// What is said to people, decided once: nearest names, escapes; and the order of versions.

#include <tutti/definition.hpp>
#include <tutti/engine/not_built.hpp>
#include <tutti/error.hpp>

#include "data.hpp"

namespace tutti::guile {
namespace {

std::vector<std::string> names(SCM value, int position) {
  std::vector<std::string> all;
  each(value, position, [&](SCM name) { all.push_back(to_string(name, position)); });
  return all;
}

SCM nearest_name(SCM name, SCM known) {
  return gate("%nearest", [&] {
    const std::string found = nearest(to_string(name, 1), names(known, 2));
    return found.empty() ? SCM_BOOL_F : from_string(found);
  });
}

SCM suggested(SCM name, SCM known) {
  return gate("%suggestion", [&] { return from_string(suggestion(to_string(name, 1), names(known, 2))); });
}

SCM escape(SCM text) {
  return gate("%escape-controls", [&] { return from_string(escaped(to_string(text, 1), true)); });
}

SCM is_less(SCM a, SCM b) {
  return gate("%version<?", [&] { return scm_from_bool(version_less(to_string(a, 1), to_string(b, 2))); });
}

SCM refuse(SCM name, SCM where) {
  return gate("%not-built", [&] { throw_not_built(to_string(name, 1), to_string(where, 2)); });
}

SCM not_built_names() {
  return gate("%not-built-names",
              [] { return list(not_built(), [](const NotBuilt& row) { return from_string(row.name); }); });
}

const Primitive table[] = {
    {"%nearest", 2, subr(nearest_name),
     "Return the string of the list KNOWN that is nearest to NAME, or #f."},
    {"%suggestion", 2, subr(suggested), "Return what to say when NAME is not one of the list KNOWN."},
    {"%escape-controls", 1, subr(escape), "Return TEXT with control characters but newlines escaped."},
    {"%not-built", 2, subr(refuse),
     "Raise that NAME, one of %not-built-names, is not built yet; WHERE, or \"\", names what has it."},
    {"%not-built-names", 0, subr(not_built_names),
     "Return the names of what the vocabulary has and is not built yet."},
    {"%version<?", 2, subr(is_less), "Return true if the version A comes before B."},
};

}  // namespace

void define_text() { define_primitives(table); }

}  // namespace tutti::guile
