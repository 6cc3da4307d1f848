"""Reading what a topic holds now: desired state and checkpoints are read to the end before use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from typing import Final

from reactorsync.bus.port import BrokerUnavailable, Consumer, Partition, Record

_POLL_SECONDS: Final = 0.25


async def read_to_end(
    consumer: Consumer, partitions: Collection[Partition], *, timeout_seconds: float
) -> AsyncIterator[Record]:
    """Yield the records of ``partitions`` from where ``consumer`` stands to their end.

    ``consumer`` must be started and have them assigned; records of other partitions that it reads
    meanwhile are yielded too. The end is the high watermark that a fetch reports first, so this
    comes to an end while others go on writing, and it holds all that was acknowledged before the
    call. End offsets asked for by name are not used: the embedded broker answers them wrongly.

    Raises:
        BrokerUnavailable: the end was not reached within ``timeout_seconds``.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + timeout_seconds
    ends: dict[Partition, int] = {}
    remaining = set(partitions)
    while remaining:
        wait_seconds = min(_POLL_SECONDS, deadline - clock())
        if wait_seconds <= 0:
            missing = ", ".join(f"{part.topic}/{part.number}" for part in sorted(remaining))
            raise BrokerUnavailable(f"end of {missing} not reached within {timeout_seconds:g} s")
        for record in await consumer.poll(timeout_seconds=wait_seconds):
            yield record
        for partition in sorted(remaining):
            end = consumer.high_watermark(partition)
            if end is not None:
                ends.setdefault(partition, end)
                if await consumer.position(partition) >= ends[partition]:
                    remaining.discard(partition)


async def read_ends(consumer: Consumer, partitions: Collection[Partition]) -> dict[Partition, int]:
    """Return the end of each partition, by fetching from where ``consumer`` stands.

    ``consumer`` must be started and have them assigned. What it reads meanwhile is dropped: seek
    before reading on.

    Raises:
        BrokerUnavailable: the broker is silent.
    """
    ends: dict[Partition, int] = {}
    while len(ends) < len(partitions):
        await consumer.poll(timeout_seconds=_POLL_SECONDS, max_records=1)
        for partition in partitions:
            if (end := consumer.high_watermark(partition)) is not None:
                ends[partition] = end
    return ends
