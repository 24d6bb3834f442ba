# SPDX-License-Identifier: LGPL-3.0-or-later
# shellcheck shell=sh
# Processes.

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

# kill_tree PID START BOOT GRACE MARK: $stop_signal to its group, KILL when all of that has ended or after GRACE
# hundredths; then whatever is left of its session or bears the mark. What changes both its session and its
# environment escapes.
kill_tree() {
  kill "-$stop_signal" "-$1" 2>/dev/null || kill "-$stop_signal" "$1" 2>/dev/null
  now
  end=$((now + $4)) pace=1 member=''
  while { alive "$1" "$2" "$3" || group_lives "$1"; } && [ "$now" -lt "$end" ]; do
    nap $pace
    [ $pace -ge 8 ] || pace=$((pace * 2))
    now
  done
  kill -KILL "-$1" 2>/dev/null
  sweep "$1" "$2" "$5"
}

group_lives() {                         # GROUP: is there a process of it that is no zombie? -> $member, one such
  kill -0 "-$1" 2>/dev/null || return 1
  group=$1
  in_group "$member" && return          # as a look before found it
  candidates ") S 0 $group " stat ") [^ZX] [0-9]* $group "
  IFS=$newline
  for member in $candidates; do
    IFS=' '
    member=${member#/proc/} member=${member%%/*}
    in_group "$member" && return
  done
  IFS=' '
  return 1
}

in_group() {                            # PID: is it of $group, and no zombie?
  [ -n "$1" ] && stat_of "$1" || return
  set -- $stat
  case $1 in Z | X) return 1 ;; esac
  [ "$3" = "$group" ]
}

# sweep SESSION START MARK: kills all that started at START or later and is of SESSION (-: of none; 0 is a
# session of others, as of all in a container that its own init did not start) or bears the mark, until a look
# finds none, for a second at most.
sweep() {
  session=$1 since=$2 mark=$3 looks=0
  while [ $looks -lt 20 ]; do
    ended=
    if [ "$session" = - ]; then
      candidates "$mark" environ "$mark"
    else
      candidates "$mark" 'environ stat' "$mark" ") [^ZX] [0-9]* [0-9]* $session "
    fi
    IFS=$newline
    for process in $candidates; do
      IFS=' '
      process=${process#/proc/} process=${process%%/*}
      stat_of "$process" || continue
      case $stat in Z* | X*) continue ;; esac
      belongs $stat && me && [ "$process" != "$pid" ] || continue
      kill -KILL "$process" 2>/dev/null && ended=1
    done
    IFS=' '
    [ -n "$ended" ] || return 0
    sleep 0.05 2>/dev/null
    looks=$((looks + 1))
  done
}

# candidates SAMPLE 'FILE...' PATTERN...: which processes have a match in one of these files of theirs -> $candidates,
# lines of /proc/PID/... Others may be among them, as who has the pattern for a name, or all: look at each.
# One grep reads the files of all, for `read` of a shell takes a system call for each byte. SAMPLE matches, too, and
# is in grep's own environment, which comes last: that this was found tells that grep could do all that (there are
# some without -z, and so many processes that their names are too long for a command).
candidates() {
  sample=$1 files=$2
  shift 2
  for pattern; do
    set -- "$@" -e "$pattern"
    shift
  done
  set +f
  for file in $files; do
    set -- "$@" /proc/[0-9]*/$file      # before grep is: it does not find itself
  done
  candidates=$(TUTTI_SAMPLE=$sample grep -lzs "$@" /proc/self/environ 2>/dev/null)
  case $candidates in
    */proc/self/environ) candidates=${candidates%/proc/self/environ} ;;
    *) IFS=$newline; set -- /proc/[0-9]*; candidates="$*" IFS=' ' ;;
  esac
  set -f
}

belongs() {                             # what stat_of gives, of $process
  [ "${20}" -ge "$since" ] && { [ "$4" = "$session" ] || marked "$process" "$mark"; }
}

slay() {                                # WHY: kills what runs for the token; fails when nothing does
  why=$1
  record_of "$t.p" || return 1
  set -- $record
  alive "$1" "$2" "$3" || return 1
  [ -z "$why" ] || printf '%s .\n' "$why" >"$t.x"
  kill_tree "$1" "$2" "$3" "$4" "TUTTI_EFFECT=$nonce/$token/"
}

daemon_lives() {                        # that of $k_service -> $record. 2: nobody knows
  record_of "s/$k_service.daemon" || return 1
  alive $record && return
  under_systemd && unit_lives
}
