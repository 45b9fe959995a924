# memcached from Debian, with what it links to.
#
# shellcheck shell=bash disable=SC2034,SC2154 # sourced by build

majors='1.6'
licence=BSD-3-Clause

version() {
    local pinned
    read -r _ _ pinned _ < <(pins)
    echo "${pinned%%-*}"
}

assemble() {
    programs "$(from memcached)/usr/bin/memcached"
    debian_licence memcached
}
