# How check runs an engine: without privileges, on a private folder, and to its end.
#
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # engine; out, moved, tree and work come from check

# fact KEY: from the package.toml of the tree.
fact() { sed -n "s/^$1 = \"\(.*\)\"\$/\1/p" "$out/package.toml"; }

# unprivileged PROGRAM...: engines refuse root. The tree may be where nobody else can read, so that
# root becomes nobody in a namespace of its own and not another user.
unprivileged() {
    if [ "$(id -u)" = 0 ]; then
        exec unshare --user --map-user=65534 --map-group=65534 "$@"
    else
        exec "$@"
    fi
}

# run PROGRAM ARGUMENT...: from the tree.
run() { (unprivileged "$tree/bin/$1" "${@:2}"); }

# boot PROGRAM ARGUMENT...: the same, in the background; it is the engine from now on, and does not
# outlive a check that is killed.
boot() {
    (unprivileged setpriv --pdeathsig KILL "$tree/bin/$1" "${@:2}" >"$work/log" 2>&1 </dev/null) &
    engine=$!
}

# until_ready COMMAND...: asks until it succeeds.
until_ready() {
    local deadline=$((SECONDS + 20))
    until "$@" >"$work/answer" 2>&1; do
        [ -e "/proc/$engine" ] || fail 'the engine has ended by itself'
        [ $SECONDS -lt $deadline ] || fail "not ready after 20 s; it says: $(cat "$work/answer")"
        sleep 0.02
    done
}

# expect WANTED COMMAND...: the whole output of the command.
expect() {
    local wanted=$1 got
    shift
    got=$("$@" 2>&1) || fail "failed: $*: $got"
    [ "$got" = "$wanted" ] || fail "'$*' says '$got' and not '$wanted'"
}

# stopped: waits for the end of the engine, which is to be a good one.
stopped() {
    local deadline=$((SECONDS + 20))
    while [ -e "/proc/$engine" ] && ! grep -q '^State:.*zombie' "/proc/$engine/status" 2>/dev/null; do
        [ $SECONDS -lt $deadline ] || fail 'it has not stopped after 20 s'
        sleep 0.02
    done
    wait "$engine" || fail "it has stopped with code $?"
    engine=''
}

# fail WORDS...: with what the engine has said.
fail() {
    [ ! -e "$work/log" ] || tail -n 20 "$work/log" >&2
    die "$@"
}

# libraries: each comes from the tree, or is glibc's.
libraries() {
    local file line strangers=''
    while IFS= read -r file; do
        while read -r line; do
            case $line in
                *"=> $tree/"* | "$tree"/lib/ld-linux* | linux-vdso.* | /lib*/ld-linux*) continue ;;
                'statically linked' | 'not a dynamic executable' | 'ldd: warning:'*) continue ;;
                *'not found'*) ;;
                *) ! is_glibc "${line%% *}" || continue ;;
            esac
            strangers+=$'\n'"${file#"$tree/"}: $line"
        done < <(list "$file")
    done < <(elves)
    [ -z "$strangers" ] || die "these libraries come from elsewhere:$strangers"
}

# list FILE: its libraries as ldd shows them, or what is wrong with it. The tree's own loader is asked
# if it has one.
list() {
    local loader
    loader=$(echo "$tree"/lib/ld-linux*.so.*)
    if [ -e "$loader" ]; then
        "$loader" --list --library-path "$tree/lib" "$1"
    else
        ldd "$1"
    fi 2>&1 || :
}

# nothing_left: no process of the tree is alive.
nothing_left() {
    local alive
    alive=$(find /proc/[0-9]*/exe -maxdepth 0 -lname "$tree/*" 2>/dev/null) || :
    [ -z "$alive" ] || fail "still alive: $alive"
}

clean_up() {
    local process
    if [ -n "$engine" ]; then
        kill -KILL "$engine" 2>/dev/null || :
        # An engine killed like this cannot end its own children.
        for process in /proc/[0-9]*; do
            case $(readlink "$process/exe") in "$tree"/*) kill -KILL "${process##*/}" || : ;; esac
        done 2>/dev/null
        wait "$engine" 2>/dev/null || :
    fi
    [ ! -e "$tree" ] || mv "$tree" "$out"
    rm -rf "$work"
    rmdir "$moved"
}
