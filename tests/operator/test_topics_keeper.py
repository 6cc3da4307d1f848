"""Topics that must exist, and slots that have had their time, on a real broker."""

import time
from itertools import count

import pytest

from reactorsync.bus.kafka import KafkaBus
from reactorsync.bus.port import TopicMismatch
from reactorsync.wire.topics import Topics, TopicSpec
from reactorsync_operator import topics_keeper
from reactorsync_operator.topics_keeper import TopicsKeeper

_PREFIXES = count(1)
SLOT_SECONDS = 60


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
    broker: str, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus = KafkaBus(broker, session_timeout_ms=2500)
    keeper = TopicsKeeper(bus, topics)
    await keeper.keep()
    assert await slots(bus, topics) == {"-1", "+0", "+1"}

    monkeypatch.setattr(
        topics_keeper, "_now_us", lambda: (time.time_ns() // 1000) + SLOT_SECONDS * 1_000_000
    )
    await keeper.keep()
    await keeper.expire()
    assert await slots(bus, topics) == {"+0", "+1", "+2"}
    await bus.close()


async def test_topics_of_others_are_left_alone(broker: str, topics: Topics) -> None:
    bus = KafkaBus(broker, session_timeout_ms=2500)
    other = f"{topics.prefix}x.telemetry.1"
    await bus.ensure_topics([TopicSpec(other, 1, None)])
    await TopicsKeeper(bus, topics).expire()
    assert other in await bus.list_topics()
    await bus.close()


async def test_another_number_of_shards_is_noticed(broker: str, topics: Topics) -> None:
    bus = KafkaBus(broker, session_timeout_ms=2500)
    await TopicsKeeper(bus, topics).keep()
    wider = Topics(prefix=topics.prefix, shards=4, slot_seconds=SLOT_SECONDS)
    with pytest.raises(TopicMismatch):
        await TopicsKeeper(bus, wider).keep()
    await bus.close()
