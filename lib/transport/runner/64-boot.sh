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
  ready
  [ -z "$trouble" ] || return
  if [ "$k_daemon" = 0 ]; then
    boot_program "$@"
  elif ! daemon_lives && ! keeper_lives; then
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

boots() {                               # RUN-HEAD: does something run `BOOT`, or what does the same, after a reboot?
  case $1 in *' keeper=host '*) record_of ../hook && [ "$record" != none ] ;; *) return 1 ;; esac
}
