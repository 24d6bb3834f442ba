# SPDX-License-Identifier: LGPL-3.0-or-later
# shellcheck shell=sh
# The server on port $1 serves version $2 within 10 seconds.
tries=0
until [ "$(curl -fsS "http://127.0.0.1:$1/version" 2>/dev/null)" = "$2" ]; do
  tries=$((tries + 1))
  [ $tries -lt 200 ] || exit 1
  sleep 0.05
done
