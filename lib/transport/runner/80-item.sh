# SPDX-License-Identifier: LGPL-3.0-or-later
# shellcheck shell=sh
# Items.

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
  say "R $id items n=$n"
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
