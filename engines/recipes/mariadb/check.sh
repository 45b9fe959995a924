# A table in a new data folder.
#
# shellcheck shell=bash disable=SC2154 # sourced by check

sql() { run mariadb --no-defaults --socket "$work/socket" --user root --skip-ssl --batch --skip-column-names --execute "$1"; }

# What mariadb-install-db would do, which wants the paths that it was packaged with.
tables() {
    local share
    share=$(echo "$tree"/share/m*)
    # One statement a line.
    printf '%s;\n' 'create database mysql' 'use mysql' 'set @auth_root_socket = null'
    cat "$share"/*_{system_tables,performance_tables,system_tables_data}.sql \
        "$share/maria_add_gis_sp_bootstrap.sql" "$share"/*_sys_schema.sql
}

use_engine() {
    local files=(
        --no-defaults --basedir="$tree" --datadir="$work/data" --innodb-log-file-size=8M
    )
    expect "$version" eval "run mariadbd --no-defaults --version | sed 's/.* Ver \([0-9.]*\)-.*/\1/'"
    mkdir "$work/data"
    tables | run mariadbd "${files[@]}" --bootstrap --log-warnings=0 --enforce-storage-engine= \
        --max_allowed_packet=8M --net_buffer_length=16K >"$work/log" 2>&1 || fail 'it cannot make its tables'
    boot mariadbd "${files[@]}" --socket="$work/socket" --skip-networking --skip-ssl --pid-file="$work/pid"
    until_ready sql 'select 1'
    sql "create database shop; create table shop.greeting engine=innodb as select 'hello' as words" ||
        fail 'it cannot make a table'
    expect hello sql 'select words from shop.greeting'
    expect 1 eval "run mariadb-dump --no-defaults --socket '$work/socket' --user root --skip-ssl shop | grep -c 'INSERT INTO .greeting.'"
    kill -TERM "$engine"
    stopped
}
