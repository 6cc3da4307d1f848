"""Reading what happened from the events topics: from as far back as it matters, and then on."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Final

from reactorsync import clock
from reactorsync.bus.port import Bus, Consumer, Partition, Record
from reactorsync.bus.reading import read_ends
from reactorsync.wire.envelope import Envelope, to_micros
from reactorsync.wire.errors import UndecodableRecord
from reactorsync.wire.events import Event, decode_event
from reactorsync.wire.topics import Topics

log = logging.getLogger(__name__)

FIRST_LOOK_BACK: Final = 5000
"""Records of a partition that are read again at first; each further step takes four times more."""

_BEGINNING: Final = -1
_POLL_SECONDS: Final = 0.5
_BATCH: Final = 500


async def _always() -> bool:
    return True


class EventReader:
    """Follows every partition of the events topics, without a group: who reads them needs them all.

    ``take`` gets each event with the time it was sent, in microseconds; ``undecodable`` gets what
    is none. ``since``, asked when the broker is a new one, says from when on events matter: of
    those that it has by then, the last ``at_most`` of each partition are read again at most. Some
    older ones come, too.
    """

    def __init__(
        self,
        bus: Bus,
        topics: Topics,
        *,
        client_id: str,
        take: Callable[[Event, int], None],
        since: Callable[[], datetime],
        at_most: int = sys.maxsize,
        undecodable: Callable[[UndecodableRecord], None] = lambda _error: None,
        now_us: Callable[[], int] = clock.now_us,
    ) -> None:
        self._bus = bus
        self._topics = topics
        self._client_id = client_id
        self._take = take
        self._since = since
        self._at_most = at_most
        self._undecodable = undecodable
        self._now_us = now_us
        self._cluster: str | None = None
        self._positions: dict[Partition, int] = {}
        self.caught_up = asyncio.Event()
        """Set while a session lasts that has read the events there were at its start."""

    async def session(
        self, cluster: str, *, goes_on: Callable[[], Awaitable[bool]] = _always
    ) -> None:
        """Follow one incarnation of the broker, until cancelled or ``goes_on`` says no.

        ``goes_on`` is asked after each poll, twice a second at least; what it raises is raised.

        Raises:
            BrokerUnavailable: the broker is away; with the same ``cluster``, a new session goes on
                where this one was.
        """
        partitions = self._partitions()
        consumer = self._bus.consumer(client_id=self._client_id)
        await consumer.start()
        try:
            consumer.assign(partitions)
            if cluster != self._cluster:
                self._positions = await self._look_back(consumer, partitions)
                self._cluster = cluster
            self._go_on(consumer)
            await self._follow(consumer, partitions, goes_on)
        finally:
            self.caught_up.clear()
            await consumer.stop()

    def _partitions(self) -> frozenset[Partition]:
        """Return every partition that may hold events now."""
        return frozenset(
            Partition(topic, number)
            for topic in self._topics.event_topics(self._now_us())
            for number in range(self._topics.shards)
        )

    def _go_on(self, consumer: Consumer) -> None:
        """Read on where each partition was left; a new one from its start."""
        for partition, offset in self._positions.items():
            consumer.seek(partition, offset)

    async def _follow(
        self,
        consumer: Consumer,
        followed: frozenset[Partition],
        goes_on: Callable[[], Awaitable[bool]],
    ) -> None:
        unread = set(followed)
        while await goes_on():
            if (present := self._partitions()) != followed:
                followed = present
                consumer.assign(followed)
                self._positions = {
                    one: offset for one, offset in self._positions.items() if one in followed
                }
                self._go_on(consumer)
                unread &= followed
            for record in await consumer.poll(timeout_seconds=_POLL_SECONDS, max_records=_BATCH):
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
            log.debug("event at %s/%d: %s", record.partition, record.offset, error)
            self._undecodable(error)
        else:
            self._take(event, envelope.time_us)

    async def _look_back(
        self, consumer: Consumer, partitions: frozenset[Partition]
    ) -> dict[Partition, int]:
        """Return where the events begin that matter, found in growing steps back from the end."""
        since_ms = to_micros(self._since()) // 1000
        ends = await read_ends(consumer, partitions)
        starts = dict.fromkeys(partitions, _BEGINNING)
        look_back = min(FIRST_LOOK_BACK, self._at_most)
        unsettled = set(partitions)
        while unsettled := {one for one in unsettled if ends[one] > look_back}:
            steps = {one: ends[one] - look_back for one in unsettled}
            starts |= steps
            if look_back == self._at_most:
                break
            consumer.pause(partitions - unsettled)
            first = await _first_records(consumer, steps)
            unsettled = {one for one, record in first.items() if record.timestamp_ms > since_ms}
            starts |= dict.fromkeys(unsettled, _BEGINNING)
            look_back = min(4 * look_back, self._at_most)
        consumer.resume(partitions)
        return starts


async def _is_read(consumer: Consumer, partition: Partition) -> bool:
    """Return whether the consumer has read the partition up to its end."""
    end = consumer.high_watermark(partition)
    return end is not None and await consumer.position(partition) >= end


async def _first_records(
    consumer: Consumer, starts: Mapping[Partition, int]
) -> dict[Partition, Record]:
    """Return the first record of each partition from its start on, where there is one."""
    for partition, offset in starts.items():
        consumer.seek(partition, offset)
    first: dict[Partition, Record] = {}
    waiting = set(starts)
    while waiting:
        for record in await consumer.poll(timeout_seconds=0.2, max_records=_BATCH):
            first.setdefault(record.partition, record)
        for partition in list(waiting):
            if partition in first or await _is_read(consumer, partition):
                waiting.discard(partition)
                consumer.pause({partition})
    consumer.resume(starts)
    return first
