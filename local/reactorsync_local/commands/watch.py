"""``watch``: the fleet, or some reactors, live."""

from __future__ import annotations

import asyncio
import contextlib
import signal as signals_of_system
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Annotated, Final

import typer
from rich.console import Group
from rich.live import Live

from reactorsync.designs import Design
from reactorsync.resources import Reactor
from reactorsync.signals import LIMITS, SIGNAL_INDEX, SIGNALS, Signal, signals_of
from reactorsync.wire.keys import reactor_key
from reactorsync_local.arguments import NamespaceOption, ServerOption, run
from reactorsync_local.client import ApiClient
from reactorsync_local.commands.version import this_version
from reactorsync_local.console import is_terminal, output, write_line
from reactorsync_local.errors import BadInput
from reactorsync_local.fleet.monitor import FleetMonitor
from reactorsync_local.fleet.show import show_lines, show_screen
from reactorsync_local.fleet.values import KEY_SIGNALS
from reactorsync_local.kinds import REACTORS
from reactorsync_local.live_client import LiveClient, LiveReading
from reactorsync_local.rendering.live import (
    TREND_LENGTH,
    WatchedReactor,
    reading_line,
    render_reactors,
)
from reactorsync_local.server import Server, find_server
from reactorsync_local.state_dir import find_state_dir, running_instance

_FRAMES_PER_SECOND: Final = 4
_FOOTER: Final = "Ctrl-C leaves; everything goes on running"


def watch(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[REACTOR]...", help="Default: the whole fleet.", show_default=False
        ),
    ] = None,
    signals: Annotated[
        str,
        typer.Option(
            "--signals", metavar="NAMES", help="Comma-separated, or `all`; default the key ones."
        ),
    ] = "",
    plain: Annotated[
        bool,
        typer.Option("--plain", help="Print lines instead of a screen, as without a terminal."),
    ] = False,
    count: Annotated[
        int | None,
        typer.Option(
            "--count", min=1, metavar="N", help="Leave after N readings.", show_default=False
        ),
    ] = None,
    namespace: NamespaceOption = "default",
    server: ServerOption = None,
) -> None:
    """Show live readings with their normal bands and trends; without a name, the fleet."""
    found = find_server(server)
    plain = plain or not is_terminal()
    if names:
        keys = [reactor_key(namespace, name) for name in names]
        run(_watch_reactors(found, keys, _named_signals(signals), plain=plain, count=count))
        return
    if signals or count:
        raise typer.BadParameter("--signals and --count need a reactor")
    run(_watch_fleet(found, plain=plain))


async def _watch_fleet(server: Server, *, plain: bool) -> None:
    async with ApiClient(server) as client:
        await client.readiness()
    folder = find_state_dir(None)
    state = running_instance(folder)
    here = state is not None and state.urls.get("api") == server.url
    monitor = FleetMonitor(server, folder if here else None, release=this_version())
    async with interrupted() as stopping:
        if plain:
            await show_lines(monitor, write_line, stopping)
        else:
            await show_screen(monitor, output(), stopping, footer=_FOOTER)


async def _watch_reactors(
    server: Server,
    keys: Sequence[str],
    signals: Sequence[Signal] | None,
    *,
    plain: bool,
    count: int | None,
) -> None:
    async with ApiClient(server) as client:
        found = await asyncio.gather(*(client.get(REACTORS, *key.split("/", 1)) for key in keys))
    watched = {
        key: _Watched(key, reactor.spec.design, signals)
        for key, reactor in zip(keys, found, strict=True)
        if isinstance(reactor, Reactor)
    }
    names = {signal.name for one in watched.values() for signal in one.signals}
    live = LiveClient(server, reactors=keys, signals=[s for s in SIGNAL_INDEX if s in names])
    async with interrupted() as stopping:
        if plain:
            reading = _print_lines(live, watched, count)
        else:
            reading = _draw(live, watched, count, stopping)
        task = asyncio.create_task(reading)
        ending = asyncio.create_task(stopping.wait())
        await asyncio.wait({task, ending}, return_when=asyncio.FIRST_COMPLETED)
        ending.cancel()
        if not task.done():
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


class _Watched:
    """What was read of one reactor so far."""

    def __init__(self, key: str, design: Design, signals: Sequence[Signal] | None) -> None:
        self.key = key
        self.design = design
        chosen = (
            [SIGNALS[SIGNAL_INDEX[name]] for name in KEY_SIGNALS] if signals is None else signals
        )
        self.signals = [one for one in chosen if one.name in LIMITS[design]] or signals_of(design)
        self.last: LiveReading | None = None
        self.trends: dict[str, deque[float | None]] = {
            one.name: deque(maxlen=TREND_LENGTH) for one in self.signals
        }

    def note(self, reading: LiveReading) -> None:
        """Take a reading in."""
        self.last = reading
        for name, trend in self.trends.items():
            trend.append(reading.values.get(name))

    def view(self) -> WatchedReactor:
        """Return what to show."""
        last = self.last
        return WatchedReactor(
            key=self.key,
            design=self.design,
            signals=self.signals,
            time=last.time if last is not None else None,
            trip_cause=last.trip_cause if last is not None else None,
            values=last.values if last is not None else {},
            trends=self.trends,
        )


async def _print_lines(live: LiveClient, watched: dict[str, _Watched], count: int | None) -> None:
    left = count
    async for readings in live.forever():
        for one in readings:
            signals = watched[one.reactor].signals
            line = reading_line(one.reactor, one.time, one.trip_cause, one.values, signals)
            write_line(line)
            if left is not None and (left := left - 1) == 0:
                return


async def _draw(
    live: LiveClient, watched: dict[str, _Watched], count: int | None, stopping: asyncio.Event
) -> None:
    def frame() -> Group:
        trouble = "" if live.is_connected else "not connected: trying again"
        views = [one.view() for one in watched.values()]
        return render_reactors(views, datetime.now(UTC), trouble=trouble, footer=_FOOTER)

    async def read() -> None:
        left = count
        async for readings in live.forever():
            for one in readings:
                watched[one.reactor].note(one)
                if left is not None and (left := left - 1) == 0:
                    stopping.set()
                    return

    reading = asyncio.create_task(read())
    try:
        with Live(frame(), console=output(), screen=True, auto_refresh=False) as screen:
            while not reading.done():
                screen.update(frame(), refresh=True)
                await asyncio.sleep(1 / _FRAMES_PER_SECOND)
        await reading
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


def _named_signals(text: str) -> Sequence[Signal] | None:
    """Return the signals asked for, ``None`` for the key ones."""
    if not text:
        return None
    if text == "all":
        return SIGNALS
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in SIGNAL_INDEX:
            close = get_close_matches(name, SIGNAL_INDEX, n=1, cutoff=0.4)
            hint = f"did you mean {close[0]}?" if close else "see `reactorsync explain signals`"
            raise BadInput(f"no signal {name!r}", hint=hint)
    return [SIGNALS[SIGNAL_INDEX[name]] for name in names]


@asynccontextmanager
async def interrupted() -> AsyncIterator[asyncio.Event]:
    """Yield an event that Ctrl-C and SIGTERM set, instead of raising in the middle of something."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    numbers = (signals_of_system.SIGINT, signals_of_system.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, stopping.set)
    try:
        yield stopping
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
