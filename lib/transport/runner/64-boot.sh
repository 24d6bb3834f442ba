# SPDX-License-Identifier: LGPL-3.0-or-later
# shellcheck shell=sh
# After a boot of the host: what its .run says is started again, and nothing else.
#
# Nothing is asked of a coordinator, and no lock is taken that it may hold: the rule of 62-keep.sh lets only one of us
# and a START or STOP have its way. A .run of this boot is kept already. What does not come up holds nobody.

after_boot() {                          # of all sites of $state
  who_we_are
  supervisor=$$
  set +f
  set -- "$state"/site-*
  set -f
  for folder; do
    ( site=${folder##*/site-}
      enter && known_format && record_of nonce && nonce=$record && boot_site )
  done
}

boot_site() {
  writable boot.lock && exec 9>>boot.lock && flock -n 9 9>&9 || return      # another one is at it
  set +f
  set -- s/*.run
  set -f
  waiting=
  for file; do
    service=${file#s/}
    was_started "$file" && waiting="$waiting ${service%.run}"
  done
  while [ -n "$waiting" ]; do
    next='' went=''
    for service in $waiting; do
      if from_run "$service" comes_after; then
        next="$next $service"
      else
        boot_one "$service"
        went=1
      fi
    done
    [ -n "$went" ] || { for service in $next; do boot_one "$service"; done; return; }     # they wait for each other
    waiting=$next
  done
}

was_started() {                         # .RUN: in a boot before this one, and is it to come back?
  record=
  { IFS= read -r record <"$1"; } 2>/dev/null
  case $record in "tutti-run 1 "*" boot=1 "*" .") ;; *) return 1 ;; esac
  set -- $record
  [ "$4" != "$boot" ]
}

comes_after() {                         # LINE...: of the service: does it come after one that is $waiting?
  shift $((k_env + k_argv + k_check + k_stop))
  while [ "$k_after" -gt 0 ]; do
    case " $waiting " in *" $1 "*) return 0 ;; esac
    shift
    k_after=$((k_after - 1))
  done
  return 1
}

boot_one() { ( exec 9>&-; from_run "$1" boot_lines ); }

boot_lines() {                          # LINE...
  trouble='' held='' t=s/$k_service.boot token=boot out=/dev/null err=/dev/null input=/dev/null
  [ ! -e "s/$k_service.unit" ] || return 0      # the host starts its own
  ready
  [ -z "$trouble" ] || return
  if [ "$k_daemon" = 0 ]; then
    boot_program "$@"
    return
  fi
  choose_keeper
  case $kind in systemd | user) return ;; esac          # its unit does it
  if ! daemon_lives && ! keeper_lives; then
    discard "s/$k_service.exit" "s/$k_service.daemon"
    ( keep_daemon "$@" ) &
    now
    end=$((now + limit))
    until daemon_lives || [ -s "s/$k_service.exit" ] || [ "$now" -ge "$end" ]; do nap 1; now; done
    becomes_ready
  fi
}

boot_program() {                        # a START program that returns
  [ "$k_check" -eq 0 ] || ! check $((k_env + k_argv)) "$@" || return
  out=s/$k_service.log.boot err=$out as_service=1
  program "$limit" timeout "$k_env" "$k_argv" "$@"
  cat "$out" >>"s/$k_service.log"
  rm -f "$out" "$t.p" "$t.x"
}

boots() {                               # RUN-HEAD: does something start $k_service, or run `BOOT`, after a reboot?
  case $1 in *' keeper=host '*) ;; *) return 1 ;; esac
  unit_of "$k_service"
  [ ! -L "$wants/$unit" ] || return 0
  record_of ../hook && [ "$record" != none ]
}

# The hook: what of the host runs `BOOT` after a boot. It runs this runner's text as it is at STATE/runner/boot.
# STATE/hook says which: systemd (of what is no daemon, and so has no unit of its own), cron, sysvinit or none.
install_hook() {
  [ ../runner/boot -ef "$0" ] || keep_text || { remark "cannot write $state/runner/boot"; return; }
  ! record_of ../hook || [ "$record" = none ] || return 0
  hook=none
  case $state in
    *[!A-Za-z0-9/._-]*) ;;
    *)
      choose_keeper
      if [ "$kind" = systemd ] || [ "$kind" = user ]; then
        install_unit && hook=systemd
      elif cron_runs && { crontab -l 2>/dev/null | grep -vF " $state BOOT"; printf '%s\n' "$(hook_line)"; } | crontab -; then
        hook=cron
      elif [ "$uid" = 0 ] && [ -d /etc/init.d ] && [ -d /etc/rc2.d ] && sysvinit_runs; then
        install_script && hook=sysvinit
      fi
      ;;
  esac 2>/dev/null
  [ $hook != none ] || remark "services will not come back after a reboot of this host: have it run, once after each boot:\
 /bin/sh $state/runner/boot $state BOOT"
  { printf '%s .\n' $hook >../.hook.new && mv -f ../.hook.new ../hook; } 2>/dev/null
}

hook_line() { printf '%s' "@reboot /bin/sh $state/runner/boot $state BOOT >/dev/null 2>&1"; }

keep_text() {                           # what we are, for after a boot
  rm -f ../runner/.boot.new
  { [ -d ../runner ] || mkdir ../runner; } &&
    { ln "$0" ../runner/.boot.new || { cp "$0" ../runner/.boot.new && sync ../runner/.boot.new; }; } &&
    mv -f ../runner/.boot.new ../runner/boot
} 2>/dev/null

cron_runs() {
  command -v crontab >/dev/null || return
  candidates '(cron) S' stat '(cron) [^ZX]' '(crond) [^ZX]'
  case $candidates in */proc/[0-9]*/stat*) return 0 ;; esac
  return 1
}

sysvinit_runs() { { read -r what </proc/1/comm; } 2>/dev/null && [ "$what" = init ]; }

install_unit() {
  unit_of -
  ( umask 022
    mkdir -p "$wants" && printf '%s\n' '# Written by Tutti' '[Unit]' 'Description=Services that Tutti started' \
      'After=network.target' "RequiresMountsFor=$state" '[Service]' 'Type=oneshot' 'RemainAfterExit=yes' \
      'KillMode=process' "ExecStart=/bin/sh $state/runner/boot $state BOOT" >"$units/tutti-boot.service" &&
      ln -sf "$units/tutti-boot.service" "$wants/tutti-boot.service" )
  durable="s $units $wants"
}

install_script() {
  printf '%s\n' '#!/bin/sh' '### BEGIN INIT INFO' '# Provides: tutti' '# Required-Start: $remote_fs $network' \
    '# Required-Stop:' '# Default-Start: 2 3 4 5' '# Default-Stop:' '# Short-Description: services that Tutti started' \
    '### END INIT INFO' "[ \"\$1\" != start ] || /bin/sh $state/runner/boot $state BOOT </dev/null >/dev/null 2>&1" \
    >/etc/init.d/tutti && chmod 755 /etc/init.d/tutti || return
  for level in 2 3 4 5; do
    [ ! -d /etc/rc$level.d ] || ln -sf ../init.d/tutti /etc/rc$level.d/S99tutti
  done
}

# forget_hook: with the last service of $state that comes back, the hook goes.
forget_hook() {
  set +f
  set -- ../site-*/s/*.run
  set -f
  for file; do [ ! -s "$file" ] || return 0; done
  record_of ../hook || return 0
  case $record in
    cron) crontab -l 2>/dev/null | grep -vF " $state BOOT" | crontab - ;;
    systemd)
      unit_of -
      rm -f "$wants/tutti-boot.service" "$units/tutti-boot.service"
      ;;
    sysvinit)
      set +f
      rm -f /etc/rc?.d/S99tutti /etc/init.d/tutti
      set -f
      ;;
  esac 2>/dev/null
  rm -f ../hook ../runner/boot
}
