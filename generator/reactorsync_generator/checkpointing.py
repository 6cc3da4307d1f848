"""Checkpoints on their topic: how often they are written, and how the newest is found again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final

from reactorsync.bus.port import BrokerUnavailable, Bus, Consumer, Partition, Producer, Record
from reactorsync.wire.checkpoint import Checkpoint, decode_checkpoint
from reactorsync.wire.errors import UndecodableRecord
from reactorsync.wire.topics import Topics
from reactorsync_generator.inheritance import Inheritance, newest, states_of
from reactorsync_generator.lease import Lease
from reactorsync_generator.metrics import CHECKPOINT_BYTES, CHECKPOINTS
from reactorsync_generator.shelf import CheckpointShelf

log = logging.getLogger(__name__)

_TAIL: Final = 3
"""Newest records of a partition that are looked at: one may be undecodable, or a zombie's."""

_SILENCE_SECONDS: Final = 10.0

_ATTEMPTS: Final = 3
"""The embedded broker refuses the first records of a partition written while it was made."""


@dataclass(slots=True)
class CheckpointPace:
    """How often the shards of one process write their checkpoints.

    A checkpoint follows the last after ``interval_us``, or after whatever longer time keeps all
    of them together within ``bytes_per_second``; but at the latest after ``longest_us``.
    """

    shards: int
    interval_us: int
    longest_us: int
    bytes_per_second: int
    _sizes: dict[int, int] = field(default_factory=dict)

    def wrote(self, shard: int, size: int) -> None:
        """Take note of the size of a shard's newest checkpoint, in bytes."""
        self._sizes[shard] = size

    def released(self, shard: int) -> None:
        """The shard is no longer this process's."""
        self._sizes.pop(shard, None)

    @property
    def pause_us(self) -> int:
        """Time between two checkpoints of a shard."""
        needed_us = sum(self._sizes.values()) * 1_000_000 // self.bytes_per_second
        return min(max(self.interval_us, needed_us), max(self.interval_us, self.longest_us))

    def next_us(self, shard: int, now_us: int) -> int:
        """Return when ``shard`` writes next: shards take turns within the interval."""
        pause_us = self.pause_us
        turn_us = pause_us * shard // self.shards
        return (now_us - turn_us) // pause_us * pause_us + turn_us + pause_us


class CheckpointWriter:
    """Writes checkpoints, each under its shard's key to its shard's partition, and to the shelf."""

    def __init__(
        self,
        producer: Producer,
        lease: Lease,
        *,
        topics: Topics,
        source: str,
        shelf: CheckpointShelf | None = None,
    ) -> None:
        self._shelf = shelf
        self._producer = producer
        self._lease = lease
        self._topics = topics
        self._source = source

    async def write(self, checkpoint: Checkpoint, value: bytes, *, time_us: int) -> bool:
        """Send an encoded checkpoint made at ``time_us``; return whether it is stored.

        A process in doubt of its membership writes none: it could replace its successor's.
        """
        if not self._lease.look():
            CHECKPOINTS.labels("withheld").inc()
            return False
        if self._shelf is not None:
            await asyncio.to_thread(self._shelf.put, checkpoint.shard, value)
        for _ in range(_ATTEMPTS):
            try:
                await self._send(checkpoint, value, time_us)
            except (BrokerUnavailable, ValueError) as error:
                log.warning("checkpoint of shard %d is not stored: %s", checkpoint.shard, error)
                CHECKPOINTS.labels("failed").inc()
            else:
                CHECKPOINTS.labels("stored").inc()
                CHECKPOINT_BYTES.inc(len(value))
                return True
        return False

    async def _send(self, checkpoint: Checkpoint, value: bytes, time_us: int) -> None:
        await self._producer.send(
            self._topics.checkpoints(time_us),
            value,
            key=checkpoint_key(checkpoint.shard),
            headers=checkpoint.envelope(source=self._source, time_us=time_us).headers(),
            partition=checkpoint.shard,
        )


def checkpoint_key(shard: int) -> bytes:
    """Return the record key of a shard's checkpoints."""
    return f"shard/{shard}".encode()


async def read_newest(
    bus: Bus,
    topics: Topics,
    shards: Collection[int],
    *,
    now_us: int,
    client_id: str,
    shelf: CheckpointShelf | None = None,
) -> dict[int, Inheritance]:
    """Read the newest state of every plant of ``shards``, be it in the broker or on the shelf.

    Raises:
        BrokerUnavailable: the broker cannot be reached or does not answer.
    """
    consumer = bus.consumer(client_id=client_id)
    await consumer.start()
    try:
        partitions: set[Partition] = set()
        for topic in topics.checkpoint_topics(now_us):
            partitions |= {
                part for part in await consumer.partitions_of(topic) if part.number in shards
            }
        records = await _read_tails(consumer, partitions) if partitions else []
    finally:
        await consumer.stop()
    values = [
        record.value
        for record in records
        if record.key == checkpoint_key(record.partition.number) and record.value is not None
    ]
    if shelf is not None:
        values += await asyncio.to_thread(shelf.get, shards)
    found = list(_decoded(values))
    return {
        shard: newest(states_of(checkpoint) for checkpoint in found if checkpoint.shard == shard)
        for shard in shards
    }


async def _read_tails(consumer: Consumer, partitions: set[Partition]) -> list[Record]:
    """Read the last records of each partition.

    Its end is known from the high watermark of a first fetch, never from ListOffsets.
    """
    consumer.assign(partitions)
    for partition in partitions:
        consumer.seek(partition, -1)
    ends: dict[Partition, int] = {}
    records: dict[Partition, list[Record]] = {partition: [] for partition in partitions}
    open_ones = set(partitions)
    try:
        async with asyncio.timeout(_SILENCE_SECONDS):
            while open_ones:
                for record in await consumer.poll(timeout_seconds=0.1):
                    part = record.partition
                    if part in ends and record.offset >= ends[part] - _TAIL:
                        records[part].append(record)
                        if record.offset >= ends[part] - 1:
                            open_ones.discard(part)
                for part in open_ones - ends.keys():
                    end = consumer.high_watermark(part)
                    if end is not None:
                        ends[part] = end
                        consumer.seek(part, max(0, end - _TAIL))
                open_ones -= {part for part, end in ends.items() if end == 0}
    except TimeoutError as error:
        raise BrokerUnavailable("checkpoints cannot be read to their end") from error
    return [record for found in records.values() for record in found]


def _decoded(values: Iterable[bytes]) -> Iterable[Checkpoint]:
    for value in values:
        try:
            yield decode_checkpoint(value)
        except UndecodableRecord as error:
            log.warning("a checkpoint is passed over: %s", error)
