// SPDX-License-Identifier: LGPL-3.0-or-later
// Each part is something that must not compile, or must warn: `run` compiles this file with PART from 0,
// which is fine, to the last.
#include <tutti/tutti.hpp>

using namespace tutti;

Transition fine(Context c, Change web) {
  const Result tried = co_await c.run(command("false")).result();
  if (!tried.succeeded) co_await c.start(web.new_service);
}
TransitionProcedure also_fine{"lambda",
                              [](Context c, Change web) -> Transition { co_await c.start(web.new_service); }};

#if PART == 1
// why: a Transition takes its parameters by value
Transition by_reference(Context c, const std::string& word) { co_await c.run(command(word)); }
#elif PART == 2
// why: a Transition takes its parameters by value
auto context_by_reference = [](const Context& c, Change web) -> Transition {
  co_await c.start(web.new_service);
};
#elif PART == 3
// why: captures nothing
std::string word;
void captures(Context c) {
  c.on_roll_back([held = word](Context inner) -> Transition { co_await inner.run(command(held)); });
}
#elif PART == 4
// why: captures nothing
std::string word;
TransitionProcedure captures{
    "mine", [held = word](Context c, Change) -> Transition { co_await c.run(command(held)); }};
#elif PART == 5
// why: nodiscard
Transition forgets(Context c, Change web) {
  c.start(web.new_service);
  co_return;
}
#endif
