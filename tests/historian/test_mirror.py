"""The dead-letter topic has what the table has."""

from collections.abc import AsyncIterator

import pytest

from reactorsync.bus.kafka import KafkaBus
from reactorsync.bus.port import Partition, Producer, Record
from reactorsync.bus.reading import read_to_end
from reactorsync.wire.dead_letter import DeadLetter, DeadLetterStage, original_headers
from reactorsync.wire.errors import MALFORMED
from reactorsync_historian.main import open_link
from reactorsync_historian.mirror import DeadLetterMirror
from reactorsync_historian.settings import HistorianSettings
from tests.historian.feed import make_frame
from tests.historian.owners import PARTITION, START_US, Owner
from tests.historian.running import Storage


@pytest.fixture
async def mirror(
    settings: HistorianSettings, bus: KafkaBus, owner: Owner
) -> AsyncIterator[DeadLetterMirror]:
    """A mirror with two dead letters to send: one malformed, one from the future."""
    await bus.ensure_topics(settings.topics.live(START_US))
    await owner.store([b"poison", make_frame(tick_us=START_US + 600_000_000).encode()])
    link = open_link(settings)
    yield DeadLetterMirror(topic=settings.topics.dead_letter, bus=bus, link=link)
    await link.close()


async def on_topic(bus: KafkaBus, topic: str) -> list[Record]:
    consumer = bus.consumer(client_id="test")
    await consumer.start()
    partitions = [Partition(topic, 0)]
    consumer.assign(partitions)
    records = [record async for record in read_to_end(consumer, partitions, timeout_seconds=10)]
    await consumer.stop()
    return records


async def test_a_dead_letter_is_mirrored_as_it_was_read(
    mirror: DeadLetterMirror, settings: HistorianSettings, bus: KafkaBus, producer: Producer
) -> None:
    assert await mirror.mirror(producer) == 2

    poison, future = await on_topic(bus, settings.topics.dead_letter)
    assert (poison.key, poison.value) == (b"\x00key", b"poison")
    assert original_headers(poison.headers) == [
        ("ce_id", b"\x00\xff"),
        ("again", b"1"),
        ("again", b"2"),
    ]
    letter = DeadLetter.from_headers(poison.headers)
    assert (letter.topic, letter.partition, letter.offset) == (PARTITION.topic, PARTITION.number, 0)
    assert (letter.stage, letter.reason) == (DeadLetterStage.VALUE_CONVERTER, MALFORMED)
    assert DeadLetter.from_headers(future.headers).stage is DeadLetterStage.TASK_PUT


async def test_a_mirrored_dead_letter_is_not_sent_again(
    mirror: DeadLetterMirror, producer: Producer, storage: Storage
) -> None:
    await mirror.mirror(producer)

    assert await mirror.mirror(producer) == 0
    assert storage.fetch("SELECT count(*) FROM dead_letter WHERE mirrored_at IS NULL") == [(0,)]
