#!/bin/sh
# Makes the database cluster when the volume is empty.
set -eu
chown postgres:postgres /var/lib/postgresql
if [ -s "$PGDATA/PG_VERSION" ]; then
  echo "the cluster is there"
  exit 0
fi
cp /run/secrets/password /tmp/password
chown postgres /tmp/password
su postgres -c "initdb --auth-host=scram-sha-256 --auth-local=trust --pwfile=/tmp/password --encoding=UTF8 --locale=C"
echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
