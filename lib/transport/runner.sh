#!/bin/sh
# Tutti's runner: performs effects on this host, for a coordinator. Usage: sh runner.sh STATE
#
# Frames come on standard input, replies go to standard output. The protocol is documented in the head
# of frames.hpp. It needs Linux (/proc), a POSIX shell, coreutils or busybox, `setsid` and `flock`.
#
# Files, under STATE/site-SITE. A record is one line that ends in " ."; without that it is torn: absent.
#   lock              held (flock) by the runner, and by a supervisor until its STARTED is durable
#   owner             who holds the lock           PID START BOOT LINEAGE EPOCH
#   fence             the highest that was here    LINEAGE EPOCH HOLDER
#   nonce             made with this folder
#   e/TOKEN.s         STARTED: its supervisor      PID START BOOT OPERATION LINEAGE EPOCH
#   e/TOKEN.p         what runs for it             PID START BOOT GRACE TRY
#   e/TOKEN.x         why that was killed          HOW
#   e/TOKEN.d         DONE                         HOW STATUS OSIZE OSHA ESIZE ESHA
#   e/TOKEN.o .e .in  standard output, error, input
#   e/TOKEN.prev      the file that PUT replaced; .none: there was none
#   m/SERVICE         tutti-entry 2 PROBE LIMIT USER CWD ENV ARGV JSON . / the probe's lines / JSON bytes
#   s/SERVICE.daemon  the daemon                   PID START BOOT DEF
#   s/SERVICE.log .log.1 .exit                     its output, its exit status
# A process is named by its pid, its start time and the boot: together they are never used again.
#
# How it is written: no external command where a builtin does (a fork costs half a millisecond). Text
# from outside is only ever data: "$quoted", never evaluated. Globbing is off. Functions return through
# the variable named in their comment. k_KEY is the frame's KEY=.

main() {
  state=$1
  locale=${LC_ALL-unset}
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
  held='' entered='' known_user='' own_name='' wrap='' lineage='' epoch='' nonce='' try=0
  exec 8>&1 >/dev/null                  # replies, and nothing else, go to descriptor 8
  trap ':' HUP PIPE                     # not '': children must get the default back
  [ -r /proc/self/stat ] && read -r boot </proc/sys/kernel/random/boot_id || die baseline no-proc
  program_path=$PATH
  for folder in /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin /sbin /bin; do
    case :$program_path: in *:$folder:*) ;; *) program_path=$program_path:$folder ;; esac
  done
  hello
  while IFS= read -r header; do
    [ ${#header} -lt 4096 ] || die protocol long-header
    dispatch $header
  done
}

hello() {
  IFS= read -r header || exit 0
  set -- $header
  [ "$1 $2" = 'HELLO 2' ] && [ $# -eq 4 ] && word "$3" || die protocol hello
  site=$3
  undo "$4"
  store=$value
  case $store in /* | -) ;; *) die protocol store ;; esac
  shell_name
  while read -r line; do
    case $line in Uid:*) uid=${line#Uid:?} uid=${uid%%[!0-9]*}; break ;; esac
  done </proc/self/status
  say "OK 2 $boot $value $uid"
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
    RUN | START | STOP | PUT | UNPUT | ENTRY | ASK | END | FORGET | OUT)
      [ $# -ge 1 ] && word "$1" || die protocol token
      token=$1 t=e/$1
      shift
      ;;
  esac
  input=/dev/null how=exit status=0 trouble=''
  unrecorded="cannot write the record of ${token-} in $state/site-$site (is the disk full?)"
  [ -n "$entered" ] || enter || :
  case $operation in
    READ) op_read "$@" ;;
    LOCK) op_lock "$@" ;;
    RUN) op_run "$@" ;;
    START) op_start "$@" ;;
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

# ---------------------------------------------------------------- words, lines and bytes

say() { printf '%s\n' "$*" >&8 || exit 1; }     # a reply that nobody reads ends the runner
die() { say "REFUSED $1 $2"; exit 3; }
fail() { text "$1"; say "R $id error $value"; }

word() { name "$1" && [ ${#1} -le 64 ]; }
name() {
  case $1 in '' | -* | .* | *[!A-Za-z0-9._-]*) return 1 ;; esac
  [ ${#1} -le 160 ]
}
number() {
  case $1 in 0) return 0 ;; '' | 0* | *[!0-9]*) return 1 ;; esac
  [ ${#1} -le 18 ]
}
flag() { case $1 in 0 | 1) ;; *) return 1 ;; esac; }
mode() { case $1 in [0-7][0-7][0-7] | [0-7][0-7][0-7][0-7]) ;; *) return 1 ;; esac; }
word_or_none() { [ "$1" = - ] || word "$1"; }

hundredths() {                          # SECONDS -> $value, in hundredths, rounded up
  fraction=000
  case $1 in *.*) fraction=${1#*.} ;; esac
  case $fraction in ? | ?? | ???) fraction=${fraction}00 ;; *) return 1 ;; esac
  fraction=${fraction%"${fraction#???}"}
  case $fraction in *[!0-9]*) return 1 ;; esac
  number "${1%%.*}" && [ ${#1} -le 13 ] || return 1
  value=$((${1%%.*} * 100 + (1$fraction - 1000 + 9) / 10))
}

now() {                                 # -> $now: hundredths of a second since boot
  read -r now rest </proc/uptime
  now=$((${now%.*} * 100 + 1${now#*.} - 100))
}

nap() {                                 # HUNDREDTHS
  [ "$1" -gt 0 ] || return 0
  seconds_text "$1"
  sleep "$value" 2>/dev/null || sleep $((($1 + 99) / 100))    # where sleep knows no decimals
}

seconds_text() {                        # HUNDREDTHS -> $value
  value=$(($1 % 100 + 100))
  value=$(($1 / 100)).${value#1}
  value=${value%.00}
}

undo() {                                # an escaped line -> $value
  case $1 in *%*) ;; *) value=$1; return ;; esac
  rest=$1 value=
  while :; do
    case $rest in
      *%*)
        value=$value${rest%%\%*} rest=${rest#*%}
        case $rest in
          0A*) value=$value$newline rest=${rest#0A} ;;
          25*) value=$value% rest=${rest#25} ;;
          20*) value="$value " rest=${rest#20} ;;
          *) die protocol escape ;;
        esac
        ;;
      *) value=$value$rest; return ;;
    esac
  done
}

text() {                                # any bytes -> $value, as one word of a header
  rest=$1 value=
  [ ${#rest} -le 1000 ] || rest=$(printf '%.1000s' "$rest")...
  while :; do
    case $rest in
      *[%\ "$newline"]*)
        head=${rest%%[%\ "$newline"]*}
        rest=${rest#"$head"}
        case $rest in %*) value=$value$head%25 ;; ' '*) value=$value$head%20 ;; *) value=$value$head%0A ;; esac
        rest=${rest#?}
        ;;
      *) value=$value$rest; break ;;
    esac
  done
  [ -n "$value" ] || value=-
}

keys() {                                # 'KEY=DEFAULT ...' KEY=VALUE... -> $k_KEY for each KEY
  allowed=" $1"
  for pair in $1; do eval "k_${pair%%=*}=\${pair#*=}"; done
  shift
  for pair; do
    case $pair in *=*) ;; *) die protocol key ;; esac
    case $allowed in *" ${pair%%=*}="*) ;; *) die protocol "unknown key ${pair%%=*}" ;; esac
    eval "k_${pair%%=*}=\${pair#*=}"    # the name is one of ours: only it is evaluated
  done
}

with_lines() {                          # N plain|raw COMMAND: reads N lines, runs COMMAND with them
  left=$1 kind=$2 command=$3
  set --
  while [ "$left" -gt 0 ]; do
    IFS= read -r value || exit 1
    [ "$kind" = raw ] || undo "$value"
    set -- "$@" "$value"
    left=$((left - 1))
  done
  "$command" "$@"
}

# receive N FILE [conv=fsync]: takes exactly N bytes of our input, never one more, and appends them to the file;
# with conv=fsync the whole file is durable then. Fails when they cannot be written, ends the runner when they do
# not come. The file is opened once, for the umask may make it read-only, and it is to be a new one: what a
# killed runner left behind may still write to its own. A reader that blocks must not hold the lock, hence 9>&-.
receive() {
  if [ "$1" -eq 0 ]; then
    writable "$2" && { [ -z "${3-}" ] || sync "$2"; }
  elif [ "$1" -le 1048576 ]; then
    report=$(exec dd bs="$1" count=1 iflag=fullblock ${3-} 2>&1 9>&- >>"$2")
    set -- "$1" "$2" $?
    case $report in
      *'1+0 records in'*) return "$3" ;;
      *'records in'*) [ "$2" = /dev/null ] || rm -f "$2"; exit 1 ;;
    esac
    [ "$2" = /dev/null ] || receive "$1" /dev/null      # it could not be opened
    return 1
  else
    opened=
    { receive_parts "$@" 6>>"$2"; } 2>/dev/null && return
    [ -n "$opened" ] || receive_parts "$1" /dev/null 6>/dev/null
    return 1
  fi
}

receive_parts() {                       # the same, the file open as descriptor 6
  opened=1
  size_of "$2"
  before=$value
  { dd bs=1048576 count=$(($1 / 1048576)) iflag=fullblock
    [ $(($1 % 1048576)) -eq 0 ] || dd bs=$(($1 % 1048576)) count=1 iflag=fullblock
  } 2>/dev/null 9>&- | { cat >&6 || { cat >/dev/null; false; }; } 2>/dev/null 9>&- || return 1
  [ "$2" = /dev/null ] && return
  size_of "$2"
  [ "$value" -eq $((before + $1)) ] || { rm -f "$2"; exit 1; }
  [ -z "${3-}" ] || sync "$2"
}

discard() {                             # FILE...: no fork where there is nothing
  for file; do
    if [ -e "$file" ] || [ -L "$file" ]; then rm -f "$file"; fi
  done 2>/dev/null
}
writable() { { true; } 2>/dev/null >>"$1"; }    # FILE: it can be opened, and exists from now on
size_of() { set -- $(wc -c <"$1"); value=$1; }            # -> $value
sha_of() { set -- $(sha256sum <"$1"); value=$1; }         # -> $value

record_of() {                           # FILE -> $record, without its end; fails when absent or torn
  record=
  { IFS= read -r record <"$1"; } 2>/dev/null
  case $record in *' .') record=${record% .} ;; *) record=; return 1 ;; esac
}

# step COMMAND...: a part of our own preparation; why it failed -> $detail. The first try, whose words nobody
# hears, costs a fork less; but that bytes were lost the system says only once, so what failed is not tried again.
step() {
  case $1 in
    sync) "$@" 2>/dev/null || { detail="it could not be made durable"; false; } ;;
    *) "$@" 2>/dev/null || listen "$@" ;;
  esac
}
listen() {
  detail=$("$@" 2>&1) && return
  detail=${detail##*: } detail=${detail%%"$newline"*}
  return 1
}

# ---------------------------------------------------------------- processes

stat_of() {                             # PID|self -> its pid $whose, what is from the state on $stat; or fails
  stat=
  { while IFS= read -r line; do stat=$stat$line; done <"/proc/$1/stat"; } 2>/dev/null
  whose=${stat%% *} stat=${stat##*) }   # the name between may hold anything, a newline too
  [ -n "$stat" ]
}

me() {                                  # -> $pid $start: no fork, and right in a subshell
  stat_of self
  pid=$whose
  set -- $stat
  shift 19
  start=$1
}

alive() {                               # PID START BOOT
  [ "$3" = "$boot" ] && stat_of "$1" || return 1
  case $stat in Z* | X*) return 1 ;; esac
  started=$2
  set -- $stat
  shift 19
  [ "$1" = "$started" ]
}

marked() {                              # PID MARK: is MARK in its environment?
  { while IFS= read -r line || [ -n "$line" ]; do
      case $line in *"$2"*) return 0 ;; esac
      line=
    done <"/proc/$1/environ"
  } 2>/dev/null
  return 1
}

# kill_tree PID START BOOT GRACE MARK: TERM to its group, KILL when all of that has ended or after GRACE
# hundredths; then whatever is left of its session or bears the mark. What changes both its session and its
# environment escapes.
kill_tree() {
  kill -TERM "-$1" 2>/dev/null || kill -TERM "$1" 2>/dev/null
  now
  end=$((now + $4)) pace=1
  while { alive "$1" "$2" "$3" || group_lives "$1"; } && [ "$now" -lt "$end" ]; do
    nap $pace
    [ $pace -ge 8 ] || pace=$((pace * 2))
    now
  done
  kill -KILL "-$1" 2>/dev/null
  sweep "$1" "$2" "$5"
}

group_lives() {                         # GROUP: is there a process of it that is no zombie?
  kill -0 "-$1" 2>/dev/null || return 1
  group=$1
  set +f
  set -- /proc/[0-9]*/stat
  set -f
  IFS=$newline
  for line in $(cat "$@" 2>/dev/null); do
    IFS=' '
    line=${line##*) }                   # STATE PARENT GROUP ...
    case $line in Z* | X*) continue ;; esac
    line=${line#* * }
    [ "${line%% *}" != "$group" ] || return 0
  done
  IFS=' '
  return 1
}

# sweep SESSION START MARK: kills all that started at START or later and is of SESSION (-: of none; 0 is a
# session of others, as of all in a container that its own init did not start) or bears the mark, until a look
# finds none, for a second at most.
sweep() {
  session=$1 since=$2 mark=$3 looks=0
  while [ $looks -lt 20 ]; do
    found=
    set +f
    set -- /proc/[0-9]*/stat
    set -f
    IFS=$newline
    for line in $(cat "$@" 2>/dev/null); do     # all at once: `read` takes byte by byte
      IFS=' '
      process=${line%% *}
      number "$process" && is_since ${line##*) } && stat_of "$process" || continue
      case $stat in Z* | X*) continue ;; esac
      belongs $stat && me && [ "$process" != "$pid" ] || continue
      kill -KILL "$process" 2>/dev/null && found=1
    done
    IFS=' '
    [ -n "$found" ] || return 0
    sleep 0.05 2>/dev/null
    looks=$((looks + 1))
  done
}

is_since() {                            # what stat_of gives; a name with a newline in it cuts that: it may be
  [ $# -lt 20 ] && return
  shift 19
  [ "$1" -ge "$since" ]
}

belongs() {                             # what stat_of gives, of $process
  is_since "$@" && { [ "$4" = "$session" ] || marked "$process" "$mark"; }
}

slay() {                                # WHY: kills what runs for the token; fails when nothing does
  why=$1
  record_of "$t.p" || return 1
  set -- $record
  alive "$1" "$2" "$3" || return 1
  [ -z "$why" ] || printf '%s .\n' "$why" >"$t.x"
  kill_tree "$1" "$2" "$3" "$4" "TUTTI_EFFECT=$nonce/$token/"
}

daemon_lives() { record_of "s/$k_service.daemon" && alive $record; }

# ---------------------------------------------------------------- state, lock and fence

enter() {                               # from here on all our files have short names without blanks
  cd "$state/site-$site" 2>/dev/null && entered=1
}

op_lock() {
  keys 'lineage= epoch= seen=0 nonce=- holder=- expect=- others=keep forget=0' "$@"
  word "$k_lineage" && number "$k_epoch" && number "$k_seen" && number "$k_forget" && word_or_none "$k_nonce" &&
    [ ${#k_holder} -le 500 ] || die protocol lock
  case $k_expect in
    -) ;;
    *:*) word "${k_expect%%:*}" && number "${k_expect#*:}" || die protocol expect ;;
    *) die protocol expect ;;
  esac
  case $k_others in keep | end) ;; *) die protocol others ;; esac
  if lock; then
    held=1 lineage=$k_lineage epoch=$k_epoch
    [ $k_others = keep ] || { end_others; forget_runs; }
    say "R $id locked $nonce"
  else
    [ -n "$held" ] || exec 9>&-
    say "R $id refused $why $detail"
  fi
}

# What was begun under another lineage or epoch, and has not ended, is ended. What can't be -> $unended.
end_others() {
  unended=
  set +f
  set -- e/*.s
  set -f
  for started_file; do
    token=${started_file#e/} token=${token%.s}
    t=e/$token
    [ -e "$t.d" ] && continue           # a builtin's look first: there may be thousands
    record_of "$t.s" || continue
    case " $record" in *" $lineage $epoch") continue ;; esac
    end_effect
    case $found in started | orphan) unended="$unended $t" ;; esac
  done
}

# What runs before k_forget left, and effects outside of a run of another epoch: their files go, unless it is
# $unended. A DONE goes before its STARTED, as the letters come.
forget_runs() {
  [ "$k_forget" -gt 0 ] || return 0
  set +f
  set -- e/*
  old='' n=0
  for file; do
    case $file in
      e/i.*-*) run=${file##*-} run=${file%"-$run"} run=${run##*.}; [ "$run" = "$epoch" ] && continue ;;
      e/*.*.*) run=${file#*.} run=${run%%.*}; number "$run" && [ "$run" -lt "$k_forget" ] || continue ;;
      *) continue ;;
    esac
    for living in $unended; do
      case $file in "$living".*) continue 2 ;; esac
    done
    old="$old $file" n=$((n + 1))
    [ $n -lt 200 ] || { rm -f $old; old='' n=0; }
  done
  for file in s/*.log; do
    service=${file#s/} service=${service%.log}
    [ -e "$file" ] && [ ! -e "m/$service" ] && [ ! -e "s/$service.daemon" ] || continue
    old="$old $file $file.1 s/$service.exit"
  done
  set -f
  [ -z "$old" ] || rm -f $old
}

refuse() { why=$1; text "$2"; detail=$value; return 1; }

# Under the lock: the fence and the nonce are checked, we become the owner, and the fence is raised.
# What raised it before us and started an effect has its STARTED on the disk by then.
lock() {
  baseline && folders || return
  writable lock || { refuse state "cannot write in $state/site-$site"; return; }
  [ -n "$held" ] || exec 9>>lock
  tries=0
  until [ -n "$held" ] || flock -n 9 9>&9; do     # 9>&9: there are shells that would close it
    check_fence || return
    if record_of owner; then displace $record || return; fi
    tries=$((tries + 1))
    [ $tries -lt 100 ] || { refuse busy -; return; }
    nap 5
  done
  check_fence && check_nonce || return
  me
  own_pid=$pid own_start=$start
  printf '%s %s %s %s %s .\n' "$pid" "$start" "$boot" "$k_lineage" "$k_epoch" >owner ||
    { refuse state "cannot write $state/site-$site/owner"; return; }
  raise_fence && make_nonce
}

baseline() {
  for tool in setsid flock env dd wc cat head tail cp mv rm mkdir chmod sync sha256sum sleep timeout; do
    command -v $tool >/dev/null || { refuse baseline $tool; return; }
  done
}

folders() {
  folder=$state/site-$site
  [ -n "$entered" ] && [ -d e ] && [ -d m ] && [ -d s ] && [ -w e ] && return
  [ -n "$entered" ] && folder=.
  step mkdir -p "$folder/e" "$folder/m" "$folder/s" ||
    { refuse state "cannot make $state/site-$site: $detail"; return; }
  [ -n "$entered" ] || enter || refuse state "cannot enter $folder"
}

check_fence() {
  fence_lineage='' fence_epoch=0 fence_holder=-
  if [ ! -e fence ]; then
    [ "$k_seen" -eq 0 ] || ! any_entry || refuse went-back 0
    return
  fi
  record_of fence || { refuse state "the fence is torn: $state/site-$site/fence"; return; }
  set -- $record
  fence_lineage=$1 fence_epoch=$2 fence_holder=$3
  why=
  if [ "$fence_lineage" != "$k_lineage" ]; then
    [ "$k_expect" = "$fence_lineage:$fence_epoch" ] || why=lineage
  elif [ "$k_epoch" -lt "$fence_epoch" ]; then
    why=epoch
  elif [ "$fence_epoch" -lt "$k_seen" ]; then     # restored from an old image
    refuse went-back "$fence_epoch"
    return
  fi
  detail=$fence_lineage:$fence_epoch:$fence_holder
  [ -z "$why" ]
}

any_entry() {
  set +f
  set -- m/*
  set -f
  [ -e "$1" ]
}

# displace PID START BOOT LINEAGE EPOCH: the owner of the lock is killed if we come after it. It may have
# raised its own epoch since it wrote that: then we kill it, and are refused by the fence ourselves.
displace() {
  alive "$1" "$2" "$3" || return 0
  if [ "$4" = "$k_lineage" ]; then
    [ "$k_epoch" -gt "$5" ] || { refuse busy "$1"; return; }
  elif [ "${k_expect%%:*}" != "$4" ]; then
    detail=$fence_lineage:$fence_epoch:$fence_holder why=lineage
    return 1
  fi
  kill -KILL "$1" 2>/dev/null || ! alive "$1" "$2" "$3" || refuse busy "$1"
}

check_nonce() {
  nonce=
  if record_of nonce; then
    nonce=$record
    [ "$k_nonce" = - ] || [ "$k_nonce" = "$nonce" ] || refuse nonce "$nonce"
  else
    [ "$k_nonce" = - ] || refuse nonce absent
  fi
}

raise_fence() {
  [ "$fence_lineage $fence_epoch $fence_holder" != "$k_lineage $k_epoch $k_holder" ] || return 0
  { printf '%s %s %s .\n' "$k_lineage" "$k_epoch" "$k_holder" >fence.new; } 2>/dev/null &&
    sync fence.new && mv -f fence.new fence && sync . || refuse state "cannot write $state/site-$site/fence"
}

make_nonce() {
  [ -z "$nonce" ] || return 0
  read -r nonce </proc/sys/kernel/random/uuid
  { printf '%s .\n' "$nonce" >nonce.new; } 2>/dev/null &&
    sync nonce.new && mv -f nonce.new nonce && sync . || refuse state "cannot write $state/site-$site/nonce"
}

unlocked() {                            # says so when it is
  [ -z "$held" ] || return 1
  say "R $id refused unlocked -"
}

# ---------------------------------------------------------------- the record of a token

look() {                                # -> $found: absent started orphan lost done
  found=absent
  [ -n "$entered" ] && record_of "$t.s" || return 0
  set -- $record
  found=done
  record_of "$t.d" && return
  found=started
  alive "$1" "$2" "$3" && return
  found=done
  record_of "$t.d" && return            # it ended while we looked
  found=lost
  if record_of "$t.p" && alive $record; then found=orphan; fi
}

reply() {
  look
  [ $found = done ] || { say "R $id $found"; return; }
  record_of "$t.d"
  set -- $record
  out=$3 err=$5
  [ "$out" -le "$preview" ] || out=$preview
  [ "$err" -le "$preview" ] || err=$preview
  say "R $id done $record $out $err"
  if [ "$out" -eq "$3" ] && [ "$err" -eq "$5" ]; then
    [ $((out + err)) -eq 0 ] || cat "$t.o" "$t.e" >&8 || exit 1
  else
    head -c "$out" "$t.o" >&8 && head -c "$err" "$t.e" >&8 || exit 1
  fi
}

mend() {                                # a STARTED torn by a power cut was never started
  [ -e "$t.s" ] && ! record_of "$t.s" || return 0
  nap 20
  record_of "$t.s" || rm -f "$t.s"
}

performed() { mend; [ -e "$t.s" ]; }

# effect BODY LINE...: runs BODY under a supervisor unless the token has a record, and answers from it.
effect() {
  if ! unlocked; then
    if performed || { supervised "$@"; [ $? -ne 75 ]; }; then
      reply
    else
      rm -f "$t.s"
      fail "$unrecorded"
    fi
  fi
  case $input in *.in) rm -f "$input" ;; esac
}

supervised() ( supervise "$@" )         # a process of its own, in the foreground

supervise() {                           # lives on when the runner is killed
  exec 8>&- </dev/null 2>/dev/null
  trap ':' HUP PIPE INT QUIT            # not TERM: a fresh fork would swallow the one for the watchdog
  me
  supervisor=$pid
  set -C
  { print_started >"$t.s"; } || exit 75
  set +C
  sync "$t.s" e || exit 75              # STARTED is durable, ...
  record_of fence
  case $record in
    "$lineage $epoch "*) ;;
    *) printf 'fenced 0 0 - 0 - .\n' >"$t.d"; exit 1 ;;
  esac
  exec 9>&-                             # ... and only now may another runner get the lock
  "$@"
  outcome
}

print_started() { printf '%s %s %s %s %s %s .\n' "$pid" "$start" "$boot" "$operation" "$lineage" "$epoch"; }

# outcome [STARTED]: DONE is durable before anybody hears of it; STARTED, if it is to be written, is after it.
outcome() {
  late=${1-} osize=0 osha=- esize=0 esha=-
  set --
  [ "$how" != flood ] || cut_output
  if [ -s "$t.o" ] || [ -s "$t.e" ]; then
    { true; } >>"$t.o" >>"$t.e"
    IFS=" $newline"
    set -- $(wc -c "$t.o" "$t.e")
    IFS=' '
    osize=$1 esize=$3
    [ "$osize" -le "$preview" ] || { sha_of "$t.o"; osha=$value; }
    [ "$esize" -le "$preview" ] || { sha_of "$t.e"; esha=$value; }
    set -- "$t.o" "$t.e"
  fi
  printf '%s %s %s %s %s %s .\n' "$how" "$status" "$osize" "$osha" "$esize" "$esha" >"$t.d" &&
    { [ -z "$late" ] || print_started >"$late"; } &&
    sync "$@" "$t.d" $late e && return
  rm -f "$t.d" $late
  [ -n "$late" ] || no_room
}

# The disk is full. What it printed goes, since it may not be all of it, and the outcome takes the place of
# what is known of its process, which takes no room: only its first line counts.
no_room() {
  rm -f "$t.o" "$t.e"
  [ ! -e "$t.p" ] || { printf 'full %s 0 - 0 - .\n' "$status" 1<>"$t.p" && sync "$t.p" && mv -f "$t.p" "$t.d" && sync e; }
}

cut_output() {                          # to what is shown of it
  for stream in "$t.o" "$t.e"; do
    [ -f "$stream" ] && size_of "$stream" && [ "$value" -gt "$preview" ] || continue
    dd if=/dev/null of="$stream" bs=1 seek="$preview" count=0
  done 2>/dev/null
}

# settle: DONE of what needs no supervisor: it is done under the lock, and may be done again as long as it
# has no STARTED, which is therefore written last.
settle() {
  pid=$own_pid start=$own_start
  outcome "$t.s" 2>/dev/null
  if [ -e "$t.d" ]; then reply; else fail "$unrecorded"; fi
}

oops() {                                # SENTENCE: our own preparation failed; always fails
  how=error status=125
  { printf '%s\n' "$1" >"$t.e"; } 2>/dev/null
  return 1
}

op_ask() {
  keys 'wait=0' "$@"
  number "$k_wait" || die protocol ask
  looks=$((k_wait / 50))
  look
  while [ $found = started ] && [ $looks -gt 0 ]; do
    nap 5
    looks=$((looks - 1))
    look
  done
  reply
}

op_end() {
  [ $# -eq 0 ] || die protocol end
  unlocked && return
  end_effect
  reply
}

end_effect() {                          # kills what runs for the token, until there is nothing
  looks_left=100
  look
  while [ $looks_left -gt 0 ]; do
    case $found in
      started) record_of "$t.x" || printf 'killed .\n' >"$t.x" ;;   # there may be no program just now
      orphan) ;;
      *) break ;;
    esac
    slay killed
    nap 5
    looks_left=$((looks_left - 1))
    look
  done
  [ $found != lost ] || sweep_left
}

# Children of a program that nobody watches any more may have outlived it. What a START left is a service: it is
# stopped as one. Once is enough.
sweep_left() {
  record_of "$t.s"
  case $record in *' START '*) return ;; esac
  record_of "$t.p" || return
  set -- $record
  [ "$3" != "$boot" ] || sweep - "$2" "TUTTI_EFFECT=$nonce/$token/"
  rm -f "$t.p"
}

op_forget() {
  [ $# -eq 0 ] || die protocol forget
  unlocked && return
  look
  case $found in    # DONE goes first: a STARTED without it is lost, never done
    done | lost | absent)
      rm -f "$t.d" "$t.s" "$t.p" "$t.x" "$t.o" "$t.e" "$t.in" "$t.prev" "$t.prev.new" "$t.none"
      ;;
  esac
  reply
}

# ---------------------------------------------------------------- programs

# ready: how to run programs as user= in cwd= -> $run_as $cwd, or a sentence -> $trouble
ready() {
  cwd=/ run_as=
  [ "$k_cwd" = - ] || { undo "$k_cwd"; cwd=$value; }
  case $cwd in /*) ;; *) trouble="the working directory '$cwd' is no absolute path" ;; esac
  [ "$k_user" = - ] || identity
}

identity() {
  if [ "$k_user" != "$known_user" ]; then
    own_name=${own_name:-$(id -un 2>/dev/null)}
    [ "$k_user" != "$own_name" ] || return 0
    [ "$uid" = 0 ] || { trouble="cannot run programs as user $k_user: we are not root"; return; }
    account || { trouble="there is no user $k_user on this host"; return; }
    switcher || { trouble="cannot run programs as user $k_user: no setpriv, setuidgid or su"; return; }
    known_user=$k_user
  fi
  run_as=$known_switch
}

account() {                             # the passwd entry of $k_user -> $user_uid $user_gid $user_home
  entry=
  if command -v getent >/dev/null; then
    entry=$(getent passwd "$k_user")
  else
    while IFS= read -r entry; do
      case $entry in "$k_user":*) break ;; esac
      entry=
    done </etc/passwd
  fi
  case $entry in "$k_user":*:*:*:*:*:*) ;; *) return 1 ;; esac
  IFS=:
  set -- $entry
  IFS=' '
  entry=${entry#*:*:*:*:*:}             # fields may be empty, so they are not counted
  user_home=${entry%%:*}
  user_uid=$3 user_gid=$4
  number "$user_uid" && number "$user_gid"
}

switcher() {                            # -> $known_switch
  tool=$(PATH=$program_path; command -v setpriv) && case $("$tool" --help 2>&1) in
    *--reuid*)                          # busybox has a lesser one
      known_switch="$tool --reuid=$user_uid --regid=$user_gid --init-groups --"
      return
      ;;
  esac
  tool=$(PATH=$program_path; command -v setuidgid) && { known_switch="$tool $k_user"; return; }
  tool=$(PATH=$program_path; command -v su) && known_switch="su $tool"
}

# become MARK FIRST COUNT LINE...: the process becomes a program. Of the lines, the first k_env are its
# environment, and COUNT from FIRST on its arguments. $wrap: a command to run it under.
become() {
  mark=$1 first=$2 last=$(($2 + $3))
  shift 3
  i=0 count=$#
  while [ $i -lt "$count" ]; do
    if [ $i -lt "$k_env" ] || { [ $i -ge "$first" ] && [ $i -lt "$last" ]; }; then
      case $i:$1 in "$first":*=*) set -- "$@" sh -c 'exec "$@"' sh ;; esac    # env takes it for a variable
      set -- "$@" "$1"
    fi
    shift
    i=$((i + 1))
  done
  [ -z "$run_as" ] || set -- "HOME=$user_home" "USER=$k_user" "LOGNAME=$k_user" "$@"
  if [ -z "$run_as" ] && [ "$k_env" -eq 0 ]; then
    export "$mark" "PATH=$program_path"
  else
    set -- env "$mark" "PATH=$program_path" "$@"
  fi
  case $run_as in
    'su '*) set -- "${run_as#su }" -s /bin/sh -c 'exec "$@"' -- "$k_user" sh "$@" ;;
    *) set -- $run_as "$@" ;;
  esac
  set -- $wrap "$@"
  trap - HUP PIPE INT QUIT TERM
  umask 022
  cd "$cwd" || exit 125
  if [ "$locale" = unset ]; then unset LC_ALL; else LC_ALL=$locale; fi
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

# check FIRST LINE...: the check of a START or STOP, which has at most 10 seconds. Of one that took longer and
# was killed, it is $unclear what it would have said.
check() {
  saved_status=$status saved_input=$input
  first=$1
  shift
  out=/dev/null err=/dev/null input=/dev/null
  now
  deadline=$((now + 1000)) unclear=
  program 1000 '' "$first" "$k_check" "$@"
  checked=$?
  [ $checked -ne 0 ] || checked=$status
  now
  if [ "$now" -ge $deadline ]; then
    wait "$watchdog"                    # its killing must not meet the next program, which has the same mark
    unclear=1
  fi
  out=$t.o err=$t.e status=$saved_status input=$saved_input
  return "$checked"
}

op_run() {
  keys 'limit=60 every=0 user=- cwd=- service=- grace=2 env=0 argv=0 input=none' "$@"
  number "$k_env" && number "$k_argv" && [ "$k_argv" -gt 0 ] && durations "$k_limit" "$k_grace" &&
    hundredths "$k_every" && word_or_none "$k_user" && word_or_none "$k_service" || die protocol run
  every=$value
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
    if [ "$k_service" != - ] && ! { record_of "s/$k_service.daemon" && alive $record; }; then
      how=died
      tail -c 2048 "s/$k_service.log" >>"$t.e"
      return
    fi
    [ "$every" -gt 0 ] && [ "$status" -ne 0 ] || return
    [ "$gap" -le "$every" ] || gap=$every
    pause "$gap" || return
    gap=$((gap * 2))
    [ "$left" -gt 0 ] || { how=timeout; return; }
    rm -f "$t.o" "$t.e"                 # new files: who reads the old ones may go on
  done
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

# ---------------------------------------------------------------- starting and stopping a service

op_start() {
  keys 'limit=60 user=- cwd=- service= def=- daemon=0 already=0 grace=2 dirs=0 files=0 env=0 argv=0 check=0' "$@"
  number "$k_env" && number "$k_argv" && number "$k_check" && number "$k_dirs" && number "$k_files" &&
    durations "$k_limit" "$k_grace" && word_or_none "$k_user" && word "$k_service" && word_or_none "$k_def" &&
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
  keys 'limit=60 user=- cwd=- service= daemon=0 gone=0 grace=10 env=0 argv=0 check=0' "$@"
  number "$k_env" && number "$k_argv" && number "$k_check" && durations "$k_limit" "$k_grace" &&
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
      [ -z "$unclear" ] || echo "whether it lives is not known: its check did not end within 10 s" >>"$t.e"
    else
      how=absent status=0
    fi
    return
  fi
  [ "$k_gone" = 1 ] && [ "$k_check" -gt 0 ] || return
  while check $((k_env + k_argv)) "$@" || [ -n "$unclear" ]; do
    now
    if [ "$now" -ge "$end" ]; then
      how=lingers status=1
      return
    fi
    nap 10
  done
}

# ---------------------------------------------------------------- files

op_put() {
  keys 'mode=644 owner=- len=0 sha=' "$@"
  mode "$k_mode" && word_or_none "$k_owner" && number "$k_len" && word "$k_sha" || die protocol put
  with_lines 1 plain put_file
}

put_file() {
  if [ -z "$held" ] || performed; then
    receive "$k_len" /dev/null
    unlocked || reply
    return
  fi
  put_steps "$1"
  settle
}

put_steps() {
  discard "$t.e"
  if ! replaceable "$1"; then receive "$k_len" /dev/null; return; fi
  discard "$temporary"
  if ! receive "$k_len" "$temporary"; then
    discard "$temporary"
    if [ -d "${path%/*}/" ]; then oops "cannot write in ${path%/*}/"; else oops "there is no directory ${path%/*}/"; fi
    return
  fi
  sha_of "$temporary"
  if [ "$value" != "$k_sha" ]; then
    oops "the content for $path arrived damaged"
  elif ! keep_former; then
    oops "cannot keep the former $path: $detail"
  elif replace "$k_owner" "$k_mode"; then
    return
  else
    [ "$how" = error ] || oops "cannot write $path: $detail"
  fi
  discard "$temporary"
}

# What was there before the first attempt is kept: a second one finds our own.
keep_former() {
  if [ -e "$t.none" ] || [ -e "$t.prev" ] || [ -L "$t.prev" ]; then return 0; fi
  if [ -e "$path" ] || [ -L "$path" ]; then
    discard "$t.prev.new"
    step cp -pP "$path" "$t.prev.new" && { [ -L "$path" ] || step sync "$t.prev.new"; } &&
      step mv -f "$t.prev.new" "$t.prev"
  else
    step touch "$t.none"
  fi && step sync e
}

op_unput() {
  keys 'of=' "$@"
  word "$k_of" || die protocol unput
  with_lines 1 plain unput_file
}

unput_file() {
  unlocked && return
  if performed; then reply; return; fi
  unput_steps "$1"
  settle
}

unput_steps() {
  discard "$t.e"
  if [ -e "e/$k_of.prev" ] || [ -L "e/$k_of.prev" ]; then
    replaceable "$1" || return
    discard "$temporary"
    step cp -pP "e/$k_of.prev" "$temporary" && { [ -L "$temporary" ] || step sync "$temporary"; } &&
      step mv -f "$temporary" "$path" && step sync "${path%/*}/" && return
    discard "$temporary"
    oops "cannot put back $path: $detail"
  elif [ -e "e/$k_of.none" ]; then
    replaceable "$1" || return
    [ -d "${path%/*}/" ] || return 0
    step rm -f "$path" && step sync "${path%/*}/" || oops "cannot remove $path: $detail"
  else
    how=absent
  fi
}

op_get() {
  keys 'max=0' "$@"
  number "$k_max" || die protocol get
  with_lines 1 plain get_file
}

get_file() {
  case $1 in /*) ;; *) fail "'$1' is no absolute path"; return ;; esac
  [ -f "$1" ] && [ -r "$1" ] || { fail "cannot read $1: no such file, or not allowed"; return; }
  copy=$(mktemp 2>/dev/null) || { fail "cannot make a temporary file"; return; }
  # A copy, since the file may change between its hash and its bytes.
  { rm -f "$copy"
    if head -c $((k_max + 1)) -- "$1" >&4 2>/dev/null; then
      size_of /proc/self/fd/3
      if [ "$value" -gt "$k_max" ]; then
        fail "$1 is larger than the limit of $k_max bytes"
      else
        size=$value
        sha_of /proc/self/fd/3
        say "R $id got $size $value"
        [ "$size" -eq 0 ] || cat /proc/self/fd/3 >&8 || exit 1
      fi
    else
      fail "cannot copy $1"
    fi
  } 3<"$copy" 4>"$copy" || fail "cannot make a temporary file"
}

op_out() {
  keys 'stream= offset=0 max=0' "$@"
  number "$k_offset" && number "$k_max" || die protocol out
  case $k_stream in out) file=$t.o ;; err) file=$t.e ;; *) die protocol stream ;; esac
  if [ -n "$entered" ] && [ -e "$file" ]; then
    { size_of /proc/self/fd/3
      size=$value n=$((value - k_offset))
      [ $n -gt 0 ] || n=0
      [ $n -le "$k_max" ] || n=$k_max
      say "R $id out $size $n"
      send "$k_offset" $n
    } 3<"$file"
  else
    look
    case $found in
      absent) fail "there is no effect $token" ;;
      *) say "R $id out 0 0" ;;
    esac
  fi
}

op_log() {
  keys 'service= max=0' "$@"
  word "$k_service" && number "$k_max" || die protocol log
  if [ -n "$entered" ] && [ -e "s/$k_service.log" ]; then
    { size_of /proc/self/fd/3
      size=$value n=$value
      [ "$n" -le "$k_max" ] || n=$k_max
      say "R $id log $n"
      send $((size - n)) "$n"
    } 3<"s/$k_service.log"
  else
    say "R $id log 0"
  fi
}

send() {                                # OFFSET N: so many bytes of descriptor 3
  [ "$2" -gt 0 ] || return 0
  tail -c "+$(($1 + 1))" /proc/self/fd/3 2>/dev/null | head -c "$2" >&8 || exit 1
}

# ---------------------------------------------------------------- items

op_items() {
  keys 'n=0' "$@"
  number "$k_n" || die protocol items
  with_lines "$k_n" plain missing_items
}

missing_items() {
  missing='' n=0
  for item; do
    name "$item" || die protocol item
    [ -e "$store/$item" ] || { missing=$missing$item$newline n=$((n + 1)); }
  done
  say "R $id items $n"
  [ $n -eq 0 ] || printf %s "$missing" >&8 || exit 1
}

op_item() {
  keys 'name= mode=444 len=0 sha=' "$@"
  name "$k_name" && mode "$k_mode" && number "$k_len" && word "$k_sha" || die protocol item
  temporary=$store/.tutti+$site+$k_name
  problem=
  if [ -z "$held" ] || [ -e "$store/$k_name" ]; then
    :
  elif [ "$store" = - ]; then
    problem='there is no store'
  elif [ ! -d "$store" ]; then
    umask 022
    step mkdir -p "$store" || problem="cannot make $store: $detail"
    umask 077
  fi
  if [ -z "$held" ] || [ -e "$store/$k_name" ] || [ -n "$problem" ]; then
    receive "$k_len" /dev/null
  else
    store_item || discard "$temporary"
  fi
  unlocked && return
  if [ -n "$problem" ]; then fail "$problem"; else say "R $id item"; fi
}

store_item() {
  problem="cannot write in $store"
  discard "$temporary"
  umask 222
  receive "$k_len" "$temporary" conv=fsync
  received=$?
  umask 077
  [ $received -eq 0 ] || return
  sha_of "$temporary"
  problem="item $k_name arrived damaged"
  [ "$value" = "$k_sha" ] || return
  problem=
  { [ "$k_mode" = 444 ] || { step chmod "$k_mode" "$temporary" && step sync "$temporary"; }; } &&
    step mv -f "$temporary" "$store/$k_name" && step sync "$store" ||
    { problem="cannot write in $store: $detail"; return 1; }
}

# ---------------------------------------------------------------- the manifest

op_entry() {
  keys 'service= probe=none limit=10 user=- cwd=- env=0 argv=0 json=0' "$@"
  word "$k_service" && hundredths "$k_limit" && [ "$value" -gt 0 ] && word_or_none "$k_user" &&
    number "$k_env" && number "$k_argv" && number "$k_json" || die protocol entry
  case $k_probe in none | daemon | run | drop) ;; *) die protocol probe ;; esac
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
    step rm -f "$entry" && step sync m || oops "cannot remove the entry of $k_service: $detail"
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
  [ $# -eq 0 ] || die protocol read
  if [ -z "$entered" ]; then
    if [ -d "$state/site-$site" ]; then fail "cannot enter $state/site-$site"; else say "R $id read - 0 - - 0"; fi
    return
  fi
  fence='- 0 -'
  if [ -e fence ]; then
    record_of fence || { fail "the fence is torn: $state/site-$site/fence"; return; }
    fence=$record
  fi
  nonce_here=-
  record_of nonce && nonce_here=$record
  set +f
  set -- m/*
  set -f
  [ -e "$1" ] || set --
  judge_all "$@"
  say "R $id read $fence $nonce_here $#"
  for file; do
    send_entry "${file#m/}" 3<"$file" || say "E ${file#m/} torn 0"    # it went away, or is not for us to read
  done
}

# judge_all FILE...: which of these live -> $verdicts: " SERVICE:LIVE ..." Programs run at the same time, as
# many as $judges, and are waited for in turn.
judge_all() {
  verdicts='' waiting='' judges=0
  for file; do
    service=${file#m/} verdict=unknown
    if entry_head 3<"$file"; then
      case $k_probe in
        none) verdict=alive ;;
        daemon) k_service=$service; verdict=dead; daemon_lives && verdict=alive ;;
        run)
          ( judge "$file" 3<"$file" ) </dev/null >/dev/null 2>&1 8>&- 9>&- &
          waiting="$waiting $service:$!" judges=$((judges + 1)) verdict=
          ;;
      esac
    fi 2>/dev/null
    [ -z "$verdict" ] || verdicts="$verdicts $service:$verdict"
    [ $judges -lt 16 ] || gather
  done
  gather
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
  [ $status -eq 0 ] || exit 1
  exit 0
}

send_entry() {                          # SERVICE, on descriptor 3
  body=
  if ! entry_is_whole; then
    live=torn
    size_of /proc/self/fd/3
    k_json=$value
  else
    live=${verdicts#*" $1:"}
    live=${live%% *}
    case $live in alive | dead | unknown) ;; *) live=unknown ;; esac
  fi
  say "E $1 $live $k_json"
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

main "$@"
