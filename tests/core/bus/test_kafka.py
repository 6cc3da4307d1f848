"""Topics and the cluster's identity."""

import pytest

from reactorsync.bus.kafka import KafkaBus
from reactorsync.bus.port import BrokerUnavailable, Partition, TopicMismatch
from reactorsync.wire.topics import Topics, TopicSpec
from tests.group_member import commit_as
from tests.servers import FreshBroker

DAY_MS = 86_400_000


async def test_topics_are_created_once_however_often_they_are_asked_for(
    bus: KafkaBus, name: str
) -> None:
    specs = Topics(prefix=name, shards=3, slot_seconds=600).live(now_us=1_900_000_000_000_000)

    await bus.ensure_topics(specs)
    await bus.ensure_topics(specs)

    assert {spec.name for spec in specs} <= await bus.list_topics()


async def test_a_topic_with_another_number_of_partitions_is_told(bus: KafkaBus, name: str) -> None:
    await bus.ensure_topics([TopicSpec(name, 4, DAY_MS)])

    with pytest.raises(TopicMismatch, match=rf"{name} has 4 partitions, must have 8"):
        await bus.ensure_topics([TopicSpec(name, 8, DAY_MS)])


async def test_deleting_is_idempotent(bus: KafkaBus, topic: str) -> None:
    await bus.delete_topics([topic])
    await bus.delete_topics([topic, "never-was"])

    assert topic not in await bus.list_topics()


async def test_deleting_nothing_needs_no_broker() -> None:
    await KafkaBus("127.0.0.1:1", session_timeout_ms=2000).delete_topics([])


async def test_asking_for_partitions_creates_no_topic(bus: KafkaBus, name: str) -> None:
    reader = bus.consumer(client_id="test")
    await reader.start()

    assert await reader.partitions_of(name) == set()
    assert name not in await bus.list_topics()
    await reader.stop()


async def test_what_a_group_has_committed(bus: KafkaBus, name: str, topic: str) -> None:
    first, second = Partition(topic, 0), Partition(topic, 1)
    await commit_as(name, bus, {first: 7})

    assert await bus.committed(name, {first, second}) == {first: 7}
    assert await bus.committed(f"{name}-unknown", {first, second}) == {}
    assert await bus.committed(name, set()) == {}


async def test_a_volatile_broker_has_another_cluster_id_after_a_restart(
    fresh_broker: FreshBroker,
) -> None:
    bus = KafkaBus(fresh_broker.bootstrap, session_timeout_ms=2000)
    before = await bus.cluster_id()
    assert before == fresh_broker.cluster_id == await bus.cluster_id()

    await fresh_broker.restart()

    assert await bus.cluster_id() == fresh_broker.cluster_id != before
    await bus.close()


@pytest.mark.parametrize("bootstrap", ["127.0.0.1:1", "no-such-host.invalid:9092"])
async def test_an_unreachable_broker_is_said_to_be_unavailable(bootstrap: str) -> None:
    bus = KafkaBus(bootstrap, session_timeout_ms=2000)

    for question in (bus.cluster_id, bus.list_topics):
        with pytest.raises(BrokerUnavailable, match=bootstrap):
            await question()
    with pytest.raises(BrokerUnavailable):
        await bus.ensure_topics([TopicSpec("any", 1, DAY_MS)])
    for client in (bus.producer(client_id="test"), bus.consumer(client_id="test")):
        with pytest.raises(BrokerUnavailable, match="cannot connect"):
            await client.start()
        await client.stop()
    await bus.close()
