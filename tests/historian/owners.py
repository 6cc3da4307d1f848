"""Historians without a broker: the part that stores batches, driven by hand."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from reactorsync.bus.port import Partition, Record
from reactorsync_historian.batch import Item
from reactorsync_historian.database import Connection, DatabaseUnavailable
from reactorsync_historian.fleet import FleetView
from reactorsync_historian.main import build_sink, open_link
from reactorsync_historian.offsets import Move, OffsetStore, Ownership
from reactorsync_historian.partitions import PartitionKeeper
from reactorsync_historian.sequences import Loss
from reactorsync_historian.session import Sink
from reactorsync_historian.settings import HistorianSettings
from reactorsync_historian.stages import Stage, no_hook
from reactorsync_historian.writer import Written
from tests.historian.feed import TICK_US, first_tick_us, make_frame

PARTITION = Partition("telemetry", 0)
INCARNATION = "first"
START_US = first_tick_us()


class PlainOffsets(OffsetStore):
    """What looks right and is not: the offset moves in the transaction, without the comparison."""

    async def move(
        self, connection: Connection, *, incarnation: str, moves: Mapping[Partition, Move]
    ) -> None:
        for partition, move in moves.items():
            await connection.execute(
                "UPDATE consumer_offset SET next_offset = %s WHERE topic = %s AND partition = %s",
                (move.next_offset, partition.topic, partition.number),
            )


@dataclass
class Pause:
    """Holds a batch at one stage until it may go on."""

    stage: Stage
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    going_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, stage: Stage) -> None:
        if stage is self.stage:
            self.reached.set()
            await self.going_on.wait()


@dataclass
class Owner:
    """A historian's sink, driven by hand."""

    sink: Sink
    ownership: Ownership = field(default_factory=lambda: Ownership(0, 0))

    async def take_over(self) -> None:
        async with self.sink.link.transaction() as connection:
            taken = await self.sink.offsets.take_over(
                connection, incarnation=INCARNATION, partitions=[PARTITION]
            )
        self.ownership = taken[PARTITION]

    async def store_up_to(self, end: int) -> None:
        """Store one frame an offset, from where this owner stands to ``end``."""
        offsets = range(self.ownership.next_offset, end)
        ticks_us = [START_US + offset * TICK_US for offset in offsets]
        await self.store([make_frame(tick_us=tick_us).encode() for tick_us in ticks_us])

    async def store(
        self, values: Sequence[bytes | None], *, losses: Sequence[Loss] = ()
    ) -> Written:
        """Store these records, one after the other, in one batch."""
        items = [
            self._item(self.ownership.next_offset + number, value)
            for number, value in enumerate(values)
        ]
        written = await self.sink.store.store(items, losses, incarnation=INCARNATION)
        self.ownership.next_offset += len(items)
        return written

    def _item(self, offset: int, value: bytes | None) -> Item:
        headers = [("ce_id", b"\x00\xff"), ("again", b"1"), ("again", b"2")]
        record = Record(PARTITION, offset, b"\x00key", value, headers, 0)
        return self.sink.reader.read(record, self.ownership, now_us=START_US)


@dataclass
class Owners:
    """Makes owners on one database, and closes what they opened."""

    settings: HistorianSettings
    offsets: OffsetStore
    partitions: PartitionKeeper
    made: list[Owner] = field(default_factory=list)
    fleet: FleetView = field(default_factory=FleetView)

    def new(self, pause: Pause | None = None) -> Owner:
        sink = build_sink(
            self.settings,
            link=open_link(self.settings),
            offsets=self.offsets,
            partitions=self.partitions,
            fleet=self.fleet,
            on_alarms=lambda: None,
            hook=pause or no_hook,
        )
        self.made.append(Owner(sink))
        return self.made[-1]


async def take_over_in_the_end(owner: Owner) -> None:
    """Take over, as often as it takes."""
    while True:
        try:
            return await owner.take_over()
        except DatabaseUnavailable:
            await asyncio.sleep(0.1)
