"""Tasks that live as long as the application, none of which may end unnoticed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncEngine

from reactorsync.service import Readiness, pause
from reactorsync.store import StoreUnavailable
from reactorsync.store.postgres import PostgresStore

log = logging.getLogger(__name__)

DATABASE: Final = "postgres"
_SECONDS_BETWEEN_PINGS: Final = 5.0

Run = Callable[[asyncio.Event], Coroutine[Any, Any, None]]
"""Works until the event it is given is set."""


class Background:
    """Runs tasks until :meth:`stop`.

    Each of them rides out the outages that it knows. One that ends all the same meets a mistake in
    the code, after which it would serve an ever older picture: readiness fails and ``on_failure``
    is called, once, which should end the process so that a supervisor starts it anew.
    """

    def __init__(self, readiness: Readiness, *, on_failure: Callable[[], None]) -> None:
        self._readiness = readiness
        self._on_failure = on_failure
        self._stopping = asyncio.Event()
        self._tasks: dict[asyncio.Task[None], float] = {}
        self._failed = False

    def start(self, name: str, run: Run, *, leave_seconds: float = 0.0) -> None:
        """Run a task under a name, by which readiness and log speak of it.

        ``leave_seconds`` is how long it may take to end in good order before it is cancelled.
        """
        task = asyncio.create_task(self._guard(name, run), name=name)
        self._tasks[task] = leave_seconds

    async def stop(self) -> None:
        """Ask all tasks to end, and cancel those that take longer than they may."""
        self._stopping.set()
        await asyncio.gather(*(_end(task, seconds) for task, seconds in self._tasks.items()))

    async def _guard(self, name: str, run: Run) -> None:
        try:
            await run(self._stopping)
        except Exception:
            log.exception("%s ended unexpectedly", name)
        else:
            if self._stopping.is_set():
                return
            log.error("%s ended before it was asked to", name)
        self._readiness.fails(f"task-{name}", "ended unexpectedly: the log says why")
        if not self._failed:
            self._failed = True
            self._on_failure()


async def _end(task: asyncio.Task[None], leave_seconds: float) -> None:
    await asyncio.wait([task], timeout=leave_seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def watch_database(
    engine: AsyncEngine, readiness: Readiness, *, seconds: float = _SECONDS_BETWEEN_PINGS
) -> Run:
    """Return a task that asks Postgres for a sign of life every few seconds."""
    readiness.expect(DATABASE)
    store = PostgresStore(engine)

    async def watch(stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                await store.ping()
            except StoreUnavailable as error:
                readiness.fails(DATABASE, str(error))
            else:
                readiness.works(DATABASE)
            await pause(seconds, stopping)

    return watch
