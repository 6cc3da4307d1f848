"""Generators against a real broker: declare reactors, run generators, record what comes out."""

import asyncio
import contextlib
import os
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeVar

from reactorsync import clock
from reactorsync.bus.kafka import KafkaBus
from reactorsync.bus.port import BrokerUnavailable, Partition, Record
from reactorsync.service import Readiness
from reactorsync.wire.desired import DesiredReactor
from reactorsync.wire.envelope import Envelope
from reactorsync.wire.events import Event, decode_event
from reactorsync.wire.frame import Frame, decode_frame
from reactorsync.wire.topics import SNAPSHOT_KEY, Topics
from reactorsync_generator.clock import SystemClock
from reactorsync_generator.main import Generator
from reactorsync_generator.settings import GeneratorSettings

SESSION_SECONDS = 2.0
SHARDS = 4

E = TypeVar("E", bound=Event)


@dataclass(frozen=True)
class Seen:
    """A frame as it was read, and when."""

    frame: Frame
    id: str
    at: float

    @property
    def shard(self) -> int:
        return self.frame.origin.shard

    @property
    def run(self) -> str:
        return self.frame.origin.run

    @property
    def readings(self) -> dict[str, bytes]:
        """The bytes of each reactor's readings."""
        columns = self.frame.readings.T
        return {
            key: columns[row].tobytes() for row, key in enumerate(self.frame.reactors.to_pylist())
        }


@dataclass
class Wiretap:
    """Everything that was read of telemetry and events, in order of arrival."""

    frames: list[Seen] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def take(self, record: Record) -> None:
        assert record.value is not None
        envelope = Envelope.from_headers(record.headers)
        if envelope.type.startswith("dev.reactorsync.telemetry"):
            self.frames.append(Seen(decode_frame(record.value), envelope.id, time.time()))
        else:
            self.events.append(decode_event(envelope, record.value))

    def told(self, kind: type[E], subject: str | None = None) -> list[E]:
        """Events of one kind, about one subject."""
        return [
            event
            for event in self.events
            if isinstance(event, kind) and subject in (None, event.subject)
        ]

    def runs(self, *, since: float) -> dict[int, set[str]]:
        """Which lives of generators have sent frames since a time, by shard."""
        runs = defaultdict(set)
        for seen in self.frames:
            if seen.at >= since:
                runs[seen.shard].add(seen.run)
        return dict(runs)

    def ticks(self) -> dict[str, dict[int, set[bytes]]]:
        """By reactor and tick, the different readings that were sent."""
        ticks: dict[str, dict[int, set[bytes]]] = defaultdict(lambda: defaultdict(set))
        for seen in self.frames:
            for key, readings in seen.readings.items():
                ticks[key][seen.frame.tick_us].add(readings)
        return ticks


def gaps(ticks: dict[int, set[bytes]], *, interval_us: int = 1_000_000) -> list[float]:
    """Seconds without a sample, wherever one is missing between the first tick and the last."""
    times = sorted(ticks)
    return [
        (after - before) / 1e6 for before, after in pairwise(times) if after - before != interval_us
    ]


class Pool:
    """One installation on a broker: its topics, its desired state and its generators."""

    def __init__(self, bootstrap: str, prefix: str, *, shards: int = SHARDS) -> None:
        self.topics = Topics(prefix=prefix, shards=shards)
        self.tap = Wiretap()
        self.bus = KafkaBus(bootstrap, session_timeout_ms=int(SESSION_SECONDS * 1000))
        self._producer = self.bus.producer(client_id="declaring")
        self._environment = {
            "REACTORSYNC_KAFKA_BOOTSTRAP": bootstrap,
            "REACTORSYNC_KAFKA_SESSION_TIMEOUT_MS": str(int(SESSION_SECONDS * 1000)),
            "REACTORSYNC_TOPIC_PREFIX": prefix,
            "REACTORSYNC_SHARDS": str(shards),
        }
        self._settings = GeneratorSettings(
            kafka_bootstrap=bootstrap,
            kafka_session_timeout_ms=int(SESSION_SECONDS * 1000),
            topic_prefix=prefix,
            shards=shards,
            generator_name="in-process",
            handover_seconds=0,
        )
        self._tapping: asyncio.Task[None] | None = None

    async def open(self) -> None:
        await self.bus.ensure_topics(self.topics.live(clock.now_us()))
        await self._producer.start()
        self._tapping = asyncio.create_task(self._tap())

    async def close(self) -> None:
        if self._tapping is not None:
            self._tapping.cancel()
            await asyncio.wait([self._tapping])
        await self._producer.stop()
        await self.bus.close()

    async def declare(self, *states: DesiredReactor, complete: bool = True) -> None:
        """Publish desired states, and the snapshot markers that say there are no others."""
        await asyncio.gather(*(self._put(state.key, state.encode()) for state in states))
        if complete:
            await self.mark()

    async def mark(self) -> None:
        await asyncio.gather(
            *(
                self._producer.send(self.topics.reactors, b"{}", key=SNAPSHOT_KEY, partition=shard)
                for shard in range(self.topics.shards)
            )
        )

    async def remove(self, key: str) -> None:
        await self._put(key, None)

    async def _put(self, key: str, value: bytes | None) -> None:
        await self._producer.send(self.topics.reactors, value, key=key.encode())

    @contextlib.asynccontextmanager
    async def process(self, name: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """A generator in a process of its own; killed at the end if it is still there."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "reactorsync_generator.main",
            env={**os.environ, **self._environment, "REACTORSYNC_GENERATOR_NAME": name},
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    @contextlib.asynccontextmanager
    async def generator(self) -> AsyncIterator[Readiness]:
        """A generator in this process."""
        readiness, stopping = Readiness(), asyncio.Event()
        bus = KafkaBus(
            self._settings.kafka_bootstrap,
            session_timeout_ms=self._settings.kafka_session_timeout_ms,
        )
        generator = Generator(self._settings, bus, readiness, clock=SystemClock())
        running = asyncio.create_task(generator.run(stopping))
        try:
            yield readiness
        finally:
            stopping.set()
            await running

    async def until(self, what: Callable[[], object], *, seconds: float = 20.0) -> None:
        """Wait for something to become true of what was recorded."""
        deadline = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < deadline, f"not within {seconds} s"
            assert self._tapping is not None
            if self._tapping.done():
                self._tapping.result()
            await asyncio.sleep(0.02)

    async def every_shard_streams(self, *, since: float | None = None) -> None:
        """Wait until each shard has sent a frame since a time, by default from now on."""
        since = time.time() if since is None else since
        await self.until(lambda: len(self.tap.runs(since=since)) == self.topics.shards)

    async def _tap(self) -> None:
        """Record, from whatever broker there is at the address."""
        while True:
            consumer = self.bus.consumer(client_id="tap")
            consumer.assign(
                [
                    Partition(topic, shard)
                    for topic in (self.topics.telemetry(0), self.topics.events(0))
                    for shard in range(self.topics.shards)
                ]
            )
            try:
                cluster = await self.bus.cluster_id()
                await consumer.start()
                while await self.bus.cluster_id() == cluster:
                    for record in await consumer.poll(timeout_seconds=0.2):
                        self.tap.take(record)
            except BrokerUnavailable:
                await asyncio.sleep(0.2)
            finally:
                await consumer.stop()
