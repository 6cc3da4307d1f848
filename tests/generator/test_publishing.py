"""Frames and events on their way to a broker that may be away."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import cast
from uuid import UUID

import pytest
from prometheus_client import REGISTRY

from reactorsync.bus.kafka import KafkaBus
from reactorsync.bus.port import BrokerUnavailable, Partition, Producer, Record
from reactorsync.wire.envelope import Envelope
from reactorsync.wire.events import Event, ReactorTripped, ShardHeartbeat, decode_event
from reactorsync.wire.topics import MAX_RECORD_BYTES, Topics
from reactorsync_generator.clock import SystemClock
from reactorsync_generator.lease import Lease
from reactorsync_generator.outbox import EventOutbox
from reactorsync_generator.production import EncodedFrame
from reactorsync_generator.publisher import OVERFLOW, REFUSED, FrameLane
from tests.generator.reactors import SECOND
from tests.servers import FreshBroker

TOPICS = Topics(shards=2)
NUDGE = b"nudge"


def lost(reason: str) -> float:
    return REGISTRY.get_sample_value("reactorsync_frames_lost_total", {"reason": reason}) or 0.0


def frame(number: int, *, shard: int = 0) -> EncodedFrame:
    return EncodedFrame(
        topic=TOPICS.telemetry(0),
        shard=shard,
        tick_us=number,
        value=f"frame {number}".encode(),
        headers=[("ce_id", str(number).encode())],
    )


@contextlib.asynccontextmanager
async def running(task: asyncio.Task[None]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


@dataclass
class Broker:
    """A broker of the test's own, and a producer to it."""

    server: FreshBroker
    bus: KafkaBus
    producer: Producer

    async def restart(self) -> None:
        await self.server.start()
        await self.bus.ensure_topics(TOPICS.live(0))
        # A record that reaches the embedded broker while it makes the topic is stored, but shows
        # only with the next one.
        nudging = self.bus.producer(client_id="nudging")
        await nudging.start()
        for topic in (TOPICS.telemetry(0), TOPICS.events(0)):
            for shard in range(TOPICS.shards):
                await _persistently(nudging, topic, shard)
        await nudging.stop()

    async def read(self, topic: str) -> list[Record]:
        """Everything that the topic holds."""
        consumer = self.bus.consumer(client_id="reading")
        partitions = [Partition(topic, shard) for shard in range(TOPICS.shards)]
        consumer.assign(partitions)
        await consumer.start()
        records: list[Record] = []
        try:
            for _ in range(100):
                records += await consumer.poll(timeout_seconds=0.1)
                ends = [consumer.high_watermark(partition) for partition in partitions]
                if None not in ends and len(records) == sum(cast("list[int]", ends)):
                    break
        finally:
            await consumer.stop()
        return [record for record in records if record.key != NUDGE]


async def _persistently(producer: Producer, topic: str, shard: int) -> None:
    for _ in range(20):
        with contextlib.suppress(BrokerUnavailable):
            await producer.send(topic, b"", key=NUDGE, partition=shard)
            return


@pytest.fixture
async def away(fresh_broker: FreshBroker) -> AsyncIterator[Broker]:
    """A broker that was there, and has gone."""
    bus = KafkaBus(fresh_broker.bootstrap, session_timeout_ms=2000)
    await bus.ensure_topics(TOPICS.live(0))
    producer = bus.producer(client_id="sending")
    await producer.start()
    await fresh_broker.stop()
    yield Broker(fresh_broker, bus, producer)
    await producer.stop()
    await bus.close()


@pytest.fixture
def lease() -> Lease:
    return Lease(SystemClock(), session_timeout_us=60 * SECOND)


@pytest.fixture
def problems() -> list[str | None]:
    return []


async def test_the_newest_frames_survive_an_outage_in_order(
    away: Broker, lease: Lease, problems: list[str | None]
) -> None:
    lane = FrameLane(away.producer, lease, capacity=8, on_health=problems.append)
    before = lost(OVERFLOW)
    async with running(asyncio.create_task(lane.run())):
        lane.offer(frame(0))
        await asyncio.sleep(0.1)  # the first is being sent, and may still arrive
        for number in range(1, 21):
            lane.offer(frame(number))
        assert lane.waiting == 9

        await away.restart()
        await asyncio.wait_for(lane.drained(), timeout=30)

    records = await away.read(TOPICS.telemetry(0))
    assert [record.value for record in records] == [
        f"frame {number}".encode() for number in (0, *range(13, 21))
    ]
    assert [dict(record.headers)["ce_id"] for record in records[1:3]] == [b"13", b"14"]
    assert lost(OVERFLOW) - before == 12
    assert problems[-1] is None


async def test_a_frame_that_no_broker_takes_does_not_hold_up_the_others(
    away: Broker, lease: Lease, problems: list[str | None]
) -> None:
    await away.restart()
    lane = FrameLane(away.producer, lease, capacity=8, on_health=problems.append)
    before = lost(REFUSED)
    async with running(asyncio.create_task(lane.run())):
        lane.offer(frame(1, shard=9))
        lane.offer(frame(2))
        await asyncio.wait_for(lane.drained(), timeout=30)
    assert [record.value for record in await away.read(TOPICS.telemetry(0))] == [b"frame 2"]
    assert lost(REFUSED) - before == 1


async def test_nothing_is_sent_while_the_membership_is_in_doubt(
    away: Broker, lease: Lease, problems: list[str | None]
) -> None:
    await away.restart()
    doubtful = Lease(SystemClock(), session_timeout_us=1)
    time.sleep(0.01)  # noqa: ASYNC251 - the whole process stands still
    lane = FrameLane(away.producer, doubtful, capacity=8, on_health=problems.append)
    async with running(asyncio.create_task(lane.run())):
        lane.offer(frame(1))
        await asyncio.sleep(0.3)
        assert lane.waiting == 1
        lane.discard("gone-elsewhere")
        assert lane.waiting == 0
    assert await away.read(TOPICS.telemetry(0)) == []


def heartbeat(shard: int, tick_us: int) -> ShardHeartbeat:
    return ShardHeartbeat(
        shard=shard,
        generator="generator-1",
        run="run-1",
        epoch=0,
        tick_us=tick_us,
        reactors=0,
        readings_per_second=0,
        late_ticks=0,
    )


def trip(number: int, tick_us: int) -> ReactorTripped:
    return ReactorTripped(
        namespace="default",
        name=f"reactor-{number}",
        uid=UUID(int=number),
        tick_us=tick_us,
        cause="LowPrimaryFlow",
    )


async def events(broker: Broker) -> list[Event]:
    return [
        decode_event(Envelope.from_headers(record.headers), record.value or b"")
        for record in await broker.read(TOPICS.events(0))
    ]


async def test_after_an_outage_events_arrive_and_heartbeats_only_the_newest(
    away: Broker, lease: Lease
) -> None:
    outbox = EventOutbox(
        away.producer,
        lease,
        topics=TOPICS,
        now_us=lambda: 0,
        source="generator-1",
        capacity=1000,
    )
    for tick in range(5):
        outbox.post([heartbeat(0, tick), trip(1, tick), trip(2, tick)], time_us=tick)
    async with running(asyncio.create_task(outbox.run())):
        await asyncio.sleep(0.2)
        outbox.post([heartbeat(0, 9)], time_us=9)
        await away.restart()
        await asyncio.wait_for(outbox.drained(), timeout=30)

    found = await events(away)
    trips = [event for event in found if isinstance(event, ReactorTripped)]
    assert sorted((event.name, event.tick_us) for event in trips) == sorted(
        (f"reactor-{number}", tick) for number in (1, 2) for tick in range(5)
    )
    beats = [event.tick_us for event in found if isinstance(event, ShardHeartbeat)]
    assert beats[-1] == 9
    assert set(beats) <= {4, 9}


async def test_an_overflow_is_followed_by_a_report_of_everything(
    away: Broker, lease: Lease
) -> None:
    outbox = EventOutbox(
        away.producer,
        lease,
        topics=TOPICS,
        now_us=lambda: 0,
        source="generator-1",
        capacity=10,
    )
    reports: list[int] = []
    outbox.on_overflow = lambda: reports.append(1)
    async with running(asyncio.create_task(outbox.run())):
        outbox.post([trip(number, 0) for number in range(30)], time_us=0)
        outbox.post([heartbeat(0, 1)], time_us=1)
        await away.restart()
        await asyncio.wait_for(outbox.drained(), timeout=30)
    assert [type(event) for event in await events(away)] == [ShardHeartbeat]
    assert reports == [1]


async def test_an_event_that_no_broker_takes_does_not_hold_up_the_others(
    away: Broker, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    await away.restart()
    monkeypatch.setattr(ShardHeartbeat, "encode", lambda _: b"0" * (MAX_RECORD_BYTES + 1))
    outbox = EventOutbox(
        away.producer, lease, topics=TOPICS, now_us=lambda: 0, source="generator-1", capacity=10
    )
    name = "reactorsync_generator_events_refused_total"
    before = REGISTRY.get_sample_value(name) or 0.0
    outbox.post([heartbeat(0, 1), trip(1, 1)], time_us=1)
    async with running(asyncio.create_task(outbox.run())):
        await asyncio.wait_for(outbox.drained(), timeout=30)
    assert [type(event) for event in await events(away)] == [ReactorTripped]
    assert (REGISTRY.get_sample_value(name) or 0.0) - before == 1
