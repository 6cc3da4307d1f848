"""Keeps the topics there must be, and deletes the time slots that have been consumed."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Final

from reactorsync.bus.port import Bus
from reactorsync.wire.topics import Topics

log = logging.getLogger(__name__)

LONGEST_PAUSE_SECONDS: Final = 60.0


class TopicsKeeper:
    """Creates topics ahead of their use and deletes slots older than the previous one.

    A slot that is deleted was over for at least a whole slot's length, in which the historian could
    store what is in it. Apache Kafka has no slots; there only the creation is left to do.
    """

    def __init__(self, bus: Bus, topics: Topics) -> None:
        self._bus = bus
        self._topics = topics

    async def keep(self) -> None:
        """Create what is missing now. Raises ``BrokerUnavailable`` and ``TopicMismatch``."""
        await self._bus.ensure_topics(self._topics.live(_now_us()))

    async def session(self) -> None:
        """Create and delete as time goes by, until cancelled; raises as :meth:`keep` does."""
        slot_seconds = self._topics.slot_seconds
        pause = LONGEST_PAUSE_SECONDS
        if slot_seconds is not None:
            pause = min(slot_seconds / 4, LONGEST_PAUSE_SECONDS)
        while True:
            await self.expire()
            await asyncio.sleep(pause)
            await self.keep()

    async def expire(self) -> None:
        """Delete the slots older than the previous one. Raises ``BrokerUnavailable``."""
        if self._topics.slot_seconds is None:
            return
        expired = self._topics.expired(await self._bus.list_topics(), _now_us())
        if expired:
            log.info("deleting consumed slots: %s", ", ".join(sorted(expired)))
            await self._bus.delete_topics(expired)


def _now_us() -> int:
    return time.time_ns() // 1000
