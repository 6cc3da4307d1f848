"""Reading to the end of partitions, on a real broker."""

import asyncio

import pytest

from reactorsync.bus.kafka import KafkaBus
from reactorsync.bus.kafka_consumer import KafkaConsumer
from reactorsync.bus.kafka_producer import KafkaProducer
from reactorsync.bus.port import BrokerUnavailable, Partition
from reactorsync.bus.reading import read_ends, read_to_end


async def fill(producer: KafkaProducer, topic: str, count: int) -> None:
    """Send ``count`` records at once, so that they share batches, to partitions 0 and 1."""
    await asyncio.gather(
        *(producer.send(topic, str(n).encode(), partition=n % 2) for n in range(count))
    )


async def test_everything_acknowledged_before_the_call_is_read(
    bus: KafkaBus, producer: KafkaProducer, reader: KafkaConsumer, topic: str
) -> None:
    await fill(producer, topic, 1000)
    partitions = await reader.partitions_of(topic)
    reader.assign(partitions)

    records = [record async for record in read_to_end(reader, partitions, timeout_seconds=10)]

    assert sorted(int(record.value or b"") for record in records) == list(range(1000))


async def test_empty_partitions_have_an_end_too(reader: KafkaConsumer, topic: str) -> None:
    partitions = await reader.partitions_of(topic)
    reader.assign(partitions)

    assert [record async for record in read_to_end(reader, partitions, timeout_seconds=10)] == []


async def test_no_partitions_are_read_at_once(reader: KafkaConsumer) -> None:
    assert [record async for record in read_to_end(reader, [], timeout_seconds=0)] == []


async def test_reading_ends_although_others_go_on_writing(
    producer: KafkaProducer, reader: KafkaConsumer, topic: str
) -> None:
    partition = Partition(topic, 0)
    await fill(producer, topic, 20)
    reader.assign({partition})

    async def write_for_ever() -> None:
        while True:
            await producer.send(topic, b"more", partition=0)

    writing = asyncio.create_task(write_for_ever())
    records = [record async for record in read_to_end(reader, {partition}, timeout_seconds=10)]
    writing.cancel()

    assert [record.offset for record in records] == list(range(len(records)))
    assert len(records) >= 10


async def test_an_end_that_is_not_reached_is_an_error(reader: KafkaConsumer, topic: str) -> None:
    missing = Partition(topic, 17)
    reader.assign({missing})

    with pytest.raises(BrokerUnavailable, match=f"end of {topic}/17 not reached within 0.5 s"):
        async for _ in read_to_end(reader, {missing}, timeout_seconds=0.5):
            pass


async def test_ends_are_known_without_reading_up_to_them(
    producer: KafkaProducer, reader: KafkaConsumer, topic: str
) -> None:
    partitions = await reader.partitions_of(topic)
    await fill(producer, topic, 20)
    reader.assign(partitions)

    ends = await read_ends(reader, partitions)

    assert {partition.number: end for partition, end in ends.items()} == {0: 10, 1: 10, 2: 0, 3: 0}
