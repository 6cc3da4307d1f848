"""Keeps the topics there must be, and deletes the time slots that have had their time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from typing import Final

from reactorsync import clock
from reactorsync.bus.port import Bus, Partition
from reactorsync.bus.reading import read_ends
from reactorsync.wire.topics import UNREAD_SLOTS_KEPT, Topics
from reactorsync_operator.metrics import UNREAD_SLOTS_DELETED

log = logging.getLogger(__name__)

LONGEST_PAUSE_SECONDS: Final = 60.0


class TopicsKeeper:
    """Creates topics ahead of their use and deletes slots older than the previous one.

    A telemetry slot is deleted only when the historian has stored it: when the offsets of its group
    ``historian_group``, committed after the rows are, have reached the end in every partition. If
    the historian is away for so long that :data:`UNREAD_SLOTS_KEPT` slots wait, the oldest go
    unread, for the broker keeps them in memory. Apache Kafka has no slots; there only the creation
    is left to do.
    """

    def __init__(self, bus: Bus, topics: Topics, *, historian_group: str) -> None:
        self._bus = bus
        self._topics = topics
        self._historian_group = historian_group
        self._ends: dict[Partition, int] = {}

    async def keep(self) -> None:
        """Create what is missing now. Raises ``BrokerUnavailable`` and ``TopicMismatch``."""
        await self._bus.ensure_topics(self._topics.live(clock.now_us()))

    async def session(self) -> None:
        """Create and delete as time goes by, until cancelled; raises as :meth:`keep` does."""
        self._ends = {}
        slot_seconds = self._topics.slot_seconds
        pause = LONGEST_PAUSE_SECONDS
        if slot_seconds is not None:
            pause = min(slot_seconds / 4, LONGEST_PAUSE_SECONDS)
        while True:
            await self.expire()
            await asyncio.sleep(pause)
            await self.keep()

    async def expire(self) -> None:
        """Delete the slots that nobody needs any more. Raises ``BrokerUnavailable``."""
        if self._topics.slot_seconds is None:
            return
        names, now_us = await self._bus.list_topics(), clock.now_us()
        expired = self._topics.expired(names, now_us)
        unread = await self._unread(
            {name for name in expired if self._topics.telemetry_pattern.match(name)}
        )
        overdue = unread & self._topics.overdue(names, now_us)
        if overdue:
            log.warning(
                "deleting slots that the historian has not stored within %d slots: %s",
                UNREAD_SLOTS_KEPT,
                ", ".join(sorted(overdue)),
            )
        if stored := expired - unread:
            log.info("deleting consumed slots: %s", ", ".join(sorted(stored)))
        await self._bus.delete_topics(stored | overdue)
        UNREAD_SLOTS_DELETED.inc(len(overdue))

    async def _unread(self, slots: Collection[str]) -> set[str]:
        """Return those telemetry slots of which the historian has not stored everything."""
        partitions = {
            Partition(slot, number) for slot in slots for number in range(self._topics.shards)
        }
        committed = await self._bus.committed(self._historian_group, partitions)
        ends = await self._ends_of(partitions, committed)
        return {
            partition.topic for partition, end in ends.items() if committed.get(partition, 0) < end
        }

    async def _ends_of(
        self, partitions: set[Partition], committed: Mapping[Partition, int]
    ) -> Mapping[Partition, int]:
        """Return the ends of slots that are over: each is asked for once."""
        self._ends = {one: end for one, end in self._ends.items() if one in partitions}
        new = partitions - self._ends.keys()
        if new:
            consumer = self._bus.consumer(client_id="reactorsync-operator-slots")
            await consumer.start()
            try:
                consumer.assign(new)
                for partition in new:
                    # At its end a fetch returns no records, only where the end is.
                    consumer.seek(partition, committed.get(partition, -1))
                self._ends |= await read_ends(consumer, new)
            finally:
                await consumer.stop()
        return self._ends
