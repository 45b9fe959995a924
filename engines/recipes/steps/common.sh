# What build, check and pin share.
#
# shellcheck shell=bash
# shellcheck disable=SC2154 # tree comes from build or check

export LC_ALL=C
umask 022

say() { printf '%s: %s\n' "${0##*/}" "$*"; }

die() {
    say "$*" >&2
    exit 1
}

# need PROGRAM PACKAGE: PACKAGE is Debian's.
need() { command -v "$1" >/dev/null || die "$1 is missing: install $2"; }

# The target of this machine.
# shellcheck disable=SC2034 # for whoever sources this
host="$(uname -m)-unknown-linux-gnu"

# is_glibc LIBRARY: those are the system's, unless the tree has all of them.
is_glibc() {
    case $1 in
        ld-linux*.so.* | libc.so.6 | libm.so.6 | libdl.so.2 | libpthread.so.0 | librt.so.1 | \
            libresolv.so.2 | libutil.so.1 | libanl.so.1 | libmvec.so.1) return 0 ;;
    esac
    return 1
}

# elves: every ELF file of the tree, but those of glibc, which stay as they are.
elves() {
    local file magic
    while IFS= read -r file; do
        ! is_glibc "${file##*/}" || continue
        IFS= read -r -N 4 magic <"$file" 2>/dev/null || continue
        [ "$magic" != $'\x7fELF' ] || echo "$file"
    done < <(find "$tree" -type f | sort)
}
