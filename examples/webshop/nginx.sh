#!/bin/sh
# SPDX-License-Identifier: LGPL-3.0-or-later
# nginx.sh DIR run | reload | drain ADDRESS:PORT | undrain ADDRESS:PORT
# nginx with DIR/nginx.conf before those of DIR/servers that are not in DIR/drained, one on a line.
# All but `run` return when no worker with the former servers is left: nothing of theirs is under way.
set -eu
dir=$1 command=$2 server=${3-}
PATH=$PATH:/usr/sbin

write() { # write FILE, from standard input: all of it or nothing
  cat >"$1.new"
  sync "$1.new"
  mv -f "$1.new" "$1"
}
write_upstreams() {
  while read -r one; do
    if grep -qxF -e "$one" drained; then echo "server $one down;"; else echo "server $one;"; fi
  done <servers | write upstreams.conf
}
master() { # prints its process
  read -r pid 2>/dev/null <nginx.pid && read -r name 2>/dev/null <"/proc/$pid/comm" && [ "$name" = nginx ] && echo "$pid"
}
reload() {
  write_upstreams
  pid=$(master) || return 0             # it reads the upstreams when it starts
  nginx -t -q -e stderr -p "$dir/" -c nginx.conf
  workers=$(pgrep -P "$pid") || :
  kill -HUP "$pid"
  for worker in $workers; do
    while [ -e "/proc/$worker" ]; do sleep 0.02; done
  done
}

cd "$dir"
exec 9>>lock
flock 9
[ -e drained ] || write drained </dev/null
case $command in
  run)
    write_upstreams
    exec 9>&-
    exec nginx -e stderr -p "$dir/" -c nginx.conf
    ;;
  reload) reload ;;
  drain)
    grep -qxF -e "$server" drained || { cat drained; echo "$server"; } | write drained
    reload
    ;;
  undrain)
    { grep -vxF -e "$server" drained || :; } | write drained
    reload
    ;;
esac
