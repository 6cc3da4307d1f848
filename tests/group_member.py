"""A member of a consumer group that says how far it is."""

import asyncio
from collections.abc import Collection, Mapping

from reactorsync.bus.port import Bus, Partition


async def commit_as(group: str, bus: Bus, offsets: Mapping[Partition, int]) -> None:
    """Join ``group`` alone, commit ``offsets`` and leave."""
    member = bus.consumer(client_id="test", group=group)
    await member.start()
    assigned = asyncio.Event()

    async def on_assigned(_: Collection[Partition]) -> None:
        assigned.set()

    async def on_revoked(_: Collection[Partition]) -> None:
        pass

    topics = sorted({partition.topic for partition in offsets})
    member.subscribe(topics=topics, on_assigned=on_assigned, on_revoked=on_revoked)
    async with asyncio.timeout(10):
        while not assigned.is_set():
            await member.poll(timeout_seconds=0.2)
    await member.commit(offsets)
    await member.stop()
