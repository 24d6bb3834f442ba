# SPDX-License-Identifier: LGPL-3.0-or-later
# shellcheck shell=sh
# systemd as the keeper: one persistent unit for each service, tutti-SITE@SERVICE.service.
#
# Anybody on the host can read a unit, so what the definition says is not in it: the unit runs a shell whose input is
# s/SERVICE.exec, of mode 0600, which systemd opens before it becomes the user. So the text seldom changes, and only
# then a daemon-reload is needed. '@' is in no name of ours, so a unit's name means one service.
# It is enabled before it is started, and disabled before it is stopped. Each call has its limit: a manager that hangs
# leaves its callers waiting, and then it is not known what lives.

# choose_keeper: what is to keep $k_service -> $kind: systemd, user (a user's own systemd), cgroup or plain. A sentence
# of standard error where that is less than what was asked for.
choose_keeper() {
  kind=plain
  if [ "$k_keeper" = host ] && [ -d /run/systemd/system ] && command -v systemctl >/dev/null; then
    own_account
    case $uid:$state in
      *[!A-Za-z0-9/._:-]*)
        remark "systemd does not keep $k_service: the path $state has other characters than letters, digits and ._-/" ;;
      0:*) kind=systemd ;;
      *)
        if [ -e "/var/lib/systemd/linger/$own_name" ] && [ -d "/run/user/$uid/systemd" ]; then
          kind=user
        else
          remark "systemd does not keep $k_service: user $own_name has no systemd that outlives a login; as root:\
 loginctl enable-linger $own_name"
        fi
        ;;
    esac
  elif [ "${TUTTI_KEEPER-}" != plain ] && find_groups; then
    kind=cgroup
  fi
}

remark() { printf '%s\n' "$1" >>"$t.n"; }

unit_of() {                             # SERVICE -> $unit and where it is: $units $wants
  unit=tutti-$site@$1.service
  if [ "$uid" = 0 ]; then
    units=/etc/systemd/system wants=$units/multi-user.target.wants
  else
    own_account
    units=$own_home/.config/systemd/user wants=$units/default.target.wants
  fi
}

sd() {                                  # SECONDS OPERATION...: of systemctl
  patience=$1
  shift
  if [ "$uid" = 0 ]; then
    timeout -s KILL "$patience" systemctl "$@"
  else
    XDG_RUNTIME_DIR=/run/user/$uid timeout -s KILL "$patience" systemctl --user "$@"
  fi
}

# show UNIT -> $ActiveState and others of it; fails where nobody answers, with a sentence -> $detail
show() {
  LoadState='' ActiveState='' InvocationID='' MainPID=0 Result='' NeedDaemonReload='' FragmentPath=''
  ExecMainStatus=0 UnitFileState=''
  shown=$(sd 20 show -p LoadState,ActiveState,InvocationID,MainPID,Result,NeedDaemonReload,FragmentPath -p \
    ExecMainStatus,UnitFileState "$1" 2>/dev/null) || shown=
  IFS=$newline
  for line in $shown; do
    case $line in
      LoadState=* | ActiveState=* | InvocationID=* | MainPID=* | Result=* | NeedDaemonReload=* | FragmentPath=* | \
        ExecMainStatus=* | UnitFileState=*) eval "${line%%=*}=\${line#*=}" ;;
    esac
  done
  IFS=' '
  [ -n "$ActiveState" ] || { detail="systemd does not answer on this host"; return 1; }
}

quoted() {                              # -> $value: a word of the shell, exact for all bytes but NUL
  case $1 in *\'*) ;; *) value="'$1'"; return ;; esac
  IFS=\'
  set -- $1.
  IFS=' '
  value="'$1"
  shift
  for rest; do value="$value'\\''$rest"; done
  value=${value%.}\'
}

# write_exec LINE...: what the unit's shell reads.
write_exec() {
  quoted "$cwd"
  exec_text="cd $value || exit 200${newline}exec </dev/null env -i"
  [ "$k_ready" != notify ] || exec_text="$exec_text \${NOTIFY_SOCKET+\"NOTIFY_SOCKET=\$NOTIFY_SOCKET\"}"
  i=0
  for word in "TUTTI_SERVICE=$nonce/$k_service/" "HOME=$user_home" "USER=$user_name" "LOGNAME=$user_name" \
    "SHELL=$user_shell" "PATH=$program_path" "LANG=$language"; do
    quoted "$word"
    exec_text="$exec_text $value"
  done
  for word; do
    [ $i -lt $((k_env + k_argv)) ] || break
    # env takes it for a variable
    case $i:$word in "$k_env":*=*) exec_text="$exec_text sh -c 'exec \"\$@\"' sh" ;; esac
    quoted "$word"
    exec_text="$exec_text $value"
    i=$((i + 1))
  done
  { printf '%s\n' "$exec_text" >"s/.$k_service.exec" && mv -f "s/.$k_service.exec" "s/$k_service.exec"; } 2>/dev/null
}

# What systemd runs before each start: counts it, as 62-keep.sh does, and moves a long log away.
before_text='umask 077
cd "${0%/*}/s" || exit 0
service=$1
read -r boot </proc/sys/kernel/random/boot_id
read -r now rest </proc/uptime
line=
read -r line <"$service.again" || line="-1 - ."
set -- ${line%.}
count=$1 was=$2
shift 2
if [ "$count" = -1 ]; then
  count=0
elif [ "$was" = "$boot" ]; then
  count=$((count + 1))
  set -- "$@" "${now%.*}"
  [ $# -le 60 ] || shift
else
  set --
fi
echo "$count $boot $* ." >"$service.again"
[ ! -s "$service.log" ] || [ "$(wc -c <"$service.log")" -le 1048576 ] || mv -f "$service.log" "$service.log.1"
'

write_before() {
  [ -e before-1 ] || { printf %s "$before_text" >before.new && mv -f before.new before-1; } 2>/dev/null
}

unit_text() {                           # LINE... -> $text
  folder=$state/site-$site after=
  shift $((k_env + k_argv + k_check + k_stop))
  i=$k_after
  while [ "$i" -gt 0 ]; do
    [ "$1" = "$k_service" ] || after="$after tutti-$site@$1.service"
    shift
    i=$((i - 1))
  done
  case $k_ready in notify) kind_of_start=notify ;; *) kind_of_start='exec' ;; esac
  case $k_restart in never) restart=no ;; *) restart=$k_restart ;; esac
  text="# Written by Tutti for site $site, and written again by it. What is yours goes into $unit.d/*.conf
[Unit]
Description=Tutti $site/$k_service
After=network.target$after
RequiresMountsFor=$folder
StartLimitIntervalSec=0
[Service]
Type=$kind_of_start
ExecStartPre=-+/bin/sh $folder/before-1 %i
ExecStart=/bin/sh
StandardInput=file:$folder/s/%i.exec
"
  case $k_log in
    journal) text="${text}StandardOutput=journal$newline" ;;
    *) text="${text}StandardOutput=append:$folder/s/%i.log$newline" ;;
  esac
  text="${text}StandardError=inherit
Restart=$restart
RestartSec=1
KillSignal=SIG$k_signal
TimeoutStartSec=$k_limit
TimeoutStopSec=$k_stop_grace
UMask=$k_umask
"
  [ "$k_user" = - ] || [ "$uid" != 0 ] || text="${text}User=$k_user$newline"
  [ "$k_nice" = - ] || text="${text}Nice=$k_nice$newline"
  for rest; do
    case $rest in
      'open-files '*) text="${text}LimitNOFILE=${rest#* }$newline" ;;
      'processes '*) text="${text}LimitNPROC=${rest#* }$newline" ;;
      'memory '*) text="${text}MemoryMax=${rest#* }$newline" ;;
      'cpu '*) text="${text}CPUQuota=${rest#* }%$newline" ;;
    esac
  done
  text="${text}[Install]
WantedBy=${wants##*/}"
  text=${text%.wants}$newline
}

same_text() {                           # FILE: is it $text?
  there=
  { while IFS= read -r line; do there=$there$line$newline; done <"$1"; } 2>/dev/null
  [ "$there" = "$text" ]
}

# write_unit LINE...: the unit is there, and systemd knows what it says. It follows show.
write_unit() {
  case $LoadState:$FragmentPath in
    masked:*) oops "$unit is masked on this host: systemctl unmask $unit"; return ;;
    *: | *:"$units/$unit") ;;
    *) oops "there is a unit $unit on this host that is not ours: $FragmentPath"; return ;;
  esac
  unit_text "$@"
  if ! same_text "$units/$unit"; then
    case $there in
      '' | '# Written by Tutti for site '*) ;;
      *) oops "$units/$unit is not ours: move it away"; return ;;
    esac
    ( umask 022
      mkdir -p "$units" && printf %s "$text" >"$units/.$unit.new" && sync "$units/.$unit.new" &&
        mv -f "$units/.$unit.new" "$units/$unit" ) || { oops "cannot write $units/$unit"; return; }
    durable="$durable $units"
    [ "$LoadState" = not-found ] || NeedDaemonReload=yes
  fi
  write_before
  [ "$NeedDaemonReload" != yes ] || sd 60 daemon-reload ||
    oops "systemd does not read its units anew: systemctl daemon-reload"
}

enable_unit() {
  [ ! -L "$wants/$unit" ] || return 0
  ( umask 022; mkdir -p "$wants" && ln -s "$units/$unit" "$wants/$unit" ) 2>/dev/null ||
    { oops "cannot enable $unit in $wants"; return; }
  durable="$durable $wants"
}
disable_unit() {
  [ -L "$wants/$unit" ] || return 0
  rm -f "$wants/$unit"
  durable="$durable $wants"
}

# start_unit LINE...: the daemon, under systemd. It fails at the very start, or it is restarting soon after: it died.
start_unit() {
  unit_of "$k_service"
  show "$unit" || { oops "$detail"; return; }
  write_run && write_exec "$@" && write_unit "$@" ||
    { [ "$how" = error ] || oops "cannot write in $state/site-$site/s"; return; }
  rotate_log
  printf '0 0 %s %s %s - .\n' "$boot" "$k_def" "$kind" >"s/$k_service.daemon"
  printf '%s %s .\n' -1 "$boot" >"s/$k_service.again"
  at unit-start-written
  enable_unit || return
  [ "$ActiveState" != failed ] || sd 20 reset-failed "$unit" 2>/dev/null
  seconds_text "$limit"
  said=$(sd "$((${value%.*} + 1))" start "$unit" 2>&1)
  code=$?
  at start-launched
  nap 15
  show "$unit" || { oops "$detail"; return; }
  case $code:$ActiveState in
    0:active | 0:reloading)
      if stat_of "$MainPID"; then
        set -- $stat
        shift 19
        read -r count rest <"s/$k_service.again"
        if [ "${count:-0}" -le 0 ]; then
          printf '%s %s %s %s %s %s .\n' "$MainPID" "$1" "$boot" "$k_def" "$kind" "$InvocationID" >"s/$k_service.daemon"
          status=0
          becomes_ready && return
        fi
      fi
      ;;
    124:* | 137:*) Result=timeout ;;
  esac
  how=died status=$ExecMainStatus
  [ "$status" != 0 ] || [ "$Result" = success ] || status=125
  [ "$Result" != timeout ] || how=timeout status=124 said="$unit was not ready in time"
  let_go
  end_unit 10
  tail -c "+$((before + 1))" "s/$k_service.log" 2>/dev/null | tail -c 2048 >"$t.e"
  case $status in
    200) said="there is no directory $cwd" ;;
    217) said="there is no user $k_user on this host" ;;
    203) said="its program can't be run" ;;
  esac
  [ -s "$t.e" ] || [ -z "$said" ] || printf '%s\n' "$said" >"$t.e"
}

end_unit() {                            # SECONDS: of $unit nothing is left, or a sentence
  disable_unit
  at unit-stop-disabled
  sd "$1" stop "$unit" 2>/dev/null
  case $? in
    0 | 5) ;;                           # 5: there is none
    *) sd 10 kill -s KILL "$unit" 2>/dev/null; sd 10 stop "$unit" 2>/dev/null ;;
  esac
  show "$unit" || return
  case $ActiveState in
    inactive) ;;
    failed) sd 10 reset-failed "$unit" 2>/dev/null ;;
    *) detail="$unit can't be stopped: systemd says $ActiveState"; return 1 ;;
  esac
}

stop_unit() {                           # of the daemon, which is under systemd
  unit_of "$k_service"
  show "$unit" || { oops "$detail"; return; }
  case $ActiveState in inactive | failed) how=absent ;; esac
  seconds_text "$((grace + 1000))"
  last=$ExecMainStatus
  end_unit "${value%.*}" || { oops "$detail"; return; }
  remove_stopped
}

# unit_lives: does that of $k_service? Its process and invocation -> $record, in the place of the recorded. 2: nobody
# knows.
unit_lives() {
  unit_of "$k_service"
  show "$unit" || return 2
  case $ActiveState in active | reloading) ;; *) return 1 ;; esac
  set -- $record
  record="$MainPID 0 $boot $4 $5 -"
  # Another than START's is not the first.
  [ "$3" != "$boot" ] || [ "$InvocationID" = "${6-}" ] || record="$MainPID 0 $boot $4 $5 0:0:$boot"
}

# under_systemd: is the daemon on $record? One that an older runner started is so from the next boot on.
under_systemd() {
  set -- $record
  case ${5-} in
    systemd | user) return 0 ;;
    *) [ "${3-}" != "$boot" ] && unit_of "$k_service" && [ -L "$wants/$unit" ] ;;
  esac
}

# judge_units: $units_asked, "SERVICE=UNIT ...", by one question -> $verdicts, and $facts:
# " SERVICE=LOAD:RESTARTS:UNIT-FILE:NEEDS-RELOAD ..."
judge_units() {
  asked=$units_asked
  set --
  for pair in $asked; do set -- "$@" "${pair#*=}"; done
  shown=$(sd 20 show -p Id,LoadState,ActiveState,SubState,NRestarts,UnitFileState,NeedDaemonReload "$@" 2>/dev/null)
  shows=''
  while IFS= read -r line; do
    case $line in
      Id=*) shows=1 ;;
      LoadState=*) load=${line#*=} ;;
      ActiveState=*) active=${line#*=} ;;
      SubState=*) sub=${line#*=} ;;
      NRestarts=*) again=${line#*=} ;;
      UnitFileState=*) file_state=${line#*=} ;;
      NeedDaemonReload=*) needs=${line#*=} ;;
      '')
        [ -z "$shows" ] || judged_unit
        shows='' load='' active='' sub='' again='' file_state='' needs=''
        ;;
    esac
  done <<END
$shown$newline
END
  for pair in $asked; do verdicts="$verdicts ${pair%%=*}:unknown"; done
}

judged_unit() {                         # what was shown is of the first of $asked
  set -- $asked
  service=${1%%=*}
  shift
  asked=$*
  case $active:$sub in
    active:exited) verdict=unknown ;;   # a program that returned: whether something lives is not systemd's to say
    active:* | reloading:*) verdict=alive ;;
    activating:start*) verdict=unknown ;;       # systemd is at it
    *) verdict=dead ;;
  esac
  verdicts="$verdicts $service:$verdict"
  facts="$facts $service=$load:${again:-0}:$file_state:$needs"
}

# unit_note: what somebody did by hand to that of $k_service, for READ -> $note
unit_note() {
  unit_of "$k_service"
  if [ -L "$units/$unit" ]; then
    note="$unit is masked on this host: systemctl unmask $unit"
  elif [ ! -e "$units/$unit" ]; then
    note="$unit is gone from $units: start it anew"
  elif [ ! -L "$wants/$unit" ]; then
    note="$unit was disabled by hand: systemctl enable $unit"
  else
    case $verdicts in
      *" $k_service:unknown"*) note="systemd does not answer on this host" ;;
      *" $k_service:dead"*) note="systemctl status $unit tells why it does not run" ;;
    esac
  fi
}

forget_unit() {                         # the service goes: so does its unit
  unit_of "$k_service"
  disable_unit
  [ -e "$units/$unit" ] || return 0
  there=
  { IFS= read -r there <"$units/$unit"; } 2>/dev/null
  case $there in "# Written by Tutti for site $site,"*) ;; *) return 0 ;; esac
  rm -f "$units/$unit" "s/$k_service.exec"
  sd 60 daemon-reload 2>/dev/null
}
