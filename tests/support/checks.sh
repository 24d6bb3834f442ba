# SPDX-License-Identifier: LGPL-3.0-or-later
# shellcheck shell=sh
# shellcheck disable=SC2034 # what is set here is used there
# Sourced by tests of the command: a folder $work that goes when the test ends, checks that are counted,
# and a few words to look at reports. Needs `tutti` on the PATH.
set -u
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
work=$(mktemp -d /var/tmp/tutti-test.XXXXXX)   # not below /tmp: the hosts of a fleet have their own
clean_up() { :; }                              # a test may say more

finish() {
  status=$?
  clean_up
  [ ! -e "$work/failed" ] || status=1
  rm -rf "$work"
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

check() { # check WHAT COMMAND…
  what=$1; shift
  if "$@" >"$work/check.out" 2>&1; then
    echo "ok    $what"
  else
    echo "FAIL  $what"; sed 's/^/      /' "$work/check.out"
    : >"$work/failed"                         # a file, for checks in a subshell
  fi
}
is() { [ "$1" = "$2" ] || { echo "is     '$1'"; echo "wanted '$2'"; return 1; }; }
holds() { # holds FILE TEXT: the text stands in it
  grep -qF -- "$2" "$1" || { echo "'$2' is not in:"; cat "$1"; return 1; }
}
lacks() { ! grep -qF -- "$2" "$1" || { echo "'$2' is in:"; cat "$1"; return 1; }; }

# deploy OUT ARGUMENT…: sets $status, output in OUT
deploy() {
  out=$1; shift
  tutti deploy "$@" --yes >"$out" 2>&1 </dev/null
  status=$?
}
# outcome REPORT INSTANCE: the outcome in the report's table
outcome() {
  awk -v i="$2" '$1 == i { for (f = 2; f <= NF; f++)
    if ($f ~ /^(upgraded|unchanged|rolled-back|roll-back-failed|failed|unknown|unreachable|skipped)$/) { print $f; exit } }' "$1"
}
# own_network: three numbers of a network of this machine's that nobody uses, as 127.8.9 -> $network. By chance, so
# that two clones that run their tests at once, perhaps in two containers of one network, take different ones.
own_network() {
  while :; do
    # shellcheck disable=SC2046 # two numbers
    set -- $(od -An -N2 -tu1 /dev/urandom)
    [ "$1" -ge 16 ] && [ "$1" -le 254 ] || continue         # not where hosts of the local platform are
    # /proc/net/tcp has addresses back to front: 127.8.9.1 is 0109087F
    grep -qi " ..$(printf %02X%02X7F "$2" "$1"):" /proc/net/tcp || break
  done
  network=127.$1.$2
}
# runs_below FOLDER: prints the processes that run in a folder below it; fails if there are none
runs_below() {
  for process in /proc/[0-9]*; do
    case $(readlink "$process/cwd" 2>/dev/null) in
      "$1" | "$1"/*) tr '\0' ' ' <"$process/cmdline" 2>/dev/null && echo "(${process#/proc/})" ;;
    esac
  done | grep .
}
# wait_for FILE TEXT: up to 20 s
wait_for() {
  i=0
  until grep -qF -- "$2" "$1" 2>/dev/null; do
    i=$((i + 1)); [ "$i" -lt 400 ] || return 1
    sleep 0.05
  done
}
