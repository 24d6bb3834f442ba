#!/bin/sh
# SPDX-License-Identifier: LGPL-3.0-or-later
# Tutti's runner: performs effects on this host, for a coordinator. Usage: sh runner.sh STATE
# And, once after each boot of the host: sh runner.sh STATE BOOT
#
# Frames come on standard input, replies go to standard output; lib/doc/protocol.md says which.
# It needs Linux (/proc), a POSIX shell, coreutils or busybox, `setsid` and `flock`.
#
# Files, under STATE/site-SITE. A record is one line that ends in " ."; without that it is torn: absent.
#   lock              held (flock) by the runner, and by a supervisor until its STARTED is durable
#   owner             who holds the lock           PID START BOOT LINEAGE EPOCH
#   fence             the highest that was here    LINEAGE EPOCH HOLDER
#   nonce             made with this folder
#   format            of all this                  FORMAT (none: of before there was this file, and read as 1)
#   name              what this host is called in the site
#   e/TOKEN.s         STARTED: its supervisor      PID START BOOT OPERATION LINEAGE EPOCH
#   e/TOKEN.p         what runs for it             PID START BOOT GRACE TRY
#   e/TOKEN.x         why that was killed          HOW
#   e/TOKEN.d         DONE                         HOW STATUS OSIZE OSHA ESIZE ESHA
#   e/TOKEN.o .e .in  standard output, error, input
#   e/TOKEN.prev      the file that PUT replaced; .none: there was none; .put: what it put there
#   e/TOKEN.n .u .us  what is said of files, and by whom acts with a user's rights
#   files             which paths are ours, and what stood there before: see 72-files.sh
#   k/ID              what stood there; and k/TIME+PATH, what somebody changed since we wrote it
#   m/SERVICE         tutti-entry 2 PROBE LIMIT USER CWD ENV ARGV JSON . / the probe's lines / JSON bytes
#   s/SERVICE.daemon  the daemon                   PID START BOOT DEF KEEPER FIRST
#                     FIRST: the PID:START:BOOT that START began, or -. Both left out: of an older runner.
#   s/SERVICE.run     what was started and not stopped   tutti-run 1 TOKEN BOOT KEY=VALUE... . / lines: see 62-keep.sh
#   s/SERVICE.keep    what starts it again         PID START BOOT
#   s/SERVICE.exec    what the shell of its systemd unit reads; before-1: what systemd runs before each start
#   s/SERVICE.unit    what a unit of the host's was before  NAME UNIT-FILE-STATE ACTIVE-STATE
#   s/SERVICE.again   when it was started again    COUNT BOOT SECONDS...
#   s/SERVICE.log .log.1 .exit                     its output, its first exit status
#   boot.lock         held (flock) by `BOOT`
# Of all sites, in STATE: files.lock (flock: who changes files), made (directories that we made for files), hook and
# runner/boot (who runs `BOOT`, and its text: see 64-boot.sh).
# A process is named by its pid, its start time and the boot: together they are never used again.
#
# How it is written: no external command where a builtin does (a fork costs half a millisecond). Text
# from outside is only ever data: "$quoted", never evaluated. Globbing is off. Functions return through
# the variable named in their comment. k_KEY is the frame's KEY=.
#
# Who writes which variable. Each is global to its process: what a subshell ( ... ) writes stays in there.
#   00 main, hello    state site store uid boot format preview most program_path newline: once, for good
#   00 dispatch       operation id token t unrecorded k_KEY: of the frame. end_others, before it is one of a
#                     token, goes through all token and t
#   00 dispatch       input how status trouble, then what performs the effect; outcome makes its record of them
#   30 op_lock        held entered lineage epoch nonce own_pid own_start; fence_*: of the last LOCK
#   50 ready          cwd run_as, and known_* own_name: of the user asked for last. 70 changes run_as (be)
#   62, 64, 66        run_token (of the .run that is read or written) raw (its lines) kind (the keeper) durable (what is
#                     made so with the record) keeper first gap (of a keeper shell) units wants unit
#   50, 60, 72        out err: where the program that runs prints. limit grace every: of the frame
#   70 locate, at_*   place actor edge: which path this is about, with whose rights, from which folder on
#   80, 90            name temporary entry new: of the item or the entry that is being written
# Results, written anew by each call, to be copied before the next:
#   value             of most functions of 10      record      record_of, entry_head
#   stat whose pid start      stat_of, me          found       look
#   now               now                          candidates  candidates
#   detail why        of what failed               verdicts    judge_all
# All others are of the function that writes them, and of what it calls.

main() {
  state=$1
  LC_ALL=C IFS=' ' PATH=${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}
  export LC_ALL PATH
  umask 077
  set -f
  unset CDPATH OLDPWD TUTTI_EFFECT TUTTI_SERVICE
  newline='
'
  preview=${TUTTI_PREVIEW:-4096}
  number "$preview" || preview=4096
  most=${TUTTI_MOST_OUTPUT:-4294967296}
  number "$most" || most=4294967296
  format=1 held='' entered='' lineage='' epoch='' nonce=''
  stop_signal=TERM as_service='' groups=unknown kind=plain supervisor='' run_token='' raw='' between='' known_user='' own_name='' run_as='' user_uid='' wrap='' try=0
  seen=$newline
  exec 8>&1 >/dev/null                  # replies, and nothing else, go to descriptor 8
  trap ':' HUP PIPE                     # not '': children must get the default back
  [ -r /proc/self/stat ] && read -r boot </proc/sys/kernel/random/boot_id || die baseline no-proc
  boot=${TUTTI_BOOT:-$boot}
  program_path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  for folder in /run/current-system/profile/sbin /run/current-system/profile/bin /run/current-system/sw/bin; do
    [ ! -d "$folder" ] || program_path=$folder:$program_path     # of Guix and NixOS, which have no other
  done
  [ "${2-}" != BOOT ] || { after_boot; exit; }
  hello
  while IFS= read -r header; do
    [ ${#header} -lt 4096 ] || die protocol long-header
    dispatch $header
  done
}

hello() {
  IFS= read -r header || exit 0
  set -- $header
  [ "$1 $2" = 'HELLO 4' ] || die protocol hello
  shift 2
  keys 'site= store=-' "$@"
  word "$k_site" || die protocol site
  site=$k_site
  undo "$k_store"
  store=$value
  case $store in /* | -) ;; *) die protocol store ;; esac
  known_format
  shell_name
  who_we_are
  say "OK 4 boot=$boot shell=$value uid=$uid"
}

who_we_are() {                          # -> $uid
  while read -r line; do
    case $line in Uid:*) uid=${line#Uid:?} uid=${uid%%[!0-9]*}; break ;; esac
  done </proc/self/status
}

shell_name() {                          # what runs us -> $value
  value=unknown
  if [ -n "${BASH_VERSION-}" ]; then
    value=bash
  elif { read -r rest rest rest rest rest value </proc/$$/maps; } 2>/dev/null; then
    value=${value##*/}                  # what is mapped first is the program itself
    word "$value" || value=unknown
  fi
}

dispatch() {                            # OPERATION ID [TOKEN] KEY=VALUE...
  [ $# -ge 2 ] && word "$2" || die protocol short
  operation=$1 id=$2
  shift 2
  case $operation in
    RUN | START | FILES | STOP | PUT | UNPUT | ENTRY | ASK | END | FORGET | OUT)
      [ $# -ge 1 ] && word "$1" || die protocol token
      token=$1 t=e/$1
      shift
      ;;
  esac
  input=/dev/null how=exit status=0 trouble='' durable=''
  unrecorded="cannot write the record of ${token-} in $state/site-$site (is the disk full?)"
  [ -n "$entered" ] || enter || :
  case $operation in
    READ) op_read "$@" ;;
    LOCK) op_lock "$@" ;;
    RUN) op_run "$@" ;;
    START) op_start "$@" ;;
    FILES) op_files "$@" ;;
    STOP) op_stop "$@" ;;
    PUT) op_put "$@" ;;
    UNPUT) op_unput "$@" ;;
    ENTRY) op_entry "$@" ;;
    ASK) op_ask "$@" ;;
    END) op_end "$@" ;;
    FORGET) op_forget "$@" ;;
    GET) op_get "$@" ;;
    OUT) op_out "$@" ;;
    LOG) op_log "$@" ;;
    ITEMS) op_items "$@" ;;
    ITEM) op_item "$@" ;;
    BYE) say "R $id bye"; exit 0 ;;
    *) die protocol operation ;;
  esac
}
