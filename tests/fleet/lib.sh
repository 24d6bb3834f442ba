# Sourced by the fleet tests: a fleet below $work that goes when the test ends, checks that are
# counted, and a few words to look at reports and hosts. Needs root and `tutti` on the PATH.
set -u
[ "$(id -u)" = 0 ] || { echo "needs root for network namespaces"; exit 77; }
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
fleet=$here/fleet
work=$(mktemp -d /var/tmp/tutti-test.XXXXXX)   # /tmp is the hosts' own
failures=0

finish() {
  status=$?
  for one in "$work"/*/hosts.json; do
    [ -e "$one" ] && "$fleet" down "$(dirname "$one")"
  done
  rm -rf "$work"
  [ "$failures" -eq 0 ] || status=1
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
    failures=$((failures + 1))
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
# wait_for FILE TEXT: up to 20 s
wait_for() {
  i=0
  until grep -qF -- "$2" "$1" 2>/dev/null; do
    i=$((i + 1)); [ "$i" -lt 400 ] || return 1
    sleep 0.05
  done
}
# manifest FLEET HOST SITE SERVICE: the JSON of the entry, as it is on the host
manifest() { "$fleet" exec "$1" "$2" -- cat "/var/lib/tutti/site-$3/m/$4" | sed -n 's/^.*\({"format":.*\)$/\1/p'; }
address() { python3 -c 'import json,sys; print(next(h["address"] for h in json.load(open(sys.argv[1]+"/hosts.json"))["hosts"] if h["name"]==sys.argv[2]))' "$1" "$2"; }
