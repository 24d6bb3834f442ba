#!/bin/sh
# SPDX-License-Identifier: LGPL-3.0-or-later
# gate.sh hold|let-go DIR: tells the application whose gate is in the folder DIR. Returns when it is so.
# DIR/hold is the wish, DIR/held the answer, DIR/lock is locked as long as an application lives.
set -eu
dir=$2
case $1 in
  hold)
    : >"$dir/hold"
    sync "$dir/hold" "$dir"
    wanted=true
    ;;
  let-go)
    rm -f "$dir/hold"
    sync "$dir"
    wanted=false
    ;;
esac
is_held() { [ -e "$dir/held" ]; }
lives() { ! flock -n "$dir/lock" true; }
while if $wanted; then ! is_held; else is_held; fi && lives; do sleep 0.02; done
