# SPDX-License-Identifier: LGPL-3.0-or-later
# shellcheck shell=sh
# State, lock and fence.

enter() {                               # from here on all our files have short names without blanks
  cd "$state/site-$site" 2>/dev/null && entered=1
}

known_format() {                        # ends us where somebody else's records would be misread
  set -- "$state/site-$site"
  [ -e "$1/format" ] || return 0
  record_of "$1/format"
  [ "$record" = "$format" ] || die format "the state in $1 is of format '$record', and this Tutti knows format\
 $format: use the Tutti that deployed there last, or a newer one"
}

op_lock() {
  keys 'lineage= epoch= seen=0 nonce=- holder=- expect=- others=keep forget=0 name=- was=-' "$@"
  word "$k_lineage" && number "$k_epoch" && number "$k_seen" && number "$k_forget" && word_or_none "$k_nonce" &&
    word_or_none "$k_name" && word_or_none "$k_was" && [ ${#k_holder} -le 500 ] || die protocol lock
  case $k_expect in
    -) ;;
    *:*) word "${k_expect%%:*}" && number "${k_expect#*:}" || die protocol expect ;;
    *) die protocol expect ;;
  esac
  case $k_others in keep | end) ;; *) die protocol others ;; esac
  if lock; then
    held=1 lineage=$k_lineage epoch=$k_epoch
    [ $k_others = keep ] || { end_others; forget_runs; }
    say "R $id locked nonce=$nonce"
  else
    [ -n "$held" ] || exec 9>&-
    say "R $id refused why=$why detail=$detail"
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
    check_fence && check_name || return
    if record_of owner; then displace $record || return; fi
    tries=$((tries + 1))
    [ $tries -lt 100 ] || { refuse busy -; return; }
    nap 5
  done
  check_fence && check_name && check_nonce || return
  me
  own_pid=$pid own_start=$start
  printf '%s %s %s %s %s .\n' "$pid" "$start" "$boot" "$k_lineage" "$k_epoch" >owner ||
    { refuse state "cannot write $state/site-$site/owner"; return; }
  raise_fence && make_nonce && make_format && keep_name
}

baseline() {
  for tool in setsid flock env dd wc cat head tail cp mv rm mkdir chmod sync sha256sum sleep timeout stat readlink; do
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

make_format() {
  [ ! -e format ] || return 0
  { printf '%s .\n' "$format" >format.new; } 2>/dev/null &&
    sync format.new && mv -f format.new format && sync . || refuse state "cannot write $state/site-$site/format"
}

check_name() {                          # what we are called in this site -> $known_name
  known_name=-
  record_of name && known_name=$record
  case $known_name in - | "$k_name" | "$k_was") return 0 ;; esac
  [ "$k_name" = - ] || refuse name "$known_name"
}

keep_name() {
  case $k_name in - | "$known_name") return 0 ;; esac
  { printf '%s .\n' "$k_name" >name.new; } 2>/dev/null &&
    sync name.new && mv -f name.new name && sync . || refuse state "cannot write $state/site-$site/name"
}

unlocked() {                            # says so when it is
  [ -z "$held" ] || return 1
  say "R $id refused why=unlocked detail=-"
}
