"""A bus on the session's broker, and topics of one test."""

from collections.abc import AsyncIterator
from itertools import count

import pytest

from reactorsync.bus import aiokafka_clients, kafka_consumer
from reactorsync.bus.kafka import KafkaBus
from reactorsync.bus.kafka_consumer import KafkaConsumer
from reactorsync.bus.kafka_producer import KafkaProducer
from reactorsync.wire.topics import TopicSpec

SESSION_TIMEOUT_MS = 2000
HOUR_MS = 3_600_000

_numbers = count(1)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten what these tests would otherwise wait for."""
    monkeypatch.setattr(aiokafka_clients, "METADATA_MAX_AGE_MS", 500)
    monkeypatch.setattr(kafka_consumer, "_SILENCE_SECONDS", 2.0)


@pytest.fixture
def name() -> str:
    """A name that no other test uses, for topics and groups."""
    return f"bus-{next(_numbers)}"


@pytest.fixture
async def bus(broker: str) -> AsyncIterator[KafkaBus]:
    bus = KafkaBus(broker, session_timeout_ms=SESSION_TIMEOUT_MS)
    yield bus
    await bus.close()


@pytest.fixture
async def topic(bus: KafkaBus, name: str) -> str:
    """A topic of four partitions."""
    await bus.ensure_topics([TopicSpec(name, 4, HOUR_MS)])
    return name


@pytest.fixture
async def producer(bus: KafkaBus) -> AsyncIterator[KafkaProducer]:
    producer = bus.producer(client_id="test")
    await producer.start()
    yield producer
    await producer.stop()


@pytest.fixture
async def reader(bus: KafkaBus) -> AsyncIterator[KafkaConsumer]:
    """A consumer without a group, started, with nothing assigned."""
    consumer = bus.consumer(client_id="test")
    await consumer.start()
    yield consumer
    await consumer.stop()
