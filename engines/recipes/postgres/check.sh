# A cluster in which every extension is created.
#
# shellcheck shell=bash disable=SC2154 # sourced by check

sql() { run psql -X -h "$work" -U postgres -d postgres -v ON_ERROR_STOP=1 -Atqc "$1"; }

use_engine() {
    expect "postgres (PostgreSQL) $version" run postgres --version
    run initdb -D "$work/data" -U postgres -A trust -E UTF8 --locale=C -N >"$work/log" 2>&1 || fail 'initdb failed'
    boot postgres -D "$work/data" -k "$work" -c listen_addresses=
    until_ready sql 'select 1'
    expect '' sql "set client_min_messages = warning; do \$\$ declare name text; begin
        for name in select e.name from pg_available_extensions e loop
            execute format('create extension if not exists %I cascade', name);
        end loop;
    end \$\$"
    expect t sql 'select count(*) > 40 from pg_extension'
    sql "create table greeting as select 'hello' as words" || fail 'it cannot make a table'
    expect 'hello|1' sql "select words, similarity(words, 'hello') from greeting"
    expect greeting eval "run pg_dump -h '$work' -U postgres postgres | sed -n 's/^CREATE TABLE public.\([a-z]*\) .*/\1/p'"
    run pg_ctl -D "$work/data" -m fast -w stop >/dev/null || fail 'pg_ctl cannot stop it'
    stopped
}
