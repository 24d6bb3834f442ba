# SPDX-License-Identifier: LGPL-3.0-or-later
# Assembles the runner from the parts in FOLDER, in the order of their names, without their comments; writes
# SCRIPT, the runner itself, and OUTPUT, a C++ file whose `runner_text` is its text.
# The text is split at line ends into literals of less than 64 KiB, which every compiler must accept.
file(GLOB parts ${FOLDER}/*.sh)
list(SORT parts)
set(text "")
foreach(part IN LISTS parts)
  file(READ ${part} one)
  string(REGEX REPLACE "^#!" "\\\\#!" one "${one}")
  string(REGEX REPLACE "(^|\n)( *#[^\n]*\n)+" "\\1" one "${one}")
  string(REGEX REPLACE "\n\n+" "\n" one "${one}")
  string(REGEX REPLACE "^\\\\#!" "#!" one "${one}")
  string(APPEND text "${one}")
endforeach()
if(text MATCHES "\\)RUNNER\"")
  message(FATAL_ERROR "${FOLDER} holds the characters )RUNNER\", which end the C++ literal it is put in")
endif()
file(WRITE ${SCRIPT} "${text}")
set(literals "")
while(NOT text STREQUAL "")
  string(SUBSTRING "${text}" 0 60000 chunk)
  string(LENGTH "${chunk}" size)
  if(size EQUAL 60000)
    string(FIND "${chunk}" "\n" size REVERSE)
    math(EXPR size "${size} + 1")
    string(SUBSTRING "${chunk}" 0 ${size} chunk)
  endif()
  string(SUBSTRING "${text}" ${size} -1 text)
  string(APPEND literals "\n    R\"RUNNER(${chunk})RUNNER\"")
endwhile()
file(WRITE ${OUTPUT} "// Generated from lib/transport/runner/.
#include \"transport/runner_text.hpp\"

namespace tutti {

constinit const std::string_view runner_text =${literals};

}  // namespace tutti
")
