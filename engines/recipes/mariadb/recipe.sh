# MariaDB from Debian, with what it links to: 10.11 from Debian 12, 11.8 from Debian 13, whose glibc
# is too new for many systems and therefore comes along.
#
# shellcheck shell=bash disable=SC2034,SC2154 # sourced by build

majors='10.11 11.8'
licence=GPL-2.0-only

version() {
    local pinned
    read -r _ _ pinned _ < <(pins)
    pinned=${pinned#*:}
    echo "${pinned%%-*}"
}

assemble() {
    local server client dump all share
    case $major in
        11.8) own_glibc=1 ;;
    esac
    server=$(from mariadb-server-core)
    client=$(from mariadb-client-core)
    dump=$(from mariadb-client)
    programs "$server"/usr/{sbin/mariadbd,bin/mariadb-upgrade} \
        "$client"/usr/bin/mariadb{,-check} "$dump"/usr/bin/mariadb-{dump,admin}
    all=$(echo "$server"/usr/share/m*/english)
    all=${all%/english}
    # Below the folder that the server looks into when it is told where it was unpacked.
    share=$tree/share/${all##*/}
    mkdir -p "$share"
    # What a new data folder is made of, and the messages in one language.
    cp -r "$all"/{charsets,english} "$all"/*_{system_tables,system_tables_data,performance_tables,sys_schema}.sql \
        "$all/maria_add_gis_sp_bootstrap.sql" "$share/"
    debian_licence mariadb-server-core
}
