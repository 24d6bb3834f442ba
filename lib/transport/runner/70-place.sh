# SPDX-License-Identifier: LGPL-3.0-or-later
# shellcheck shell=sh
# Places: where a path leads, who could have led it there, what stands there.
#
# We may act as ourselves below folders that nobody but root and us can change: these are *trusted*. A link in such
# a folder was placed by root, so it is followed. From the first folder on that belongs to the service's own user,
# a process with that user's rights acts, and follows no link. Nothing else is touched. Since nobody else can
# change a trusted folder, what was seen of one stays true until we act there.
#
# In our lists a path is one word: as text in a header is.

path_word() {                           # PATH -> $value
  case $1 in
    *[%\ "$newline"]*) ;;
    *) value=$1; return ;;
  esac
  unworded=$1 value=
  while :; do
    case $unworded in
      *[%\ "$newline"]*)
        worded=${unworded%%[%\ "$newline"]*}
        unworded=${unworded#"$worded"}
        case $unworded in
          %*) value=$value$worded%25 ;;
          ' '*) value=$value$worded%20 ;;
          *) value=$value$worded%0A ;;
        esac
        unworded=${unworded#?}
        ;;
      *) value=$value$unworded; return ;;
    esac
  done
}

# ------------------------------------------------------------------ looking

# survey PATH...: what all folders on the way to these, and what they name, are, with one fork
#   -> $seen: lines "PATH MODE UID GID", MODE in hexadecimal as stat has it
survey() {
  asked=$newline
  for surveyed; do
    way='' left=${surveyed#/}
    while [ -n "$left" ]; do
      part=${left%%/*}
      case $left in */*) left=${left#*/} ;; *) left= ;; esac
      [ -n "$part" ] || continue
      way=$way/$part
      [ -e "$way" ] || [ -L "$way" ] || break
      path_word "$way"
      case $seen$asked in *"$newline$value "* | *"$newline$value$newline"*) continue ;; esac
      asked=$asked$value$newline
    done
  done
  [ "$asked" != "$newline" ] || return 0
  set --
  IFS=$newline
  for way in $asked; do
    IFS=' '
    [ -n "$way" ] || continue
    undo "$way"
    set -- "$@" "$value"
  done
  IFS=$newline
  facts=$(stat -c '%f %u %g' -- "$@" 2>/dev/null)
  count=$#
  set -- $facts
  if [ $# -eq "$count" ]; then          # none went away meanwhile: there is a line for each, in order
    for way in $asked; do
      [ -n "$way" ] || continue
      seen=$seen$way\ $1$newline
      shift
    done
  fi
  IFS=' '
}

facts_of() {                            # PATH -> $mode_there $uid_there $gid_there; fails when nothing is there
  path_word "$1"
  case $seen in
    *"$newline$value "*) facts=${seen#*"$newline$value "}; facts=${facts%%"$newline"*} ;;
    *)
      [ -e "$1" ] || [ -L "$1" ] || return
      facts=$(stat -c '%f %u %g' -- "$1" 2>/dev/null) || return
      seen=$seen$value\ $facts$newline
      ;;
  esac
  mode_there=${facts%% *} facts=${facts#* }
  uid_there=${facts%% *} gid_there=${facts#* }
}

seen_anew() { seen=$newline; }

# locate PATH: -> $place, without links on the way; $actor, who acts there: '' or a user; $edge, the first folder
# that is that user's. Or why we may not act there -> $detail, and fails.
locate() {
  asked_for=$1 at='' todo=${1#/} hops=0 open='' edge='' actor=''
  case $1 in
    */ | */. | */..) detail="'$1' is no path of a file"; return 1 ;;
    /*) ;;
    *) detail="'$1' is no absolute path"; return 1 ;;
  esac
  while :; do
    part=${todo%%/*}
    case $todo in */*) todo=${todo#*/} ;; *) todo= ;; esac
    case $part in
      '' | .) [ -n "$todo" ] || { detail="$asked_for is a directory"; return 1; }; continue ;;
      ..) todo=${at%/*}/$todo at='' open=; continue ;;
    esac
    place=$at/$part
    if [ -z "$todo" ]; then
      [ -z "$open" ] && return
      detail="everybody may write to $at, where ${asked_for##*/} is to be: name a path in a folder of its own"
      return 1
    fi
    if ! facts_of "$place"; then        # nothing is there yet: it will be ours
      case $open/$todo/ in
        */../* | */./* | *//*) detail="there is no folder $place"; return 1 ;;
        1*) detail="everybody may write to $at, and there is no $place: make it first, or name another path"; return 1 ;;
      esac
      place=$place/$todo
      return
    fi
    case $mode_there in
      4*) walk_into "$place" || return; [ -z "$actor" ] || return 0 ;;
      a*)
        hops=$((hops + 1))
        [ -z "$open" ] || { detail="$place is a link that anybody could have placed: nothing is done through it"; return 1; }
        [ $hops -le 40 ] || { detail="$asked_for leads through too many links"; return 1; }
        target=$(readlink -- "$place" && echo .)
        target=${target%"$newline".}
        case $target in /*) at='' ;; esac
        todo=${target#/}/$todo
        ;;
      *) detail="$place is no directory"; return 1 ;;
    esac
  done
}

# walk_into FOLDER: is it one we may go through ourselves -> $at, or the service's user's -> $edge $actor $place?
walk_into() {
  if is_ours "$uid_there"; then
    case $((0x$mode_there & 0x12)) in
      0) at=$1 open=; return ;;
      16) [ "$uid" = 0 ] || [ "$gid_there" != "$(own_group)" ] || { at=$1 open=; return; } ;;
    esac
    [ $((0x$mode_there & 0x200)) -eq 0 ] || { at=$1 open=1; return; }
    detail="others than root may write to $1, and $asked_for lies below it: take that away (chmod go-w), or name another path"
    return 1
  fi
  if [ "$k_user" != - ] && be "$k_user" && [ -n "$run_as" ] && [ "$uid_there" = "$user_uid" ]; then
    case /$todo/ in */../* | */./* | *//*) detail="$asked_for leads through . or .. below $1"; return 1 ;; esac
    edge=$1 actor=$k_user place=$1/$todo
    return
  fi
  detail=$(stat -c %U -- "$1" 2>/dev/null)
  detail="$1 is owned by ${detail:-user $uid_there}, and $asked_for lies below it: nothing is done there for a service that does not run as its owner"
  return 1
}

# Is it root, or whom we act as? In a user namespace that has not all users, root outside of it shows as nobody.
is_ours() {
  [ "$1" != 0 ] && [ "$1" != "$uid" ] || return 0
  [ "$1" = 65534 ] || return 1
  while read -r first rest mapped; do
    [ "$first" -gt 65534 ] || [ $((first + mapped)) -le 65534 ] || return 1     # it is a user of ours
  done </proc/self/uid_map
}

own_group() { id -g; }

be() {                                  # USER: acts as that one from now on -> $run_as; fails when we can't
  k_user=$1 run_as=
  [ "$1" = - ] && return
  identity
  [ -z "$trouble" ] && return
  detail=$trouble trouble=
  return 1
}

# ------------------------------------------------------------------ with the rights of the service's user

user_seconds=60                         # a FIFO is read for ever
user_blocks=8388608                     # so is a device; of 512 bytes (or 1024, there are shells)

# What runs with these rights, as data: OPERATION FOLDER BELOW [ARGUMENT]. It only ever is where FOLDER is.
user_script='
umask 022
refuse() { printf "%s\n" "$*" >&2; exit 3; }
operation=$1 here=$2 below=$3
cd -P "$here" 2>/dev/null && [ "$PWD" = "$here" ] || refuse "cannot enter $here"
while :; do
  case $below in */*) ;; *) break ;; esac
  part=${below%%/*} below=${below#*/}
  [ ! -L "./$part" ] || refuse "$here/$part is a link, in a folder of $(id -un): nothing is done through it. Remove the link"
  if [ ! -d "./$part" ]; then
    [ ! -e "./$part" ] || refuse "$here/$part is no directory"
    case $operation in
      put | link | folder) mkdir "./$part" 2>/dev/null || refuse "cannot make the directory $here/$part" ;;
      look) echo none; exit ;;
      get) refuse "no such file" ;;
      *) exit 0 ;;
    esac
  fi
  cd -P "./$part" 2>/dev/null || refuse "cannot enter $here/$part"
  here=$here/$part
  [ "$PWD" = "$here" ] || refuse "$here changed while we went there"
done
name=./$below
finish() {
  if [ -L "$name" ] && [ -d "$name" ]; then rm -f "$name"; fi
  mv -f "$new" "$name" && sync .
}
case $operation in put | link) [ -L "$name" ] || [ ! -d "$name" ] || refuse "$here/$below is a directory" ;; esac
case $operation in
  look)
    if [ -L "$name" ]; then printf "l:"; readlink -- "$name"
    elif [ -f "$name" ]; then
      [ -r "$name" ] || refuse "$(id -un) may not read $here/$below"
      set -- $(sha256sum <"$name") $(stat -c "%a %Y" "$name")
      [ -O "$name" ] && whose=own || whose=other
      printf "f:%s %s %s %s\n" "$1" "$3" "$4" $whose
    elif [ -d "$name" ]; then echo directory
    elif [ -e "$name" ]; then echo other
    else echo none
    fi ;;
  get)
    [ ! -L "$name" ] || refuse "it is a link"
    [ -f "$name" ] || refuse "no such file"
    head -c "$4" <"$name" ;;
  put)
    new=./$5
    rm -f "$new"
    (umask 077; cat >"$new") && chmod "$4" "$new" && { [ -z "$6" ] || touch -d "@$6" "$new"; } &&
      sync "$new" && finish || { rm -f "$new"; exit 1; } ;;
  link) new=./$5; rm -f "$new"; ln -s -- "$4" "$new" && finish ;;
  remove) rm -f "$name" && sync . ;;
  folder) [ -d "$name" ] && [ ! -L "$name" ] || mkdir "$name" ;;
  rmdir) rmdir "$name" ;;
esac'

# as_user IN OUT OPERATION [ARGUMENT...]: does it at $place with the rights of $actor, who may try to hold us up:
# so all has a bound, and what it leaves running is killed. Or why not -> $detail.
as_user() {
  from=$1 into=$2
  be "$actor" || return
  shift 2
  doing=$1 below=${place#"$edge/"}
  shift
  set -- sh -c "$user_script" sh "$doing" "$edge" "$below" "$@"
  case $run_as in
    'su '*) set -- "${run_as#su }" -s /bin/sh -c 'exec "$@"' -- "$actor" sh "$@" ;;
    *) set -- $run_as "$@" ;;
  esac
  ( cd / && ulimit -f $user_blocks
    exec setsid env -i LC_ALL=C "PATH=$program_path" timeout -s KILL $user_seconds "$@"
  ) <"$from" >"$into" 2>"$t.u" 7>&- 8>&- 9>&- &
  leader=$!
  wait $leader
  acted=$?
  kill -KILL "-$leader" 2>/dev/null
  [ $acted -ne 0 ] || { discard "$t.u"; return 0; }
  detail=
  { IFS= read -r detail; } <"$t.u" 2>/dev/null
  discard "$t.u"
  [ -n "$detail" ] || detail="with the rights of $actor it could not be done"
  [ $acted -ne 137 ] || detail="with the rights of $actor it took longer than $user_seconds s"
  detail=${detail#mv: } detail=${detail#rm: }
  return 1
}

# ------------------------------------------------------------------ what stands there

# what_stands: at $place -> $stands: none, f:SHA (of a file, when `hashed` has it), l:TARGET, directory, other;
# of a user's also $user_mode, $user_time and whether it is his own, $user_whose. Fails with $detail.
what_stands() {
  user_mode='' user_time='' user_whose=''
  if [ -n "$actor" ]; then
    as_user /dev/null "$t.us" look || { discard "$t.us"; return 1; }
    stands=$(cat "$t.us")
    rm -f "$t.us"
    case $stands in
      l:*) path_word "$stands"; stands=$value ;;
      f:*) set -- $stands; stands=$1 user_mode=${2-} user_time=${3-} user_whose=${4-} ;;
    esac
    return 0
  fi
  if [ -L "$place" ]; then
    target=$(readlink -- "$place" && echo .)
    path_word "l:${target%"$newline".}"
    stands=$value
  elif [ -f "$place" ]; then
    path_word "$place"
    if hashed "$value"; then stands=f:$sum; else sha_of "$place" && stands=f:$value; fi
  elif [ -d "$place" ]; then stands=directory
  elif [ -e "$place" ]; then stands=other
  else stands=none
  fi
}

hashed() {                              # WORD of a path: its SHA-256 -> $sum, if it was computed
  case $sums in *"$newline$1 "*) ;; *) return 1 ;; esac
  sum=${sums#*"$newline$1 "}
  sum=${sum%%"$newline"*}
}

# hash_all WORD...: the SHA-256 of these files of ours, with one fork -> $sums: lines "PATH SHA"
hash_all() {
  hashing=$*
  set --
  for word_there in $hashing; do
    undo "$word_there"
    set -- "$@" "$value"
  done
  [ $# -gt 0 ] || return 0
  count=$#
  IFS=$newline
  set -- $(sha256sum -- "$@" 2>/dev/null)
  IFS=' '
  [ $# -eq "$count" ] || return 0       # a name with a newline in it, or one went away: each for itself, later
  for word_there in $hashing; do
    value=${1#\\}
    sums=$sums$word_there\ ${value%% *}$newline
    shift
  done
}

# ------------------------------------------------------------------ for READ

# places_of 'SERVICE PATH'...: what stands at these, counted from 0, that is not SERVICE's own
#   -> $places: "INDEX=WHAT ..." It only looks.
places_of() {
  places=
  [ $# -gt 0 ] || return 0
  seen=$newline claims=$newline k_user=- n=0
  [ -z "$entered" ] || load_claims || claims=$newline
  load_others
  for line; do word "${line%% *}" || die protocol service; done
  survey_places "$@"
  for line; do
    look_at "${line#* }"
    case $found_there in none | "service:${line%% *}") ;; *) places="$places $n=$found_there" ;; esac
    n=$((n + 1))
  done
}

survey_places() {
  count=$#
  for line; do set -- "$@" "${line#* }"; done
  shift "$count"
  survey "$@"
}

look_at() {                             # PATH -> $found_there
  if locate "$1"; then
    path_word "$place"
    if claim_of "$value"; then found_there=service:$c_service; return; fi
    if claim_of_others "$value"; then found_there=site:$o_site:$o_service; return; fi
  elif links_below "$1"; then
    found_there=unreachable
    return
  else
    place=$1
  fi
  stands_at "$place"
}

links_below() {                         # PATH: is there a link on the way to it that root need not have placed?
  way='' left=${1#/}
  while case $left in */*) ;; *) false ;; esac; do
    way=$way/${left%%/*} left=${left#*/}
    [ ! -L "$way" ] || return 0
  done
  return 1
}

stands_at() {                           # PATH -> $found_there, without a fork
  if [ -L "$1" ]; then found_there='link'
  elif [ -f "$1" ]; then found_there='file'
  elif [ -d "$1" ]; then found_there=directory
  elif [ -e "$1" ]; then found_there=other
  else
    found_there=none above=$1
    while case $above in */*) ;; *) false ;; esac; do
      above=${above%/*}
      if [ -d "$above/" ]; then
        [ -x "$above/" ] || found_there=unreachable
        return
      elif [ -e "$above" ] || [ -L "$above" ]; then     # no folder: nothing can stand below it
        found_there=unreachable
        return
      fi
    done
    found_there=unreachable             # no absolute path
  fi
}
