// SPDX-License-Identifier: LGPL-3.0-or-later
// Effects as positional arguments, SUBJECT A B C HOST; #f where there is nothing. No text format is in
// between: this is done for every effect.
//
//   run           program                  input    limit   environment
//   wait-until    program                  every    limit   environment
//   start stop reload validate  definition  idempotent?  limit
//   drain undrain               definition
//   put-file      path                     content  mode
//   get-file      path
//   sleep         seconds
//   now
//
// A program is a command, or a list of strings: the file and its arguments. An input is a string, or an
// output as `from_result` gives it.

#include <tutti/transition.hpp>

#include "data.hpp"

namespace tutti::guile {
namespace {

SCM s_resume, s_exit;

Command to_command(SCM program, int position) {
  if (is<const Command>(program)) return *unwrap<const Command>(program, position);
  Command command;
  each(program, position, [&](SCM word) { command.argv.push_back(to_string(word, position)); });
  if (command.argv.empty()) throw WrongType{position, program, "command or non-empty list of strings"};
  return command;
}

Output to_output(SCM value, int position) {
  if (!scm_is_vector(value) || scm_c_vector_length(value) != 6)
    throw WrongType{position, value, "string or output"};
  const auto element = [&](std::size_t k) { return scm_c_vector_ref(value, k); };
  return {.text = to_bytes(element(0), position),
          .cut = scm_is_true(element(1)),
          .size = static_cast<std::uint64_t>(to_double(element(2), position)),
          .sha256 = to_string(element(3), position),
          .host = to_string(element(4), position),
          .token = to_string(element(5), position)};
}

Input to_input(SCM value, int position) {
  if (scm_is_false(value)) return std::string();
  if (scm_is_string(value)) return to_string(value, position);
  if (scm_is_bytevector(value)) return to_bytes(value, position);
  return to_output(value, position);
}

void add_environment(Command& command, SCM environment, int position) {
  if (scm_is_false(environment)) return;
  each(environment, position, [&](SCM pair) {
    if (!scm_is_pair(pair)) throw WrongType{position, environment, "association list of strings"};
    command.environment[to_string(SCM_CAR(pair), position)] = to_string(SCM_CDR(pair), position);
  });
}

double to_seconds(SCM value, int position) { return scm_is_false(value) ? 0 : to_double(value, position); }

SCM from_output(const Output& output) {
  if (output.size == 0 && output.text.empty()) return SCM_BOOL_F;
  return vector(from_bytes(output.text), scm_from_bool(output.cut), scm_from_uint64(output.size),
                from_string(output.sha256), from_string(output.host), from_string(output.token));
}

/// SUBJECT A B C, and where SUBJECT is among the arguments of a primitive.
struct Arguments {
  SCM subject, a, b, c;
  int at;
};

template <class E> Request about(const Arguments& given) {
  return {.effect = E{unwrap<const Definition>(given.subject, given.at)},
          .limit = to_seconds(given.b, given.at + 2),
          .idempotent = scm_is_true(given.a)};
}
Request run(const Arguments& given) {
  Command command = to_command(given.subject, given.at);
  add_environment(command, given.c, given.at + 3);
  return {.effect = effect::Run{std::move(command), to_input(given.a, given.at + 1)},
          .limit = to_seconds(given.b, given.at + 2)};
}
Request wait_until(const Arguments& given) {
  Command command = to_command(given.subject, given.at);
  add_environment(command, given.c, given.at + 3);
  return {.effect = effect::WaitUntil{std::move(command), to_seconds(given.a, given.at + 1)},
          .limit = to_seconds(given.b, given.at + 2)};
}
Request put_file(const Arguments& given) {
  return {.effect =
              effect::PutFile{.path = to_string(given.subject, given.at),
                              .content = to_string(given.a, given.at + 1),
                              .mode = scm_is_false(given.b) ? 0644 : to_unsigned(given.b, given.at + 2)}};
}
Request get_file(const Arguments& given) {
  return {.effect = effect::GetFile{to_string(given.subject, given.at)}};
}
Request sleep(const Arguments& given) {
  return {.effect = effect::Sleep{to_double(given.subject, given.at)}};
}
Request now(const Arguments&) { return {.effect = effect::Now{}}; }

/// What a transition may ask for, the most frequent first.
struct Operation {
  const char* name;
  Request (*request)(const Arguments&);
  SCM symbol = SCM_UNDEFINED;  // interned for good by define_requests
};
Operation operations[] = {
    {"run", run},
    {"start", about<effect::Start>},
    {"stop", about<effect::Stop>},
    {"validate", about<effect::Validate>},
    {"put-file", put_file},
    {"reload", about<effect::Reload>},
    {"now", now},
    {"sleep", sleep},
    {"get-file", get_file},
    {"wait-until", wait_until},
    {"drain", about<effect::Drain>},
    {"undrain", about<effect::Undrain>},
};

}  // namespace

Request to_request(SCM operation, SCM subject, SCM a, SCM b, SCM c, SCM host, int position) {
  for (const Operation& one : operations) {
    if (!scm_is_eq(one.symbol, operation)) continue;
    Request request = one.request({subject, a, b, c, position + 1});
    if (scm_is_true(host)) request.host = to_string(host, position + 5);
    return request;
  }
  throw WrongType{position, operation, "operation"};
}

SCM from_result(SCM task, const Result& result) {
  return vector(s_resume, task, scm_from_bool(result.succeeded), scm_from_int(result.status),
                result.how == How::exit
                    ? s_exit
                    : scm_from_utf8_symboln(to_string(result.how).data(), to_string(result.how).size()),
                from_output(result.output), result.error.empty() ? SCM_BOOL_F : from_string(result.error));
}

namespace {

SCM describe(SCM operation, SCM subject, SCM a, SCM b, SCM c, SCM host) {
  return gate("%describe-request",
              [&] { return from_string(to_request(operation, subject, a, b, c, host, 1).describe()); });
}

SCM failure_message(SCM description, SCM status, SCM how, SCM error) {
  return gate("%failure-message", [&] {
    Result result;
    result.succeeded = false;
    result.status = static_cast<int>(to_double(status, 2));
    result.how = how_from_string(to_symbol(how, 3)).value_or(How::error);
    if (scm_is_true(error)) result.error = to_string(error, 4);
    return from_string(EffectFailed(to_string(description, 1), std::move(result)).what());
  });
}

const Primitive table[] = {
    {"%describe-request", 6, subr(describe),
     "Return in one line what the effect of OPERATION on SUBJECT with A, B, C and HOST is."},
    {"%failure-message", 4, subr(failure_message),
     "Return what to say of an effect, described by DESCRIPTION, that failed with STATUS, HOW and ERROR."},
};

}  // namespace

void define_requests() {
  for (Operation& one : operations) one.symbol = scm_permanent_object(scm_from_utf8_symbol(one.name));
  s_resume = scm_permanent_object(scm_from_utf8_symbol("resume"));
  s_exit = scm_permanent_object(scm_from_utf8_symbol("exit"));
  define_primitives(table);
}

}  // namespace tutti::guile
