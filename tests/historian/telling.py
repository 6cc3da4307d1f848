"""What others tell the historian, and what it tells them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from reactorsync import clock
from reactorsync.bus.port import Bus, Partition, Producer
from reactorsync.wire.desired import DesiredReactor
from reactorsync.wire.envelope import Envelope
from reactorsync.wire.events import Event, decode_event
from reactorsync.wire.keys import shard_of
from reactorsync.wire.topics import Topics

T = TypeVar("T", bound=Event)


async def declare(producer: Producer, topics: Topics, desired: DesiredReactor) -> None:
    """Publish a desired state."""
    now_us = clock.now_us()
    await producer.send(
        topics.reactors,
        desired.encode(),
        key=desired.key.encode(),
        headers=desired.envelope(source="operator", time_us=now_us).headers(),
        partition=shard_of(desired.key, topics.shards),
    )


async def tell(producer: Producer, topics: Topics, event: Event) -> None:
    """Publish an event."""
    now_us = clock.now_us()
    await producer.send(
        topics.events(now_us),
        event.encode(),
        key=event.subject.encode(),
        headers=event.envelope(source="generator-0", time_us=now_us).headers(),
    )


@dataclass
class Tap:
    """Everything that is on the events topic."""

    events: list[Event] = field(default_factory=list)

    def told(self, kind: type[T]) -> list[T]:
        return [event for event in self.events if isinstance(event, kind)]


@asynccontextmanager
async def tapped(bus: Bus, topics: Topics) -> AsyncIterator[Tap]:
    """Read the events topic meanwhile, from its start."""
    tap = Tap()
    topic = topics.events(clock.now_us())
    consumer = bus.consumer(client_id="tap")
    await consumer.start()
    consumer.assign({Partition(topic, number) for number in range(topics.shards)})

    async def read() -> None:
        while True:
            for record in await consumer.poll(timeout_seconds=0.2):
                envelope = Envelope.from_headers(record.headers)
                tap.events.append(decode_event(envelope, record.value or b""))

    reading = asyncio.create_task(read())
    try:
        yield tap
    finally:
        reading.cancel()
        await asyncio.wait([reading])
        await consumer.stop()
