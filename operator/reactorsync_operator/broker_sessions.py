"""Life with the broker: one session for each incarnation of it, and pauses while it is away."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final, NoReturn

from reactorsync.bus.events import EventReader
from reactorsync.bus.port import BrokerUnavailable, Bus, TopicMismatch
from reactorsync.service import Backoff, Readiness
from reactorsync_operator.metrics import INCARNATIONS
from reactorsync_operator.probes.runner import ProbeRunner
from reactorsync_operator.publisher import Publisher
from reactorsync_operator.topics_keeper import TopicsKeeper

log = logging.getLogger(__name__)

BROKER: Final = "broker"
"""Name of the dependency in ``/readyz``."""

LOOK_SECONDS: Final = 2.0
"""How often the broker is asked whether it is there, and still the same."""

GRACE_SECONDS: Final = 10.0
"""How long :meth:`BrokerSessions.read` waits for a broker that is away."""

_INSIST_SECONDS: Final = 5.0
"""After which a session is told once more to end."""


class _NewIncarnation(Exception):
    """The broker was replaced by one that has forgotten everything."""


class BrokerSessions:
    """Holds sessions of all that speaks with the broker, from one incarnation to the next.

    ``delivery_problem`` is told why nothing can be delivered, ``None`` once it can; ``read_back``
    is called when the publisher knows what the broker holds.
    """

    def __init__(
        self,
        bus: Bus,
        readiness: Readiness,
        *,
        publisher: Publisher,
        topics_keeper: TopicsKeeper,
        events: EventReader,
        probes: ProbeRunner,
        delivery_problem: Callable[[str | None], None],
        read_back: Callable[[], None],
    ) -> None:
        self._bus = bus
        self._readiness = readiness
        self._publisher = publisher
        self._topics_keeper = topics_keeper
        self._events = events
        self._probes = probes
        self._delivery_problem = delivery_problem
        self._read_back = read_back
        self._is_away = False
        self._works = False

    async def read(self) -> None:
        """Wait for what the broker knows; if it is away, not for long."""
        began = time.monotonic()
        while not (self._publisher.read_back.is_set() and self._events.caught_up.is_set()):
            if self._is_away and time.monotonic() - began > GRACE_SECONDS:
                log.warning("the broker is away: planning without what it knows")
                return
            await asyncio.sleep(0.02)

    async def run(self) -> NoReturn:
        """Live with whatever broker is there, until cancelled."""
        backoff = Backoff()
        while True:
            self._works = False
            try:
                await _alone(self._session())
            except* _NewIncarnation:
                log.warning("the broker has forgotten everything: telling it all again")
                INCARNATIONS.inc()
            except* (BrokerUnavailable, TopicMismatch) as group:
                self._note(str(_first(group)))
                if self._works:
                    # A connection that was lost may be had again at once.
                    backoff.reset()
                await asyncio.sleep(backoff.next_pause())

    async def _session(self) -> None:
        cluster = await self._bus.cluster_id()
        await self._topics_keeper.keep()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._publisher.session())
            group.create_task(self._topics_keeper.session())
            group.create_task(self._look_after(cluster))
            await self._publisher.read_back.wait()
            self._is_away = False
            self._delivery_problem(None)
            self._read_back()
            group.create_task(self._events.session(cluster))
            group.create_task(self._probes.session(cluster))
            await self._events.caught_up.wait()
            self._works = True
            self._readiness.works(BROKER)

    async def _look_after(self, cluster: str) -> None:
        """Ask until the broker is away or another one."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if await self._bus.cluster_id() != cluster:
                raise _NewIncarnation

    def _note(self, problem: str) -> None:
        self._readiness.fails(BROKER, problem)
        if not self._works:
            self._is_away = True
            self._delivery_problem(problem)


async def _alone(session: Coroutine[Any, Any, None]) -> None:
    """Await a session in a task of its own, so that it cannot hide that this one is cancelled.

    A task group does that whose tasks fail while it ends, which is what a broker that goes makes
    them do (python/cpython#116720).
    """
    task = asyncio.create_task(session)
    try:
        await asyncio.wait([task])
    finally:
        while not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=_INSIST_SECONDS)
        if not task.cancelled():
            # Looked at: nobody else will where this task was cancelled.
            task.exception()
    await task


def _first(group: BaseExceptionGroup[Exception]) -> BaseException:
    """Return the first error in the group, which may hold groups."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
