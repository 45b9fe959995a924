# One key, by the tree's valkey-cli or the system's.
#
# shellcheck shell=bash disable=SC2154 # sourced by check

cli() {
    local program
    for program in "$tree/bin/valkey-cli" "$(command -v valkey-cli redis-cli | head -n 1)"; do
        [ -x "$program" ] || continue
        "$program" -s "$work/socket" "$@"
        return
    done
    die 'neither the tree nor the system has a valkey-cli or redis-cli'
}

ready() { [ "$(cli ping)" = PONG ]; }

use_engine() {
    expect "$version" eval "run valkey-server --version | sed 's/.* v=\([0-9.]*\) .*/\1/'"
    boot valkey-server --port 0 --unixsocket "$work/socket" --unixsocketperm 700 --dir "$work" --save '' --daemonize no
    until_ready ready
    expect OK cli set greeting hello
    expect hello cli get greeting
    cli shutdown nosave
    stopped
}
