"""Reading records: partitions of one's own, groups, rebalances, outages."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence

import pytest

from reactorsync.bus import kafka_consumer
from reactorsync.bus.aiokafka_internals import consumer_is_dead
from reactorsync.bus.kafka import KafkaBus
from reactorsync.bus.kafka_consumer import KafkaConsumer
from reactorsync.bus.kafka_producer import KafkaProducer
from reactorsync.bus.port import BrokerUnavailable, Partition, Record
from reactorsync.wire.topics import TopicSpec
from tests.core.bus.conftest import HOUR_MS, SESSION_TIMEOUT_MS
from tests.servers import FreshBroker


async def values(consumer: KafkaConsumer, count: int, *, seconds: float = 15) -> list[bytes | None]:
    """Poll until ``count`` records have come, or for ``seconds``."""
    found: list[Record] = []
    deadline = time.monotonic() + seconds
    while len(found) < count and time.monotonic() < deadline:
        found += await consumer.poll(timeout_seconds=0.2)
    return [record.value for record in found]


async def send(producer: KafkaProducer, topic: str, *contents: bytes, partition: int = 0) -> None:
    for content in contents:
        await producer.send(topic, content, partition=partition)


class Member:
    """A member of a group; a task polls it all the time, as parts do."""

    def __init__(self, bus: KafkaBus, group: str) -> None:
        self.consumer = bus.consumer(client_id="member", group=group)
        self.owned: set[Partition] = set()
        self.log: list[tuple[str, set[Partition]]] = []
        self.records: list[Record] = []
        self.errors: list[Exception] = []
        self.while_assigning: Callable[[], Awaitable[None]] | None = None
        self._task: asyncio.Task[None] | None = None

    async def join(
        self, topics: Sequence[str] = (), *, pattern: re.Pattern[str] | None = None
    ) -> None:
        self.consumer.subscribe(
            topics=topics,
            pattern=pattern,
            on_assigned=self.on_assigned,
            on_revoked=self.on_revoked,
        )
        await self.consumer.start()
        self._task = asyncio.create_task(self._run())

    async def on_assigned(self, partitions: Collection[Partition]) -> None:
        self.log.append(("assigned", set(partitions)))
        if self.while_assigning is not None:
            await self.while_assigning()
        self.owned = set(partitions)

    async def on_revoked(self, partitions: Collection[Partition]) -> None:
        self.log.append(("revoked", set(partitions)))
        self.owned = set()

    async def _run(self) -> None:
        while True:
            try:
                records = await self.consumer.poll(timeout_seconds=0.2)
            except Exception as error:  # noqa: BLE001 - whatever a callback raised
                self.errors.append(error)
                await asyncio.sleep(0.1)
                continue
            assert {record.partition for record in records} <= self.owned
            self.records += records

    async def leave(self) -> None:
        await self.end()
        await self.consumer.stop()

    async def end(self) -> None:
        """Stop polling; raises what went wrong in the task."""
        if self._task is not None:
            task, self._task = self._task, None
            failed = task.done()
            task.cancel()
            if failed:
                await task

    @property
    def values(self) -> list[bytes | None]:
        return [record.value for record in self.records]


@pytest.fixture
async def member(bus: KafkaBus, name: str) -> AsyncIterator[Callable[[], Member]]:
    """Makes members of one group."""
    members: list[Member] = []

    def make() -> Member:
        members.append(Member(bus, name))
        return members[-1]

    yield make
    for one in members:
        await one.leave()


async def until(fact: Callable[[], object], *, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline, "did not come true in time"
        await asyncio.sleep(0.05)


def partitions(topic: str, count: int = 4) -> set[Partition]:
    return {Partition(topic, number) for number in range(count)}


# Partitions of one's own


async def test_a_reader_starts_at_the_first_record(
    producer: KafkaProducer, reader: KafkaConsumer, topic: str
) -> None:
    await send(producer, topic, b"a", b"b")
    reader.assign({Partition(topic, 0)})

    assert await values(reader, 2) == [b"a", b"b"]


async def test_an_assignment_made_before_the_start_holds(
    bus: KafkaBus, producer: KafkaProducer, topic: str
) -> None:
    await send(producer, topic, b"a", b"b", b"c")
    reader = bus.consumer(client_id="test")
    reader.assign({Partition(topic, 0)})
    reader.seek(Partition(topic, 0), 1)

    await reader.start()

    assert await values(reader, 2) == [b"b", b"c"]
    await reader.stop()


async def test_seeking_moves_both_ways(
    producer: KafkaProducer, reader: KafkaConsumer, topic: str
) -> None:
    partition = Partition(topic, 0)
    await send(producer, topic, b"a", b"b", b"c")
    reader.assign({partition})
    await values(reader, 3)

    reader.seek(partition, 1)
    assert await values(reader, 2) == [b"b", b"c"]
    assert await reader.position(partition) == 3
    reader.seek(partition, -1)
    assert await values(reader, 3) == [b"a", b"b", b"c"]


async def test_a_position_beyond_the_end_shows_against_the_high_watermark(
    producer: KafkaProducer, reader: KafkaConsumer, topic: str
) -> None:
    """After a volatile broker's restart: whoever stored 50,000 would wait for ever."""
    partition = Partition(topic, 0)
    await send(producer, topic, b"a", b"b")
    reader.assign({partition})
    reader.seek(partition, 50_000)

    assert await values(reader, 1, seconds=1) == []
    end = reader.high_watermark(partition)
    assert end == 2
    assert await reader.position(partition) > end


async def test_the_high_watermark_is_right_for_batches(
    producer: KafkaProducer, reader: KafkaConsumer, topic: str
) -> None:
    partition = Partition(topic, 0)
    await asyncio.gather(*(producer.send(topic, b"", key=b"", partition=0) for _ in range(100)))
    reader.assign({partition})
    assert reader.high_watermark(partition) is None

    await values(reader, 100)

    assert reader.high_watermark(partition) == 100


async def test_no_more_records_than_asked_for(
    producer: KafkaProducer, reader: KafkaConsumer, topic: str
) -> None:
    await send(producer, topic, b"a", b"b", b"c")
    reader.assign({Partition(topic, 0)})

    found: list[bytes | None] = []
    while len(found) < 3:
        batch = await reader.poll(timeout_seconds=1, max_records=2)
        assert 0 < len(batch) <= 2
        found += [record.value for record in batch]
    assert found == [b"a", b"b", b"c"]


async def test_a_paused_partition_waits_while_others_go_on(
    producer: KafkaProducer, reader: KafkaConsumer, topic: str
) -> None:
    first, second = Partition(topic, 0), Partition(topic, 1)
    await send(producer, topic, b"first", partition=0)
    await send(producer, topic, b"second", partition=1)
    reader.assign({first, second})
    reader.pause({first})

    assert await values(reader, 2, seconds=1) == [b"second"]
    reader.resume({first})
    assert await values(reader, 1) == [b"first"]


async def test_polling_with_nothing_assigned_waits(reader: KafkaConsumer) -> None:
    started = time.monotonic()

    assert await reader.poll(timeout_seconds=0.2) == []

    assert time.monotonic() - started > 0.15


async def test_a_reader_without_a_group_cannot_subscribe(reader: KafkaConsumer) -> None:
    async def ignore(partitions: Collection[Partition]) -> None: ...

    with pytest.raises(ValueError, match="without a group"):
        reader.subscribe(topics=["t"], on_assigned=ignore, on_revoked=ignore)


async def test_what_is_not_assigned_has_no_position(reader: KafkaConsumer, topic: str) -> None:
    elsewhere = Partition(topic, 3)

    reader.seek(elsewhere, 5)
    reader.pause({elsewhere})
    reader.resume({elsewhere})

    assert reader.high_watermark(elsewhere) is None
    with pytest.raises(LookupError):
        await reader.position(elsewhere)


async def test_reading_a_deleted_topic_does_not_bring_it_back(
    bus: KafkaBus, producer: KafkaProducer, reader: KafkaConsumer, topic: str
) -> None:
    await send(producer, topic, b"a")
    reader.assign(partitions(topic))
    await values(reader, 1)

    await bus.delete_topics([topic])
    await values(reader, 1, seconds=1.5)

    assert topic not in await bus.list_topics()


# Groups


async def test_members_share_the_partitions_and_a_leaver_gives_them_back(
    member: Callable[[], Member], topic: str
) -> None:
    first, second = member(), member()
    await first.join([topic])
    await until(lambda: first.owned == partitions(topic))

    await second.join([topic])
    await until(lambda: len(first.owned) == len(second.owned) == 2)
    assert first.owned | second.owned == partitions(topic)
    kept = first.owned

    await second.leave()
    await until(lambda: first.owned == partitions(topic))

    assert second.log[-1][0] == "revoked"
    # Eager: each rebalance takes all partitions and gives all of the new ones.
    assert first.log == [
        ("assigned", partitions(topic)),
        ("revoked", partitions(topic)),
        ("assigned", kept),
        ("revoked", kept),
        ("assigned", partitions(topic)),
    ]


async def test_what_a_member_keeps_is_most_of_what_it_had(
    member: Callable[[], Member], bus: KafkaBus, name: str
) -> None:
    await bus.ensure_topics([TopicSpec(name, 12, HOUR_MS)])
    members = [member(), member()]
    for one in members:
        await one.join([name])
    await until(lambda: all(len(one.owned) == 6 for one in members))
    before = [one.owned for one in members]

    third = member()
    await third.join([name])
    await until(lambda: len(third.owned) == 4 and all(len(one.owned) == 4 for one in members))

    assert all(one.owned < had for one, had in zip(members, before, strict=True))


async def test_a_slow_assignment_neither_loses_the_membership_nor_shows_records(
    member: Callable[[], Member], producer: KafkaProducer, topic: str
) -> None:
    one = member()
    ready = asyncio.Event()

    async def wait() -> None:
        await ready.wait()

    one.while_assigning = wait
    await send(producer, topic, b"a")
    await one.join([topic])
    await until(lambda: one.log)

    await asyncio.sleep(2 * SESSION_TIMEOUT_MS / 1000)
    assert one.records == []
    ready.set()
    await until(lambda: one.values == [b"a"])

    assert one.log == [("assigned", partitions(topic))]


async def test_a_rebalance_cancels_an_assignment_still_going_on(
    member: Callable[[], Member], topic: str
) -> None:
    first, second = member(), member()
    cancelled = []

    async def wait_for_ever() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    first.while_assigning = wait_for_ever
    await first.join([topic])
    await until(lambda: first.log)
    first.while_assigning = None

    await second.join([topic])
    await until(lambda: len(first.owned) == len(second.owned) == 2)

    assert cancelled == [True]
    assert first.log[:2] == [("assigned", partitions(topic)), ("revoked", partitions(topic))]


async def test_seeking_while_being_assigned_decides_where_reading_begins(
    member: Callable[[], Member], producer: KafkaProducer, topic: str
) -> None:
    await send(producer, topic, b"old", b"new")
    one = member()

    async def seek() -> None:
        one.consumer.seek(Partition(topic, 0), 1)

    one.while_assigning = seek
    await one.join([topic])
    await until(lambda: one.records)

    assert one.values == [b"new"]


async def test_a_partition_paused_while_being_assigned_stays_paused(
    member: Callable[[], Member], producer: KafkaProducer, topic: str
) -> None:
    await send(producer, topic, b"held", partition=0)
    await send(producer, topic, b"free", partition=1)
    one = member()

    async def pause() -> None:
        one.consumer.pause({Partition(topic, 0)})

    one.while_assigning = pause
    await one.join([topic])
    await until(lambda: one.records)
    await asyncio.sleep(0.5)
    assert one.values == [b"free"]

    one.consumer.resume({Partition(topic, 0)})
    await until(lambda: one.values == [b"free", b"held"])


async def test_a_failed_assignment_is_told_and_tried_again(
    member: Callable[[], Member], producer: KafkaProducer, topic: str
) -> None:
    await send(producer, topic, b"a")
    one = member()
    failures = [RuntimeError("database is away")]

    async def fail_once() -> None:
        if failures:
            raise failures.pop()

    one.while_assigning = fail_once
    await one.join([topic])
    await until(lambda: one.values == [b"a"])

    assert [str(error) for error in one.errors] == ["database is away"]


async def test_a_member_that_dies_is_replaced_within_two_session_timeouts(
    member: Callable[[], Member], bus: KafkaBus, topic: str
) -> None:
    survivor, victim = member(), member()
    await survivor.join([topic])
    await victim.join([topic])
    await until(lambda: len(survivor.owned) == len(victim.owned) == 2)

    await victim.end()
    heartbeat = victim.consumer._client._coordinator._heartbeat_task  # type: ignore[union-attr]
    heartbeat.cancel()
    started = time.monotonic()
    await until(lambda: survivor.owned == partitions(topic))

    assert time.monotonic() - started < 2 * SESSION_TIMEOUT_MS / 1000 + 1


async def test_a_topic_that_appears_later_is_read_when_it_matches(
    member: Callable[[], Member], bus: KafkaBus, producer: KafkaProducer, name: str
) -> None:
    """As the slots of the embedded broker's profile come and go."""
    slots = [TopicSpec(f"{name}.telemetry.{slot}", 2, HOUR_MS) for slot in range(3)]
    await bus.ensure_topics(slots[:1])
    await bus.ensure_topics([TopicSpec(f"{name}.other", 2, HOUR_MS)])
    members = [member(), member()]
    for one in members:
        await one.join(pattern=re.compile(rf"^{name}\.telemetry\.\d+$"))

    def topics_owned() -> list[str]:
        return sorted(part.topic for one in members for part in one.owned)

    await until(lambda: topics_owned() == [slots[0].name] * 2)
    await bus.ensure_topics(slots)
    for spec in slots:
        await send(producer, spec.name, spec.name.encode(), partition=1)
    expected = {spec.name.encode() for spec in slots}
    await until(lambda: {value for one in members for value in one.values} == expected)

    await bus.delete_topics([slots[0].name])
    await until(lambda: topics_owned() == [slots[1].name] * 2 + [slots[2].name] * 2)
    assert slots[0].name not in await bus.list_topics()


async def test_a_group_whose_topic_does_not_exist_yet_waits_for_it(
    member: Callable[[], Member], bus: KafkaBus, name: str
) -> None:
    one = member()
    await one.join([name])
    await asyncio.sleep(1)
    assert name not in await bus.list_topics()

    await bus.ensure_topics([TopicSpec(name, 2, HOUR_MS)])

    await until(lambda: one.owned == partitions(name, 2))


async def test_committed_offsets_are_where_the_group_goes_on(
    bus: KafkaBus, member: Callable[[], Member], producer: KafkaProducer, topic: str
) -> None:
    await send(producer, topic, b"a", b"b")
    first, second = member(), member()
    await first.join([topic])
    await until(lambda: first.values == [b"a", b"b"])
    await first.consumer.commit({Partition(topic, 0): 1, Partition("elsewhere", 0): 7})
    await first.leave()

    await second.join([topic])

    await until(lambda: second.records)
    assert second.values == [b"b"]


# Outages


async def test_silence_is_an_error_and_reading_goes_on_after_it(
    fresh_broker: FreshBroker,
) -> None:
    bus = KafkaBus(fresh_broker.bootstrap, session_timeout_ms=SESSION_TIMEOUT_MS)
    spec = TopicSpec("t", 2, HOUR_MS)
    await bus.ensure_topics([spec])
    producer = bus.producer(client_id="test")
    await producer.start()
    await send(producer, "t", b"before")
    one = Member(bus, "group")
    await one.join(["t"])
    reader = bus.consumer(client_id="reader")
    reader.assign(partitions("t", 2))
    await reader.start()
    assert await values(reader, 1) == [b"before"]
    await until(lambda: one.values == [b"before"])

    await fresh_broker.stop()
    with pytest.raises(BrokerUnavailable, match="does not answer"):
        await values(reader, 1)
    await until(lambda: one.errors)

    await fresh_broker.start()
    await bus.ensure_topics([spec])
    # The broker has forgotten everything: offsets begin at 0 again.
    reader.seek(Partition("t", 0), -1)
    one.while_assigning = lambda: _seek_to_start(one)
    await send(producer, "t", b"after")
    found: list[bytes | None] = []
    started = time.monotonic()
    while not found and time.monotonic() < started + 20:
        try:
            found = await values(reader, 1, seconds=1)
        except BrokerUnavailable:
            await asyncio.sleep(0.1)
    assert found == [b"after"]
    await until(lambda: one.values == [b"before", b"after"], seconds=20)

    await one.leave()
    for client in (reader, producer):
        await client.stop()
    await bus.close()


async def _seek_to_start(one: Member) -> None:
    one.consumer.seek(Partition("t", 0), -1)


@pytest.mark.parametrize("task", ["_coordination_task", "_sync_task", "_fetch_task"])
async def test_a_consumer_whose_task_has_died_is_replaced(
    member: Callable[[], Member], producer: KafkaProducer, topic: str, task: str
) -> None:
    one = member()
    await one.join([topic])
    await send(producer, topic, b"a")
    await until(lambda: one.values == [b"a"])
    await one.consumer.commit({Partition(topic, 0): 1})
    client = one.consumer._client
    assert client is not None
    assert not consumer_is_dead(client)
    owners = (client._coordinator, client._client, client._fetcher)
    next(getattr(owner, task) for owner in owners if hasattr(owner, task)).cancel()
    await until(lambda: len(one.log) == 3)
    await send(producer, topic, b"b")

    await until(lambda: one.values == [b"a", b"b"])

    assert [event for event, _ in one.log] == ["assigned", "revoked", "assigned"]


async def test_a_replaced_reader_goes_on_where_it_was(
    producer: KafkaProducer, reader: KafkaConsumer, topic: str
) -> None:
    await send(producer, topic, b"a", b"b", b"c")
    reader.assign({Partition(topic, 0)})
    reader.seek(Partition(topic, 0), 1)
    assert await reader.poll(timeout_seconds=5, max_records=1)
    client = reader._client
    assert client is not None
    client._fetcher._fetch_task.cancel()
    await asyncio.sleep(0)

    assert await values(reader, 1) == [b"c"]

    assert reader._client is not client


async def test_a_reader_that_hears_nothing_of_a_broker_that_answers_is_replaced(
    bus: KafkaBus,
    producer: KafkaProducer,
    reader: KafkaConsumer,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kafka_consumer, "_SILENCE_SECONDS", 0.2)
    monkeypatch.setattr(kafka_consumer, "_STUCK_SECONDS", 0.5)
    reader.assign({Partition(name, 0)})
    first = reader._client

    assert await values(reader, 1, seconds=2) == []
    assert reader._client is not first

    await bus.ensure_topics([TopicSpec(name, 1, HOUR_MS)])
    await send(producer, name, b"a")
    assert await values(reader, 1) == [b"a"]


async def test_stopping_is_bounded_while_the_broker_is_away(fresh_broker: FreshBroker) -> None:
    bus = KafkaBus(fresh_broker.bootstrap, session_timeout_ms=SESSION_TIMEOUT_MS)
    await bus.ensure_topics([TopicSpec("t", 2, HOUR_MS)])
    one = Member(bus, "group")
    await one.join(["t"])
    await until(lambda: one.owned)
    await fresh_broker.stop()

    started = time.monotonic()
    await one.leave()

    assert time.monotonic() - started < 7
    assert one.log[-1] == ("revoked", partitions("t", 2))
    await bus.close()
