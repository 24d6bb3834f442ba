# SPDX-License-Identifier: LGPL-3.0-or-later
# Read by CTest when it starts: says in one place what will be skipped on this machine, and why. CTest itself only
# counts it.
execute_process(COMMAND ${CMAKE_CURRENT_LIST_DIR}/can-have-hosts
  RESULT_VARIABLE status OUTPUT_VARIABLE sentence OUTPUT_STRIP_TRAILING_WHITESPACE)
if(NOT status EQUAL 0)
  message("fleet.*: ${sentence}")
endif()
execute_process(COMMAND ${CMAKE_CURRENT_LIST_DIR}/can-switch-users
  RESULT_VARIABLE status OUTPUT_VARIABLE sentence OUTPUT_STRIP_TRAILING_WHITESPACE)
if(NOT status EQUAL 0)
  message("runner.root, as root examples.*, and parts of others: ${sentence}")
endif()
