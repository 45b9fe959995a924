# One key, over the text protocol: memcached has no client of its own.
#
# shellcheck shell=bash disable=SC2154 # sourced by check

# ask LINE...: prints the lines of the answer.
ask() {
    printf '%s\r\n' "$@" quit | python3 -c '
import socket, sys
server = socket.socket(socket.AF_UNIX)
server.settimeout(5)
server.connect(sys.argv[1])
server.sendall(sys.stdin.buffer.read())
with server.makefile(newline="\r\n") as answer:
    print(answer.read().replace("\r", ""), end="")
' "$work/socket"
}

use_engine() {
    expect "memcached $version" run memcached --version
    boot memcached --unix-socket "$work/socket" --unix-mask 700 --memory-limit 16 --threads 1
    until_ready ask version
    expect STORED ask 'set greeting 0 0 5' hello
    expect $'VALUE greeting 0 5\nhello\nEND' ask 'get greeting'
    kill -TERM "$engine"
    stopped
}
