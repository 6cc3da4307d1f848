"""Reads telemetry from its present end on, of the shards that somebody asks for, while they do."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from reactorsync.bus.port import Bus, Consumer, Partition, Record
from reactorsync.planning.timeline import SECOND_US
from reactorsync.wire.errors import UndecodableRecord
from reactorsync.wire.topics import Topics

if TYPE_CHECKING:
    from reactorsync.wire.frame import Frame

log = logging.getLogger(__name__)

_POLL_SECONDS: Final = 0.25
_BATCH: Final = 64
_OVERLAP_US: Final = 5 * SECOND_US
"""How long before its first tick a slot is read, and after its last one."""


class TelemetryReader:
    """One consumer at most, without a group; none while ``shards`` returns nothing.

    ``shards`` says, by the time in microseconds, which shards are asked for, ``idle_until_us`` when
    that may change by itself. Call :meth:`wake` when either changes otherwise. ``take`` gets each
    frame, in order within a shard; some come twice.
    """

    def __init__(
        self,
        bus: Bus,
        topics: Topics,
        *,
        take: Callable[[Frame], None],
        shards: Callable[[int], frozenset[int]],
        idle_until_us: Callable[[int], int | None],
        now_us: Callable[[], int],
    ) -> None:
        self._bus = bus
        self._topics = topics
        self._take = take
        self._shards = shards
        self._idle_until_us = idle_until_us
        self._now_us = now_us
        self._changed = asyncio.Event()
        self._cluster: str | None = None
        self._positions: dict[Partition, int] = {}
        self._unsettled: set[Partition] = set()
        self._is_all_new = False
        self.reads = False
        """Whether it reads all that is asked for, each partition from a known end on."""

    def wake(self) -> None:
        """Look again at what is asked for."""
        self._changed.set()

    async def session(self, cluster: str) -> None:
        """Read one incarnation of the broker until cancelled.

        Raises:
            BrokerUnavailable: the broker is away; with the same ``cluster``, a new session goes on
                where this one was.
        """
        if cluster != self._cluster:
            # A broker that forgot everything while this one read holds only what came since.
            self._is_all_new = bool(self._positions)
            self._positions = {}
            self._cluster = cluster
        while True:
            await self._until_asked()
            await self._read()
            self._positions = {}

    async def _until_asked(self) -> None:
        while not self._shards(now_us := self._now_us()):
            self._changed.clear()
            until_us = self._idle_until_us(now_us)
            seconds = None if until_us is None else max((until_us - now_us) / SECOND_US, 0.01)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._changed.wait()

    async def _read(self) -> None:
        """Read until nobody asks any more."""
        consumer = self._bus.consumer(client_id="reactorsync-operator-probes")
        await consumer.start()
        followed: frozenset[Partition] = frozenset()
        try:
            while wanted := self._partitions():
                if wanted != followed:
                    self._follow(consumer, wanted)
                    followed = wanted
                records = await consumer.poll(timeout_seconds=_POLL_SECONDS, max_records=_BATCH)
                for record in records:
                    if record.partition not in self._unsettled:
                        self._positions[record.partition] = record.offset + 1
                        self._decode(record)
                self._settle(consumer)
                self.reads = not self._unsettled
                await asyncio.sleep(0)
        finally:
            self.reads = False
            await consumer.stop()

    def _partitions(self) -> frozenset[Partition]:
        now_us = self._now_us()
        shards = self._shards(now_us)
        # At the turn of a slot both are read; the next one from its beginning on, for it is empty.
        topics = {
            self._topics.telemetry(now_us + step_us) for step_us in (-_OVERLAP_US, _OVERLAP_US)
        }
        return frozenset(Partition(topic, shard) for topic in topics for shard in shards)

    def _follow(self, consumer: Consumer, wanted: frozenset[Partition]) -> None:
        """Read these partitions: go on where one was left, find the end of the others."""
        consumer.assign(wanted)
        if self._is_all_new:
            self._positions = dict.fromkeys(wanted, 0)
            self._is_all_new = False
        self._positions = {one: at for one, at in self._positions.items() if one in wanted}
        for partition, offset in self._positions.items():
            consumer.seek(partition, offset)
        self._unsettled = set(wanted - self._positions.keys())

    def _settle(self, consumer: Consumer) -> None:
        """Go to the end of the partitions that are new: only a fetch tells where that is."""
        for partition in list(self._unsettled):
            end = consumer.high_watermark(partition)
            if end is not None:
                consumer.seek(partition, end)
                self._positions[partition] = end
                self._unsettled.discard(partition)

    def _decode(self, record: Record) -> None:
        from reactorsync.wire.frame import decode_frame

        try:
            frame = decode_frame(record.value or b"")
        except UndecodableRecord as error:
            # The historian reports it, and keeps it.
            log.debug("frame at %s/%d: %s", record.partition, record.offset, error)
            return
        self._take(frame)
