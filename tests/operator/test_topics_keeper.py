"""Topics that must exist, and slots that have had their time, on a real broker."""

import time
from itertools import count

import pytest
from prometheus_client import REGISTRY

from reactorsync import clock
from reactorsync.bus.kafka import KafkaBus
from reactorsync.bus.port import Partition, TopicMismatch
from reactorsync.clock import now_us
from reactorsync.wire.topics import Topics, TopicSpec
from reactorsync_operator.topics_keeper import TopicsKeeper
from tests.group_member import commit_as

_PREFIXES = count(1)
SLOT_SECONDS = 3600
GROUP = "slots-historian"


def keeping(bus: KafkaBus, topics: Topics) -> TopicsKeeper:
    return TopicsKeeper(bus, topics, historian_group=GROUP)


@pytest.fixture
def topics() -> Topics:
    return Topics(prefix=f"slots{next(_PREFIXES)}", shards=2, slot_seconds=SLOT_SECONDS)


async def slots(bus: KafkaBus, topics: Topics) -> set[str]:
    """Numbers of the telemetry slots there are, relative to the present one."""
    present = time.time_ns() // 1_000_000_000 // SLOT_SECONDS
    names = await bus.list_topics()
    begin = f"{topics.prefix}.telemetry."
    found = [int(name.removeprefix(begin)) for name in names if name.startswith(begin)]
    return {f"{number - present:+d}" for number in found}


async def test_slots_are_created_ahead_and_kept_for_one_slot_length(
    bus: KafkaBus, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = keeping(bus, topics)
    await keeper.keep()
    assert await slots(bus, topics) == {"-1", "+0", "+1"}

    let_slots_pass(monkeypatch, 1)
    await keeper.keep()
    await keeper.expire()
    assert await slots(bus, topics) == {"+0", "+1", "+2"}


async def test_a_slot_waits_until_the_historian_has_stored_it(
    bus: KafkaBus, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = keeping(bus, topics)
    await keeper.keep()
    slot = topics.telemetry(now_us())
    await fill(bus, slot, records=3)
    let_slots_pass(monkeypatch, 2)
    await keeper.expire()
    assert await slots(bus, topics) == {"+0", "+1"}
    await commit(bus, slot, {0: 3, 1: 2})
    await keeper.expire()
    assert await slots(bus, topics) == {"+0", "+1"}, "one frame of a shard is not stored"
    await commit(bus, slot, {1: 3})
    await keeper.expire()
    assert await slots(bus, topics) == {"+1"}


async def test_a_slot_that_is_never_stored_goes_after_twelve(
    bus: KafkaBus, topics: Topics, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = keeping(bus, topics)
    await keeper.keep()
    await fill(bus, topics.telemetry(now_us()), records=1)
    before = deleted_unread()
    let_slots_pass(monkeypatch, 12)
    await keeper.expire()
    assert await slots(bus, topics) == {"+0"}
    assert deleted_unread() == before
    let_slots_pass(monkeypatch, 13)
    await keeper.expire()
    assert await slots(bus, topics) == set()
    assert deleted_unread() == before + 1
    assert "has not stored within 12 slots" in caplog.text


def let_slots_pass(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Set the keeper's clock ahead."""
    ahead_us = count * SLOT_SECONDS * 1_000_000
    monkeypatch.setattr(clock, "now_us", lambda: now_us() + ahead_us)


def deleted_unread() -> float:
    return REGISTRY.get_sample_value("reactorsync_operator_unread_slots_deleted_total") or 0.0


async def fill(bus: KafkaBus, topic: str, *, records: int) -> None:
    """Send so many records to each partition."""
    producer = bus.producer(client_id="test")
    await producer.start()
    for number in range(2 * records):
        await producer.send(topic, b"frame", partition=number % 2)
    await producer.stop()


async def commit(bus: KafkaBus, topic: str, offsets: dict[int, int]) -> None:
    """Say as the historian that it has stored what is before ``offsets``."""
    await commit_as(
        GROUP, bus, {Partition(topic, number): offset for number, offset in offsets.items()}
    )


async def test_topics_of_others_are_left_alone(bus: KafkaBus, topics: Topics) -> None:
    other = f"{topics.prefix}x.telemetry.1"
    await bus.ensure_topics([TopicSpec(other, 1, None)])
    await keeping(bus, topics).expire()
    assert other in await bus.list_topics()


async def test_another_number_of_shards_is_noticed(bus: KafkaBus, topics: Topics) -> None:
    await keeping(bus, topics).keep()
    wider = Topics(prefix=topics.prefix, shards=4, slot_seconds=SLOT_SECONDS)
    with pytest.raises(TopicMismatch):
        await keeping(bus, wider).keep()
