# shellcheck shell=sh
# Starting and stopping a service.

op_start() {
  keys "limit=60 user=- cwd=- service= def=- daemon=0 already=0 grace=2 dirs=0 files=0 env=0 argv=0 check=0 \
    check_limit=10" "$@"
  number "$k_env" && number "$k_argv" && number "$k_check" && number "$k_dirs" && number "$k_files" &&
    durations "$k_limit" "$k_grace" && hundredths "$k_check_limit" && check_limit=$value &&
    word_or_none "$k_user" && word "$k_service" && word_or_none "$k_def" &&
    flag "$k_daemon" && flag "$k_already" || die protocol start
  with_lines $((k_dirs + k_files + k_env + k_argv + k_check)) plain start_lines
}

start_lines() {
  [ -z "$held" ] || performed || ready
  effect perform_start "$@"
}

perform_start() {
  out=$t.o err=$t.e lives=
  [ -z "$trouble" ] || { oops "$trouble"; return; }
  if [ "$k_daemon" = 1 ] && daemon_lives; then
    lives=${record%% *}
    if [ "$k_already" = 0 ] || [ "${record##* }" != "$k_def" ]; then    # before anything of it is touched
      oops "a daemon of $k_service is running already, process $lives"
      how=busy
      return
    fi
  fi
  n=0
  while [ $n -lt "$k_dirs" ]; do make_directory "$1" || return; shift; n=$((n + 1)); done
  n=0
  while [ $n -lt "$k_files" ]; do install_file "$1" || return; shift; n=$((n + 1)); done
  was_killed && return
  if [ -n "$lives" ]; then
    how=already
  elif [ "$k_daemon" = 1 ]; then
    start_daemon "$@"
  elif [ "$k_already" = 1 ] && [ "$k_check" -gt 0 ] && check $((k_env + k_argv)) "$@"; then
    how=already
  elif [ "$k_already" = 1 ] && [ "$k_check" -gt 0 ] && [ -n "$unclear" ]; then
    oops "$unclear"                     # a second one must not be started beside one that runs
  elif [ "$how" = exit ] && [ "$k_argv" -gt 0 ]; then
    program "$limit" timeout "$k_env" "$k_argv" "$@"
  fi
}

make_directory() {                      # 'OWNER|- PATH'
  owner=${1%% *} path=${1#* }
  case $path in /*) ;; *) oops "the directory '$path' is no absolute path"; return ;; esac
  word_or_none "$owner" || { oops "no owner: $owner"; return; }
  if [ ! -d "$path" ]; then
    umask 022
    step mkdir -p "$path" || { oops "cannot make the directory $path: $detail"; return; }
    umask 077
  fi
  give "$owner" "$path"
}

install_file() {                        # 'MODE OWNER|- ITEM PATH'
  rest=$1
  file_mode=${rest%% *} rest=${rest#* }
  owner=${rest%% *} rest=${rest#* }
  item=${rest%% *} path=${rest#* }
  mode "$file_mode" && word_or_none "$owner" && name "$item" || { oops "no file: $1"; return; }
  replaceable "$path" || return
  [ -f "$store/$item" ] || { oops "there is no item $item in $store"; return; }
  if [ ! -d "${path%/*}/" ]; then
    umask 022
    step mkdir -p "${path%/*}" || { oops "cannot make the directory ${path%/*}: $detail"; return; }
    umask 077
  fi
  discard "$temporary"
  if { writable "$temporary" || listen touch "$temporary"; } && install_item 5>"$temporary"; then return; fi
  discard "$temporary"
  [ "$how" = error ] || oops "cannot write $path: $detail"
  return 1
}

install_item() {                        # $temporary, open as descriptor 5, becomes $path
  give "$owner" "$temporary" && step chmod "$file_mode" "$temporary" && listen fill "$store/$item" &&
    case $file_mode in                  # writing takes setuid and setgid away, unless one is root
      ????) step chmod "$file_mode" "$temporary" && step sync "$temporary" ;;
    esac && step mv -f "$temporary" "$path" && step sync "${path%/*}/"
}
fill() { dd if="$1" bs=1048576 conv=fsync >&5; }

replaceable() {                         # PATH -> $path $temporary, beside it
  path=$1
  case $path in */) path= ;; /*) ;; *) path= ;; esac
  [ -n "$path" ] || { oops "'$1' is no absolute path of a file"; return; }
  [ ! -d "$path" ] || { oops "$path is a directory"; return; }
  temporary=${path%/*}/.tutti+$site+$token      # '+' is in no site and no token
}

give() {                                # OWNER|- FILE: to the owner and his group
  [ "$1" = - ] || step chown "$1:" "$2" || oops "cannot give $2 to $1: $detail"
}

replace() {                             # OWNER MODE: $temporary becomes $path, in one step; durable
  give "$1" "$temporary" || return
  step chmod "$2" "$temporary" && step sync "$temporary" && step mv -f "$temporary" "$path" &&
    step sync "${path%/*}/"
}

start_daemon() {
  [ "$k_argv" -gt 0 ] || { oops "there is no program to start"; return; }
  [ -d "$cwd" ] || { oops "there is no directory $cwd"; return; }
  log=s/$k_service.log before=0
  if [ -s "$log" ]; then
    size_of "$log"
    before=$value
    if [ "$before" -gt 1048576 ]; then mv -f "$log" "$log.1"; before=0; fi
  fi
  discard "s/$k_service.exit"           # an old keeper writes to its own
  ( trap ':' HUP PIPE INT QUIT
    me
    between=$pid
    ( keep_daemon "$@" )
    exit 1 )
  nap 15
  daemon_lives && { status=0; return; }
  n=0
  until [ -s "s/$k_service.exit" ] || [ $n -ge 20 ]; do nap 5; n=$((n + 1)); done
  how=died status=125
  record_of "s/$k_service.exit" && status=$record
  tail -c "+$((before + 1))" "$log" | tail -c 2048 >"$t.e"
}

# keep_daemon LINE...: runs the daemon in the foreground, so that it can be interrupted as any program, and
# stays to write its exit status. The supervisor must not wait for that: the process between them, which it
# waits for, is killed as soon as the daemon is recorded.
keep_daemon() {
  trap ':' HUP PIPE INT QUIT
  exec 7>"s/$k_service.exit"
  ( me
    printf '%s %s %s %s .\n' "$pid" "$start" "$boot" "$k_def" >"s/$k_service.daemon" || exit 125
    [ "$between" = "$supervisor" ] || kill -KILL "$between"
    become "TUTTI_SERVICE=$nonce/$k_service/" "$k_env" "$k_argv" "$@"
  ) 7>&- </dev/null >>"s/$k_service.log" 2>&1
  printf '%s .\n' $? >&7
}

op_stop() {
  keys 'limit=60 user=- cwd=- service= daemon=0 gone=0 grace=10 env=0 argv=0 check=0 check_limit=10' "$@"
  number "$k_env" && number "$k_argv" && number "$k_check" && durations "$k_limit" "$k_grace" &&
    hundredths "$k_check_limit" && check_limit=$value &&
    word_or_none "$k_user" && word "$k_service" && flag "$k_daemon" && flag "$k_gone" || die protocol stop
  with_lines $((k_env + k_argv + k_check)) plain stop_lines
}

stop_lines() {
  [ -z "$held" ] || performed || ready
  if [ "$k_daemon" = 1 ]; then effect stop_daemon; else effect stop_by_program "$@"; fi
}

stop_daemon() {
  mark=TUTTI_SERVICE=$nonce/$k_service/
  if ! record_of "s/$k_service.daemon"; then
    how=absent
    return
  fi
  set -- $record
  if alive "$1" "$2" "$3"; then
    kill_tree "$1" "$2" "$3" "$grace" "$mark"
  else
    how=absent                          # its children may have outlived it
    [ "$3" != "$boot" ] || sweep - "$2" "$mark"
  fi
  alive "$1" "$2" "$3" && { oops "the daemon of $k_service, process $1, cannot be killed"; return; }
  rm -f "s/$k_service.daemon" "s/$k_service.exit"
}

stop_by_program() {
  out=$t.o err=$t.e
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
