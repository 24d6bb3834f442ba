#!/bin/sh
# SPDX-License-Identifier: LGPL-3.0-or-later
# postgres.sh CLUSTER COMMAND: a PostgreSQL cluster in the folder CLUSTER, with its settings in
# CLUSTER/postgresql.conf and CLUSTER/pg_hba.conf. What is interrupted can be done again: CLUSTER/data is
# always a whole one, or not there.
#
#   prepare         makes a cluster with an empty database shop, unless there is one
#   start | stop    returns when the server is up, or gone
#   alive           is it up?
#   backup          all of the cluster, on standard output; the server must be stopped
#   restore         the cluster becomes that on standard input; likewise
#   psql ...
set -eu
umask 077
cluster=$1 command=$2
shift 2
for bin in /usr/lib/postgresql/*/bin; do :; done      # Debian's, the newest
[ -x "$bin/postgres" ] || { echo "there is no PostgreSQL in /usr/lib/postgresql: install postgresql" >&2; exit 1; }
PATH=$bin:$PATH
cd "$cluster"

finish_restore() {
  [ -d restored ] || return 0
  rm -rf data
  mv restored data
  sync .
}

case $command in
  prepare)
    finish_restore
    [ ! -d data ] || exit 0
    rm -rf new
    initdb -D new -U postgres -E UTF8 --locale=C.UTF-8 -A trust --wal-segsize=1 >&2
    printf '%s\n' 'CREATE ROLE shop LOGIN' 'CREATE DATABASE shop OWNER shop' |
      postgres --single -D new postgres >/dev/null
    echo "include '../postgresql.conf'" >>new/postgresql.conf
    sync new/postgresql.conf new
    mv new data
    sync .
    ;;
  start)
    finish_restore
    pg_ctl start -w -D data -l log || { tail -n 5 log >&2; exit 1; }
    ;;
  stop) pg_ctl stop -w -m fast -D data ;;
  alive) pg_ctl status -D data ;;
  backup)
    finish_restore
    tar -C data -c .
    ;;
  restore)
    rm -rf incoming
    mkdir incoming
    tar -C incoming -x
    sync -f incoming
    mv incoming restored
    finish_restore
    ;;
  psql) exec psql -X "$@" ;;
  *) echo "postgres.sh: no command $command" >&2; exit 1 ;;
esac
