#!/bin/sh
# Does what the image's entrypoint does, with Debian's PostgreSQL: on a new volume, it creates the user and the database
# and runs the scripts; then it runs the command.
set -eu
PATH=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1):$PATH
export PGDATA=/var/lib/postgresql/data/pg
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  mkdir -p "$PGDATA" && chmod 700 "$PGDATA"
  printf '%s\n' "$POSTGRES_PASSWORD" > /tmp/password
  initdb --username="$POSTGRES_USER" --pwfile=/tmp/password --auth-local=trust $POSTGRES_INITDB_ARGS > /dev/null
  rm /tmp/password
  echo "host all all all $POSTGRES_HOST_AUTH_METHOD" >> "$PGDATA/pg_hba.conf"
  pg_ctl -w -o "-c listen_addresses=''" start > /dev/null
  psql -q -U "$POSTGRES_USER" -d postgres -c "CREATE DATABASE \"$POSTGRES_DB\""
  for script in /docker-entrypoint-initdb.d/*.sql; do psql -q -U "$POSTGRES_USER" -d "$POSTGRES_DB" -f "$script"; done
  pg_ctl -w -m fast stop > /dev/null
fi
exec "$@" -c listen_addresses='*' -c fsync=off
