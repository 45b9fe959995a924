# What a recipe makes its tree with, and how the tree is finished.
#
# shellcheck shell=bash
# shellcheck disable=SC2154 # tree, target and work come from build

# programs FILE...: into bin/.
programs() {
    mkdir -p "$tree/bin"
    cp "$@" "$tree/bin/"
}

# licence_text NAME FILE
licence_text() {
    mkdir -p "$tree/share/licences"
    cp "$2" "$tree/share/licences/$1"
}

# debian_licence PACKAGE: its copyright file, and the common licences that this refers to.
debian_licence() {
    local folder doc owner=$1 common
    folder=$(from "$1")
    doc=$folder/usr/share/doc/$1
    if [ -L "$doc" ]; then
        owner=$(basename "$(readlink "$doc")")
        doc=$(from "$owner")/usr/share/doc/$owner
    fi
    licence_text "$owner" "$doc/copyright"
    while read -r common; do
        licence_text "$common" "$(from base-files)/usr/share/common-licenses/$common"
    done < <(grep -oE '/usr/share/common-licenses/[A-Za-z0-9.-]*[A-Za-z0-9]' "$doc/copyright" | xargs -rn 1 basename | sort -u)
}

# bundle: copies into lib/ what the programs and libraries of the tree need, and what that needs.
bundle() {
    local file library found package
    local -a open
    local -A missing=()
    mapfile -t open < <(elves)
    while [ ${#open[@]} -gt 0 ]; do
        file=${open[0]}
        open=("${open[@]:1}")
        while read -r library; do
            [ ! -e "$tree/lib/$library" ] || continue
            if [ -z "$own_glibc" ] && is_glibc "$library"; then continue; fi
            found=$(find "$work/packages" -path "*/lib/*/$library" | sort | head -n 1)
            if [ -z "$found" ]; then
                missing[$library]+=" ${file#"$tree/"}"
                continue
            fi
            package=${found#"$work/packages/"} package=${package%%/*}
            debian_licence "$package"
            mkdir -p "$tree/lib"
            cp --dereference "$found" "$tree/lib/$library"
            open+=("$tree/lib/$library")
        done < <(patchelf --print-needed "$file")
    done
    for library in "${!missing[@]}"; do
        say "$library => not found, needed by${missing[$library]}" >&2
    done
    [ ${#missing[@]} = 0 ] || die 'no pinned package has these libraries'
}

# launchers: for a tree with a glibc of its own (own_glibc). Which loader starts a program stands in
# the program as an absolute path, so that a script with its name starts it by the loader.
launchers() {
    local program loader
    loader=$(cd "$tree/lib" && echo ld-linux*.so.*)
    mkdir "$tree/libexec"
    for program in "$tree"/bin/*; do
        mv "$program" "$tree/libexec/"
        cat >"$program" <<END
#!/bin/sh
# Starts libexec/${program##*/} with the C library that it was made for.
tree=\$(dirname "\$(dirname "\$(readlink -f "\$0")")")
exec "\$tree/lib/$loader" --argv0 "\$0" --library-path "\$tree/lib" "\$tree/libexec/${program##*/}" "\$@"
END
    done
}

# strip_all: removes what only debuggers read.
strip_all() {
    local strip=strip files
    if [ "$target" != "$host" ]; then
        strip=${target%%-*}-linux-gnu-strip
        need "$strip" "binutils-${target%%-*}-linux-gnu"
    fi
    mapfile -t files < <(elves)
    "$strip" --strip-unneeded "${files[@]}"
}

# point_inside: lets everything find its libraries relative to itself.
point_inside() {
    local file inside library
    while IFS= read -r file; do
        inside=''
        while read -r library; do
            [ ! -e "$tree/lib/$library" ] || inside=1
        done < <(patchelf --print-needed "$file")
        if [ -n "$inside" ]; then
            inside=$(realpath --relative-to="${file%/*}" "$tree/lib")
            [ "$inside" != . ] && inside=\$ORIGIN/$inside || inside=\$ORIGIN
            [ "$(patchelf --print-rpath "$file")" = "$inside" ] || patchelf --set-rpath "$inside" "$file"
        elif [ -n "$(patchelf --print-rpath "$file")" ]; then
            patchelf --remove-rpath "$file"
        fi
    done < <(elves)
}

# settle: plain modes, whatever the packages had.
settle() {
    find "$tree" -type d -exec chmod 755 {} +
    find "$tree" -type f -exec chmod 644 {} +
    find "$tree" -type f \( -path "$tree/bin/*" -o -path "$tree/libexec/*" -o -name 'ld-linux*' \) -exec chmod 755 {} +
}

# needs: what the tree expects of a machine.
needs() {
    local file newest
    if [ -n "$own_glibc" ]; then
        echo 'its own glibc'
        return
    fi
    newest=$(
        while IFS= read -r file; do readelf --version-info --wide "$file"; done < <(elves) |
            grep -oE 'GLIBC_[0-9.]+' | sort -Vu | tail -n 1
    )
    echo "${newest/_/ } or newer"
}
