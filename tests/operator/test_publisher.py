"""Desired state on its way to a real broker."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest

from reactorsync import clock
from reactorsync.bus.kafka import KafkaBus
from reactorsync.bus.kafka_producer import KafkaProducer
from reactorsync.bus.port import Partition, Record
from reactorsync.bus.reading import read_to_end
from reactorsync.wire.desired import (
    DESIRED_TYPE,
    TOMBSTONE_TYPE,
    DesiredReactor,
    decode_desired,
    tombstone_envelope,
)
from reactorsync.wire.envelope import Envelope
from reactorsync.wire.keys import shard_of
from reactorsync.wire.snapshot import decode_snapshot
from reactorsync.wire.topics import SNAPSHOT_KEY, Topics
from reactorsync_operator.leadership import NotLeading
from reactorsync_operator.metrics import FOREIGN_REACTORS, OVERRULED
from reactorsync_operator.publisher import Publisher
from reactorsync_operator.reconcile.observed import ObservedReactor
from reactorsync_operator.reconcile.reactor import plan_reactor
from tests.core.planning.build import NOON, reactor
from tests.servers import FreshBroker

_PREFIXES = count(1)


@pytest.fixture
async def topics(bus: KafkaBus) -> Topics:
    topics = Topics(prefix=f"publisher{next(_PREFIXES)}", shards=3)
    await bus.ensure_topics(topics.live(clock.now_us()))
    return topics


def desired(name: str, power_permille: int = 1000) -> DesiredReactor:
    stored = reactor(name, powerSetpointPermille=power_permille)
    return plan_reactor(ObservedReactor(reactor=stored), NOON).desired


@asynccontextmanager
async def publishing(publisher: Publisher) -> AsyncIterator[Publisher]:
    """A session, to which everything wanted has been offered."""
    publisher.offered_all.set()
    session = asyncio.create_task(publisher.session())
    try:
        yield publisher
        if session.done():
            await session
    finally:
        session.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await session


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


async def records(bus: KafkaBus, topics: Topics) -> list[Record]:
    """Everything the desired-state topic holds, partition by partition."""
    consumer = bus.consumer(client_id="test")
    await consumer.start()
    partitions = {Partition(topics.reactors, number) for number in range(topics.shards)}
    consumer.assign(partitions)
    found = [one async for one in read_to_end(consumer, partitions, timeout_seconds=10)]
    await consumer.stop()
    return sorted(found, key=lambda one: (one.partition, one.offset))


def states(found: list[Record]) -> list[tuple[str, int | None]]:
    """Key and setpoint of every record of a reactor; no setpoint for a tombstone."""
    return [
        (
            (one.key or b"").decode().removeprefix("default/"),
            decode_desired(one.value).power_setpoint_permille if one.value else None,
        )
        for one in found
        if one.key != SNAPSHOT_KEY
    ]


async def test_the_whole_fleet_then_a_marker_in_each_partition(
    bus: KafkaBus, topics: Topics
) -> None:
    publisher = Publisher(bus, topics)
    names = [f"bruce-{number}" for number in range(20)]
    for name in names:
        publisher.offer(desired(name))
    async with publishing(publisher):
        await eventually(lambda: publisher.idle)
    found = await records(bus, topics)
    assert sorted(name for name, _ in states(found)) == sorted(names)
    for number in range(topics.shards):
        share = [one for one in found if one.partition.number == number]
        assert [one.key == SNAPSHOT_KEY for one in share] == [False] * (len(share) - 1) + [True]
        assert decode_snapshot(share[-1].value or b"") == len(share) - 1
        for one in share[:-1]:
            assert shard_of((one.key or b"").decode(), topics.shards) == number


async def test_a_record_carries_its_revision_and_its_time(bus: KafkaBus, topics: Topics) -> None:
    publisher = Publisher(bus, topics)
    state = desired("bruce-1")
    publisher.offer(state)
    began_us = clock.now_us()
    async with publishing(publisher):
        await eventually(lambda: publisher.idle)
    record = next(one for one in await records(bus, topics) if one.key != SNAPSHOT_KEY)
    envelope = Envelope.from_headers(record.headers)
    assert envelope.id == f"default/bruce-1/{state.revision}"
    assert (envelope.type, envelope.subject) == (DESIRED_TYPE, "default/bruce-1")
    publication = publisher.publication("default/bruce-1")
    assert publication is not None
    assert publication.revision == state.revision
    assert publication.time_us == envelope.time_us >= began_us


async def test_only_what_changed_is_published(bus: KafkaBus, topics: Topics) -> None:
    publisher = Publisher(bus, topics)
    publisher.offer(desired("bruce-1"))
    publisher.offer(desired("bruce-2"))
    async with publishing(publisher):
        await eventually(lambda: publisher.idle)
        publisher.offer(desired("bruce-1"))
        publisher.offer(desired("bruce-2", 900))
        publisher.withdraw("default/bruce-3")
        await eventually(lambda: publisher.idle)
    assert sorted(states(await records(bus, topics))) == [
        ("bruce-1", 1000),
        ("bruce-2", 900),
        ("bruce-2", 1000),
    ]


async def test_a_deleted_reactor_gets_a_tombstone(bus: KafkaBus, topics: Topics) -> None:
    publisher = Publisher(bus, topics)
    publisher.offer(desired("bruce-1"))
    async with publishing(publisher):
        await eventually(lambda: publisher.idle)
        publisher.withdraw("default/bruce-1")
        await eventually(lambda: publisher.idle)
        assert publisher.publication("default/bruce-1") is None
    found = await records(bus, topics)
    assert states(found) == [("bruce-1", 1000), ("bruce-1", None)]
    tombstone = next(one for one in found if one.value is None)
    envelope = Envelope.from_headers(tombstone.headers)
    assert (envelope.type, envelope.source) == (TOMBSTONE_TYPE, "operator")
    assert envelope.id == f"default/bruce-1/deleted/{envelope.time_us}"


async def test_what_was_published_is_known_to_the_microsecond_after_a_restart(
    bus: KafkaBus, topics: Topics
) -> None:
    first, second = Publisher(bus, topics), Publisher(bus, topics)
    for publisher in (first, second):
        publisher.offer(desired("bruce-1"))
        async with publishing(publisher):
            await asyncio.wait_for(publisher.complete.wait(), 10)
    assert second.publication("default/bruce-1") == first.publication("default/bruce-1")


async def test_an_offer_keeps_its_time_while_it_stays_the_same(bus: KafkaBus) -> None:
    publisher = Publisher(bus, Topics())
    publisher.offer(desired("bruce-1"))
    first = publisher.offered("default/bruce-1")
    publisher.offer(desired("bruce-1"))
    assert publisher.offered("default/bruce-1") == first
    publisher.offer(desired("bruce-1", 900))
    changed = publisher.offered("default/bruce-1")
    assert first is not None
    assert changed is not None
    assert changed.revision != first.revision
    assert changed.time_us >= first.time_us
    publisher.withdraw("default/bruce-1")
    assert publisher.offered("default/bruce-1") is None


async def test_a_new_process_goes_on_from_what_the_topic_holds(
    bus: KafkaBus, topics: Topics
) -> None:
    first = Publisher(bus, topics)
    for name in ("same", "changed", "deleted"):
        first.offer(desired(name))
    async with publishing(first):
        await eventually(lambda: first.idle)
    second = Publisher(bus, topics)
    second.offer(desired("same"))
    second.offer(desired("changed", 900))
    async with publishing(second):
        await eventually(lambda: second.idle)
    assert sorted(states(await records(bus, topics)), key=str) == [
        ("changed", 1000),
        ("changed", 900),
        ("deleted", 1000),
        ("deleted", None),
        ("same", 1000),
    ]


async def test_nothing_is_published_before_everything_is_known(
    bus: KafkaBus, topics: Topics
) -> None:
    full = Publisher(bus, topics)
    full.offer(desired("bruce-1"))
    full.offer(desired("bruce-2"))
    async with publishing(full):
        await eventually(lambda: full.idle)
    ignorant = Publisher(bus, topics)
    session = asyncio.create_task(ignorant.session())
    await asyncio.wait_for(ignorant.read_back.wait(), 10)
    ignorant.offer(desired("bruce-1"))
    await asyncio.sleep(0.3)
    session.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await session
    assert None not in {power for _, power in states(await records(bus, topics))}, (
        "bruce-2 would have been deleted only because it was not yet known"
    )


async def test_what_is_offered_between_sessions_is_published_in_the_next(
    bus: KafkaBus, topics: Topics
) -> None:
    publisher = Publisher(bus, topics)
    publisher.offer(desired("bruce-1"))
    async with publishing(publisher):
        await eventually(lambda: publisher.idle)
    assert not publisher.idle
    publisher.offer(desired("bruce-1", 900))
    async with publishing(publisher):
        await eventually(lambda: publisher.idle)
    assert states(await records(bus, topics)) == [("bruce-1", 1000), ("bruce-1", 900)]


async def test_a_broker_that_forgot_everything_is_told_everything(
    fresh_broker: FreshBroker,
) -> None:
    bus = KafkaBus(fresh_broker.bootstrap, session_timeout_ms=2500)
    topics = Topics(prefix="publisher", shards=3)
    publisher = Publisher(bus, topics)
    publisher.offer(desired("bruce-1"))
    publisher.offer(desired("bruce-2"))
    for _ in range(2):
        await bus.ensure_topics(topics.live(clock.now_us()))
        async with publishing(publisher):
            await eventually(lambda: publisher.idle)
        found = await records(bus, topics)
        assert len(found) == 2 + topics.shards
        await fresh_broker.restart()
    await bus.close()


async def test_what_belongs_to_other_namespaces_is_left_alone_and_pointed_out(
    bus: KafkaBus, topics: Topics, caplog: pytest.LogCaptureFixture
) -> None:
    everywhere = Publisher(bus, topics)
    for name in ("bruce-1", "bruce-2"):
        everywhere.offer(desired(name))
    async with publishing(everywhere):
        await eventually(lambda: everywhere.idle)
    before = len(states(await records(bus, topics)))
    elsewhere = Publisher(bus, topics, namespaces=["east"])
    async with publishing(elsewhere):
        await eventually(lambda: elsewhere.idle)
    assert FOREIGN_REACTORS._value.get() == 2
    (pointed_out,) = [one for one in caplog.records if "TOPIC_PREFIX" in one.getMessage()]
    assert "2 reactors" in pointed_out.getMessage()
    assert len(states(await records(bus, topics))) == before, "no tombstones"
    here = Publisher(bus, topics, namespaces=["default"])
    here.offer(desired("bruce-1"))
    async with publishing(here):
        await eventually(lambda: here.idle)
    assert FOREIGN_REACTORS._value.get() == 0
    assert [name for name, state in states(await records(bus, topics)) if state is None] == [
        "bruce-2"
    ]


async def test_a_reactor_that_cannot_be_read_is_not_taken_for_gone(
    bus: KafkaBus, topics: Topics
) -> None:
    before = Publisher(bus, topics)
    for name in ("bruce-1", "bruce-2"):
        before.offer(desired(name))
    async with publishing(before):
        await eventually(lambda: before.idle)
    again = Publisher(bus, topics, leaves_alone=lambda key: key == "default/bruce-1")
    async with publishing(again):
        await eventually(lambda: again.idle)
    assert [name for name, state in states(await records(bus, topics)) if state is None] == [
        "bruce-2"
    ]


async def test_what_was_left_alone_is_withdrawn_once_it_is_known_to_be_gone(
    bus: KafkaBus, topics: Topics
) -> None:
    before = Publisher(bus, topics)
    names = ("bruce-1", "gone", "unplanned", "unreadable")
    for name in names:
        before.offer(desired(name))
    async with publishing(before):
        await eventually(lambda: before.idle)
    closed = {f"default/{name}" for name in names[1:]}
    again = Publisher(bus, topics, leaves_alone=lambda key: key in closed)
    again.offer(desired("bruce-1"))
    again.look_again()
    async with publishing(again):
        await eventually(lambda: again.idle)
        again.look_again()
        await eventually(lambda: again.idle)
        assert again.publication("default/gone") is not None, "what is closed stays as it is"
        closed = {"default/unplanned", "default/unreadable"}
        again.look_again()
        await eventually(lambda: again.idle)
    assert [name for name, state in states(await records(bus, topics)) if state is None] == ["gone"]


async def test_what_was_left_alone_is_withdrawn_when_somebody_says_so(
    bus: KafkaBus, topics: Topics
) -> None:
    before = Publisher(bus, topics)
    before.offer(desired("gone"))
    before.offer(desired("closed"))
    async with publishing(before):
        await eventually(lambda: before.idle)
    left_alone = {"default/gone", "default/closed"}
    again = Publisher(bus, topics, leaves_alone=lambda key: key in left_alone)
    async with publishing(again):
        await eventually(lambda: again.idle)
        left_alone = {"default/closed"}
        again.withdraw("default/gone")
        again.withdraw("default/closed")
        await eventually(lambda: again.idle and again.publication("default/gone") is None)
        assert again.publication("default/closed") is not None


async def test_what_changes_and_changes_back_is_not_published(
    bus: KafkaBus, topics: Topics
) -> None:
    publisher = Publisher(bus, topics)
    publisher.offer(desired("bruce-1"))
    async with publishing(publisher):
        await eventually(lambda: publisher.idle)
        publisher.offer(desired("bruce-1", 900))
        publisher.offer(desired("bruce-1"))
        publisher.offer(desired("bruce-2"))
        publisher.withdraw("default/bruce-2")
        await eventually(lambda: publisher.idle)
    assert states(await records(bus, topics)) == [("bruce-1", 1000)]


async def test_without_the_lease_nothing_is_published(bus: KafkaBus, topics: Topics) -> None:
    publisher = Publisher(bus, topics, may_write=lambda: False)
    publisher.offer(desired("bruce-1"))
    publisher.offered_all.set()
    with pytest.raises(NotLeading):
        await asyncio.wait_for(publisher.session(), 10)
    assert await records(bus, topics) == []


async def written_elsewhere(
    bus: KafkaBus, topics: Topics, key: str, state: DesiredReactor | None
) -> None:
    """What a process writes that led before and does not know yet that it does no more."""
    producer = bus.producer(client_id="ended")
    await producer.start()
    now_us = clock.now_us()
    if state is not None:
        envelope = state.envelope(source="operator", time_us=now_us)
    else:
        envelope = tombstone_envelope(key, source="operator", time_us=now_us)
    await producer.send(
        topics.reactors,
        state.encode() if state is not None else None,
        key=key.encode(),
        headers=envelope.headers(),
        partition=shard_of(key, topics.shards),
    )
    await producer.stop()


@pytest.mark.parametrize("late", [900, None])
async def test_what_an_ended_leader_still_writes_is_put_right(
    bus: KafkaBus, topics: Topics, late: int | None
) -> None:
    publisher = Publisher(bus, topics)
    publisher.offer(desired("bruce-1"))
    async with publishing(publisher):
        await eventually(lambda: publisher.idle)
        overruled = OVERRULED._value.get()
        state = desired("bruce-1", late) if late is not None else None
        await written_elsewhere(bus, topics, "default/bruce-1", state)
        await eventually(lambda: OVERRULED._value.get() > overruled)
        await eventually(lambda: publisher.idle)
        assert OVERRULED._value.get() == overruled + 1
    assert states(await records(bus, topics)) == [
        ("bruce-1", 1000),
        ("bruce-1", late),
        ("bruce-1", 1000),
    ]


async def test_what_an_ended_leader_brings_back_is_deleted_again(
    bus: KafkaBus, topics: Topics
) -> None:
    publisher = Publisher(bus, topics)
    async with publishing(publisher):
        await eventually(lambda: publisher.idle)
        overruled = OVERRULED._value.get()
        await written_elsewhere(bus, topics, "default/bruce-1", desired("bruce-1"))
        await eventually(lambda: OVERRULED._value.get() > overruled)
        await eventually(lambda: publisher.idle)
        assert publisher.publication("default/bruce-1") is None
    assert states(await records(bus, topics)) == [("bruce-1", 1000), ("bruce-1", None)]


async def test_what_somebody_else_writes_as_it_is_wanted_stays(
    bus: KafkaBus, topics: Topics
) -> None:
    publisher = Publisher(bus, topics)
    publisher.offer(desired("bruce-1"))
    async with publishing(publisher):
        await eventually(lambda: publisher.idle)
        first = publisher.publication("default/bruce-1")
        await written_elsewhere(bus, topics, "default/bruce-1", desired("bruce-1"))
        await eventually(lambda: publisher.publication("default/bruce-1") != first)
        await asyncio.sleep(0.3)
    assert states(await records(bus, topics)) == [("bruce-1", 1000)] * 2


async def test_two_that_both_believe_that_they_lead_do_not_race(
    bus: KafkaBus, topics: Topics
) -> None:
    one, other = Publisher(bus, topics), Publisher(bus, topics)
    one.offer(desired("bruce-1"))
    other.offer(desired("bruce-1", 900))
    async with publishing(one), publishing(other):
        await eventually(lambda: one.complete.is_set() and other.complete.is_set())
        await asyncio.sleep(2)
    assert len(states(await records(bus, topics))) <= 6


async def test_what_others_make_of_the_topic_is_known(bus: KafkaBus, topics: Topics) -> None:
    here = Publisher(bus, topics, namespaces=["west"])
    everywhere = Publisher(bus, topics)
    async with publishing(here):
        await eventually(lambda: here.idle)
        assert here.readings_per_second_elsewhere == 0
        everywhere.offer(desired("bruce-1"))
        everywhere.offer(desired("bruce-2"))
        async with publishing(everywhere):
            await eventually(lambda: everywhere.idle)
            await eventually(lambda: here.readings_per_second_elsewhere == 2)
            everywhere.withdraw("default/bruce-2")
            await eventually(lambda: here.readings_per_second_elsewhere == 1)
    assert here.publication("default/bruce-1") is None


async def test_without_the_lease_nothing_more_is_sent_at_the_end(
    bus: KafkaBus, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends: list[str] = []
    for name in ("stop", "discard"):
        end = getattr(KafkaProducer, name)

        async def noting(self: KafkaProducer, name: str = name, end: Any = end) -> None:
            ends.append(name)
            await end(self)

        monkeypatch.setattr(KafkaProducer, name, noting)
    leads = True
    publisher = Publisher(bus, topics, may_write=lambda: leads)
    async with publishing(publisher):
        await eventually(lambda: publisher.idle)
    leads = False
    publisher.offer(desired("bruce-1"))
    with pytest.raises(NotLeading):
        async with publishing(publisher):
            await eventually(lambda: ends[-1] == "discard")
    assert ends == ["stop", "discard"]
