"""What is shown and said while the API hangs, its sockets open, and once it goes on."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from reactorsync_local.diagnosis import Verdict, release
from reactorsync_local.fleet import monitor
from reactorsync_local.fleet.monitor import FleetMonitor, pause_after
from reactorsync_local.server import Server
from reactorsync_local.supervisor import holder_of
from tests.local.commands.conftest import RunningApi


@pytest.fixture
def freeze(api: RunningApi) -> Iterator[Callable[[bool], None]]:
    """Stops the API's process where it stands, or lets it go on; it goes on after the test."""
    holder = holder_of(api.port)
    assert holder is not None
    pid = holder.pid

    def frozen(wanted: bool) -> None:
        os.kill(pid, signal.SIGSTOP if wanted else signal.SIGCONT)

    yield frozen
    frozen(False)


async def until(true: Callable[[], bool], *, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.05)


async def test_the_summary_recovers_soon_after_a_hang(
    api: RunningApi, freeze: Callable[[bool], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "_ANSWER_SECONDS", 1.0)
    watching = FleetMonitor(Server(api.url), None, release="0")
    running = asyncio.create_task(watching.run())
    try:
        await until(lambda: watching.view().problem == "", seconds=10)
        freeze(True)
        await until(lambda: "took too long" in watching.view().problem, seconds=15)
        freeze(False)
        await until(lambda: watching.view().problem == "", seconds=6)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize(("cost", "pause"), [(0.01, 1.0), (0.5, 10.0), (30.0, 15.0)])
def test_a_costly_listing_is_repeated_seldom_but_never_forgotten(cost: float, pause: float) -> None:
    assert pause_after(cost) == pause


async def test_doctor_does_not_wait_long_for_a_hanging_server(
    api: RunningApi, freeze: Callable[[bool], None]
) -> None:
    freeze(True)
    begin = time.monotonic()
    finding = await release(api.url)
    assert finding.verdict is Verdict.FAULT
    assert "took too long" in finding.fact
    assert time.monotonic() - begin < 4
