"""A historian in the test's own process, and what Postgres says of its work."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from prometheus_client import REGISTRY

from reactorsync.bus.kafka import KafkaBus
from reactorsync.service import Readiness
from reactorsync_historian.main import run_historian
from reactorsync_historian.settings import HistorianSettings
from reactorsync_historian.stages import StageHook, no_hook

ReactorTick = tuple[str, int]


@dataclass
class RunningHistorian:
    """A historian that runs; ``stop`` lets it end its batch and leave the group."""

    readiness: Readiness
    stopping: asyncio.Event
    task: asyncio.Task[None]

    async def stop(self) -> None:
        self.stopping.set()
        await self.task


@asynccontextmanager
async def running_historian(
    settings: HistorianSettings, *, hook: StageHook = no_hook
) -> AsyncIterator[RunningHistorian]:
    bus = KafkaBus(settings.kafka_bootstrap, session_timeout_ms=settings.kafka_session_timeout_ms)
    stopping, readiness = asyncio.Event(), Readiness()
    work = run_historian(settings, bus=bus, stopping=stopping, readiness=readiness, hook=hook)
    historian = RunningHistorian(readiness, stopping, asyncio.create_task(work))
    try:
        yield historian
        await historian.stop()
    finally:
        historian.task.cancel()
        await asyncio.wait([historian.task])
        await bus.close()


@dataclass(frozen=True)
class Storage:
    """The historian's database, read as anybody may."""

    url: str

    @property
    def conninfo(self) -> str:
        return self.url.replace("+psycopg", "")

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(self.conninfo, autocommit=True)

    def fetch(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        with self.connect() as connection:
            return connection.execute(query, parameters).fetchall()

    def execute(self, statement: LiteralString) -> None:
        with self.connect() as connection:
            connection.execute(statement)

    def stored(self, table: str = "telemetry") -> Counter[ReactorTick]:
        """How often each reactor and tick is in a table."""
        rows = self.fetch(
            "SELECT namespace || '/' || name, (extract(epoch FROM ts) * 1000000)::bigint"
            f" FROM {table} JOIN reactor ON reactor.id = reactor_id"
        )
        return Counter((key, tick_us) for key, tick_us in rows)

    def count(self, table: str = "telemetry") -> int:
        return int(self.fetch(f"SELECT count(*) FROM {table}")[0][0])


async def until(
    condition: Callable[[], bool] | Callable[[], Awaitable[bool]],
    *,
    seconds: float = 20.0,
    what: str = "",
) -> None:
    """Wait for a condition; fail when it does not come true in time."""
    deadline = time.monotonic() + seconds
    while True:
        held = condition()
        if await held if isinstance(held, Awaitable) else held:
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what or condition}")
        await asyncio.sleep(0.05)


def metric(name: str, **labels: str) -> float:
    """Value of one of the historian's metrics, 0 before it was first counted."""
    return REGISTRY.get_sample_value(f"reactorsync_historian_{name}", labels) or 0.0
