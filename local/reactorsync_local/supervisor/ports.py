"""Loopback ports: whether one is free, who holds it, picking one."""

import errno
import random
import socket
from collections.abc import Collection
from dataclasses import dataclass

import psutil

from reactorsync_local.supervisor.errors import LocalError

LOOPBACK = "127.0.0.1"

PICKED_PORTS = range(20_000, 30_000)
"""Below the ports that Linux (from 32768) and macOS (from 49152) give to outgoing connections.

A client that keeps reconnecting to a port of that range while the server is down can be given the
very port it connects to; TCP then connects it with itself, and the server can never bind again."""


@dataclass(frozen=True, kw_only=True)
class PortHolder:
    """The process that listens on a port."""

    name: str
    pid: int


class PortTaken(LocalError):
    """A port that has to be a certain one is in use."""

    def __init__(self, port: int, *, holder: PortHolder | None, option: str) -> None:
        by = f"{holder.name} (pid {holder.pid})" if holder else "another process"
        what = "stop it" if holder else "stop what listens there"
        super().__init__(f"port {port} is taken by {by}", action=f"{what} or use {option}")
        self.port = port
        self.holder = holder


def is_free(port: int, *, host: str = LOOPBACK) -> bool:
    """Whether a server can listen on `host:port` now."""
    return _bind_error(host, port) is None


def ensure_free(port: int, *, option: str, host: str = LOOPBACK) -> None:
    """Raise `PortTaken` unless a server can listen on the port; `option` is how the user chooses
    another one.
    """
    code = _bind_error(host, port)
    if code == errno.EACCES:
        raise LocalError(
            f"port {port} may not be opened by this user", action=f"use {option} above 1023"
        )
    if code is not None:
        raise PortTaken(port, holder=holder_of(port), option=option)


def holder_of(port: int) -> PortHolder | None:
    """The process listening on a TCP port; None if nobody does, or if the system does not tell this
    user.
    """
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return None
    for connection in connections:
        if connection.status != psutil.CONN_LISTEN or not connection.laddr:
            continue
        if connection.laddr.port == port and connection.pid is not None:
            try:
                return PortHolder(name=psutil.Process(connection.pid).name(), pid=connection.pid)
            except psutil.NoSuchProcess:
                continue
    return None


def free_port(*, host: str = LOOPBACK, avoid: Collection[int] = ()) -> int:
    """A free port of `PICKED_PORTS`, none of `avoid`. Use it at once: nothing keeps it free."""
    for port in random.sample(PICKED_PORTS, 200):
        if port not in avoid and is_free(port, host=host):
            return port
    raise LocalError(
        f"no free port between {PICKED_PORTS.start} and {PICKED_PORTS.stop - 1}",
        action="stop what listens there",
    )


def _bind_error(host: str, port: int) -> int | None:
    """The error number of listening on `host:port`, None if it works."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # Without it a port is refused for a minute after its server stopped, though a server could
        # take it.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            return error.errno
    return None
