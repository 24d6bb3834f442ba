# SPDX-License-Identifier: LGPL-3.0-or-later
# shellcheck shell=sh
# The manifest.

op_entry() {
  keys 'service= probe=none limit=10 user=- cwd=- env=0 argv=0 json=0' "$@"
  word "$k_service" && hundredths "$k_limit" && [ "$value" -gt 0 ] && word_or_none "$k_user" &&
    number "$k_env" && number "$k_argv" && number "$k_json" || die protocol entry
  case $k_probe in none | daemon | run | unit | drop) ;; *) die protocol probe ;; esac
  with_lines $((k_env + k_argv)) raw entry_lines
}

entry_lines() {
  if [ -z "$held" ] || performed; then
    receive "$k_json" /dev/null
    unlocked || reply
    return
  fi
  entry=m/$k_service new=m/.$k_service.new
  discard "$new" "$t.e"
  if [ "$k_probe" = drop ]; then
    receive "$k_json" /dev/null
    if step rm -f "$entry" && step sync m; then
      forget_keeping
    else
      oops "cannot remove the entry of $k_service: $detail"
    fi
  elif receive_entry "$@"; then         # one file, so that all of it changes at once
    step mv -f "$new" "$entry" && step sync m || oops "cannot write the entry of $k_service: $detail"
  else
    oops "cannot write the entry of $k_service (is the disk full?)"
  fi
  discard "$new"
  settle
}

receive_entry() {                       # LINE...: the entry, durable in $new
  { printf 'tutti-entry 2 %s %s %s %s %s %s %s .\n' "$k_probe" "$k_limit" "$k_user" "$k_cwd" "$k_env" "$k_argv" \
      "$k_json" &&
      { [ $# -eq 0 ] || printf '%s\n' "$@"; }
  } 2>/dev/null >"$new" || { receive "$k_json" /dev/null; return 1; }
  receive "$k_json" "$new" conv=fsync
}

# entry_head: the head of an entry, from descriptor 3 -> $k_...; fails when it is none
entry_head() {
  IFS= read -r record <&3
  case $record in 'tutti-entry 2 '*' .') ;; *) return 1 ;; esac
  set -- $record
  k_probe=$3 k_limit=$4 k_user=$5 k_cwd=$6 k_env=$7 k_argv=$8 k_json=$9
  number "$k_env" && number "$k_argv" && number "$k_json" && hundredths "$k_limit" && word_or_none "$k_user"
}

op_read() {
  keys 'paths=0' "$@"
  number "$k_paths" || die protocol read
  with_lines "$k_paths" plain read_lines
}

read_lines() {
  if [ -z "$entered" ] && [ -d "$state/site-$site" ]; then
    fail "cannot enter $state/site-$site"
    return
  fi
  places_of "$@"
  set -- $places
  places_count=$#
  if [ -z "$entered" ]; then
    say "R $id read lineage=- epoch=0 holder=- nonce=- entries=0 paths=$places_count name=-"
    send_places
    return
  fi
  fence='lineage=- epoch=0 holder=-'
  if [ -e fence ]; then
    record_of fence || { fail "the fence is torn: $state/site-$site/fence"; return; }
    set -- $record
    fence="lineage=$1 epoch=$2 holder=$3"
  fi
  nonce_here=-
  record_of nonce && nonce_here=$record
  name_here=-
  record_of name && name_here=$record
  set +f
  set -- m/*
  set -f
  [ -e "$1" ] || set --
  judge_all "$@"
  unkept=' keeper=- restarts=0 recent=0 last=- boot=- note=-'
  say "R $id read $fence nonce=$nonce_here entries=$# paths=$places_count name=$name_here"
  for file; do
    send_entry "${file#m/}" 3<"$file" || say "E service=${file#m/} life=torn size=0$unkept"    # it went away, or is not for us to read
  done
  send_places
  cut_logs
}

send_places() {
  for place in $places; do say "P index=${place%%=*} what=${place#*=}"; done
}

# judge_all FILE...: which of these live -> $verdicts: " SERVICE:LIVE ..." Programs run at the same time, as
# many as $judges, and are waited for in turn.
judge_all() {
  verdicts='' waiting='' judges=0 units_asked='' facts=''
  for file; do
    service=${file#m/} verdict=unknown
    if entry_head 3<"$file"; then
      case $k_probe in
        none) verdict=alive ;;
        daemon)
          k_service=$service verdict=dead
          if ! record_of "s/$service.daemon"; then
            :
          elif alive $record; then
            verdict=alive
          elif under_systemd; then
            unit_of "$service"
            units_asked="$units_asked $service=$unit" verdict=
          fi
          ;;
        unit)
          unit_named 3<"$file" && units_asked="$units_asked $service=$value" verdict=
          ;;
        run)
          own_account                   # once for all of them
          ( judge "$file" 3<"$file" ) </dev/null >/dev/null 2>&1 8>&- 9>&- &
          waiting="$waiting $service:$!" judges=$((judges + 1)) verdict=
          ;;
      esac
    fi 2>/dev/null
    [ -z "$verdict" ] || verdicts="$verdicts $service:$verdict"
    [ $judges -lt 16 ] || gather
  done
  [ -z "$units_asked" ] || judge_units
  gather
}

unit_named() {                          # of the entry on descriptor 3 -> $value
  entry_head && IFS= read -r value <&3 && undo "$value" && unit_or_none "$value"
}

gather() {
  for pair in $waiting; do
    wait "${pair#*:}"
    case $? in 0) verdict=alive ;; 1) verdict=dead ;; *) verdict=unknown ;; esac
    verdicts="$verdicts ${pair%%:*}:$verdict"
  done
  waiting='' judges=0
}

# judge: the program of the entry on descriptor 3, in a process of its own. Exits 0: lives, 1: does not.
judge() {
  entry_head || exit 2
  trouble=
  ready
  [ -z "$trouble" ] && [ -d "$cwd" ] || exit 2
  left=$((k_env + k_argv))
  set --
  while [ $left -gt 0 ]; do
    IFS= read -r value <&3 || exit 2
    undo "$value"
    set -- "$@" "$value"
    left=$((left - 1))
  done
  wrap="timeout -s KILL $k_limit"
  ( become "TUTTI_EFFECT=-" "$k_env" "$k_argv" "$@" ) 3<&- &
  leader=$!
  wait $leader
  status=$?
  kill -KILL "-$leader"                 # what it left behind in its session
  case $status in
    0) exit 0 ;;
    126 | 127 | 129 | 1[3-8]? | 19[0-2]) exit 2 ;;    # it can't be run, was killed or took too long
    *) exit 1 ;;
  esac
}

send_entry() {                          # SERVICE, on descriptor 3
  body='' k_service=$1
  kept
  if ! entry_is_whole; then
    live=torn
    size_of /proc/self/fd/3
    k_json=$value
  else
    live=${verdicts#*" $1:"}
    live=${live%% *}
    case $live in alive | dead | unknown) ;; *) live=unknown ;; esac
  fi
  say "E service=$1 life=$live size=$k_json$kept"
  if [ -n "$body" ]; then
    printf %s "$body" >&8 || exit 1
  else
    [ "$k_json" -eq 0 ] || tail -c "$k_json" /proc/self/fd/3 >&8 || exit 1
  fi
}

# Is there as much JSON on descriptor 3 as its head says? If it is short and one line -> $body, without a fork.
entry_is_whole() {
  entry_json || return
  if [ "$k_json" -gt 0 ] && [ "$k_json" -le 4096 ] && ! IFS= read -r body <&3 && [ ${#body} -eq "$k_json" ]; then
    return
  fi
  body=
  { entry_json && set -- $(wc -c <&3); } 3</proc/self/fd/3 && [ "$1" -eq "$k_json" ]
}

entry_json() {                          # reads descriptor 3 up to where the JSON begins
  entry_head || return
  left=$((k_env + k_argv))
  while [ $left -gt 0 ]; do
    IFS= read -r line <&3 || return
    left=$((left - 1))
  done
}
