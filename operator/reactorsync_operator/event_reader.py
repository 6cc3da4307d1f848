"""Reads what happened from the events topic, from as far back as it matters."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Final

from reactorsync.bus.port import Bus, Consumer, Partition, Record
from reactorsync.bus.reading import event_partitions, read_ends
from reactorsync.wire.envelope import Envelope, to_micros
from reactorsync.wire.errors import UndecodableRecord
from reactorsync.wire.events import Event, decode_event
from reactorsync.wire.topics import Topics
from reactorsync_operator.metrics import EVENTS, UNDECODABLE_EVENTS

log = logging.getLogger(__name__)

FIRST_LOOK_BACK: Final = 5000
"""Records of a partition that are read again at start; each further step takes four times more."""

_BATCH: Final = 500


class EventReader:
    """Follows every partition of the events topics, without a group: the operator needs all of it.

    ``take`` gets each event with the time it was sent. ``since`` says, at start, from when on
    events matter. What is older was folded into the statuses by the operator before.
    """

    def __init__(
        self,
        bus: Bus,
        topics: Topics,
        *,
        take: Callable[[Event, int], None],
        since: Callable[[], datetime],
        now_us: Callable[[], int],
    ) -> None:
        self._bus = bus
        self._topics = topics
        self._take = take
        self._since = since
        self._now_us = now_us
        self._cluster: str | None = None
        self._positions: dict[Partition, int] = {}
        self.caught_up = asyncio.Event()
        """Set while a session lasts that has read the events there were at its start."""

    async def session(self, cluster: str) -> None:
        """Follow one incarnation of the broker until cancelled.

        Raises:
            BrokerUnavailable: the broker is away; with the same ``cluster``, a new session goes on
                where this one was.
        """
        partitions = self._partitions()
        consumer = self._bus.consumer(client_id="reactorsync-operator-events")
        await consumer.start()
        try:
            consumer.assign(partitions)
            if cluster == self._cluster:
                self._go_on(consumer)
            else:
                self._positions = {}
                await self._look_back(consumer, partitions)
                self._cluster = cluster
            await self._follow(consumer, partitions)
        finally:
            self.caught_up.clear()
            await consumer.stop()

    def _partitions(self) -> frozenset[Partition]:
        return event_partitions(self._topics, self._now_us())

    def _go_on(self, consumer: Consumer) -> None:
        """Read on where each partition was left; a new one from its start."""
        for partition, offset in self._positions.items():
            consumer.seek(partition, offset)

    async def _follow(self, consumer: Consumer, followed: frozenset[Partition]) -> None:
        unread = set(followed)
        while True:
            if (present := self._partitions()) != followed:
                followed = present
                consumer.assign(followed)
                self._positions = {
                    one: offset for one, offset in self._positions.items() if one in followed
                }
                self._go_on(consumer)
                unread &= followed
            for record in await consumer.poll(timeout_seconds=1.0, max_records=_BATCH):
                self._read(record)
            if not self.caught_up.is_set():
                unread -= {one for one in unread if await _is_read(consumer, one)}
                if not unread:
                    self.caught_up.set()
            await asyncio.sleep(0)

    def _read(self, record: Record) -> None:
        self._positions[record.partition] = record.offset + 1
        try:
            envelope = Envelope.from_headers(record.headers)
            event = decode_event(envelope, record.value or b"")
        except UndecodableRecord as error:
            UNDECODABLE_EVENTS.labels(error.reason).inc()
            log.debug("event at %s/%d: %s", record.partition, record.offset, error)
            return
        EVENTS.labels(event.type).inc()
        self._take(event, envelope.time_us)

    async def _look_back(self, consumer: Consumer, partitions: frozenset[Partition]) -> None:
        """Go to where the events begin that matter, in growing steps back from the end."""
        since_ms = to_micros(self._since()) // 1000
        ends = await read_ends(consumer, partitions)
        for partition in partitions:
            consumer.seek(partition, -1)
        look_back = FIRST_LOOK_BACK
        unsettled = {partition for partition, end in ends.items() if end > look_back}
        starts = {}
        while unsettled:
            consumer.pause(partitions - unsettled)
            for partition in unsettled:
                consumer.seek(partition, ends[partition] - look_back)
            first = await _first_records(consumer, unsettled)
            for partition in list(unsettled):
                record = first.get(partition)
                if record is None or record.timestamp_ms <= since_ms:
                    starts[partition] = ends[partition] - look_back
                    unsettled.discard(partition)
            look_back *= 4
            unsettled = {one for one in unsettled if ends[one] > look_back}
        for partition in partitions:
            consumer.seek(partition, starts.get(partition, -1))
        consumer.resume(partitions)


async def _is_read(consumer: Consumer, partition: Partition) -> bool:
    """Return whether the consumer has read the partition up to its end."""
    end = consumer.high_watermark(partition)
    return end is not None and await consumer.position(partition) >= end


async def _first_records(consumer: Consumer, partitions: set[Partition]) -> dict[Partition, Record]:
    """Return the first record from each partition's position on, where there is one."""
    first: dict[Partition, Record] = {}
    waiting = set(partitions)
    while waiting:
        for record in await consumer.poll(timeout_seconds=0.2, max_records=_BATCH):
            first.setdefault(record.partition, record)
        for partition in list(waiting):
            if partition in first or await _is_read(consumer, partition):
                waiting.discard(partition)
                consumer.pause({partition})
    consumer.resume(partitions)
    return first
