# SPDX-License-Identifier: LGPL-3.0-or-later
# shellcheck shell=sh
# Sourced, with the root of the clone as the current directory. Installs what tests/support/packages lists.

# missing_packages GROUP...: those that are not installed, in one line.
missing_packages() {
  for group; do
    sed -n "s/^$group: *//p" tests/support/packages
  done | tr -s ' ' '\n' | while read -r package; do
    case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) in
      installed) ;;
      *) printf '%s ' "$package" ;;
    esac
  done
}

# install_missing GROUP...: installs what is missing; where it can't, says what to do and fails.
install_missing() {
  if ! command -v dpkg-query >/dev/null; then
    echo "This is no Debian system. Install what these packages of Debian 12 hold, then use --no-install:" >&2
    grep -v '^#' tests/support/packages >&2
    return 1
  fi
  missing=$(missing_packages "$@")
  missing=${missing% }
  if [ -z "$missing" ]; then
    return 0
  fi
  if [ "$(id -u)" -ne 0 ]; then
    echo "These packages are missing; have root install them, then start this again:" >&2
    echo "  apt-get update && apt-get install --no-install-recommends $missing" >&2
    return 1
  fi
  echo "Installing from Debian: $missing"
  install_quietly "$missing"
}

# A subshell, for the traps.
install_quietly() (
  policy=/usr/sbin/policy-rc.d
  mark="# Of Tutti's installation: no service is started by its package."
  log=$(mktemp)
  trap 'rm -f "$log"; if grep -qs "^$mark" "$policy"; then rm -f "$policy"; fi' EXIT
  trap 'exit 130' INT HUP TERM

  # Packages of servers start them, and enable them for the next boot. Nobody asked for that here. A policy
  # that the system already has stays what it is.
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\n%s\nexit 101\n' "$mark" >"$policy"
    chmod 755 "$policy"
  fi
  # PostgreSQL's would even make a database, with a port of its own. What the system says of that stays.
  clusters=/etc/postgresql-common/createcluster.conf
  case " $1 " in *' postgresql '*)
    if [ ! -e "$clusters" ]; then
      mkdir -p "${clusters%/*}"
      printf '%s\n' "# Of Tutti's installation: no database is made by the package." 'create_main_cluster = false' >"$clusters"
    fi ;;
  esac
  export DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1
  apt-get -q -o DPkg::Lock::Timeout=120 update </dev/null >"$log" 2>&1 ||
    { echo "apt-get update failed; trying with the package lists that are here:"; tail -n 5 "$log"; } >&2
  # shellcheck disable=SC2086 # a list of names
  if ! apt-get -q -y -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold \
       --no-install-recommends install $1 </dev/null >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    echo "apt-get could not install: $1" >&2
    exit 1
  fi
  if command -v systemctl >/dev/null; then
    for package in $1; do
      case $package in
        cron) systemctl --quiet disable cron.service ;;
        nginx) systemctl --quiet disable nginx.service ;;
        openssh-server) systemctl --quiet disable ssh.service ;;
        postgresql) systemctl --quiet disable postgresql.service ;;
      esac
    done
  fi >/dev/null 2>&1
)
