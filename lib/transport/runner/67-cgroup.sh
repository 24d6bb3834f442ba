# SPDX-License-Identifier: LGPL-3.0-or-later
# shellcheck shell=sh
# A cgroup of its own for a daemon, where cgroup v2 is there, we may make groups, and systemd does not: what a stop must
# end is then known, whatever it changed of itself, and nobody looks through all processes of the host.
#
# The group lies below the root of the hierarchy, not below ours, which may go with the login. Its name has the site's
# nonce, so it is no other's. Who is in it, its keeper put there; only root can leave it.

# find_groups: where groups can be made -> $groups, or nothing. Looked for once.
find_groups() {
  [ "$groups" = unknown ] || { [ -n "$groups" ]; return; }
  groups=
  [ ! -d /run/systemd/system ] && [ "$uid" = 0 ] || return
  while read -r rest rest rest rest point options rest; do
    case "$rest" in
      '- cgroup2 '* | *' - cgroup2 '*) case $point,$options, in *\\*) ;; *,rw,*) groups=$point; break ;; esac ;;
    esac
  done </proc/self/mountinfo
  [ -n "$groups" ] && [ -w "$groups/cgroup.procs" ] && { [ -d "$groups/tutti" ] || mkdir "$groups/tutti" 2>/dev/null; } &&
    [ -e "$groups/tutti/cgroup.kill" ] || { groups=; return 1; }
}

group_of() { group=$groups/tutti/$nonce-$1; }           # SERVICE -> $group

join_group() {                          # the process that we are, with all that it will start
  group_of "$k_service"
  [ -d "$group" ] || mkdir -p "$group"
  echo 0 >"$group/cgroup.procs"
} 2>/dev/null

populated() {                           # is there a process in $group?
  while read -r what count; do
    [ "$what" != populated ] || { [ "$count" = 1 ]; return; }
  done <"$group/cgroup.events"
  return 1
} 2>/dev/null

# end_group PID START BOOT: as kill_tree, for all that is in the group.
end_group() {
  group_of "$k_service"
  [ -d "$group" ] || return 0
  if alive "$1" "$2" "$3"; then kill "-$stop_signal" "-$1" 2>/dev/null || kill "-$stop_signal" "$1" 2>/dev/null; fi
  now
  end=$((now + grace)) pace=1
  while populated && { alive "$1" "$2" "$3" || kill -0 "-$1" 2>/dev/null; } && [ "$now" -lt "$end" ]; do
    nap $pace
    [ $pace -ge 8 ] || pace=$((pace * 2))
    now
  done
  tries=0
  while populated && [ $tries -lt 100 ]; do
    echo 1 >"$group/cgroup.kill"
    nap 1
    tries=$((tries + 1))
  done
  rmdir "$group" "${group%/*}" 2>/dev/null      # that of all goes with the last
  [ ! -d "$group" ]
}
