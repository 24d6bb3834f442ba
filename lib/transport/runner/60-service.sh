# SPDX-License-Identifier: LGPL-3.0-or-later
# shellcheck shell=sh
# Starting and stopping a service.

op_start() {
  keys "limit=60 user=- cwd=- service= def=- daemon=0 already=0 grace=2 dirs=0 files=0 adopt=0 release=1 env=0 \
    argv=0 check=0 check_limit=10 keeper=own restart=never boot=0 signal=TERM stop_grace=10 nice=- umask=022 \
    log=file ready=- stop=0 after=0 limits=0 unit=- reload=0" "$@"
  number "$k_env" && number "$k_argv" && number "$k_check" && number "$k_dirs" && number "$k_files" &&
    durations "$k_limit" "$k_grace" && hundredths "$k_check_limit" && check_limit=$value &&
    word_or_none "$k_user" && word "$k_service" && word_or_none "$k_def" &&
    flag "$k_daemon" && flag "$k_already" && number "$k_adopt" && flag "$k_release" && keeping || die protocol start
  k_gone=0
  with_lines $((k_dirs + k_files + k_adopt + k_env + k_argv + k_check + k_stop + k_after + k_limits)) plain start_lines \
    $((k_dirs + k_files + k_adopt))
}

keeping() {                             # how it is to be kept: are these keys well formed?
  case $k_keeper in own | host) ;; *) return 1 ;; esac
  case $k_restart in always | on-failure | never) ;; *) return 1 ;; esac
  case $k_log in file | journal) ;; *) return 1 ;; esac
  case $k_ready in
    - | notify) ;;
    port:*) number "${k_ready#*:}" && [ "${k_ready#*:}" -gt 0 ] && [ "${k_ready#*:}" -lt 65536 ] || return ;;
    *) return 1 ;;
  esac
  case $k_nice in -) ;; *) number "${k_nice#-}" ;; esac && mode "$k_umask" && flag "$k_boot" && flag "$k_reload" &&
    number "$k_stop" && number "$k_after" && number "$k_limits" && hundredths "$k_stop_grace" && signal "$k_signal" &&
    unit_or_none "$k_unit"
}

start_lines() {
  [ -z "$held" ] || performed || ready
  effect perform_start "$@"
}

perform_start() {
  out=$t.o err=$t.e
  start_service "$@"
  say_notes
}

start_service() {
  lives=
  [ -z "$trouble" ] || { oops "$trouble"; return; }
  if [ "$k_daemon" = 1 ] && daemon_lives; then
    lives=${record%% *}
    set -- "$record" "$@"
    case $k_already:$1 in
      1:*" $boot $k_def" | 1:*" $boot $k_def "*) shift ;;
      *)                                # before anything of it is touched
        oops "a daemon of $k_service is running already, process $lives"
        how=busy
        return
        ;;
    esac
  fi
  dirs_left=$k_dirs seen=$newline
  while [ "$dirs_left" -gt 0 ]; do make_directory "$1" || return; shift; dirs_left=$((dirs_left - 1)); done
  set_files "$@" || return
  shift $((k_files + k_adopt))
  was_killed && return
  if [ "$k_unit" != - ]; then
    take_unit
  elif [ -n "$lives" ]; then
    how=already
    keep_on "$@"
  elif [ "$k_daemon" = 1 ]; then
    start_daemon "$@"
  elif [ "$k_already" = 1 ] && [ "$k_check" -gt 0 ] && check $((k_env + k_argv)) "$@"; then
    how=already
  elif [ "$k_already" = 1 ] && [ "$k_check" -gt 0 ] && [ -n "$unclear" ]; then
    oops "$unclear"                     # a second one must not be started beside one that runs
  elif [ "$how" = exit ] && [ "$k_argv" -gt 0 ]; then
    as_service=1
    program "$limit" timeout "$k_env" "$k_argv" "$@"
    as_service=
  fi
  [ "$k_daemon:$k_boot:$k_unit" != 0:1:- ] || [ "$status" -ne 0 ] || case $how in
    exit | already) write_run && { [ "$k_keeper" != host ] || install_hook; } ;;
  esac
}

make_directory() {                      # 'OWNER|- PATH'
  owner=${1%% *} path=${1#* }
  while case $path in /*/) ;; *) false ;; esac; do path=${path%/}; done
  case $path in /*) ;; *) oops "the directory '$path' is no absolute path"; return ;; esac
  word_or_none "$owner" || { oops "no owner: $owner"; return; }
  locate "$path" || { oops "cannot make the directory $path: $detail"; return; }
  if [ -L "$place" ] && [ -z "$actor" ]; then
    locate "$path/x" || { oops "$detail"; return; }
    place=${place%/x}
    [ "$place" != "$edge" ] || return 0
  fi
  if [ -n "$actor" ]; then
    [ "$owner" = - ] || [ "$owner" = "$actor" ] ||
      { oops "$place lies in a folder of $actor, and can't be given to $owner"; return; }
    as_user /dev/null /dev/null folder || oops "cannot make the directory $place: $detail"
    return
  fi
  if [ ! -d "$place" ]; then
    umask 022
    step mkdir -p "$place" || { umask 077; oops "cannot make the directory $place: $detail"; return; }
    umask 077
  elif [ "$owner" = "$k_user" ] && [ -n "$run_as" ] && facts_of "$place" && [ "$uid_there" = "$user_uid" ]; then
    return 0
  fi
  give "$owner" "$place"
}

give() {                                # OWNER|- FILE: to the owner and his group
  [ "$1" = - ] || step chown "$1:" "$2" || oops "cannot give $2 to $1: $detail"
}

start_daemon() {
  [ "$k_argv" -gt 0 ] || { oops "there is no program to start"; return; }
  [ -d "$cwd" ] || { oops "there is no directory $cwd"; return; }
  let_go
  if record_of "s/$k_service.daemon"; then      # it died, or was started while we looked
    set -- "$record" "$@"
    if under_systemd; then unit_of "$k_service"; end_unit 10; else end_daemon $1; fi
    shift
  fi
  choose_keeper
  case $kind in systemd | user) start_unit "$@"; return ;; esac
  run_token=
  if [ "$k_restart:$k_boot" != never:0 ]; then
    write_run || return
    run_token=$token
  fi
  [ "$k_keeper:$k_boot" != host:1 ] || install_hook
  at start-run
  note_limits "$@"
  rotate_log
  discard "s/$k_service.exit" "s/$k_service.daemon" "s/$k_service.again"
  now
  end=$((now + limit))
  ( trap ':' HUP PIPE INT QUIT
    me
    between=$pid
    ( keep_daemon "$@" )
    exit 1 )
  at start-launched
  nap 15
  if daemon_lives; then
    status=0
    becomes_ready && return
  fi
  n=0
  until [ -s "s/$k_service.exit" ] || [ $n -ge 20 ]; do nap 5; n=$((n + 1)); done
  let_go
  [ -z "$run_token" ] || ! record_of "s/$k_service.daemon" || end_daemon $record      # it may have come again
  how=died status=125
  record_of "s/$k_service.exit" && status=$record
  tail -c "+$((before + 1))" "s/$k_service.log" | tail -c 2048 >"$t.e"
}

# becomes_ready: waits for a port, where that is asked for; fails when the daemon dies first.
becomes_ready() {
  case $k_ready in port:*) port=$(printf %04X "${k_ready#*:}") ;; *) return 0 ;; esac
  pace=1
  until listens; do
    daemon_lives && is_first || return
    was_killed && return
    now
    if [ "$now" -ge "$end" ]; then
      how=timeout status=124
      printf '%s\n' "nothing listens at port ${k_ready#*:} yet" >"$t.e"
      return
    fi
    nap $pace
    [ $pace -ge 10 ] || pace=$((pace * 2))
  done
  daemon_lives && is_first              # or somebody else listens there
}

listens() { grep -qs ": [0-9A-F]*:$port 0*:0000 0A " /proc/net/tcp /proc/net/tcp6; }

is_first() {                            # is the daemon, on $record, the process that START began?
  set -- $record
  case ${6--} in
    - | "$1:$2:$3") ;;
    *":$boot") return 1 ;;
  esac
}

op_stop() {
  keys "limit=60 user=- cwd=- service= daemon=0 gone=0 grace=10 env=0 argv=0 check=0 check_limit=10 signal=TERM \
    unit=-" "$@"
  number "$k_env" && number "$k_argv" && number "$k_check" && durations "$k_limit" "$k_grace" &&
    hundredths "$k_check_limit" && check_limit=$value &&
    word_or_none "$k_user" && word "$k_service" && flag "$k_daemon" && flag "$k_gone" && signal "$k_signal" &&
    unit_or_none "$k_unit" || die protocol stop
  with_lines $((k_env + k_argv + k_check)) plain stop_lines
}

stop_lines() {
  [ -z "$held" ] || performed || ready
  if [ "$k_unit" != - ]; then
    effect drop_unit
  elif [ "$k_daemon" = 1 ]; then
    effect stop_daemon
  else
    effect stop_by_program "$@"
  fi
}

stop_daemon() {
  is_unit=
  record_of "s/$k_service.daemon" && under_systemd && is_unit=1
  let_go
  at stop-let-go
  [ -z "$is_unit" ] || { stop_unit; return; }
  if record_of "s/$k_service.daemon"; then
    set -- $record
    alive "$1" "$2" "$3" || how=absent
    stop_signal=$k_signal
    end_daemon "$@"
    alive "$1" "$2" "$3" && { oops "the daemon of $k_service, process $1, cannot be killed"; return; }
  else
    how=absent
  fi
  remove_stopped
}

remove_stopped() {                      # what was known of it
  at stop-ended
  set --
  for rest in daemon exit run keep again exec; do
    [ ! -e "s/$k_service.$rest" ] || set -- "$@" "s/$k_service.$rest"
  done
  [ $# -eq 0 ] || rm -f "$@"
}

# end_daemon PID START BOOT DEF KEEPER...: it, and what it left behind.
end_daemon() {
  if [ "${5-}" = cgroup ] && find_groups && end_group "$1" "$2" "$3"; then return; fi
  if alive "$1" "$2" "$3"; then
    kill_tree "$1" "$2" "$3" "$grace" "TUTTI_SERVICE=$nonce/$k_service/"
  else                                  # its children may have outlived it
    end_rest "$@"
  fi
}

end_rest() {                            # PID START BOOT...: what the daemon left, which lives no more
  if [ "${5-}" = cgroup ] && find_groups && end_group "$1" "$2" "$3"; then return; fi
  [ "$3" != "$boot" ] || sweep - "$2" "TUTTI_SERVICE=$nonce/$k_service/"
}

stop_by_program() {
  out=$t.o err=$t.e
  let_go
  now
  end=$((now + limit))
  if [ "$k_argv" -gt 0 ] && ! { program "$limit" timeout "$k_env" "$k_argv" "$@" && [ "$status" -eq 0 ]; }; then
    case $how in exit | timeout) ;; *) return ;; esac
    [ "$k_check" -gt 0 ] || return
    result=$how
    rm -f "$t.x"                        # of a timeout: the check is to be judged for itself
    if check $((k_env + k_argv)) "$@" || [ "$how" = killed ] || [ "$how" = error ] || [ -n "$unclear" ]; then
      [ "$how" != exit ] && [ "$how" != timeout ] || how=$result
      [ -z "$unclear" ] || printf '%s\n' "$unclear" >>"$t.e"
    else
      how=absent status=0
    fi
    return
  fi
  [ "$k_gone" = 1 ] && [ "$k_check" -gt 0 ] || return
  while check $((k_env + k_argv)) "$@" || [ -n "$unclear" ]; do
    [ -z "$unclear" ] || { oops "$unclear"; return; }
    now
    if [ "$now" -ge "$end" ]; then
      how=lingers status=1
      return
    fi
    nap 10
  done
}
