"""Sending records."""

import asyncio
import time

import pytest
from aiokafka.producer.sender import Sender

from reactorsync.bus.kafka import KafkaBus
from reactorsync.bus.kafka_consumer import KafkaConsumer
from reactorsync.bus.kafka_producer import KafkaProducer
from reactorsync.bus.port import BrokerUnavailable, Partition, Record
from reactorsync.bus.reading import read_to_end
from reactorsync.wire.keys import shard_of
from reactorsync.wire.topics import MAX_RECORD_BYTES, TopicSpec
from tests.servers import FreshBroker


async def everything(reader: KafkaConsumer, topic: str) -> list[Record]:
    partitions = await reader.partitions_of(topic)
    reader.assign(partitions)
    return [record async for record in read_to_end(reader, partitions, timeout_seconds=10)]


async def test_a_record_arrives_byte_for_byte(
    producer: KafkaProducer, reader: KafkaConsumer, topic: str
) -> None:
    headers = [("ce_id", b"7"), ("ce_id", b"twice"), ("empty", b"")]

    offset = await producer.send(topic, b"\x00\xff", key=b"k", headers=headers, partition=2)

    assert offset == 0
    [record] = await everything(reader, topic)
    assert record.partition == Partition(topic, 2)
    assert (record.offset, record.key, record.value) == (0, b"k", b"\x00\xff")
    assert list(record.headers) == headers
    assert abs(record.timestamp_ms / 1000 - time.time()) < 60


async def test_the_key_decides_the_partition_as_shard_of_says(
    producer: KafkaProducer, reader: KafkaConsumer, topic: str
) -> None:
    keys = [f"default/unit-{number}" for number in range(50)]

    await asyncio.gather(*(producer.send(topic, b"", key=key.encode()) for key in keys))

    found = {
        record.key.decode(): record.partition.number
        for record in await everything(reader, topic)
        if record.key
    }
    assert found == {key: shard_of(key, 4) for key in keys}


async def test_a_tombstone_has_no_value(
    producer: KafkaProducer, reader: KafkaConsumer, topic: str
) -> None:
    await producer.send(topic, None, key=b"gone")

    [record] = await everything(reader, topic)
    assert record.value is None


async def test_many_senders_share_batches_and_each_gets_its_offset(
    producer: KafkaProducer, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = 0
    send_request = Sender._send_produce_req

    async def counted(sender: Sender, *arguments: object) -> None:
        nonlocal requests
        requests += 1
        await send_request(sender, *arguments)

    monkeypatch.setattr(Sender, "_send_produce_req", counted)

    offsets = await asyncio.gather(
        *(producer.send(topic, b"x" * 500, key=b"k", partition=0) for _ in range(5000))
    )

    assert sorted(offsets) == list(range(5000))
    assert requests < 50


async def test_a_record_of_16_mib_passes_and_a_larger_one_is_refused(
    producer: KafkaProducer, reader: KafkaConsumer, topic: str
) -> None:
    await producer.send(topic, bytes(MAX_RECORD_BYTES), partition=1)

    with pytest.raises(ValueError, match="larger than"):
        await producer.send(topic, bytes(MAX_RECORD_BYTES + 1), partition=1)
    [record] = await everything(reader, topic)
    assert len(record.value or b"") == MAX_RECORD_BYTES


async def test_a_record_needs_a_key_or_a_value(producer: KafkaProducer, topic: str) -> None:
    with pytest.raises(ValueError, match="key or a value"):
        await producer.send(topic, None)


async def test_a_partition_that_does_not_exist_is_refused(
    producer: KafkaProducer, topic: str
) -> None:
    with pytest.raises(ValueError, match="has no partition 9"):
        await producer.send(topic, b"", partition=9)


async def test_sending_waits_for_the_topic_and_never_creates_it(
    bus: KafkaBus, producer: KafkaProducer, name: str
) -> None:
    sending = asyncio.create_task(producer.send(name, b"early"))
    await asyncio.sleep(0.5)
    assert name not in await bus.list_topics()

    await bus.ensure_topics([TopicSpec(name, 2, 3_600_000)])

    assert await sending == 0


async def test_a_deleted_topic_does_not_come_back(
    bus: KafkaBus, producer: KafkaProducer, topic: str
) -> None:
    await producer.send(topic, b"")
    await bus.delete_topics([topic])

    await asyncio.sleep(1.5)

    assert topic not in await bus.list_topics()


async def test_an_unacknowledged_record_is_an_error_and_the_producer_recovers(
    fresh_broker: FreshBroker,
) -> None:
    bus = KafkaBus(fresh_broker.bootstrap, session_timeout_ms=2000)
    spec = TopicSpec("t", 1, 3_600_000)
    await bus.ensure_topics([spec])
    producer = bus.producer(client_id="test")
    await producer.start()
    await producer.send("t", b"before")

    await fresh_broker.stop()
    with pytest.raises(BrokerUnavailable, match="cannot send to t"):
        await producer.send("t", b"lost")

    await fresh_broker.start()
    await bus.ensure_topics([spec])
    assert await producer.send("t", b"after") == 0
    await producer.stop()
    await bus.close()


async def test_stopping_is_bounded_while_the_broker_is_away(fresh_broker: FreshBroker) -> None:
    bus = KafkaBus(fresh_broker.bootstrap, session_timeout_ms=2000)
    await bus.ensure_topics([TopicSpec("t", 1, 3_600_000)])
    producer = bus.producer(client_id="test")
    await producer.start()
    await fresh_broker.stop()
    sending = asyncio.create_task(producer.send("t", b"stuck"))
    await asyncio.sleep(0.1)

    started = time.monotonic()
    await producer.stop()

    assert time.monotonic() - started < 7
    with pytest.raises(BrokerUnavailable):
        await sending
    await bus.close()


async def test_a_stopped_producer_refuses(bus: KafkaBus) -> None:
    with pytest.raises(BrokerUnavailable, match="not started"):
        await bus.producer(client_id="test").send("t", b"")
