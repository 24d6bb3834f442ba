# SPDX-License-Identifier: LGPL-3.0-or-later
# shellcheck shell=sh
# The last line, so that a runner that arrived cut does nothing.

main "$@"
