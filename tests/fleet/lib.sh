# Sourced by the fleet tests: a fleet below $work that goes when the test ends. Needs root.
[ "$(id -u)" = 0 ] || { echo "needs root for network namespaces"; exit 77; }
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
