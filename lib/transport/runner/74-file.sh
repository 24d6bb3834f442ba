# SPDX-License-Identifier: LGPL-3.0-or-later
# shellcheck shell=sh
# Single files of a transition: put, taken back, fetched. The outputs of effects, and logs.

op_put() {
  keys 'mode=644 owner=- user=- len=0 sha=' "$@"
  mode "$k_mode" && word_or_none "$k_owner" && word_or_none "$k_user" && number "$k_len" && word "$k_sha" ||
    die protocol put
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
  seen=$newline
  if ! locate "$1" || ! may_be_file; then
    receive "$k_len" /dev/null
    oops "$detail"
    return
  fi
  coming=${place%/*}/.tutti+$site+$token        # '+' is in no site and no token
  [ -z "$actor" ] || coming=$t.in
  discard "$coming"
  if ! receive "$k_len" "$coming"; then
    discard "$coming"
    if [ -d "${place%/*}/" ]; then oops "cannot write in ${place%/*}/"; else oops "there is no directory ${place%/*}/"; fi
    return
  fi
  sha_of "$coming"
  if [ "$value" != "$k_sha" ]; then
    oops "the content for $1 arrived damaged"
  elif ! keep_former; then
    oops "cannot keep the former $place: $detail"
  elif ! put_coming; then
    oops "cannot write $place: $detail"
  fi
  discard "$coming"
}

may_be_file() {                         # can a file be at $place?
  if [ -d "$place" ] && [ ! -L "$place" ]; then detail="$place is a directory"; return 1; fi
  [ -z "$actor" ] || [ "$k_owner" = - ] || [ "$k_owner" = "$actor" ] || {
    detail="$place lies in a folder of $actor: its owner can't be $k_owner"
    return 1
  }
}

put_coming() {                          # what came becomes what is at $place
  new=$coming folders=
  if [ -n "$actor" ]; then
    if [ ! -d "${place%/*}/" ]; then detail="there is no directory ${place%/*}/"; return 1; fi
    as_user "$coming" /dev/null put "$k_mode" ".tutti+$site" ''
    return
  fi
  { [ "$k_owner" = - ] || step chown "$k_owner:" "$new" || { detail="it can't be given to $k_owner: $detail"; false; }; } &&
    step chmod "$k_mode" "$new" && step sync "$new" && put_new && step sync "${place%/*}/"
}

# What was there before the first attempt is kept: a second one finds our own. TOKEN.put says what we put there.
keep_former() {
  if [ -e "$t.none" ] || [ -e "$t.prev" ] || [ -L "$t.prev" ]; then return 0; fi
  { printf '%s .\n' "$k_sha" >"$t.put"; } 2>/dev/null || { detail="cannot write $state/site-$site/$t.put"; return 1; }
  if [ -z "$actor" ]; then
    if [ -e "$place" ] || [ -L "$place" ]; then stands=f:; else stands=none; fi
    [ "$stands" = none ] || [ -f "$place" ] || [ -L "$place" ] || { detail="it is no plain file"; return 1; }
  else
    what_stands || return
  fi
  case $stands in
    none) step touch "$t.none" ;;
    f:* | l:*)
      [ "$user_whose" != other ] || { detail="in a folder of $actor, it is somebody else's"; return 1; }
      keep_at "$t.prev"
      ;;
    *) detail="it is no plain file"; return 1 ;;
  esac && step sync "$t.put" e
}

op_unput() {
  keys 'of= user=-' "$@"
  word "$k_of" && word_or_none "$k_user" || die protocol unput
  with_lines 1 plain unput_file
}

unput_file() {
  unlocked && return
  if performed; then reply; return; fi
  discard "$t.e" "$t.n"
  if [ ! -e "e/$k_of.none" ] && [ ! -e "e/$k_of.prev" ] && [ ! -L "e/$k_of.prev" ]; then
    how=absent
  elif lock_files; then
    unput_steps "$1"
    unlock_files
    say_notes
  fi
  settle
}

unput_steps() {
  seen=$newline folders='' sums=$newline former=e/$k_of.prev
  locate "$1" || { oops "$detail"; return; }
  if [ -d "$place" ] && [ ! -L "$place" ]; then oops "$place is a directory"; return; fi
  what_stands || { oops "$detail"; return; }
  if [ -L "$former" ]; then
    former_link=$(readlink "$former" && echo .)
    former_link=${former_link%"$newline".}
    path_word "l:$former_link"
    was=$value
  elif [ -e "$former" ]; then
    sha_of "$former"
    was=f:$value
  else
    was=none
  fi
  # It is ours, or as it was, or gone; else somebody changed it since. Before there was .put, that was not asked.
  if record_of "e/$k_of.put" && [ "$stands" != "f:$record" ] && [ "$stands" != none ] && [ "$stands" != "$was" ]; then
    set_aside || { oops "$detail"; return; }
  fi
  new=${place%/*}/.tutti+$site
  case $was in
    none) [ ! -d "${place%/*}/" ] || take_away ;;
    l:*) [ "$stands" = "$was" ] || put_link "$former_link" ;;
    *) put_kept "$former" ;;
  esac && sync_folders || oops "cannot put back $place: $detail"
}

op_get() {
  keys 'max=0 user=-' "$@"
  number "$k_max" && word_or_none "$k_user" || die protocol get
  with_lines 1 plain get_file
}

get_file() {
  seen=$newline
  read_place "$1" || { fail "$detail"; return; }
  if [ -n "$actor" ]; then get_as_user; return; fi
  [ -f "$place" ] && [ -r "$place" ] || { fail "cannot read $1: no such file, or not allowed"; return; }
  copy=$(mktemp 2>/dev/null) || { fail "cannot make a temporary file"; return; }
  # A copy, since the file may change between its hash and its bytes.
  { rm -f "$copy"
    if head -c $((k_max + 1)) -- "$place" >&4 2>/dev/null; then send_copy; else fail "cannot copy $place"; fi
  } 3<"$copy" 4>"$copy" || fail "cannot make a temporary file"
}

get_as_user() {
  folder=$(mktemp -d 2>/dev/null) || { fail "cannot make a temporary folder"; return; }
  t=$folder/get copy=$folder/copy
  if ! as_user /dev/null "$copy" get $((k_max + 1)); then
    fail "cannot read $place: $detail"
  else
    send_copy 3<"$copy"
  fi
  rm -rf "$folder"
}

send_copy() {                           # of $place, on descriptor 3
  size_of /proc/self/fd/3
  if [ "$value" -gt "$k_max" ]; then
    fail "$place is larger than the limit of $k_max bytes"
  else
    size=$value
    sha_of /proc/self/fd/3
    say "R $id got size=$size sha=$value"
    [ "$size" -eq 0 ] || cat /proc/self/fd/3 >&8 || exit 1
  fi
}

# read_place PATH: as locate; a link at its end, in a trusted folder, is followed: nothing is changed there.
read_place() {
  reading=$1 links=0
  case $1 in /*) ;; *) detail="'$1' is no absolute path"; return 1 ;; esac
  while locate "$reading"; do
    [ -z "$actor" ] && [ -L "$place" ] || return 0
    links=$((links + 1))
    [ $links -le 40 ] || { detail="$1 leads through too many links"; return 1; }
    reading=$(readlink -- "$place" && echo .)
    reading=${reading%"$newline".}
    case $reading in /*) ;; *) reading=${place%/*}/$reading ;; esac
  done
  return 1
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
      say "R $id out size=$size n=$n"
      send "$k_offset" $n
    } 3<"$file"
  else
    look
    case $found in
      absent) fail "there is no effect $token" ;;
      *) say "R $id out size=0 n=0" ;;
    esac
  fi
}

op_log() {
  keys 'service= max=0' "$@"
  word "$k_service" && number "$k_max" || die protocol log
  log=s/$k_service.log
  if [ -n "$entered" ] && in_journal; then
    log=s/.$k_service.journal.$$
    journal_of "$name" >"$log"
  fi
  if [ -n "$entered" ] && [ -e "$log" ]; then
    { size_of /proc/self/fd/3
      size=$value n=$value
      [ "$n" -le "$k_max" ] || n=$k_max
      say "R $id log n=$n"
      send $((size - n)) "$n"
    } 3<"$log"
    case $log in
      *.log) [ "$size" -le 1048576 ] || cut_log "$log" ;;
      *) rm -f "$log" ;;
    esac
  else
    say "R $id log n=0"
  fi
}

in_journal() {                          # does $k_service print there? -> $name, of its unit
  record_of "s/$k_service.daemon" || return
  case $record in
    *' unit '*) record_of "s/$k_service.unit" && name=${record%% *} ;;
    *' systemd '* | *' user '*)
      { IFS= read -r record <"s/$k_service.run"; } 2>/dev/null
      case $record in *' log=journal '*) unit_of "$k_service"; name=$unit ;; *) return 1 ;; esac
      ;;
    *) return 1 ;;
  esac
}

send() {                                # OFFSET N: so many bytes of descriptor 3
  [ "$2" -gt 0 ] || return 0
  tail -c "+$(($1 + 1))" /proc/self/fd/3 2>/dev/null | head -c "$2" >&8 || exit 1
}
