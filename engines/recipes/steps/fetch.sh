# From the pins of a recipe to unpacked packages.
#
# What is downloaded is kept in the cache by its digest, and looked at again before it is used.
#
# shellcheck shell=bash
# shellcheck disable=SC2154 # cache, recipe, major, target and work come from build

# The pins for this major and target: source, name, version and sha256, one package a line.
pins() {
    local majors targets rest
    while read -r majors targets rest; do
        case $majors in
            '' | '#'*) continue ;;
        esac
        case ",$majors," in *",$major,"* | ',*,') ;; *) continue ;; esac
        case ",$targets," in *",$target,"* | ',*,') echo "$rest" ;; esac
    done <"$recipe/pins"
}

# in_cache SHA256
in_cache() {
    [ -e "$cache/$1" ] || return 1
    echo "$1  $cache/$1" | sha256sum --check --status && return
    say "$cache/$1 is damaged: fetching it again"
    rm "$cache/$1"
    return 1
}

# The tags of wheels that run on the target; pip wants to hear them one by one.
wheel_tags() {
    local minor
    case $target in
        *-linux-gnu)
            echo "manylinux2014_${target%%-*}"
            for minor in {5..36}; do echo "manylinux_2_${minor}_${target%%-*}"; done
            ;;
        aarch64-apple-darwin) echo macosx_15_0_arm64 ;;
        x86_64-apple-darwin) echo macosx_15_0_x86_64 ;;
    esac
}

# fetch_wheel NAME VERSION SHA256: into the current folder.
fetch_wheel() {
    local platforms
    echo "$1==$2 --hash=sha256:$3" >wanted
    mapfile -t platforms < <(wheel_tags)
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
        --python-version 3.12 "${platforms[@]/#/--platform=}" --require-hashes --dest . --requirement wanted ||
        die "cannot fetch the wheel of $1 $2 with this digest"
    rm wanted
}

# fetch_missing: brings what is pinned and not in the cache. In a subshell, which holds the lock of
# the cache: two builds fetch once.
fetch_missing() (
    local source name version sha256 file suite
    local -A debs=()
    exec 9>"$cache/lock"
    flock 9
    mkdir "$work/fetched"
    cd "$work/fetched" || exit
    while read -r source name version sha256; do
        in_cache "$sha256" && continue
        say "fetching $name $version"
        case $source in
            pypi) fetch_wheel "$name" "$version" "$sha256" ;;
            *) debs[$source]+=" $name=$version" ;;
        esac
    done < <(pins)
    for suite in "${!debs[@]}"; do
        # shellcheck disable=SC2086 # a list of words
        download "$suite" "$(debian_arch "$target")" ${debs[$suite]}
    done
    for file in *; do
        [ ! -e "$file" ] || mv "$file" "$cache/$(sha256sum <"$file" | cut -d ' ' -f 1)"
    done
)

# unpack_all: each package into $work/packages/NAME.
unpack_all() {
    local source name version sha256 into
    while read -r source name version sha256; do
        in_cache "$sha256" || die "$name $version from $source has another digest than $sha256"
        into=$work/packages/$name
        mkdir -p "$into"
        case $source in
            pypi) python3 -m zipfile -e "$cache/$sha256" "$into" ;;
            *) dpkg-deb --extract "$cache/$sha256" "$into" ;;
        esac
    done < <(pins)
}

# from NAME: the folder of an unpacked package, which counts as used from now on.
from() {
    [ -d "$work/packages/$1" ] || die "the recipe uses $1, which it does not pin for $target"
    : >"$work/packages/$1/.used"
    echo "$work/packages/$1"
}

# origin: what the tree was made of. A pin that nothing uses is an error.
origin() {
    local source name version sha256 text='' idle=''
    while read -r source name version sha256; do
        [ -e "$work/packages/$name/.used" ] || idle+=" $name"
        text+="${text:+; }$source $name $version sha256:$sha256"
    done < <(pins)
    [ -z "$idle" ] || die "these are pinned, and nothing in the tree needs them:$idle"
    echo "$text"
}
