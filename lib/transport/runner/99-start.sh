# shellcheck shell=sh
# The last line, so that a runner that arrived cut does nothing.

main "$@"
