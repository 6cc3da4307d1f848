"""Live frames from Kafka to sockets: one reader per process, latest value wins per client.

The hub follows the telemetry topics without a group, so any number of API replicas see the same.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from prometheus_client import Counter, Gauge

from reactorsync import clock
from reactorsync.bus.port import BrokerUnavailable, Bus, Consumer, Partition
from reactorsync.service import Backoff, Readiness, pause
from reactorsync.wire.errors import UndecodableRecord
from reactorsync.wire.frame import Frame, decode_frame
from reactorsync.wire.topics import Topics

log = logging.getLogger(__name__)

_CLIENTS = Gauge("reactorsync_ws_clients", "Open live connections.")
_FRAMES = Counter("reactorsync_live_frames_total", "Telemetry frames the live hub has read.")
_BAD = Counter("reactorsync_live_bad_frames_total", "Frames the live hub could not read.")
_SKIPPED = Counter("reactorsync_ws_frames_skipped_total", "Frames a slow client never got.")

DEPENDENCY = "live-kafka"
_TOPIC_CHECK_SECONDS = 2.0


@dataclass(slots=True, eq=False)
class Feed:
    """What waits for one client: the newest frame of each shard, older ones are skipped."""

    skipped: int = 0
    _waiting: dict[int, Frame] = field(default_factory=dict)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def offer(self, frame: Frame) -> None:
        """Put a frame in its shard's slot."""
        if frame.origin.shard in self._waiting:
            self.skipped += 1
            _SKIPPED.inc()
        self._waiting[frame.origin.shard] = frame
        self._arrived.set()

    async def take(self) -> list[Frame]:
        """Wait for frames and take all that are there."""
        await self._arrived.wait()
        self._arrived.clear()
        frames = list(self._waiting.values())
        self._waiting.clear()
        return frames


class LiveHub:
    """Reads every telemetry frame once and offers it to all feeds."""

    def __init__(self, bus: Bus, topics: Topics, readiness: Readiness) -> None:
        self._bus = bus
        self._topics = topics
        self._readiness = readiness
        self._feeds: set[Feed] = set()
        self._newest: dict[int, Frame] = {}
        readiness.expect(DEPENDENCY)

    @contextmanager
    def feed(self) -> Iterator[Feed]:
        """Open a feed; it gets the frames that come from now on."""
        feed = Feed()
        self._feeds.add(feed)
        _CLIENTS.inc()
        try:
            yield feed
        finally:
            self._feeds.discard(feed)
            _CLIENTS.dec()

    def replay(self, feed: Feed) -> None:
        """Offer the newest known frame of every shard, for who would not wait a tick."""
        for frame in self._newest.values():
            feed.offer(frame)

    async def run(self, stopping: asyncio.Event) -> None:
        """Follow the topics until ``stopping``; come back by itself when the broker went away."""
        backoff = Backoff()
        while not stopping.is_set():
            try:
                await self._follow(stopping, backoff)
            except BrokerUnavailable as error:
                self._readiness.fails(DEPENDENCY, str(error))
                await pause(backoff.next_pause(), stopping)

    async def _follow(self, stopping: asyncio.Event, backoff: Backoff) -> None:
        cluster = await self._bus.cluster_id()
        consumer = self._bus.consumer(client_id="reactorsync-api-live")
        try:
            await consumer.start()
            followed: set[Partition] = set()
            next_check = 0.0
            while not stopping.is_set():
                if time.monotonic() >= next_check:
                    if await self._bus.cluster_id() != cluster:
                        raise BrokerUnavailable("the broker was restarted")
                    followed = await self._follow_slots(consumer, followed)
                    next_check = time.monotonic() + _TOPIC_CHECK_SECONDS
                if not followed:
                    await pause(0.5, stopping)
                    continue
                for record in await consumer.poll(timeout_seconds=0.5):
                    self._publish(record.value)
                self._readiness.works(DEPENDENCY)
                backoff.reset()
        finally:
            await consumer.stop()

    async def _follow_slots(self, consumer: Consumer, followed: set[Partition]) -> set[Partition]:
        """Read the topic of now and, around its birth, the one before it."""
        now_us = clock.now_us()
        names = {self._topics.telemetry(now_us), self._topics.telemetry(now_us - 30_000_000)}
        wanted: set[Partition] = set()
        for name in names:
            wanted |= await consumer.partitions_of(name)
        if wanted == followed:
            return followed
        positions = {
            partition: await consumer.position(partition) for partition in followed & wanted
        }
        consumer.assign(wanted)
        for partition in wanted:
            consumer.seek(partition, positions.get(partition, 0))
        if not followed:
            await self._skip_history(consumer, wanted)
        return wanted

    async def _skip_history(self, consumer: Consumer, partitions: set[Partition]) -> None:
        """Go to the end as a fetch sees it: asking for the end offset is not to be trusted."""
        deadline = time.monotonic() + 5.0
        unknown = set(partitions)
        while unknown and time.monotonic() < deadline:
            await consumer.poll(timeout_seconds=0.2, max_records=1)
            unknown = {p for p in unknown if consumer.high_watermark(p) is None}
        for partition in partitions:
            end = consumer.high_watermark(partition)
            if end:
                consumer.seek(partition, end - 1)

    def _publish(self, value: bytes | None) -> None:
        try:
            frame = decode_frame(value or b"")
        except UndecodableRecord as error:
            _BAD.inc()
            log.warning("frame skipped: %s", error)
            return
        _FRAMES.inc()
        known = self._newest.get(frame.origin.shard)
        if known is not None and frame.tick_us < known.tick_us:
            return
        self._newest[frame.origin.shard] = frame
        for feed in self._feeds:
            feed.offer(frame)
