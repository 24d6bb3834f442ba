# shellcheck shell=sh
# Places: what stands at a path.

# places_of 'SERVICE PATH'...: what stands at these, counted from 0, but nothing -> $places: "INDEX=WHAT ..."
places_of() {
  places='' n=0
  for line; do
    word "${line%% *}" || die protocol service
    stands "${line#* }"
    [ "$value" = none ] || places="$places $n=$value"
    n=$((n + 1))
  done
}

# stands PATH -> $value: file, link, directory, other, none, unreachable. Only looks, and without a fork.
stands() {
  if [ -L "$1" ]; then value=link
  elif [ -f "$1" ]; then value=file
  elif [ -d "$1" ]; then value=directory
  elif [ -e "$1" ]; then value=other
  else
    value=none above=$1
    while case $above in */*) ;; *) false ;; esac; do
      above=${above%/*}
      if [ -d "$above/" ]; then
        [ -x "$above/" ] || value=unreachable
        return
      elif [ -e "$above" ] || [ -L "$above" ]; then     # no folder: nothing can stand below it
        value=unreachable
        return
      fi
    done
    value=unreachable                   # no absolute path
  fi
}
