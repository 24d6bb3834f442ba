# Writes OUTPUT, a C++ file whose `runner_text` is the text of INPUT.
# The text is split at line ends into literals of less than 64 KiB, which every compiler must accept.
file(READ ${INPUT} text)
if(text MATCHES "\\)RUNNER\"")
  message(FATAL_ERROR "${INPUT} holds the characters )RUNNER\", which end the C++ literal it is put in")
endif()
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
file(WRITE ${OUTPUT} "// Generated from lib/transport/runner.sh.
#include \"transport/runner_text.hpp\"

namespace tutti {

constinit const std::string_view runner_text =${literals};

}  // namespace tutti
")
