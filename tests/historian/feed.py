"""A stand-in for generators: frames of known content, and the log of what the broker took."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from reactorsync.bus.port import BrokerUnavailable, Producer
from reactorsync.service import pause
from reactorsync.signals import SIGNAL_NAMES
from reactorsync.wire.frame import Frame, FrameOrigin, reactor_column
from reactorsync.wire.topics import Topics

TICK_US = 100_000


def first_tick_us() -> int:
    """A tick a minute ago, so that a test's ticks neither expire nor lie in the future."""
    return (time.time_ns() // 1_000 // TICK_US) * TICK_US - 60_000_000


def reactor_keys(shard: int, count: int) -> list[str]:
    return [f"fleet-{shard}/unit-{number}" for number in range(count)]


def make_frame(
    *,
    shard: int = 0,
    run: str = "run-a",
    sequence: int = 0,
    tick_us: int,
    keys: Sequence[str] = ("fleet-0/unit-0",),
    readings: np.ndarray | None = None,
) -> Frame:
    """A frame; without readings they follow from shard, tick, signal and reactor."""
    count = len(keys)
    if readings is None:
        signals = np.arange(len(SIGNAL_NAMES), dtype=np.float32)[:, None]
        readings = signals * 1000 + np.arange(count, dtype=np.float32) + tick_us // TICK_US % 512
    return Frame(
        tick_us=tick_us,
        origin=FrameOrigin(shard=shard, run=run, epoch=0, sequence=sequence),
        reactors=reactor_column(list(keys)),
        trip_causes=np.zeros(count, np.uint8),
        readings=readings.astype(np.float32),
    )


def of_version(frame: bytes, version: int) -> bytes:
    """The same frame, saying that it is of another version."""
    table = pa.ipc.open_stream(frame).read_all()
    table = table.replace_schema_metadata(
        {**table.schema.metadata, b"version": str(version).encode()}
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


@dataclass
class Feed:
    """Sends frames of every shard and remembers which reactor and tick the broker has taken."""

    producer: Producer
    topics: Topics
    reactors_per_shard: int = 3
    tick_step_us: int = TICK_US
    run: str = "run-a"
    start_us: int = field(default_factory=first_tick_us)
    acknowledged: list[tuple[str, int]] = field(default_factory=list)
    frames: int = 0
    _sequence: int = 0

    async def tick(self, shards: Iterable[int] | None = None) -> None:
        """Send one frame of every shard (or of ``shards``) for the next tick."""
        tick_us = self.start_us + self._sequence * self.tick_step_us
        sequence = self._sequence
        self._sequence += 1
        for shard in range(self.topics.shards) if shards is None else shards:
            keys = reactor_keys(shard, self.reactors_per_shard)
            frame = make_frame(
                shard=shard, run=self.run, sequence=sequence, tick_us=tick_us, keys=keys
            )
            await self.send(shard, frame.encode(), tick_us)
            self.acknowledged += [(key, tick_us) for key in keys]
            self.frames += 1

    async def ticks(self, count: int) -> None:
        for _ in range(count):
            await self.tick()

    @asynccontextmanager
    async def flowing(self, *, pause_seconds: float = 0.1) -> AsyncIterator[None]:
        """Send tick after tick meanwhile, also while the broker is away."""
        stopping = asyncio.Event()

        async def flow() -> None:
            while not await pause(pause_seconds, stopping):
                with suppress(BrokerUnavailable):
                    await self.tick()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(flow())
            yield
            stopping.set()

    def skip(self, ticks: int) -> None:
        """Let ticks pass whose frames nobody ever gets."""
        self._sequence += ticks

    async def send(self, shard: int, value: bytes | None, tick_us: int | None = None) -> int:
        """Send anything at all to a shard's partition; return the offset."""
        topic = self.topics.telemetry(self.start_us if tick_us is None else tick_us)
        return await self.producer.send(
            topic, value, key=str(shard).encode(), headers=[("h", b"\x00\xff")], partition=shard
        )
