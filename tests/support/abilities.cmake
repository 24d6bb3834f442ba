# SPDX-License-Identifier: LGPL-3.0-or-later
# Read by CTest when it starts: says in one place what will be skipped on this machine, and why. CTest itself only
# counts it.
function(say_without ability tests)
  execute_process(COMMAND ${CMAKE_CURRENT_LIST_DIR}/can-${ability}
    RESULT_VARIABLE status OUTPUT_VARIABLE sentence OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(NOT status EQUAL 0)
    message("${tests}: ${sentence}")
  endif()
endfunction()
say_without(have-hosts "fleet.*")
say_without(have-systemd-hosts "fleet.*.systemd")
say_without(switch-users "runner.root, as root examples.*, and parts of others")
