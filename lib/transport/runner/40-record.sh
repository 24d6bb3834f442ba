# SPDX-License-Identifier: LGPL-3.0-or-later
# shellcheck shell=sh
# The record of a token.

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
  say "R $id done how=$1 status=$2 osize=$3 osha=$4 esize=$5 esha=$6 out=$out err=$err"
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
    sync "$@" "$t.d" $late $durable e && return
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
      rm -f "$t.d" "$t.s" "$t.p" "$t.x" "$t.o" "$t.e" "$t.in" "$t.prev" "$t.prev.new" "$t.none" "$t.put" "$t.n" \
        "$t.u" "$t.us"
      ;;
  esac
  reply
}
