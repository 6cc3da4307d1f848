"""A stand-in for the generators of a whole fleet: reads desired state and reports as they do."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar, TypeVar

from reactorsync.bus.kafka import KafkaBus
from reactorsync.bus.port import Partition, Producer
from reactorsync.clock import now_us
from reactorsync.wire.desired import DesiredFault, DesiredReactor, decode_desired
from reactorsync.wire.events import (
    Event,
    FaultInjected,
    FaultRecovered,
    ReactorApplied,
    ReactorObserved,
    ShardHeartbeat,
)
from reactorsync.wire.keys import shard_of
from reactorsync.wire.topics import SNAPSHOT_KEY, Topics


class Plants:
    """Applies every desired state at once; faults begin and end by the clock, as in a plant."""

    TICK_SECONDS: ClassVar = 0.1

    def __init__(self, bus: KafkaBus, topics: Topics) -> None:
        self._bus = bus
        self._topics = topics
        self.desired: dict[str, DesiredReactor] = {}
        self.records: list[tuple[str, DesiredReactor | None]] = []
        self.markers: list[int] = []
        self._acting: dict[tuple[str, str], tuple[DesiredReactor, DesiredFault]] = {}
        self._producer: Producer | None = None

    async def run(self) -> None:
        consumer = self._bus.consumer(client_id="plants")
        producer = self._bus.producer(client_id="plants")
        await consumer.start()
        await producer.start()
        self._producer = producer
        shards = range(self._topics.shards)
        consumer.assign({Partition(self._topics.reactors, number) for number in shards})
        beaten = 0.0
        try:
            while True:
                if time.monotonic() - beaten > 1.0:
                    beaten = time.monotonic()
                    await self._send(*map(_heartbeat, shards))
                events: list[Event] = []
                for record in await consumer.poll(timeout_seconds=self.TICK_SECONDS):
                    if record.key == SNAPSHOT_KEY:
                        self.markers.append(record.partition.number)
                        continue
                    assert record.key is not None
                    key = record.key.decode()
                    assert record.partition.number == shard_of(key, self._topics.shards)
                    state = decode_desired(record.value) if record.value is not None else None
                    self.records.append((key, state))
                    events += self._applied(key, state)
                await self._send(*events, *self._turns())
        finally:
            await consumer.stop()
            await producer.stop()

    def _applied(self, key: str, state: DesiredReactor | None) -> list[Event]:
        """Take a desired state over; return what a plant reports of that."""
        if state is None:
            self.desired.pop(key, None)
            return []
        first = key not in self.desired
        self.desired[key] = state
        shard = shard_of(key, self._topics.shards)
        events: list[Event] = [
            ReactorApplied(
                namespace=state.namespace,
                name=state.name,
                uid=state.uid,
                tick_us=now_us(),
                generation=state.generation,
                revision=state.revision,
                generator="generator-1",
                shard=shard,
            )
        ]
        if first:
            events.append(
                ReactorObserved(
                    namespace=state.namespace,
                    name=state.name,
                    uid=state.uid,
                    tick_us=now_us(),
                    generator="generator-1",
                    shard=shard,
                    power_permille=state.power_setpoint_permille,
                )
            )
        return events

    def _turns(self) -> list[Event]:
        """Return which faults began and ended since the last tick."""
        now = now_us()
        before, self._acting = (
            self._acting,
            {
                (key, fault.id): (state, fault)
                for key, state in self.desired.items()
                for fault in state.faults
                if fault.start_us <= now < fault.end_us
            },
        )
        return [
            *(
                _about(FaultInjected, *found)
                for place, found in self._acting.items()
                if place not in before
            ),
            *(
                _about(FaultRecovered, *found)
                for place, found in before.items()
                if place not in self._acting
            ),
        ]

    async def _send(self, *events: Event) -> None:
        assert self._producer is not None
        for start in range(0, len(events), 1000):
            await asyncio.gather(
                *(
                    self._producer.send(
                        self._topics.events(now_us()),
                        event.encode(),
                        key=event.subject.encode(),
                        headers=event.envelope(source="generator-1", time_us=now_us()).headers(),
                    )
                    for event in events[start : start + 1000]
                )
            )


def _heartbeat(shard: int) -> ShardHeartbeat:
    return ShardHeartbeat(
        shard=shard,
        generator="generator-1",
        run="test",
        epoch=1,
        tick_us=now_us(),
        reactors=0,
        readings_per_second=0.0,
        late_ticks=0,
    )


F = TypeVar("F", FaultInjected, FaultRecovered)


def _about(kind: type[F], state: DesiredReactor, fault: DesiredFault) -> F:
    return kind(
        namespace=state.namespace,
        name=state.name,
        uid=state.uid,
        tick_us=now_us(),
        fault_id=fault.id,
        scenario=fault.scenario,
        run=fault.run,
        stage=fault.stage,
        kind=fault.kind,
    )


@asynccontextmanager
async def simulated(bus: KafkaBus, topics: Topics) -> AsyncIterator[Plants]:
    """Plants that live as long as the context."""
    await bus.ensure_topics(topics.live(now_us()))
    plants = Plants(bus, topics)
    task = asyncio.create_task(plants.run())
    try:
        yield plants
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
