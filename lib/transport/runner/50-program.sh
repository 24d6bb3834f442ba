# SPDX-License-Identifier: LGPL-3.0-or-later
# shellcheck shell=sh
# Programs.

# ready: how to run programs as user= in cwd= -> $run_as $cwd and whose account it is, or a sentence -> $trouble
ready() {
  cwd=/ run_as=
  [ "$k_cwd" = - ] || { undo "$k_cwd"; cwd=$value; }
  case $cwd in /*) ;; *) trouble="the working directory '$cwd' is no absolute path" ;; esac
  identity
}

identity() {
  own_account
  if [ "$k_user" = - ] || [ "$k_user" = "$own_name" ]; then
    user_name=$own_name user_home=$own_home user_shell=$own_shell
    return 0
  fi
  if [ "$k_user" != "$known_user" ]; then
    [ "$uid" = 0 ] || { trouble="cannot run programs as user $k_user: we are not root"; return; }
    account "$k_user" || { trouble="there is no user $k_user on this host"; return; }
    switcher || { trouble="cannot run programs as user $k_user: no setpriv, setuidgid or su"; return; }
    known_user=$k_user known_home=$user_home known_shell=$user_shell
  fi
  run_as=$known_switch user_name=$known_user user_home=$known_home user_shell=$known_shell
}

# own_account: of who we are, asked once -> $own_name $own_home $own_shell, and the host's language -> $language.
# What the login says of them is not taken: it may come from the coordinator, from sudo, or from anywhere.
own_account() {
  [ -z "$own_name" ] || return 0
  host_language
  if account "$uid"; then
    own_name=$user_name own_home=$user_home own_shell=$user_shell
  else                                  # a container may run as a number that no account has
    own_name=$uid own_home=/ own_shell=/bin/sh
  fi
}

account() {                             # NAME|UID -> $user_name $user_uid $user_gid $user_home $user_shell, of passwd
  entry=
  if command -v getent >/dev/null; then
    entry=$(getent passwd "$1")
  else
    while IFS= read -r entry; do
      rest=${entry#*:*:}
      case $1 in "${entry%%:*}" | "${rest%%:*}") break ;; esac
      entry=
    done </etc/passwd
  fi
  case $entry in *:*:*:*:*:*:*) ;; *) return 1 ;; esac
  IFS=:
  set -- $entry
  IFS=' '
  entry=${entry#*:*:*:*:*:}             # fields may be empty, so they are not counted
  user_name=$1 user_home=${entry%%:*} user_shell=${entry#*:}
  user_home=${user_home:-/} user_shell=${user_shell:-/bin/sh}
  user_uid=$3 user_gid=$4
  number "$user_uid" && number "$user_gid"
}

host_language() {                       # -> $language, as the host's own configuration says
  language=C.UTF-8
  for source in /etc/locale.conf /etc/default/locale; do
    [ -r "$source" ] || continue
    while IFS= read -r line || [ -n "$line" ]; do
      case $line in LANG=?*) ;; *) continue ;; esac
      line=${line#LANG=}
      line=${line#[\"\']}
      line=${line%[\"\']}
      case $line in '' | *[!A-Za-z0-9._@-]*) ;; *) language=$line; return ;; esac
    done <"$source"
  done
}

switcher() {                            # -> $known_switch
  tool=$(PATH=$PATH:$program_path; command -v setpriv) && case $("$tool" --help 2>&1) in
    *--reuid*)                          # busybox has a lesser one
      known_switch="$tool --reuid=$user_uid --regid=$user_gid --init-groups --"
      return
      ;;
  esac
  tool=$(PATH=$PATH:$program_path; command -v setuidgid) && { known_switch="$tool $k_user"; return; }
  tool=$(PATH=$PATH:$program_path; command -v su) && known_switch="su $tool"
}

# become MARK FIRST COUNT LINE...: the process becomes a program. Of the lines, the first k_env are its
# environment, and COUNT from FIRST on its arguments. $wrap: a command to run it under. Besides what the service
# says, the environment has the mark and what a user's account and the host give: nothing of how we came here.
become() {
  mark=$1 first=$2 last=$(($2 + $3)) mask=022
  shift 3
  [ -z "$as_service" ] || serve "$@"
  i=0 count=$#
  while [ $i -lt "$count" ]; do
    if [ $i -lt "$k_env" ] || { [ $i -ge "$first" ] && [ $i -lt "$last" ]; }; then
      case $i:$1 in "$first":*=*) set -- "$@" sh -c 'exec "$@"' sh ;; esac    # env takes it for a variable
      set -- "$@" "$1"
    fi
    shift
    i=$((i + 1))
  done
  set -- env -i "$mark" "HOME=$user_home" "USER=$user_name" "LOGNAME=$user_name" "SHELL=$user_shell" \
    "PATH=$program_path" "LANG=$language" "$@"
  case $run_as in
    'su '*) set -- "${run_as#su }" -s /bin/sh -c 'exec "$@"' -- "$k_user" sh "$@" ;;
    *) set -- $run_as "$@" ;;
  esac
  set -- $wrap "$@"
  trap - HUP PIPE INT QUIT TERM
  umask "$mask"
  cd "$cwd" || exit 125
  exec setsid -- "$@"
}

# program LIMIT WHY FIRST COUNT LINE...: runs one to its end, in the foreground (a background job would
# have INT and QUIT ignored for good), with a watchdog beside it that kills it after LIMIT hundredths, for
# WHY -> $status, $how. Fails unless it ran and nobody killed it.
program() {
  bound=$1 why=$2
  shift 2
  [ -z "$trouble" ] || { oops "$trouble"; return; }
  [ -d "$cwd" ] || { oops "there is no directory $cwd"; return; }
  try=$((try + 1))
  ( watch "$bound" "$why" ) >/dev/null 2>&1 &
  watchdog=$!
  ( me
    printf '%s %s %s %s %s .\n' "$pid" "$start" "$boot" "$grace" "$try" >"$t.p" || exit 125
    become "TUTTI_EFFECT=$nonce/$token/" "$@"
  ) <"$input" >"$out" 2>"$err"
  status=$?
  kill "$watchdog"
  was_killed && { wait "$watchdog"; return 1; }
  return 0
}

was_killed() { record_of "$t.x" && how=$record; }

watch() {                               # LIMIT WHY
  trap '' HUP PIPE INT QUIT
  before=$!                             # KILL: a fresh fork of ours would swallow TERM
  trap '[ "$!" = "$before" ] || kill -KILL $!; exit' TERM
  remains=$1 reason=$2
  while [ "$remains" -gt 0 ]; do        # in pieces, to look at how much it has printed
    slice=$remains
    [ "$slice" -le 500 ] || slice=500
    remains=$((remains - slice))
    seconds_text "$slice"
    sleep "$value" &
    if ! wait $!; then                  # where sleep knows no decimals
      sleep $(((slice + 99) / 100)) &
      wait $!
    fi
    if [ -n "$reason" ] && [ "$remains" -gt 0 ] && too_much; then reason=flood remains=0; fi
  done
  trap '' TERM
  tries=0
  while [ $tries -lt 100 ]; do          # until it is recorded: it may not even have begun
    record_of "$t.p" && [ "${record##* }" -ge "$try" ] && break
    nap 5
    tries=$((tries + 1))
  done
  [ "${record##* }" != "$try" ] || slay "$reason"
}

too_much() {                            # did it print more than is kept?
  for stream in "$t.o" "$t.e"; do
    [ -f "$stream" ] || continue
    set -- $(ls -ln "$stream")
    [ "${5:-0}" -le "$most" ] || return 0
  done
  return 1
}

# check FIRST LINE...: the check of a START or STOP, for at most $check_limit hundredths. Of one that took longer,
# was killed or can't be run, it is not known what it would have said: a sentence -> $unclear
check() {
  saved_status=$status saved_input=$input
  first=$1
  shift
  out=/dev/null err=/dev/null input=/dev/null
  now
  deadline=$((now + check_limit)) unclear=
  program "$check_limit" '' "$first" "$k_check" "$@"
  checked=$?
  [ $checked -ne 0 ] || checked=$status
  now
  if [ "$now" -ge $deadline ]; then
    wait "$watchdog"                    # its killing must not meet the next program, which has the same mark
    seconds_text "$check_limit"
    unclear="did not end within $value s"
  else
    case $checked in
      126 | 127) unclear="can't be run: it ended with status $checked" ;;
      129 | 1[3-8]? | 19[0-2]) unclear="was killed by signal $((checked - 128))" ;;
    esac
  fi
  [ -z "$unclear" ] || unclear="whether $k_service lives is not known: its alive? (or validate) $unclear"
  out=$t.o err=$t.e status=$saved_status input=$saved_input
  return "$checked"
}

op_run() {
  keys 'limit=60 every=0 settle=0 first=0 user=- cwd=- service=- grace=2 env=0 argv=0 input=none' "$@"
  number "$k_env" && number "$k_argv" && [ "$k_argv" -gt 0 ] && durations "$k_limit" "$k_grace" &&
    hundredths "$k_every" && word_or_none "$k_user" && word_or_none "$k_service" || die protocol run
  every=$value
  hundredths "$k_settle" && flag "$k_first" || die protocol run
  settle=$value
  with_lines $((k_env + k_argv)) plain run_lines
}

durations() {                           # LIMIT GRACE -> $limit $grace, in hundredths
  hundredths "$1" && limit=$value && hundredths "$2" && grace=$value
}

run_lines() {
  case $k_input in
    none) ;;
    bytes:*)
      number "${k_input#*:}" || die protocol input
      input=$t.in
      if [ -z "$held" ] || performed; then input=/dev/null; else discard "$input"; fi
      receive "${k_input#*:}" "$input" || trouble="cannot write the input of the program (is the disk full?)"
      ;;
    blob:*)
      word "${k_input#*:}" || die protocol input
      input=e/${k_input#*:}
      if [ -n "$entered" ] && record_of "$input.d"; then
        input=$input.o
        [ -e "$input" ] || input=/dev/null
      else
        trouble="there is no output of effect ${k_input#*:} on this host" input=/dev/null
      fi
      ;;
    *) die protocol input ;;
  esac
  [ -z "$held" ] || performed || ready
  effect perform_run "$@"
}

perform_run() {
  out=$t.o err=$t.e
  now
  end=$((now + limit)) left=$limit gap=5
  while program "$left" timeout "$k_env" "$k_argv" "$@"; do
    # Whatever the program says: a daemon that is not there is not well.
    [ "$k_service" = - ] || daemon_goes_on || return
    if [ "$settle" -gt 0 ] && [ "$status" -eq 0 ]; then
      settled || return
      settle=0 every=0 left=$limit      # once more, and no more
      rm -f "$t.o" "$t.e"
      continue
    fi
    [ "$every" -gt 0 ] && [ "$status" -ne 0 ] || return
    [ "$gap" -le "$every" ] || gap=$every
    pause "$gap" || return
    gap=$((gap * 2))
    [ "$left" -gt 0 ] || { how=timeout; return; }
    rm -f "$t.o" "$t.e"                 # new files: who reads the old ones may go on
  done
}

settled() {                             # did the service live for so long?
  now
  end=$((now + settle))
  while [ "$now" -lt "$end" ]; do
    pause 20 || return
    [ "$k_service" = - ] || daemon_goes_on || return
  done
}

daemon_goes_on() {                      # or says that it died, with the end of its log
  daemon_lives && { [ "$k_first" = 0 ] || is_first; } && return
  how=died
  tail -c 2048 "s/$k_service.log" >>"$t.e"
  return 1
}

pause() {                               # HUNDREDTHS, or until $end -> $left; fails when END came
  wake=$1
  now
  wake=$((now + wake))
  [ $wake -le "$end" ] || wake=$end
  while [ "$now" -lt $wake ]; do
    slice=$((wake - now))
    [ $slice -le 50 ] || slice=50
    nap $slice
    was_killed && return 1
    now
  done
  left=$((end - now))
}
