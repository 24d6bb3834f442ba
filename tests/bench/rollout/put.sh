# SPDX-License-Identifier: LGPL-3.0-or-later
# shellcheck shell=sh
# Standard input becomes the file that the server on port $1 serves, in one step.
cat >"/srv/bench-$1/.new" && mv -f "/srv/bench-$1/.new" "/srv/bench-$1/version"
