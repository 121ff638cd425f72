#!/bin/sh
# Writes one line for every start and says how many there are.
set -eu
PGPASSWORD=$(cat /run/secrets/password)
export PGPASSWORD
psql -q -c "set client_min_messages to warning" -f - -v ON_ERROR_STOP=1 <<'SQL'
create table if not exists visits (at timestamptz not null default now());
insert into visits default values;
SQL
echo "visits: $(psql -Atc 'select count(*) from visits')"
