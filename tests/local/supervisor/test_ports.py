"""A taken port is told together with who holds it and what to do."""

import os
import socket
from collections.abc import Iterator

import psutil
import pytest

from reactorsync_local.supervisor import (
    PortHolder,
    PortTaken,
    ensure_free,
    free_port,
    holder_of,
    is_free,
)


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port this very process listens on."""
    with socket.create_server(("127.0.0.1", free_port())) as server:
        yield server.getsockname()[1]


def test_the_message_names_the_holder_and_the_option(taken_port: int) -> None:
    me = psutil.Process().name()

    with pytest.raises(PortTaken) as error:
        ensure_free(taken_port, option="--api-port")

    assert str(error.value) == (
        f"port {taken_port} is taken by {me} (pid {os.getpid()}): stop it or use --api-port"
    )


def test_an_unknown_holder_is_said_to_be_unknown() -> None:
    error = PortTaken(8000, holder=None, option="--api-port")

    assert str(error) == (
        "port 8000 is taken by another process: stop what listens there or use --api-port"
    )


def test_the_holder_is_the_listener(taken_port: int) -> None:
    assert holder_of(taken_port) == PortHolder(name=psutil.Process().name(), pid=os.getpid())
    assert holder_of(free_port()) is None


def test_a_server_on_all_addresses_takes_the_loopback_port_too() -> None:
    with socket.create_server(("0.0.0.0", free_port())) as server:
        assert not is_free(server.getsockname()[1])


def test_a_port_is_free_as_soon_as_its_server_is_gone(taken_port: int) -> None:
    port = free_port()
    with (
        socket.create_server(("127.0.0.1", port)) as server,
        socket.create_connection(("127.0.0.1", port)),
    ):
        server.accept()[0].close()  # the closing side keeps the port in TIME_WAIT

    assert is_free(port)
    ensure_free(port, option="--api-port")


def test_picked_ports_are_never_given_to_outgoing_connections() -> None:
    picked = {free_port() for _ in range(50)}

    assert len(picked) > 1
    assert all(20_000 <= port < 30_000 for port in picked)
