"""Follows the events topic, from some minutes before the start on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from reactorsync.bus.port import Bus, Consumer, Partition, Record
from reactorsync.bus.reading import event_partitions, read_ends
from reactorsync.wire.envelope import Envelope
from reactorsync.wire.errors import UndecodableRecord
from reactorsync.wire.events import Event, decode_event
from reactorsync.wire.topics import Topics

LOOK_BACK_RECORDS: Final = 5000
"""Records of a partition that are read again at the start, at most."""

LOOK_BACK_US: Final = 900_000_000
"""Older events are passed over: they are of faults whose time to show is over."""

_BATCH: Final = 500
_WATCH_SECONDS: Final = 2.0


class EventFollower:
    """Reads every partition of the events topics, without a group: any fault may become ours."""

    def __init__(self, *, bus: Bus, topics: Topics, take: Callable[[Event], None]) -> None:
        self._bus = bus
        self._topics = topics
        self._take = take
        self._positions: dict[Partition, int] = {}
        self._incarnation: str | None = None

    async def follow(self, stopping: asyncio.Event) -> None:
        """Follow one incarnation of the broker until ``stopping`` is set or it is another one.

        Raises:
            BrokerUnavailable: the broker is away; call again to read on.
        """
        incarnation = await self._bus.cluster_id()
        if incarnation != self._incarnation:
            self._positions, self._incarnation = {}, incarnation
        consumer = self._bus.consumer(client_id="historian-events")
        await consumer.start()
        try:
            followed: frozenset[Partition] = frozenset()
            checked = time.monotonic()
            while not stopping.is_set():
                present = event_partitions(self._topics, time.time_ns() // 1000)
                if present != followed:
                    await self._assign(consumer, present)
                    followed = present
                for record in await consumer.poll(timeout_seconds=0.5, max_records=_BATCH):
                    self._read(record)
                await asyncio.sleep(0)
                if time.monotonic() - checked > _WATCH_SECONDS:
                    if await self._bus.cluster_id() != incarnation:
                        return
                    checked = time.monotonic()
        finally:
            await consumer.stop()

    async def _assign(self, consumer: Consumer, partitions: frozenset[Partition]) -> None:
        first = not self._positions
        consumer.assign(partitions)
        ends = await read_ends(consumer, partitions) if first else {}
        for partition in partitions:
            start = max(ends.get(partition, 0) - LOOK_BACK_RECORDS, -1)
            consumer.seek(partition, self._positions.get(partition, start if start > 0 else -1))
        self._positions = {part: at for part, at in self._positions.items() if part in partitions}

    def _read(self, record: Record) -> None:
        self._positions[record.partition] = record.offset + 1
        try:
            envelope = Envelope.from_headers(record.headers)
            if envelope.time_us < time.time_ns() // 1000 - LOOK_BACK_US:
                return
            self._take(decode_event(envelope, record.value or b""))
        except UndecodableRecord:
            # Whoever needs it says so: the historian needs those of faults alone.
            return
