# SPDX-License-Identifier: LGPL-3.0-or-later
# shellcheck shell=sh
# What keeps a service from START to STOP: what was started and not stopped comes back, and nothing else.
#
# s/SERVICE.run says what was started; only what it says is ever started again. A STOP empties it before it does
# anything else, and then looks which process is recorded. Who starts a process records that first, and then looks
# whether the .run is still the one that it read. So one of both sees the other.
#
# run_keys: what a .run says besides its lines, which are those of the START from env on.
run_keys="user=- cwd=- service= def=- daemon=0 limit=60 grace=2 env=0 argv=0 check=0 check_limit=10 keeper=own \
restart=never boot=0 signal=TERM stop_grace=10 nice=- umask=022 log=file ready=- stop=0 after=0 limits=0"

at() {                                  # NAME of a step. Tests have us killed there, with whoever acts for us.
  [ "${TUTTI_DIE_AT-}" = "$1" ] || return 0
  me
  kill -KILL $$ "$supervisor" "$pid"
}

# write_run: the .run of what the frame says, by its token. In place where there is none, so that it costs no fork;
# whoever reads it half-written takes it for none.
write_run() {
  run_text="tutti-run 1 ${1-$token} $boot"
  for pair in $run_keys; do
    pair=${pair%%=*}
    eval "run_text=\"\$run_text $pair=\$k_$pair\""
  done
  durable=s
  if [ ! -s "s/$k_service.run" ]; then
    { printf '%s .\n%s' "$run_text" "$raw" >"s/$k_service.run"; } 2>/dev/null && return
  elif { printf '%s .\n%s' "$run_text" "$raw" >"s/.$k_service.run"; } 2>/dev/null && sync "s/.$k_service.run" &&
    mv -f "s/.$k_service.run" "s/$k_service.run"; then
    return
  fi
  oops "cannot write $state/site-$site/s/$k_service.run (is the disk full?)"
}

run_head() {                            # from standard input -> $run_token, k_...; fails when it is none
  record=
  IFS= read -r record
  case $record in 'tutti-run 1 '*' .') record=${record% .} ;; *) return 1 ;; esac
  set -- $record
  run_token=$3
  shift 4
  keys "$run_keys" "$@"
  durations "$k_limit" "$k_grace" && hundredths "$k_check_limit" && check_limit=$value
} 2>/dev/null

from_run() {                            # SERVICE COMMAND: runs it with the lines of the .run
  { run_head && with_lines $((k_env + k_argv + k_check + k_stop + k_after + k_limits)) plain "$2"; } <"s/$1.run"
} 2>/dev/null

# stands TOKEN: is that START still the last, and not stopped?
stands() {
  record=
  { IFS= read -r record <"s/$k_service.run"; } 2>/dev/null
  case $record in "tutti-run 1 $1 "*' .') ;; *) return 1 ;; esac
}

# let_go: nobody brings $k_service back from here on. The next look at its .daemon tells what still runs. A fork is
# only needed for what is kept otherwise.
let_go() {
  if [ -s "s/$k_service.run" ]; then
    record=
    IFS= read -r record <"s/$k_service.run"
    : >"s/$k_service.run"
    durable=s
    case $record in *' keeper=host '*) unit_of "$k_service"; disable_unit ;; esac
  fi
  record_of "s/$k_service.keep" || return 0
  : >"s/$k_service.keep"
  set -- $record
  alive "$1" "$2" "$3" && kill -KILL "$1" 2>/dev/null
}

keep_on() {                             # LINE...: $k_service lives, and is kept from now on as the frame says
  [ "$k_restart:$k_boot" != never:0 ] || { let_go; return; }
  lives=$record
  { IFS= read -r record <"s/$k_service.run"; } 2>/dev/null
  set -- "$record" "$@"
  case $1 in 'tutti-run 1 '*' .') rest=${1#tutti-run 1 }; write_run "${rest%% *}" ;; *) write_run ;; esac || return
  shift
  choose_keeper
  record=$lives
  case $kind in systemd | user) ;; *) false ;; esac || under_systemd ||
    { [ "$k_keeper:$k_boot" != host:1 ] || install_hook; return 0; }
  unit_of "$k_service"
  show "$unit" || { oops "$detail"; return; }
  write_exec "$@" && write_unit "$@" || { [ "$how" = error ] || oops "cannot write in $state/site-$site/s"; return; }
  enable_unit
}

rotate_log() {                          # -> $before, its size now
  before=0
  [ -s "s/$k_service.log" ] || return 0
  size_of "s/$k_service.log"
  before=$value
  [ "$before" -gt 1048576 ] || return 0
  mv -f "s/$k_service.log" "s/$k_service.log.1"
  before=0
}

# cut_log FILE: of a daemon that is up, and appends to it. What it prints between the copy and the cut is lost.
cut_log() {
  { flock -n 5 && cp "$1" "$1.1" && : >"$1"; } 5>>s/.cut 2>/dev/null
}

cut_logs() {                            # all that are long, by one look
  set +f
  set -- s/*.log
  set -f
  [ -e "$1" ] || return 0
  for rest in $(stat -c %s:%n "$@" 2>/dev/null); do
    [ "${rest%%:*}" -le 1048576 ] || cut_log "${rest#*:}"
  done
}

# keep_daemon LINE...: runs the daemon in the foreground, so that it can be interrupted as any program, and stays to
# write its exit status and to start it again. The supervisor must not wait for that: the process between them, which
# it waits for, is killed as soon as the daemon is recorded.
keep_daemon() {
  trap ':' HUP PIPE INT QUIT
  exec 7>"s/$k_service.exit" 6>"s/$k_service.daemon"    # files of this START, whatever has their names later
  keeper=$run_token first='' gap=1
  if [ -n "$keeper" ]; then
    me
    printf '%s %s %s .\n' "$pid" "$start" "$boot" >"s/$k_service.keep"
  fi
  at start-keeper
  now
  began=$now
  run_daemon "$@"
  printf '%s .\n' "$status" >&7
  exec 7>&-
  between=
  while [ -n "$keeper" ] && stands "$keeper" && comes_again; do
    now
    [ $((now - began)) -lt 1000 ] || gap=1
    rest_between
    gap=$((gap * 2))
    [ $gap -le 30 ] || gap=30
    record_of /proc/self/fd/6 || break
    set -- $record
    first=$6
    end_rest "$@"                       # its children may hold what the next one needs
    now
    began=$now
    stands "$keeper" && count_restart && from_run "$k_service" live_again || break
  done
}

comes_again() {                         # as the .run says, which is on $record, after an end with $status
  case $record in *' restart=always '*) return 0 ;; *' restart=on-failure '*) ;; *) return 1 ;; esac
  case $status in 0 | 129 | 130 | 141 | 143) return 1 ;; esac   # HUP, INT, PIPE and TERM: somebody wanted that
}

rest_between() (                        # for $gap seconds; with the mark and in the group, so that a STOP ends this, too
  [ $kind != cgroup ] || join_group
  export TUTTI_SERVICE="$nonce/$k_service/"
  exec sleep $gap
)

live_again() {
  rotate_log
  run_daemon "$@"
}

# run_daemon LINE... -> $status. A STOP that came before the record was written is seen here, a later one sees it.
run_daemon() {
  ( me
    [ -n "$first" ] || first=$pid:$start:$boot
    if [ $kind = cgroup ]; then join_group || kind=plain; fi
    printf '%s %s %s %s %s %s .\n' "$pid" "$start" "$boot" "$k_def" "$kind" "$first" >/proc/self/fd/6 || exit 125
    [ -z "$keeper" ] || stands "$keeper" || exit 125
    [ -z "$between" ] || [ "$between" = "$supervisor" ] || kill -KILL "$between"
    exec 6>&- 7>&-
    as_service=1
    become "TUTTI_SERVICE=$nonce/$k_service/" "$k_env" "$k_argv" "$@"
  ) </dev/null >>"s/$k_service.log" 2>&1
  status=$?
}

# s/SERVICE.again: how often it was restarted, the boot, and when in that, in seconds since then: the last 60 times.
count_restart() {
  restarts_of
  set -- $((restarts + 1)) "$boot" $times $((now / 100))
  while [ $# -gt 62 ]; do
    count=$1
    shift 3
    set -- "$count" "$boot" "$@"
  done
  printf '%s .\n' "$*" >"s/$k_service.again"
  return 0
}

restarts_of() {                         # -> $restarts since START, $times of them in this boot
  restarts=0 times=
  record_of "s/$k_service.again" || return 0
  set -- $record
  restarts=$1
  [ "$restarts" != -1 ] || restarts=0
  [ "$2" = "$boot" ] || return 0
  shift 2
  times=$*
}

# kept: how $k_service is kept, for READ -> $kept
kept() {
  kept=' keeper=- restarts=0 recent=0 last=- boot=- note=-'
  record_of "s/$k_service.daemon" || return 0
  set -- $record
  keeper=${5--} note=                   # of an older runner: nothing
  restarts_of
  recent=0 last=-
  if [ -n "$times" ]; then
    now
    for time in $times; do
      last=$((now / 100 - time))
      [ $last -gt 600 ] || recent=$((recent + 1))
    done
  fi
  comes_back=- record=
  { IFS= read -r record <"s/$k_service.run"; } 2>/dev/null
  case $record in 'tutti-run 1 '*' .') ;; *) record= ;; esac
  case $keeper:$record in -:?*) keeper=plain ;; esac     # it was taken over as it ran
  case $record in *' boot=1 '*) comes_back=no; boots "$record" && comes_back=yes ;; esac
  case $keeper:$record in
    systemd:* | user:*) keeper=systemd; unit_note ;;
    unit:*) host_unit_note ;;
    *' restart=always '* | *' restart=on-failure '*)
      keeper_lives || note="nothing starts it again when it ends, for what kept it was ended or is of an older Tutti:\
 restart it" ;;
  esac
  text "${note:--}"
  kept=" keeper=$keeper restarts=$restarts recent=$recent last=$last boot=$comes_back note=$value"
}

keeper_lives() { record_of "s/$k_service.keep" && alive $record; }

# serve LINE...: what is asked for of the process that we are, before it becomes the program of the service.
serve() {
  mask=$k_umask
  [ "$k_nice" = - ] || ! command -v nice >/dev/null || wrap="nice -n $k_nice $wrap"
  [ "$k_limits" -gt 0 ] || return 0
  shift $(($# - k_limits))
  for rest; do
    case $rest in
      'open-files '*) ulimit -n "${rest#* }" ;;
      'processes '*) ulimit -u "${rest#* }" 2>/dev/null || ulimit -p "${rest#* }" ;;    # bash has -u, others -p
    esac || exit 125
  done
}

# note_limits LINE...: a sentence of standard error for what this host can't keep.
note_limits() {
  [ "$k_nice" = - ] || command -v nice >/dev/null ||
    printf '%s\n' "$k_service does not run with nice $k_nice: this host lacks nice" >>"$t.n"
  [ "$k_limits" -gt 0 ] || return 0
  shift $(($# - k_limits))
  for rest; do
    case $rest in
      'memory '* | 'cpu '*)
        printf '%s\n' "the limit of ${rest%% *} of $k_service is not kept: nothing on this host can do that" >>"$t.n" ;;
    esac
  done
}

forget_keeping() {                         # the service goes: nothing of how it was kept is left
  if [ -e "s/$k_service.unit" ]; then
    release_unit || return
  elif [ -d /run/systemd/system ] && [ -e before-1 ]; then
    forget_unit
  fi
  [ ! -e ../hook ] || forget_hook
}
