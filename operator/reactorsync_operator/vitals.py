"""What this process says of itself: whether it is ready, whether it is alive, and why not."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from reactorsync.service import Readiness
from reactorsync.store import ResourceStore
from reactorsync.store.port import StoreError
from reactorsync_operator.fleet import WorkKey
from reactorsync_operator.metrics import QUEUE_AGE, QUEUE_DEPTH
from reactorsync_operator.status_writer import StatusWriter
from reactorsync_operator.watcher import ResourceFeed
from reactorsync_operator.work_queue import WorkQueue

STORE: Final = "store"
"""Name of that dependency in ``/readyz``."""

STATUSES: Final = "statuses"
"""Name in ``/readyz`` of statuses that do not get through."""

QUEUE: Final = "queue"
"""Name in ``/healthz`` of objects that wait while none is planned."""

LOOK_SECONDS: Final = 2.0
"""How often the store is asked whether it is there."""

BEAT_SECONDS: Final = 0.5


class Vitals:
    """Reports what the parts of an operator know of their state, whoever leads.

    Objects that wait count from when planning began: until then nobody is to plan them. After
    ``queue_limit_seconds`` in which none was planned although some wait, the process is not alive.
    """

    def __init__(
        self,
        readiness: Readiness,
        *,
        store: ResourceStore,
        feed: ResourceFeed,
        queue: WorkQueue[WorkKey],
        statuses: StatusWriter,
        queue_limit_seconds: float,
    ) -> None:
        self._readiness = readiness
        self._store = store
        self._feed = feed
        self._queue = queue
        self._statuses = statuses
        self._queue_limit_seconds = queue_limit_seconds
        self._planning_since: float | None = None

    @property
    def plans(self) -> bool:
        """Whether planning has begun."""
        return self._planning_since is not None

    def planning_began(self) -> None:
        """Note that from now on objects that wait are to be planned."""
        self._planning_since = time.monotonic()

    async def run(self) -> None:
        """Report until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._look_after_store())
            group.create_task(self._beat())

    async def _look_after_store(self) -> None:
        """Report whether the store is there; a watch may wait for long before it says so."""
        unwatched: set[str] = set()
        while True:
            problems = self._feed.unwatched()
            for name in unwatched - problems.keys():
                self._readiness.drop(name)
            for name, problem in problems.items():
                self._readiness.fails(name, problem)
            unwatched = set(problems)
            try:
                await self._store.ping()
            except StoreError as error:
                # Whatever it answers: it is not there for us now.
                self._readiness.fails(STORE, str(error))
            else:
                closed = self._feed.closed()
                notes = {f"namespace {name}": problem for name, problem in closed.items()}
                self._readiness.note(notes | self._overdue_statuses())
                if self._feed.is_whole:
                    self._readiness.works(STORE)
                elif closed:
                    self._readiness.fails(STORE, next(iter(closed.values())))
            await asyncio.sleep(LOOK_SECONDS)

    def _overdue_statuses(self) -> dict[str, str]:
        """Return what is amiss with a few statuses; that none gets through makes us unready."""
        overdue = self._statuses.overdue()
        if overdue is not None and overdue[1]:
            self._readiness.fails(STATUSES, overdue[0])
            return {}
        self._readiness.drop(STATUSES)
        return {} if overdue is None else {STATUSES: overdue[0]}

    async def _beat(self) -> None:
        """Say that this process is alive, and why it is not."""
        liveness, reported = self._readiness.liveness, set[str]()
        while True:
            liveness.beat()
            QUEUE_DEPTH.set(len(self._queue))
            QUEUE_AGE.set(self._while_planning(self._queue.oldest_seconds))
            problems = dict(self._feed.problems())
            stuck = self._while_planning(self._queue.stuck_seconds)
            if stuck > self._queue_limit_seconds:
                problems[QUEUE] = f"objects wait, and for {stuck:.0f} s none was planned"
            for name in reported - problems.keys():
                liveness.works(name)
            for name, problem in problems.items():
                liveness.fails(name, problem)
            reported = set(problems)
            await asyncio.sleep(BEAT_SECONDS)

    def _while_planning(self, seconds: float) -> float:
        """Return how much of a time until now lies after planning began."""
        if self._planning_since is None:
            return 0.0
        return min(seconds, time.monotonic() - self._planning_since)
