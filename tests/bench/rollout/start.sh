# SPDX-License-Identifier: LGPL-3.0-or-later
# shellcheck shell=sh
# Starts the server on port $1, detached: $3 is serve.sh.
setsid sh -c "$3" serve "$1" </dev/null >"/run/bench-$1.log" 2>&1 &
echo $! >"/run/bench-$1.pid"
