# SPDX-License-Identifier: LGPL-3.0-or-later
# shellcheck shell=sh
# A unit that the host has: `unit=NAME` in the place of a program.
#
# s/SERVICE.unit   what it was before it was ours: NAME UNIT-FILE-STATE ACTIVE-STATE. Written before the first change,
#                  gone when all is as it was.
# Whether it is enabled is changed only where systemd takes that: what is static, generated, indirect or an alias is
# left as it is.

find_unit() {                           # of k_unit -> what show tells; or a sentence
  [ -d /run/systemd/system ] && command -v systemctl >/dev/null ||
    { oops "there is no unit $k_unit: systemd does not run on this host"; return; }
  show "$k_unit" || { oops "$detail"; return; }
  case $LoadState in
    loaded) ;;
    masked) oops "$k_unit is masked on this host: systemctl unmask $k_unit" ;;
    not-found) oops "there is no unit $k_unit on this host: install what brings it" ;;
    *) oops "systemd can't load $k_unit ($LoadState): systemctl status $k_unit" ;;
  esac
}

take_unit() {                           # START: files are in place
  find_unit || return
  if record_of "s/$k_service.unit"; then
    case $record in
      "$k_unit "*) ;;
      *) oops "$k_service has the unit ${record%% *}, and not $k_unit: remove it first"; return ;;
    esac
  else
    { printf '%s %s %s .\n' "$k_unit" "${UnitFileState:--}" "$ActiveState" >"s/$k_service.unit" &&
        sync "s/$k_service.unit"; } 2>/dev/null || { oops "cannot write $state/site-$site/s/$k_service.unit"; return; }
    durable=s
  fi
  at unit-start-remembered
  sd 60 daemon-reload || { oops "systemd does not read its units anew: systemctl daemon-reload"; return; }   # drop-ins may be new
  if [ "$k_reload" = 1 ]; then
    act_on_unit reload
    return
  fi
  if [ "$k_already" = 1 ] && [ "$ActiveState" = active ] && record_of "s/$k_service.daemon"; then
    case $record in
      *" $boot $k_def unit $InvocationID") how=already; return ;;
    esac
  fi
  [ "$k_boot" = 0 ] || case $UnitFileState in
    disabled | enabled-runtime) sd 60 -q enable "$k_unit" 2>>"$t.e" || { oops "cannot enable $k_unit"; return; } ;;
  esac
  [ "$ActiveState" != failed ] || sd 20 reset-failed "$k_unit" 2>/dev/null
  printf '0 0 %s %s unit - .\n' "$boot" "$k_def" >"s/$k_service.daemon"
  write_run || return
  # One that runs has not read the files that are new. `restart` starts one that does not.
  act_on_unit restart || return
  nap 15
  show "$k_unit" || { oops "$detail"; return; }
  case $ActiveState in
    active | reloading) ;;
    *)
      how=died status=$ExecMainStatus
      [ "$status" != 0 ] || status=125
      unit_log
      return
      ;;
  esac
  start=0
  if stat_of "$MainPID"; then set -- $stat; shift 19; start=$1; fi
  printf '%s %s %s %s unit %s .\n' "$MainPID" "$start" "$boot" "$k_def" "$InvocationID" >"s/$k_service.daemon"
  now
  end=$((now + limit))
  becomes_ready || [ "$how" != exit ] || { how=died status=125; unit_log; }
}

act_on_unit() {                         # OPERATION: fails with what systemd says
  seconds_text "$limit"
  sd "$((${value%.*} + 1))" "$1" "$k_unit" >"$t.o" 2>"$t.e"
  status=$?
  case $status in
    0) return 0 ;;
    124 | 137) how=timeout ;;
  esac
  unit_log
  return 1
}

unit_log() { journal_of "$k_unit" 10 >>"$t.e"; }

journal_of() {                          # UNIT [LINES]: prints the end of what it printed
  set -- -q -u "$1" -n "${2-20000}" -o cat
  if [ "$uid" = 0 ]; then timeout 20 journalctl "$@"; else timeout 20 journalctl --user "$@"; fi 2>/dev/null || :
}

drop_unit() {                           # STOP: it does not run, and does not come back at boot
  out=$t.o err=$t.e
  let_go
  [ -e "s/$k_service.unit" ] || { how=absent; return; }         # it never was ours
  find_unit || return
  at unit-stop-let-go
  case $UnitFileState in enabled) sd 60 -q disable "$k_unit" 2>/dev/null ;; esac
  case $ActiveState in
    inactive | failed) how=absent ;;
    *) act_on_unit stop || return ;;
  esac
  show "$k_unit" || { oops "$detail"; return; }
  case $ActiveState in
    inactive | failed) remove_stopped ;;
    *) oops "$k_unit can't be stopped: systemd says $ActiveState" ;;
  esac
}

release_unit() {                        # the service goes: the unit is as it was before
  record_of "s/$k_service.unit" || return 0
  set -- $record
  k_unit=$1
  sd 60 daemon-reload                   # drop-ins of ours went
  case $2 in
    enabled) sd 60 -q enable "$1" ;;
    disabled | enabled-runtime) sd 60 -q disable "$1" ;;
  esac 2>>"$t.e" || { oops "$1 was $2 before it was ours, and can't be made so again"; return; }
  case $3 in
    active | reloading | activating) sd 120 start "$1" ;;
    *) sd 120 stop "$1" ;;
  esac 2>>"$t.e" || { oops "$1 was $3 before it was ours, and can't be made so again: systemctl status $1"; return; }
  rm -f "s/$k_service.unit" "s/$k_service.daemon" "s/$k_service.run"
  durable=s
}

host_unit_note() {                      # for READ, of what judge_units found -> $restarts $comes_back $note
  case $facts in *" $k_service="*) ;; *) note="systemd does not answer on this host"; return ;; esac
  rest=${facts##*" $k_service="}
  IFS=:
  set -- ${rest%% *}
  IFS=' '
  restarts=$2
  case $3 in
    enabled | enabled-runtime | generated | alias) comes_back=yes ;;
    static | indirect) comes_back=- ;;  # others start it
    *) comes_back=no ;;
  esac
  case $1:${4-} in
    masked:*) note="its unit is masked on this host: systemctl unmask it" ;;
    not-found:*) note="its unit is gone from this host" ;;
    *:yes) note="its unit was changed and is not read yet: systemctl daemon-reload" ;;
  esac
}
