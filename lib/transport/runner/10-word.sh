# SPDX-License-Identifier: LGPL-3.0-or-later
# shellcheck shell=sh
# Words, lines and bytes.

say() { printf '%s\n' "$*" >&8 || exit 1; }     # a reply that nobody reads ends the runner
die() { say "REFUSED $1 $2"; exit 3; }
fail() { text "$1"; say "R $id error why=$value"; }

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
signal() {                              # NAME: of a signal, without SIG?
  case $1 in '' | SIG* | *[!A-Z0-9]*) return 1 ;; esac
  [ ${#1} -le 10 ]
}
unit_or_none() {                        # NAME: of a unit of the host's service manager, or -
  case $1 in -) return 0 ;; -* | .* | *[!A-Za-z0-9:_.@\\-]*) return 1 ;; *.*) [ ${#1} -le 255 ] ;; *) return 1 ;; esac
}
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
  IFS=%
  set -- $1.                            # split once: what searches it again and again takes a minute for 100 kB
  IFS=' '
  value=$1
  shift
  for rest; do
    case $rest in
      0A*) value=$value$newline${rest#0A} ;;
      25*) value=$value%${rest#25} ;;
      20*) value="$value ${rest#20}" ;;
      *) die protocol escape ;;
    esac
  done
  value=${value%.}
}

text() {                        # HUNDREDTHS -> $value
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

# with_lines N plain|raw COMMAND [FIRST]: reads N lines, runs COMMAND with them. Those from FIRST on -> $raw, as they came
with_lines() {
  left=$1 kind=$2 command=$3 keep_from=$(($1 - ${4-$1})) raw=
  set --
  while [ "$left" -gt 0 ]; do
    IFS= read -r value || exit 1
    [ "$left" -gt "$keep_from" ] || raw=$raw$value$newline
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
