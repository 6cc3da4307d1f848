"""What the embedded broker does differently from Apache Kafka, and the parts have to live with.

A test that fails here after an upgrade is good news: the rule it stands for may go.
"""

from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import UnknownError

from tests.servers import FreshBroker


@pytest.fixture
async def producer(broker: str) -> AsyncIterator[AIOKafkaProducer]:
    """A producer on the session's broker."""
    async with AIOKafkaProducer(bootstrap_servers=broker) as producer:
        yield producer


async def consumer_of(bootstrap: str, partition: TopicPartition, offset: int) -> AIOKafkaConsumer:
    """A started consumer without a group, positioned at an offset."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, auto_offset_reset="none", fetch_max_wait_ms=100
    )
    await consumer.start()
    consumer.assign([partition])
    consumer.seek(partition, offset)
    return consumer


async def test_a_producer_cannot_be_idempotent(broker: str) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=broker, enable_idempotence=True)

    with pytest.raises(UnknownError):
        await producer.start()
    await producer.stop()


async def test_the_end_offset_counts_a_batch_as_one_but_the_high_watermark_is_right(
    broker: str, producer: AIOKafkaProducer
) -> None:
    partition = TopicPartition("test_the_end_offset", 0)
    await producer.partitions_for(partition.topic)
    batch = producer.create_batch()
    for _ in range(10):
        batch.append(key=b"k", value=b"v", timestamp=None)
    batch.close()
    await (await producer.send_batch(batch, partition.topic, partition=partition.partition))
    consumer = await consumer_of(broker, partition, 0)
    try:
        records = await consumer.getmany(timeout_ms=1_000)

        assert len(records[partition]) == 10
        assert consumer.highwater(partition) == 10
        assert await consumer.end_offsets([partition]) == {partition: 1}
    finally:
        await consumer.stop()


async def test_beyond_the_end_a_consumer_waits_in_silence(
    broker: str, producer: AIOKafkaProducer
) -> None:
    # Kafka answers OFFSET_OUT_OF_RANGE. Here only a position above the high watermark shows it.
    partition = TopicPartition("test_beyond_the_end", 0)
    await producer.send_and_wait(partition.topic, b"v", partition=0)
    consumer = await consumer_of(broker, partition, 5_000)
    try:
        assert await consumer.getmany(timeout_ms=500) == {}
        assert await consumer.position(partition) == 5_000
        assert consumer.highwater(partition) == 1
    finally:
        await consumer.stop()


async def test_records_for_a_forgotten_topic_are_taken_and_hinder_the_topic_made_later(
    fresh_broker: FreshBroker,
) -> None:
    async with AIOKafkaProducer(bootstrap_servers=fresh_broker.bootstrap) as producer:
        await producer.send_and_wait("frames", b"before", partition=0)
        await fresh_broker.restart()
        for _ in range(3):
            await producer.send_and_wait("frames", b"early", partition=0)
        admin = AIOKafkaAdminClient(bootstrap_servers=fresh_broker.bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic("frames", 1, 1)])
        await admin.close()

        for _ in range(3):
            with pytest.raises(UnknownError):
                await producer.send_and_wait("frames", b"late", partition=0)
        record = await producer.send_and_wait("frames", b"late", partition=0)

    assert record.offset == 3
