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

/// What a transition may ask for, by its name in the library.
struct Name {
  Operation operation;
  SCM symbol = SCM_UNDEFINED;  // interned for good by define_requests
};
Name names[] = {
    {Operation::run},      {Operation::start},      {Operation::stop},  {Operation::validate},
    {Operation::put_file}, {Operation::reload},     {Operation::now},   {Operation::sleep},
    {Operation::get_file}, {Operation::wait_until}, {Operation::drain}, {Operation::undrain},
};

SCM s_resume, s_exit;

Operation to_operation(SCM symbol, int position) {
  for (const Name& name : names)
    if (scm_is_eq(name.symbol, symbol)) return name.operation;
  throw WrongType{position, symbol, "operation"};
}

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

}  // namespace

Request to_request(SCM operation, SCM subject, SCM a, SCM b, SCM c, SCM host, int position) {
  Request request;
  request.operation = to_operation(operation, position);
  const int at = position + 1;  // of SUBJECT
  if (scm_is_true(host)) request.host = to_string(host, position + 5);
  switch (request.operation) {
    case Operation::run:
      request.command = to_command(subject, at);
      request.input = to_input(a, at + 1);
      request.limit = to_seconds(b, at + 2);
      add_environment(request.command, c, at + 3);
      break;
    case Operation::wait_until:
      request.command = to_command(subject, at);
      request.every = to_seconds(a, at + 1);
      request.limit = to_seconds(b, at + 2);
      add_environment(request.command, c, at + 3);
      break;
    case Operation::start:
    case Operation::stop:
    case Operation::reload:
    case Operation::drain:
    case Operation::undrain:
    case Operation::validate:
      request.definition = unwrap<const Definition>(subject, at);
      request.idempotent = scm_is_true(a);
      request.limit = to_seconds(b, at + 2);
      break;
    case Operation::put_file:
      request.path = to_string(subject, at);
      request.content = to_string(a, at + 1);
      request.mode = scm_is_false(b) ? 0644 : to_unsigned(b, at + 2);
      break;
    case Operation::get_file: request.path = to_string(subject, at); break;
    case Operation::sleep: request.every = to_double(subject, at); break;
    default: break;
  }
  return request;
}

SCM from_result(SCM task, const Result& result) {
  return vector(s_resume, task, scm_from_bool(result.succeeded), scm_from_int(result.status),
                result.how == "exit" ? s_exit : scm_from_utf8_symbol(result.how.c_str()),
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
    result.how = to_symbol(how, 3);
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
  for (Name& name : names)
    name.symbol = scm_permanent_object(scm_from_utf8_symbol(to_string(name.operation)));
  s_resume = scm_permanent_object(scm_from_utf8_symbol("resume"));
  s_exit = scm_permanent_object(scm_from_utf8_symbol("exit"));
  define_primitives(table);
}

}  // namespace tutti::guile
