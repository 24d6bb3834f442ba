# SPDX-License-Identifier: LGPL-3.0-or-later
# shellcheck shell=sh
# Stops the server on port $1, if it was ever started, and waits for its end.
mkdir -p "/srv/bench-$1"
if read -r pid <"/run/bench-$1.pid"; then
  kill "$pid"
  while kill -0 "$pid"; do sleep 0.05; done
fi 2>/dev/null
