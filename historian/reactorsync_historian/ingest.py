"""The ingest: frames from the broker into ``telemetry``, each exactly once.

Positions come from Postgres alone. Whatever goes wrong with Postgres, and whether or not the last
commit went through, has one remedy: give the partitions up, take them over again and read on from
the offsets found there.
"""

from __future__ import annotations

import asyncio
import logging

from reactorsync import clock
from reactorsync.bus.port import BrokerUnavailable, Bus, TopicMismatch
from reactorsync.service import Backoff, Readiness, pause
from reactorsync_historian.session import Session, Sink
from reactorsync_historian.settings import HistorianSettings

log = logging.getLogger(__name__)


class Ingest:
    """Consumes telemetry, in one session for each incarnation of the broker."""

    def __init__(
        self, *, settings: HistorianSettings, bus: Bus, sink: Sink, readiness: Readiness
    ) -> None:
        self._settings = settings
        self._bus = bus
        self._sink = sink
        self._readiness = readiness
        self._incarnation: str | None = None

    async def run(self, stopping: asyncio.Event) -> None:
        """Consume until ``stopping`` is set."""
        backoff = Backoff(limit_seconds=5.0)
        while not stopping.is_set():
            try:
                session = await self._next_session()
                backoff.reset()
                await session.run(stopping)
            except (BrokerUnavailable, TopicMismatch) as error:
                self._readiness.fails("kafka", str(error))
                await pause(backoff.next_pause(), stopping)

    async def _next_session(self) -> Session:
        incarnation = await self._bus.cluster_id()
        if self._incarnation not in (None, incarnation):
            self._sink.ledger.note_restart()
        self._incarnation = incarnation
        await self._bus.ensure_topics(self._settings.topics.live(clock.now_us()))
        return Session(
            settings=self._settings,
            bus=self._bus,
            incarnation=incarnation,
            sink=self._sink,
            readiness=self._readiness,
        )
