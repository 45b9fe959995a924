"""Processes: starting that of a job, and finding what it leaves behind.

Must not know: when to do either.
"""

import ctypes
import os
import signal
import subprocess

PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None)


def start(config, environment):
    """Starts the program of a job as launchd.plist(5) says: it has its own session, the standard
    streams and nothing else.

    Raises OSError if it cannot be started, or if one of its files cannot be opened.
    """
    arguments = config.get("ProgramArguments") or [config["Program"]]
    streams = [
        os.open(config.get("StandardInPath", os.devnull), os.O_RDONLY),
        open_output(config.get("StandardOutPath", os.devnull)),
        open_output(config.get("StandardErrorPath", os.devnull)),
    ]
    try:
        return subprocess.Popen(
            arguments,
            executable=config.get("Program"),
            stdin=streams[0],
            stdout=streams[1],
            stderr=streams[2],
            cwd=config.get("WorkingDirectory", "/"),
            env=environment,
            umask=umask(config),
            start_new_session=True,
            preexec_fn=end_with_parent,
        )
    finally:
        for stream in streams:
            os.close(stream)


def open_output(path):
    # launchd makes the directory as well.
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)


def umask(config):
    """Decimal as an integer, octal as a string; -1 leaves it as it is."""
    value = config.get("Umask", -1)
    return int(value, 8) if isinstance(value, str) else value


def end_with_parent():
    """So that a killed launchd leaves nothing behind: macOS knows no such thing, nor does a
    launchd of macOS ever end."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def group(pid):
    """The others in the process group of a job, as {pid: name}."""
    return {member: name for member, name, pgid, _ in table() if pgid == pid and member != pid}


def escaped(pid, variables):
    """What a job has started and launchd does not reach, because it left the process group; as
    far as that can be seen: by its session, or by these variables of its environment."""
    marks = {f"{name}={value}".encode() for name, value in variables.items()}
    return {
        member: name
        for member, name, pgid, session in table()
        if pgid != pid and (session == pid or marks <= environment(member))
    }


def table():
    """The process table without zombies, as tuples of pid, name, process group and session."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:
                stat = file.read()
        except OSError:
            continue  # It has ended meanwhile.
        # The name may hold anything, but ends at the last parenthesis.
        name = stat[stat.index("(") + 1 : stat.rindex(")")]
        state, _, pgid, session = stat[stat.rindex(")") + 1 :].split()[:4]
        if state not in "ZX":
            yield int(entry), name, int(pgid), int(session)


def environment(pid):
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return set(file.read().split(b"\0"))
    except OSError:
        return set()
