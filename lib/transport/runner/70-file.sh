# shellcheck shell=sh
# Files.

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
        say "R $id got size=$size sha=$value"
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
  if [ -n "$entered" ] && [ -e "s/$k_service.log" ]; then
    { size_of /proc/self/fd/3
      size=$value n=$value
      [ "$n" -le "$k_max" ] || n=$k_max
      say "R $id log n=$n"
      send $((size - n)) "$n"
    } 3<"s/$k_service.log"
  else
    say "R $id log n=0"
  fi
}

send() {                                # OFFSET N: so many bytes of descriptor 3
  [ "$2" -gt 0 ] || return 0
  tail -c "+$(($1 + 1))" /proc/self/fd/3 2>/dev/null | head -c "$2" >&8 || exit 1
}
