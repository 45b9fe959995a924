"""The listening sockets that the `Sockets` of a job ask for, launchd.plist(5).

Must not know: jobs. launchd never accepts here: whoever it starts does.
"""

import contextlib
import os
import socket
from dataclasses import dataclass, field

FAMILIES = {"IPv4": socket.AF_INET, "IPv6": socket.AF_INET6, "IPv4v6": socket.AF_INET6}
# What the name stands for on macOS; here that depends on the machine.
LOCALHOST = ["127.0.0.1", "::1"]
TYPES = {
    "stream": socket.SOCK_STREAM,
    "dgram": socket.SOCK_DGRAM,
    "seqpacket": socket.SOCK_SEQPACKET,
}


@dataclass
class Endpoint:
    """One dictionary of `Sockets`, and the sockets that came of it."""

    name: str
    config: dict
    sockets: list = field(default_factory=list)
    # Why there are fewer sockets than there should be.
    failures: list = field(default_factory=list)

    def open(self):
        """Opens all sockets. A job whose address is taken is loaded all the same, with fewer."""
        try:
            addresses = self.addresses()
        except OSError as error:
            self.failures.append(str(error))
            return
        for family, address in addresses:
            self.open_one(family, address)

    def open_one(self, family, address):
        opened = socket.socket(family, TYPES[self.config.get("SockType", "stream")])
        try:
            if family == socket.AF_UNIX:
                bind_path(opened, address, self.config.get("SockPathMode"))
            else:
                bind_address(opened, address, self.config.get("SockFamily"))
            if opened.type != socket.SOCK_DGRAM:
                opened.listen(socket.SOMAXCONN)
        except OSError as error:
            opened.close()
            self.failures.append(f"{address}: {error}")
        else:
            self.sockets.append(opened)

    def addresses(self):
        """Families and addresses, as getaddrinfo(3) tells them."""
        path = self.config.get("SockPathName")
        if path is not None:
            return [(socket.AF_UNIX, path)]
        node, service = self.config.get("SockNodeName"), self.config.get("SockServiceName")
        family = FAMILIES.get(self.config.get("SockFamily"), socket.AF_UNSPEC)
        found = []
        for host in LOCALHOST if node == "localhost" else [node]:
            found += look_up(host, service, family)
        if not found:
            self.failures.append(f"{node}: no address of that family")
        return list(dict.fromkeys(found))

    def names(self):
        """The addresses that are listened on: ADDRESS:PORT, or a path."""
        return [name(opened.getsockname()) for opened in self.sockets]

    def close(self):
        """Lets go of the sockets; the path of a unix socket stays, until the next one takes it."""
        for opened in self.sockets:
            opened.close()
        self.sockets.clear()


def look_up(node, service, family):
    """The addresses of one family, or of any; none if the node has none of it."""
    try:
        found = socket.getaddrinfo(
            node, service, family, socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except socket.gaierror as error:
        if error.errno in (socket.EAI_ADDRFAMILY, socket.EAI_NONAME):
            return []
        raise
    return [(info[0], info[4]) for info in found]


def bind_path(opened, path, mode):
    """Binds a path, after removing what an earlier socket left there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    opened.bind(path)
    if mode is not None:
        os.chmod(path, mode)


def bind_address(opened, address, family):
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if opened.family == socket.AF_INET6:
        # Else it would take the IPv4 address of its twin as well.
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, family != "IPv4v6")
    opened.bind(address)


def name(address):
    return address if isinstance(address, str) else f"{address[0]}:{address[1]}"


def open_all(config):
    """Opens the endpoints of a job, in the order of its property list."""
    endpoints = []
    for name, entries in config.get("Sockets", {}).items():
        for entry in entries if isinstance(entries, list) else [entries]:
            endpoint = Endpoint(name, entry)
            endpoint.open()
            endpoints.append(endpoint)
    return endpoints
