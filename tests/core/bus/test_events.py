"""Reading what happened, from a real broker."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from reactorsync.bus import events
from reactorsync.bus.events import EventReader
from reactorsync.bus.kafka import KafkaBus
from reactorsync.clock import now_us
from reactorsync.wire.events import Event, ReactorRestarted
from reactorsync.wire.topics import Topics
from tests.core.planning.build import uid_of


@pytest.fixture
async def topics(bus: KafkaBus, name: str) -> Topics:
    topics = Topics(prefix=name, shards=2)
    await bus.ensure_topics(topics.live(now_us()))
    return topics


class Reading:
    """A reader and what it read."""

    def __init__(
        self,
        bus: KafkaBus,
        topics: Topics,
        since: datetime | None = None,
        *,
        at_most: int = sys.maxsize,
        clock: Callable[[], int] = now_us,
    ) -> None:
        self.ticks: list[int] = []
        self.refused: list[str] = []
        self.reader = EventReader(
            bus,
            topics,
            client_id="test",
            take=self._take,
            since=lambda: since or datetime.now(UTC),
            at_most=at_most,
            undecodable=lambda error: self.refused.append(error.reason),
            now_us=clock,
        )

    def _take(self, event: Event, time_us: int) -> None:
        assert isinstance(event, ReactorRestarted)
        assert time_us == event.tick_us + 1
        self.ticks.append(event.tick_us)

    @asynccontextmanager
    async def session(self, cluster: str = "one") -> AsyncIterator[None]:
        task = asyncio.create_task(self.reader.session(cluster))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def tell(
    bus: KafkaBus, topics: Topics, ticks: range, partition: int = 0, *, sent_us: int = 0
) -> None:
    producer = bus.producer(client_id="test")
    await producer.start()
    for tick in ticks:
        event = ReactorRestarted(
            namespace="default", name="bruce-1", uid=uid_of("bruce-1"), tick_us=tick
        )
        envelope = event.envelope(source="/test", time_us=tick + 1)
        await producer.send(
            topics.events(sent_us),
            event.encode(),
            key=event.subject.encode(),
            headers=envelope.headers(),
            partition=partition,
        )
    await producer.stop()


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


async def test_it_catches_up_and_follows(bus: KafkaBus, topics: Topics) -> None:
    await tell(bus, topics, range(3))
    await tell(bus, topics, range(10, 13), partition=1)
    reading = Reading(bus, topics)
    async with reading.session():
        await asyncio.wait_for(reading.reader.caught_up.wait(), 10)
        assert sorted(reading.ticks) == [0, 1, 2, 10, 11, 12]
        await tell(bus, topics, range(3, 5))
        await eventually(lambda: len(reading.ticks) == 8)
    assert [tick for tick in reading.ticks if tick < 10] == [0, 1, 2, 3, 4]


async def test_with_nothing_to_read_it_has_caught_up(bus: KafkaBus, topics: Topics) -> None:
    reading = Reading(bus, topics)
    async with reading.session():
        await asyncio.wait_for(reading.reader.caught_up.wait(), 10)


async def test_a_new_session_goes_on_where_the_last_one_was(bus: KafkaBus, topics: Topics) -> None:
    await tell(bus, topics, range(3))
    reading = Reading(bus, topics)
    async with reading.session():
        await eventually(lambda: len(reading.ticks) == 3)
    await tell(bus, topics, range(3, 6))
    async with reading.session():
        await eventually(lambda: len(reading.ticks) == 6)
    assert reading.ticks == [0, 1, 2, 3, 4, 5]


async def test_with_another_broker_it_begins_again(bus: KafkaBus, topics: Topics) -> None:
    await tell(bus, topics, range(3))
    reading = Reading(bus, topics)
    async with reading.session("one"):
        await eventually(lambda: len(reading.ticks) == 3)
    async with reading.session("another"):
        await eventually(lambda: len(reading.ticks) == 6)


async def test_it_moves_on_to_the_next_slot(bus: KafkaBus, name: str) -> None:
    topics = Topics(prefix=name, shards=2, slot_seconds=600)
    slot_us = 48 * 600 * 1_000_000
    first_us = now_us()
    present = [first_us]
    await bus.ensure_topics(topics.live(first_us))
    reading = Reading(bus, topics, clock=lambda: present[-1])
    await tell(bus, topics, range(2), sent_us=first_us)
    async with reading.session():
        await eventually(lambda: reading.ticks == [0, 1])
        present.append(first_us + slot_us)
        await bus.ensure_topics(topics.live(present[-1]))
        await tell(bus, topics, range(2, 4), sent_us=present[-1])
        await eventually(lambda: reading.ticks == [0, 1, 2, 3])


async def test_what_cannot_be_read_is_told_and_passed_over(bus: KafkaBus, topics: Topics) -> None:
    producer = bus.producer(client_id="test")
    await producer.start()
    await producer.send(topics.events(0), b"no event", key=b"x", partition=0)
    await producer.stop()
    await tell(bus, topics, range(2))
    reading = Reading(bus, topics)
    async with reading.session():
        await eventually(lambda: reading.ticks == [0, 1])
    assert len(reading.refused) == 1


async def test_it_ends_when_it_is_to_go_on_no_longer(bus: KafkaBus, topics: Topics) -> None:
    await tell(bus, topics, range(3))
    reading = Reading(bus, topics)

    async def until_three_were_read() -> bool:
        return len(reading.ticks) < 3

    async with asyncio.timeout(10):
        await reading.reader.session("one", goes_on=until_three_were_read)
    assert reading.ticks == [0, 1, 2]
    assert not reading.reader.caught_up.is_set()


@pytest.mark.parametrize(
    ("pause_after", "read"),
    [
        pytest.param(None, [*range(36, 40)], id="only the last records are as old as that"),
        pytest.param(30, [*range(24, 40)], id="in steps back to before the moment that matters"),
        pytest.param(0, [*range(40)], id="to the very beginning"),
    ],
)
async def test_it_reads_back_as_far_as_it_matters(
    bus: KafkaBus,
    topics: Topics,
    monkeypatch: pytest.MonkeyPatch,
    pause_after: int | None,
    read: list[int],
) -> None:
    monkeypatch.setattr(events, "FIRST_LOOK_BACK", 4)
    matters = datetime.now(UTC)
    for tick in range(40):
        if tick == pause_after:
            await asyncio.sleep(0.05)
            matters = datetime.now(UTC)
            await asyncio.sleep(0.05)
        await tell(bus, topics, range(tick, tick + 1))
    if pause_after is None:
        await asyncio.sleep(0.05)
        matters = datetime.now(UTC)
    reading = Reading(bus, topics, since=matters)
    async with reading.session():
        await asyncio.wait_for(reading.reader.caught_up.wait(), 20)
        assert reading.ticks == read


@pytest.mark.parametrize(
    ("at_most", "read"),
    [
        pytest.param(3, [*range(37, 40)], id="less than a first step"),
        pytest.param(10, [*range(30, 40)], id="between two steps"),
        pytest.param(40, [*range(40)], id="all there are"),
        pytest.param(100, [*range(40)], id="more than there are"),
    ],
)
async def test_it_reads_so_many_again_at_most(
    bus: KafkaBus, topics: Topics, monkeypatch: pytest.MonkeyPatch, at_most: int, read: list[int]
) -> None:
    monkeypatch.setattr(events, "FIRST_LOOK_BACK", 4)
    matters = datetime.now(UTC) - timedelta(hours=1)
    await tell(bus, topics, range(40))
    reading = Reading(bus, topics, since=matters, at_most=at_most)
    async with reading.session():
        await asyncio.wait_for(reading.reader.caught_up.wait(), 20)
        assert reading.ticks == read
