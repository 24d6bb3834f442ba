# SPDX-License-Identifier: LGPL-3.0-or-later
# shellcheck shell=sh
# The set of files of a service: exactly those of a definition, or none.
#
# `files` says which paths are ours, before anything of ours is put there: the head `tutti-files 1 SERVICE... .`
# (services whose set was made by this), then for each path
#   SERVICE SHA MODE OWNER ACTOR ITEM WAS KEPT FROM PATH
# SHA: of the bytes that we put there. ACTOR: the user with whose rights, or -. WAS: the SHA of what of ours may
# still be there, or -. KEPT: what stood there before: none, f:SHA:ID of a file, l:TARGET:ID of a link, which is
# k/ID. FROM: -, or the service that it was taken from and what that one has there:
# SERVICE:SHA:MODE:OWNER:ACTOR:ITEM; it gets it back. ../made names the directories that we made on the way, of
# all sites. ../files.lock guards both across sites. Whatever is interrupted is done right by whatever comes next:
# what stands at a path is ours, or what was kept, or neither, and then it is kept aside and said.

op_files() {
  keys 'service= user=- files=0 adopt=0 gone=0' "$@"
  number "$k_files" && number "$k_adopt" && word_or_none "$k_user" && word "$k_service" && flag "$k_gone" ||
    die protocol files
  k_release=1
  with_lines $((k_files + k_adopt)) plain files_lines
}
files_lines() { effect perform_files "$@"; }
perform_files() {
  out=$t.o err=$t.e
  set_files "$@" && [ "$k_gone" = 1 ] && forget_keeping
  say_notes
}

say_notes() {                           # after what a program said, or it would be lost
  [ -s "$t.n" ] || return 0
  cat "$t.n" >>"$t.e"
}

# set_files LINE...: the set of $k_service becomes what the first $k_files lines say, "MODE OWNER|- ITEM PATH"; the
# $k_adopt lines after them, of the same form, are what the service may have had before there was a record.
# k_release=0: nothing goes. k_gone=1: the service goes. Fails with a sentence.
set_files() {
  if [ $((k_files + k_adopt)) -eq 0 ]; then
    [ "$k_release" = 1 ] || return 0
    load_claims || { oops "$detail"; return; }
    case $claims$recorded in *"$newline$k_service "* | *" $k_service:"* | *" $k_service "*) ;; *) return 0 ;; esac
  fi
  lock_files || return
  set_user=$k_user set_run_as=$run_as
  set_files_locked "$@"
  set -- $?
  unlock_files
  k_user=$set_user run_as=
  [ -z "$set_run_as" ] || identity      # for what comes now
  return "$1"
}

lock_files() {
  writable ../files.lock || { oops "cannot write $state/files.lock"; return; }
  exec 7>>../files.lock
  flock 7 7>&7
}
unlock_files() { exec 7>&-; }

set_files_locked() {
  wants=$newline going='' to_hash='' restored='' changed='' folders='' sums=$newline
  seen_anew
  load_claims || { oops "$detail"; return; }
  survey_lines "$@"
  adopt_all "$@"
  collect "$@" || return
  hash_all $to_hash
  classify && keep_all || return
  [ -z "$changed" ] || write_claims || return
  release_all && install_all || return
  [ -z "$folders" ] || sync_folders || return
  end_claims
}

# ------------------------------------------------------------------ the record

load_claims() {                         # -> $claims, each with a newline before and after it; $recorded
  claims=$newline recorded=' '
  [ -e files ] || return 0
  loaded=$(cat files)
  claims_head=${loaded%%"$newline"*}
  case $claims_head in
    'tutti-files 1 '*.) ;;
    *) detail="$state/site-$site/files is no record that this version reads"; return 1 ;;
  esac
  recorded=${claims_head#tutti-files 1} recorded=${recorded%.}
  case $loaded in *"$newline"*) claims=$newline${loaded#*"$newline"}$newline ;; esac
}

write_claims() {
  { printf 'tutti-files 1%s.%s' "$recorded" "$claims" >files.new; } 2>/dev/null &&
    sync files.new && mv -f files.new files && sync . && return
  oops "cannot write $state/site-$site/files (is the disk full?)"
}

claim_of() {                            # WORD of a path -> $claim, without the path, and its fields
  case $claims in *" $1$newline"*) ;; *) return 1 ;; esac
  claim=${claims%%" $1$newline"*}
  claim=${claim##*"$newline"}
  set -- $claim
  c_service=$1 c_sha=$2 c_mode=$3 c_owner=$4 c_actor=$5 c_item=$6 c_was=$7 c_kept=$8 c_from=$9
}

drop_claim() {                          # WORD of a path
  claim_after=${claims#*" $1$newline"}
  claims=${claims%%" $1$newline"*}
  claims=${claims%"$newline"*}$newline$claim_after
}

put_claim() {                           # WORD: of what c_... say
  case $claims in *" $1$newline"*) drop_claim "$1" ;; esac
  claims=$claims$c_service\ $c_sha\ $c_mode\ $c_owner\ $c_actor\ $c_item\ $c_was\ $c_kept\ $c_from\ $1$newline
  changed=1
}

# What we put there, or kept, or of the service that it was taken from: nobody else changed it.
is_known() {                            # STANDS, beside c_...
  case $1 in
    none | "f:$c_sha" | "f:$c_was" | "${c_kept%:*}") return 0 ;;
    f:*) case $c_from in *:"${1#f:}":*) return 0 ;; esac ;;
  esac
  return 1
}

# ------------------------------------------------------------------ what is to be

# What a service had before there was a record of it is ours, if it is what we would have written.
adopt_all() {                           # LINE...
  case $recorded in *" $k_service "*) return 0 ;; esac
  [ $((k_files + k_adopt)) -gt 0 ] || return 0
  shift "$k_files"
  adopting=$newline
  for line; do
    case $adopting in *"$newline$line$newline"*) continue ;; esac
    [ "$k_adopt_left" -gt 0 ] || break
    k_adopt_left=$((k_adopt_left - 1))
    adopt_line "$line" || continue
    adopting=$adopting$line$newline
    path_word "$store/$c_item"
    to_hash="$to_hash $value"
    [ -n "$actor" ] || to_hash="$to_hash $a_path"
  done
  hash_all $to_hash
  to_hash=''
  IFS=$newline
  for line in $adopting; do
    IFS=' '
    [ -n "$line" ] && adopt_line "$line" && item_sha "$c_item" || continue
    c_sha=$value
    what_stands && [ "$stands" = "f:$c_sha" ] || continue
    c_service=$k_service c_actor=${actor:--} c_was=- c_kept=none c_from=-
    put_claim "$a_path"
  done
  IFS=' '
  recorded="$recorded$k_service " changed=1
}

adopt_line() {                          # 'MODE OWNER|- ITEM PATH' -> $c_mode $c_owner $c_item $place $a_path
  line_left=$1
  n_mode=${line_left%% *} line_left=${line_left#* }
  n_owner=${line_left%% *} line_left=${line_left#* }
  n_item=${line_left%% *} line_left=${line_left#* }
  mode "$n_mode" && word_or_none "$n_owner" && name "$n_item" && [ -f "$store/$n_item" ] &&
    locate "$line_left" && [ -f "$place" ] && [ ! -L "$place" ] || return
  path_word "$place"
  a_path=$value
  ! claim_of "$a_path" || return
  c_mode=$n_mode c_owner=$n_owner c_item=$n_item
}

item_sha() {                            # ITEM -> $value
  path_word "$store/$1"
  if hashed "$value"; then value=$sum; else sha_of "$store/$1"; fi
}

# collect LINE...: -> $wants: lines "PATH MODE OWNER ITEM ACTOR EDGE"; $going: the paths of ours that go; $to_hash
collect() {
  lines_left=$k_files
  for line; do
    [ "$lines_left" -gt 0 ] || break
    lines_left=$((lines_left - 1))
    collect_one "$line" || return
  done
  [ "$k_release" = 1 ] || return 0
  IFS=$newline
  for line in $claims; do
    IFS=' '
    case $line in "$k_service "*) ;; *) continue ;; esac
    line=${line##* }
    case $wants in *"$newline$line "*) continue ;; esac
    going="$going $line"
  done
  IFS=' '
}
survey_lines() {                        # all paths of these lines, and of our claims, with one fork
  n=$# lines_left=$((k_files + k_adopt)) k_adopt_left=$k_adopt
  for line; do
    [ "$lines_left" -gt 0 ] || break
    lines_left=$((lines_left - 1))
    set -- "$@" "${line#* * * }"
  done
  shift "$n"
  IFS=$newline
  for line in $claims; do
    IFS=' '
    case $line in "$k_service "*) undo "${line##* }"; set -- "$@" "$value" ;; esac
  done
  IFS=' '
  survey "$@"
}

collect_one() {                         # 'MODE OWNER|- ITEM PATH'
  line_left=$1
  w_mode=${line_left%% *} line_left=${line_left#* }
  w_owner=${line_left%% *} line_left=${line_left#* }
  w_item=${line_left%% *} line_left=${line_left#* }
  mode "$w_mode" && word_or_none "$w_owner" && name "$w_item" || { oops "no file: $1"; return; }
  locate "$line_left" || { oops "$detail"; return; }
  if [ -n "$actor" ] && [ "$w_owner" != - ] && [ "$w_owner" != "$actor" ]; then
    oops "$place lies in a folder of $actor: its owner can't be $w_owner. Leave #:owner out, or name another path"
    return
  fi
  if [ -d "$place" ] && [ ! -L "$place" ]; then oops "$place is a directory, and a file is to be there"; return; fi
  if [ -e "$place" ] && [ ! -f "$place" ] && [ ! -L "$place" ]; then
    oops "$place is no plain file (a device, a socket or a FIFO), and a file is to be there"
    return
  fi
  [ -f "$store/$w_item" ] || { oops "there is no item $w_item in $store"; return; }
  path_word "$place"
  w_path=$value
  case $wants in
    *"$newline$w_path "*) oops "two files of $k_service are to be at $place"; return ;;
  esac
  path_word "${edge:--}"
  wants=$wants$w_path\ $w_mode\ $w_owner\ $w_item\ ${actor:--}\ $value$newline
  if claim_of "$w_path"; then
    if [ -z "$actor" ] && [ -f "$place" ] && [ ! -L "$place" ]; then to_hash="$to_hash $w_path"; fi
    [ "$c_item" = "$w_item" ] && return
  fi
  path_word "$store/$w_item"
  case " $to_hash " in *" $value "*) ;; *) to_hash="$to_hash $value" ;; esac
}

# ------------------------------------------------------------------ taking

# classify: whose each path is that is wanted -> the claims as they will be; $install: what is to be put there;
# $to_keep and $to_set_aside: paths where something stands that is not ours.
classify() {
  to_keep='' aside='' install='' new_paths=''
  IFS=$newline
  for line in $wants; do
    IFS=' '
    classify_one $line || return
  done
  IFS=' '
  [ -z "$new_paths" ] || refuse_foreign $new_paths || return
  [ "$k_release" = 1 ] || return 0
  give_up_loans
}

classify_one() {                        # PATH MODE OWNER ITEM ACTOR EDGE
  w_path=$1 w_mode=$2 w_owner=$3 w_item=$4 w_actor=$5
  at_path "$1" "$5" "$6"
  what_stands || { oops "$detail"; return; }
  case $stands in directory | other) oops "$place is no plain file, and a file is to be there"; return ;; esac
  if claim_of "$w_path"; then
    if [ "$c_item" = "$w_item" ]; then w_sha=$c_sha; else item_sha "$w_item"; w_sha=$value; fi
    is_known "$stands" || aside="$aside $w_path"
    case $stands in
      "f:$w_sha") w_was=- ;;
      "f:$c_sha") w_was=$c_sha ;;
      "f:$c_was") w_was=$c_was ;;
      *) w_was=- ;;
    esac
    w_kept=$c_kept w_from=$c_from
    [ "$c_service" = "$k_service" ] || w_from=$c_service:$c_sha:$c_mode:$c_owner:$c_actor:$c_item
    before="$c_service $c_sha $c_mode $c_owner $c_actor $c_item"
  else
    item_sha "$w_item"
    w_sha=$value w_was=- w_kept=none w_from=- before=
    new_paths="$new_paths $w_path"
    [ "$stands" = none ] || to_keep="$to_keep $w_path"
  fi
  c_service=$k_service c_sha=$w_sha c_mode=$w_mode c_owner=$w_owner c_actor=$w_actor c_item=$w_item
  c_was=$w_was c_kept=$w_kept c_from=$w_from
  [ "$before" = "$c_service $c_sha $c_mode $c_owner $c_actor $c_item" ] || put_claim "$w_path"
  [ "$stands" = "f:$w_sha" ] && is_as_wanted || install="$install $w_path"
}

is_as_wanted() {                        # mode and owner of what stands at $place
  [ "$w_owner" = - ] || return
  if [ -n "$actor" ]; then
    [ "$((0$user_mode))" -eq "$((0$w_mode))" ]
  else
    facts_of "$place" && [ "$uid_there" = "$uid" ] && [ $((0x$mode_there & 0xfff)) -eq "$((0$w_mode))" ]
  fi
}

at_path() {                             # WORDS of a path, of the actor and of the edge -> $place $actor $edge
  undo "$1"
  place=$value actor=$2 edge=
  [ "$actor" != - ] || { actor=; return 0; }
  undo "$3"
  edge=$value
}

refuse_foreign() {                      # WORD of a path...: a path that another site has on this host is not for us
  load_others
  for foreign; do
    claim_of_others "$foreign" || continue
    undo "$foreign"
    oops "$value belongs to service '$o_service' of site '$o_site' on this host; service '$k_service' of site '$site' can't have it: change its path, or remove it there first"
    return
  done
}

load_others() {                         # -> $others: lines "SITE SERVICE ... PATH" of all other sites here
  others=$newline
  set +f
  set -- "$state"/site-*/files
  set -f
  for theirs; do
    [ "$theirs" != "$state/site-$site/files" ] && [ -r "$theirs" ] || continue
    o_site=${theirs%/files} o_site=${o_site##*/site-}
    loaded=$(cat "$theirs")
    IFS=$newline
    set -- $loaded
    IFS=' '
    shift
    for line; do others=$others$o_site\ $line$newline; done
  done
}

claim_of_others() {                     # WORD of a path -> $o_site $o_service
  case $others in *" $1$newline"*) ;; *) return 1 ;; esac
  line=${others%%" $1$newline"*} line=${line##*"$newline"}
  o_site=${line%% *} line=${line#* }
  o_service=${line%% *}
}

# What was taken from us, and is not wanted by us any more, does not come back.
give_up_loans() {
  IFS=$newline
  for line in $claims; do
    IFS=' '
    case $line in *" $k_service:"*) ;; *) continue ;; esac
    loan=${line##* }
    claim_of "$loan" || continue
    case $c_from in "$k_service":*) ;; *) continue ;; esac
    c_from=-
    put_claim "$loan"
  done
  IFS=' '
}

# keep_all: what stands where ours comes is kept, before anything is said or changed.
keep_all() {
  [ -n "$to_keep$aside" ] || return 0
  [ -d k ] || step mkdir k || { oops "cannot make $state/site-$site/k: $detail"; return; }
  for keeping in $to_keep; do
    at_claim "$keeping" || { oops "$detail"; return; }
    what_stands || { oops "$detail"; return; }
    case $stands in
      none) continue ;;
      f:* | l:*) ;;
      *) oops "$place is no plain file, and a file is to be there"; return ;;
    esac
    [ "$user_whose" != other ] || {
      oops "$place lies in a folder of $actor and is somebody else's, so it could not be put back: give it to $actor, or remove it"
      return
    }
    read -r id </proc/sys/kernel/random/uuid
    keep_at "k/$id" || { oops "cannot keep $place: $detail"; return; }
    case $stands in f:*) sha_of "k/$id"; stands=f:$value ;; esac
    claim_of "$keeping"
    c_kept=$stands:$id
    put_claim "$keeping"
  done
  for keeping in $aside; do
    at_claim "$keeping" && set_aside || { oops "$detail"; return; }
  done
  step sync k || { oops "cannot keep the former files in $state/site-$site/k: $detail"; return; }
}

at_claim() {                            # WORD of a path that has a claim -> $place $actor $edge
  case $wants in
    *"$newline$1 "*)
      line=${wants#*"$newline$1 "}
      set -- "$1" ${line%%"$newline"*}
      at_path "$1" "$5" "$6"
      return
      ;;
  esac
  claim_of "$1"
  undo "$1"
  go_to "$value" "$c_actor" || { [ "$c_actor" != "$set_user" ] && go_to "$value" "$set_user"; }
}

go_to() {                               # PATH USER: the same, for the rights that we had there once, or have now
  be "$2" || return
  set -- "$1"
  locate "$1" || return
  [ "$place" = "$1" ] && return
  detail="$1 is not where it was: a folder on the way is a link now"
  return 1
}

keep_at() {                             # FILE: what stands at $place, f: or l:, is copied there
  discard "$1.new"
  if [ -z "$actor" ]; then
    step cp -pP "$place" "$1.new" && { [ -L "$1.new" ] || step sync "$1.new"; } && step mv -f "$1.new" "$1"
    return
  fi
  case $stands in
    l:*) undo "${stands#l:}"; step ln -s "$value" "$1.new" && step mv -f "$1.new" "$1" ;;
    *)
      as_user /dev/null "$1.new" get $((most + 1)) || return
      size_of "$1.new"
      [ "$value" -le "$most" ] || { detail="it is larger than $most bytes"; return 1; }
      case $user_mode in ????) user_mode=${user_mode#?} ;; ??) user_mode=0$user_mode ;; ?) user_mode=00$user_mode ;; esac
      mode "$user_mode" || user_mode=600
      ! number "$user_time" || touch -d "@$user_time" "$1.new" 2>/dev/null
      step chown "$actor:" "$1.new" && step chmod "$user_mode" "$1.new" || return
      step sync "$1.new" && step mv -f "$1.new" "$1"
      ;;
  esac
}

# set_aside: what stands at $place is neither ours nor what we keep: it is copied to our folder, and said.
set_aside() {
  [ -d k ] || step mkdir k || return
  name_aside
  keep_at "k/$aside_name" || { detail="cannot keep $place aside: $detail"; return 1; }
  step sync k || return
  printf 'kept aside: %s, changed since we wrote it, is now %s\n' "$place" "$state/site-$site/k/$aside_name" >>"$t.n"
}

name_aside() {                          # a name for people, of the time and of $place, that is free -> $aside_name
  path_word "$place"
  left=${value#/} aside_name=
  while case $left in */*) ;; *) false ;; esac; do aside_name=$aside_name${left%%/*}+ left=${left#*/}; done
  aside_name=$aside_name$left
  while [ ${#aside_name} -gt 180 ]; do aside_name=${aside_name#????????????????}; done
  aside_name=$(date -u +%Y-%m-%dT%H.%M.%SZ)+$aside_name
  n=1 value=$aside_name
  while [ -e "k/$value" ] || [ -L "k/$value" ]; do n=$((n + 1)) value=$aside_name+$n; done
  aside_name=$value
}

# ------------------------------------------------------------------ giving up, and putting there

release_all() {
  for releasing in $going; do
    release_one || return
    drop_claim "$releasing"
    restored=1
    if [ "$c_from" != - ]; then
      IFS=:
      set -- $c_from
      IFS=' '
      c_service=$1 c_sha=$2 c_mode=$3 c_owner=$4 c_actor=$5 c_item=$6 c_was=- c_from=-
      put_claim "$releasing"
    fi
    unmake_folders
  done
}

release_one() {                         # $releasing -> $c_..., $place
  at_claim "$releasing" || { oops "$detail"; return; }
  claim_of "$releasing"
  what_stands || { oops "$detail"; return; }
  claim_of "$releasing"
  new=${place%/*}/.tutti+$site
  [ -n "$actor" ] || discard "$new"
  case $stands in
    directory | other)
      printf 'left alone: %s is no file any more\n' "$place" >>"$t.n"
      case $c_kept in
        none) ;;
        *)
          name_aside
          step mv -f "k/${c_kept##*:}" "k/$aside_name" || { oops "cannot keep what stood at $place: $detail"; return; }
          printf 'left alone: what stood at %s before us is %s\n' "$place" "$state/site-$site/k/$aside_name" >>"$t.n"
          ;;
      esac
      c_kept=none c_from=-
      return 0
      ;;
  esac
  if [ "$c_from" != - ]; then
    is_known "$stands" || set_aside || { oops "$detail"; return; }
    give_back
    return
  fi
  [ "$stands" != "${c_kept%:*}" ] || return 0
  is_known "$stands" || set_aside || { oops "$detail"; return; }
  case $c_kept in
    none) take_away ;;
    l:*) undo "${c_kept#l:}"; put_link "${value%:*}" ;;
    f:*) put_kept "k/${c_kept##*:}" ;;
  esac || { oops "cannot put back what stood at $place: $detail"; return; }
}

give_back() {                           # to the service that it was taken from
  IFS=:
  set -- $c_from
  IFS=' '
  [ -f "$store/$6" ] || { oops "$place goes back to service '$1', but there is no item $6 in $store"; return; }
  put_item "$3" "$4" "$store/$6" || oops "cannot give $place back to service '$1': $detail"
}

take_away() {
  if [ -n "$actor" ]; then as_user /dev/null /dev/null remove; return; fi
  [ ! -e "$place" ] && [ ! -L "$place" ] && return
  step rm -f "$place" && remember_folder
}

put_link() {                            # TARGET
  make_way || return
  if [ -n "$actor" ]; then as_user /dev/null /dev/null link "$1" ".tutti+$site"; return; fi
  discard "$new"
  step ln -s "$1" "$new" && put_new
}

put_kept() {                            # FILE of ours: with its owner, mode and time
  make_way || return
  if [ -n "$actor" ]; then
    kept_mode=$(stat -c '%a %Y' -- "$1") &&
      as_user "$1" /dev/null put "${kept_mode% *}" ".tutti+$site" "${kept_mode#* }"
    return
  fi
  discard "$new"
  step cp -pP "$1" "$new" && step sync "$new" && put_new
}

put_item() {                            # MODE OWNER|- FILE
  make_way || return
  if [ -n "$actor" ]; then as_user "$3" /dev/null put "$1" ".tutti+$site" ''; return; fi
  new=${place%/*}/.tutti+$site
  discard "$new"
  { writable "$new" || listen touch "$new"; } && fill_item "$@" 5>"$new" && put_new && return
  discard "$new"
  return 1
}

fill_item() {                           # MODE OWNER|- FILE: to $new, open as descriptor 5
  { [ "$2" = - ] || step chown "$2:" "$new" || { detail="it can't be given to $2: $detail"; false; }; } && step chmod "$1" "$new" && listen fill "$3" &&
    case $1 in                          # writing takes setuid and setgid away, unless one is root
      ????) step chmod "$1" "$new" && step sync "$new" ;;
    esac
}
fill() { dd if="$1" bs=1048576 conv=fsync >&5; }

put_new() {                             # $new becomes $place, in one step
  if [ -L "$place" ] && [ -d "$place" ]; then step rm -f "$place" || return; fi
  step mv -f "$new" "$place" && remember_folder
}

remember_folder() {                     # to make durable what changed in it, with one fork for all
  path_word "${place%/*}/"
  case " $folders " in *" $value "*) ;; *) folders="$folders $value" ;; esac
}

sync_folders() {
  set --
  for folder in $folders; do
    undo "$folder"
    [ ! -d "$value" ] || set -- "$@" "$value"
  done
  [ $# -eq 0 ] || step sync "$@" || oops "cannot make the files of $k_service durable: $detail"
}

install_all() {
  for installing in $install; do
    at_claim "$installing"
    claim_of "$installing"
    put_item "$c_mode" "$c_owner" "$store/$c_item" || { oops "cannot write $place: $detail"; return; }
  done
}

# What was released is no claim of ours any more: now that all is done, the record says so.
end_claims() {
  if [ "$k_gone" = 1 ]; then
    case $recorded in *" $k_service "*) recorded=${recorded%%" $k_service "*}\ ${recorded#*" $k_service "} restored=1 ;; esac
  fi
  [ -z "$restored" ] || write_claims || return
  [ -z "$restored$changed" ] || forget_kept
}

forget_kept() {                         # what no claim speaks of: it was put back, or its keeping was interrupted
  unneeded=
  set +f
  set -- k/????????-????-????-????-????????????*
  set -f
  for keeping; do
    [ -e "$keeping" ] || [ -L "$keeping" ] || continue
    id=${keeping#k/} id=${id%.new}
    case $claims in *":$id "*) ;; *) unneeded="$unneeded $keeping" ;; esac
  done
  [ -z "$unneeded" ] || rm -f $unneeded
}

# ------------------------------------------------------------------ directories on the way

# make_way: the folder of $place is there, or its user may make it. What is made is written down before, in ../made.
make_way() {
  [ ! -d "${place%/*}/" ] || return 0
  way='' left=${place#/} making=''
  set --
  while case $left in */*) ;; *) false ;; esac; do
    way=$way/${left%%/*} left=${left#*/}
    [ ! -d "$way" ] || continue
    path_word "$way"
    making=$making$value$newline
    set -- "$@" "$way"
  done
  load_made && made=$made$making && write_made || return
  [ -z "$actor" ] || return 0
  umask 022
  step mkdir "$@" || { umask 077; detail="cannot make the directory ${place%/*}: $detail"; return 1; }
  umask 077
}

load_made() {
  made=$newline
  [ -e ../made ] || return 0
  made=$(cat ../made)
  case $made in
    'tutti-made 1 .'*) made=${made#'tutti-made 1 .'}$newline ;;
    *) detail="$state/made is not a record that this version reads"; return 1 ;;
  esac
  [ "$made" != "$newline" ] || return 0
}

write_made() {
  { printf 'tutti-made 1 .%s' "$made" >../made.new; } 2>/dev/null && sync ../made.new &&
    mv -f ../made.new ../made && sync .. || { detail="cannot write $state/made"; return 1; }
}

# unmake_folders: those on the way to $place that we made, and that are empty, go.
unmake_folders() {
  [ -e ../made ] || return 0
  load_made || { oops "$detail"; return; }
  unmade='' way=${place%/*}
  while [ -n "$way" ]; do
    path_word "$way"
    case $made in *"$newline$value$newline"*) ;; *) break ;; esac
    if [ -d "$way" ]; then rmdir_as "$way" || break; fi
    made=${made%%"$newline$value$newline"*}$newline${made#*"$newline$value$newline"} unmade=1
    way=${way%/*}
  done
  [ -z "$unmade" ] || write_made || oops "$detail"
}

rmdir_as() {                            # FOLDER: with the rights with which it was made
  case $actor:$1 in
    ?*:"$edge"/*) ;;
    *) rmdir "$1" 2>/dev/null; return ;;
  esac
  unmaking=$place
  place=$1
  as_user /dev/null /dev/null rmdir
  set -- $?
  place=$unmaking
  return $1
}
