#!/bin/sh
# What compose and the chart expect of the official image's start: options go to `postgres`, a new data folder is made with
# POSTGRES_PASSWORD and POSTGRES_INITDB_ARGS, root becomes the user `postgres`, and any other user id works.
set -eu

case "${1:-postgres}" in
  -*) set -- postgres "$@" ;;
  postgres) ;;
  *) exec "$@" ;;
esac

mkdir -p "$PGDATA"
chmod 700 "$PGDATA" 2> /dev/null || true
if [ "$(id -u)" = 0 ]; then
  chown -R postgres:postgres "$PGDATA"
  exec gosu postgres "$0" "$@"
fi

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  if [ -z "${POSTGRES_PASSWORD:-}" ]; then
    echo 'POSTGRES_PASSWORD is missing: the superuser of a new data folder needs one.' >&2
    exit 1
  fi
  made=$(mktemp -d)
  printf '%s\n' "$POSTGRES_PASSWORD" > "$made/password"
  # initdb asks who it runs as, and an arbitrary id has no name.
  if ! getent passwd "$(id -u)" > /dev/null; then
    printf 'postgres:x:%s:%s::%s:/bin/false\n' "$(id -u)" "$(id -g)" "$PGDATA" > "$made/passwd"
    printf 'postgres:x:%s:\n' "$(id -g)" > "$made/group"
    export NSS_WRAPPER_PASSWD="$made/passwd" NSS_WRAPPER_GROUP="$made/group"
    LD_PRELOAD=$(find /usr/lib -name libnss_wrapper.so | head -n 1)
    export LD_PRELOAD
  fi
  # Several arguments in one variable, as the official image takes them.
  # shellcheck disable=SC2086
  initdb --pgdata="$PGDATA" --username=postgres --pwfile="$made/password" --auth-local=trust \
    --auth-host=scram-sha-256 ${POSTGRES_INITDB_ARGS:-}
  echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
  unset LD_PRELOAD NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP
  rm -rf "$made"
fi

exec "$@"
