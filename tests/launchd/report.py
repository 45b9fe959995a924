"""What `launchctl print` shows, in the form that launchd has today (see printed/).

launchctl(1) promises nothing about this form, only that people can read it.
"""

import os
import select
import signal
import socket

# Any number does: it names the login session.
AUDIT_SESSION = 100015

DEFAULT_PATH = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}
SPAWN_TYPES = {"Interactive": "interactive (4)", "Background": "background (5)"}
SPAWN_TYPES |= {"Adaptive": "adaptive (6)"}

# sysexits(3), which are printed with their names.
EXITS = {getattr(os, name): name for name in dir(os) if name.startswith("EX_") and name != "EX_OK"}

# strsignal(3) of Darwin.
SIGNALS = {
    signal.SIGHUP: "Hangup",
    signal.SIGINT: "Interrupt",
    signal.SIGABRT: "Abort trap",
    signal.SIGKILL: "Killed",
    signal.SIGSEGV: "Segmentation fault",
    signal.SIGTERM: "Terminated",
}


def service(domain, job):
    """One service of a domain."""
    config = job.config
    arguments = config.get("ProgramArguments") or [config["Program"]]
    own = {**config.get("EnvironmentVariables", {}), "XPC_SERVICE_NAME": job.label}
    lines = [
        f"active count = {1 if job.process else 0}",
        f"path = {job.path}",
        "type = LaunchAgent",
        f"state = {job.state}",
        "",
        f"program = {config.get('Program', arguments[0])}",
        *block("arguments", arguments),
        "",
        *optional("working directory = {}", config.get("WorkingDirectory"), ""),
        *optional("stdout path = {}", config.get("StandardOutPath")),
        *optional("stderr path = {}", config.get("StandardErrorPath")),
        *block("default environment", pairs(DEFAULT_PATH)),
        "",
        *block("environment", pairs(own)),
        "",
        f"domain = {domain.name} [{AUDIT_SESSION}]",
        f"asid = {AUDIT_SESSION}",
        f"minimum runtime = {job.throttle}",
        f"exit timeout = {job.exit_timeout}",
        f"runs = {job.runs}",
        *running(job),
        last_exit(job),
        "",
        *semaphores(config.get("KeepAlive")),
        *sockets(job),
        f"spawn type = {SPAWN_TYPES.get(config.get('ProcessType'), 'daemon (3)')}",
        "jetsam priority = 40",
        "jetsam memory limit (active) = (unlimited)",
        "jetsam memory limit (inactive) = (unlimited)",
        "jetsamproperties category = daemon",
        "jetsam thread limit = 32",
        "cpumon = default",
        f"properties = {' | '.join(properties(config))}",
    ]
    return render(f"{domain.name}/{job.label}", lines)


def domain(of):
    """A whole domain."""
    active = sum(1 for job in of.jobs.values() if job.process)
    lines = [
        f"type = {'login' if of.kind == 'gui' else 'user'}",
        f"handle = {AUDIT_SESSION}",
        f"active count = {len(of.jobs) + 1}",
        f"service count = {len(of.jobs)}",
        f"active service count = {active}",
        "creator = loginwindow[1]",
        "creator euid = 0",
        f"session = {of.session}",
        *block("security context", [f"uid = {of.uid}", f"asid = {AUDIT_SESSION}"]),
        "",
        *block("services", [service_line(job) for job in of.jobs.values()]),
        "",
        *block("unmanaged processes", []),
        "",
        *disabled(of, 0).splitlines(),
        "",
        f"properties = {'gui | gui login' if of.kind == 'gui' else 'uncorked'}",
    ]
    return render(of.name, lines)


def disabled(of, depth):
    """What `enable` and `disable` have been told so far."""
    words = {True: "disabled", False: "enabled"}
    lines = block(
        "disabled services", [f'"{label}" => {words[off]}' for label, off in of.disabled.items()]
    )
    return "".join("\t" * depth + line + "\n" for line in lines)


def service_line(job):
    pid = job.process.pid if job.process else 0
    kind, number = job.last_exit or (None, None)
    status = {"code": number, "signal": -(number or 0)}.get(kind, "-")
    return f"{pid:8} {status:>6} \t{job.label}"


def running(job):
    if not job.process:
        return []
    return [
        f"pid = {job.process.pid}",
        f"immediate reason = {job.reason}",
        "forks = 0",
        "execs = 1",
        "initialized = 1",
        "trampolined = 1",
        "started suspended = 0",
        "proxy started suspended = 0",
    ]


def last_exit(job):
    """A signal takes the place of the code."""
    if job.last_exit is None:
        return "last exit code = (never exited)"
    kind, number = job.last_exit
    if kind == "signal":
        return f"last terminating signal = {SIGNALS.get(number, 'Signal')}: {number}"
    name = f": {EXITS[number]}" if number in EXITS else ""
    return f"last exit code = {number}{name}"


def semaphores(keep):
    if not isinstance(keep, dict):
        return []
    names = {"SuccessfulExit": "successful exit", "Crashed": "crashed"}
    lines = [f"{names[key]} => {int(value)}" for key, value in keep.items() if key in names]
    return [*block("semaphores", lines), ""]


def sockets(job):
    groups = [line for endpoint in job.endpoints for line in endpoint_lines(endpoint)]
    return [*block("sockets", groups), ""] if groups else []


def endpoint_lines(endpoint):
    config = endpoint.config
    family = config.get("SockFamily")
    lines = [
        f"type = {config.get('SockType', 'stream')}",
        *optional("path = {}", config.get("SockPathName")),
        *optional("service name = {}", config.get("SockServiceName")),
        *optional("family = {}", family.lower() if family in ("IPv4", "IPv6") else None),
        "",
        *block("sockets", [socket_line(opened) for opened in endpoint.sockets]),
        "",
        "active = 0",
        f"passive = {int(config.get('SockPassive', True))}",
        "bonjour = 0",
        f"ipv4v6 = {int(family == 'IPv4v6')}",
        "receive_packet_info = 0",
    ]
    return block(f'"{endpoint.name}"', lines)


def socket_line(opened: socket.socket):
    waiting = select.select([opened], [], [], 0)[0]
    return f"{opened.fileno()} ({'bytes to read' if waiting else 'no bytes to read'})"


def properties(config):
    found = ["keepalive"] if config.get("KeepAlive") else []
    found += ["runatload"] if config.get("RunAtLoad") else []
    found += ["abandon process group"] if config.get("AbandonProcessGroup") else []
    found += ["inferred program"] if "Program" not in config else []
    return found


def block(name, lines):
    return [f"{name} = {{", *(f"\t{line}" if line else "" for line in lines), "}"]


def pairs(variables):
    return [f"{name} => {value}" for name, value in variables.items()]


def optional(form, value, *more):
    return [] if value is None else [form.format(value), *more]


def render(name, lines):
    return "\n".join(block(name, lines)) + "\n"
