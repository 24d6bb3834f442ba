# SPDX-License-Identifier: LGPL-3.0-or-later
# shellcheck shell=sh
# The service: a small web server on port $1, with one file that says its version.
exec python3 -m http.server "$1" --bind 127.0.0.1 --directory "/srv/bench-$1"
