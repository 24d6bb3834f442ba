# SPDX-License-Identifier: LGPL-3.0-or-later
# shellcheck shell=sh
# Sourced by the fleet tests: a fleet below $work that goes when the test ends. What is PID 1 of its hosts says
# TUTTI_FLEET_INIT, plain or systemd; `fleet up` goes by it too. Skipped where such hosts can't be made.
export TUTTI_FLEET_INIT="${TUTTI_FLEET_INIT:-plain}"
case $TUTTI_FLEET_INIT in
  systemd) "$(dirname "$0")/../support/can-have-systemd-hosts" || exit ;;
  *) "$(dirname "$0")/../support/can-have-hosts" || exit ;;
esac
. "$(dirname "$0")/../support/checks.sh"
fleet=$here/fleet
clean_up() {
  for one in "$work"/*/hosts.json; do
    [ -e "$one" ] && "$fleet" down "$(dirname "$one")"
  done
}
# manifest FLEET HOST SITE SERVICE: the JSON of the entry, as it is on the host
manifest() { "$fleet" exec "$1" "$2" -- cat "/var/lib/tutti/site-$3/m/$4" 2>/dev/null | tail -n 1; }
address() { python3 -c 'import json,sys; print(next(h["address"] for h in json.load(open(sys.argv[1]+"/hosts.json"))["hosts"] if h["name"]==sys.argv[2]))' "$1" "$2"; }
