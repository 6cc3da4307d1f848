"""Showing the summary until told to stop: on a terminal as a screen, else as lines."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final

from rich.console import Console, Group
from rich.live import Live

from reactorsync_local.fleet.monitor import FleetMonitor
from reactorsync_local.fleet.plain import changes_between, stamped, summary_line
from reactorsync_local.fleet.screen import render_screen

_FRAMES_PER_SECOND: Final = 2
_SETTLE_SECONDS: Final = 3.0
_CHECK_SECONDS: Final = 1.0
_SUMMARY_SECONDS: Final = 60.0


@asynccontextmanager
async def gathering(monitor: FleetMonitor) -> AsyncIterator[None]:
    """Keep the monitor up to date while the context lasts."""
    task = asyncio.create_task(monitor.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def show_screen(
    monitor: FleetMonitor, console: Console, stopping: asyncio.Event, *, footer: str
) -> None:
    """Redraw the screen until ``stopping``; the terminal's former content comes back then."""

    def frame() -> Group:
        width, height = console.size
        return render_screen(monitor.view(), width=width, height=height, footer=footer)

    async with gathering(monitor):
        with Live(frame(), console=console, screen=True, auto_refresh=False) as live:
            while not stopping.is_set():
                live.update(frame(), refresh=True)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), 1 / _FRAMES_PER_SECOND)


async def show_lines(
    monitor: FleetMonitor, write: Callable[[str], None], stopping: asyncio.Event
) -> None:
    """Write a line for each change and a summary once a minute, until ``stopping``."""
    async with gathering(monitor):
        await _pause(_SETTLE_SECONDS, stopping)
        last = monitor.view()
        next_summary = 0.0
        loop = asyncio.get_running_loop()
        while not stopping.is_set():
            view = monitor.view()
            for line in changes_between(last, view):
                write(stamped(datetime.now(UTC), line))
            if loop.time() >= next_summary:
                write(stamped(datetime.now(UTC), summary_line(view)))
                next_summary = loop.time() + _SUMMARY_SECONDS
            last = view
            await _pause(_CHECK_SECONDS, stopping)


async def _pause(seconds: float, stopping: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), seconds)
