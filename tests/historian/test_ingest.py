"""Frames from a real broker into a real Postgres."""

import asyncio
from collections import Counter

from reactorsync.bus.kafka import KafkaBus
from reactorsync.bus.port import Producer
from reactorsync.wire.errors import MALFORMED, UNSUPPORTED_VERSION
from reactorsync_historian.settings import HistorianSettings
from reactorsync_historian.stages import Stage
from tests.historian.feed import Feed, make_frame, of_version
from tests.historian.running import Storage, metric, running_historian, until


async def test_every_acknowledged_reading_becomes_one_row(
    settings: HistorianSettings, feed: Feed, storage: Storage
) -> None:
    rows, frames = metric("rows_total"), metric("frames_total")
    await feed.ticks(20)

    async with running_historian(settings) as historian:
        await until(lambda: storage.count() == len(feed.acknowledged))
        await feed.ticks(20)
        await until(lambda: storage.count() == len(feed.acknowledged))
        await until(lambda: historian.readiness.ready)
        await until(lambda: metric("lag_records", shard="0") == 0)

    assert storage.stored() == Counter(feed.acknowledged)
    assert metric("rows_total") - rows == len(feed.acknowledged)
    assert metric("frames_total") - frames == feed.frames
    assert 0 < metric("freshness_seconds") < 120


async def test_a_restarted_historian_reads_nothing_twice(
    settings: HistorianSettings, feed: Feed, storage: Storage
) -> None:
    duplicates = metric("duplicate_rows_total")
    for _ in range(2):
        await feed.ticks(5)
        async with running_historian(settings):
            await until(lambda: storage.count() == len(feed.acknowledged))

    assert storage.stored() == Counter(feed.acknowledged)
    assert metric("duplicate_rows_total") == duplicates
    assert storage.count("lost_frames") == 0


async def test_poison_is_put_aside_wherever_it_lies(
    settings: HistorianSettings, feed: Feed, storage: Storage
) -> None:
    """First, in the middle and last of what is read together; the partitions go on."""
    future = of_version(make_frame(tick_us=feed.start_us).encode(), 2)
    await feed.send(0, b"poison")
    await feed.ticks(3)
    await feed.send(0, future)
    await feed.ticks(3)
    await feed.send(1, b"poison")

    async with running_historian(settings):
        await until(lambda: storage.count("dead_letter") == 3)
        await feed.ticks(3)
        await until(lambda: storage.count() == len(feed.acknowledged))

    assert storage.stored() == Counter(feed.acknowledged)
    letters = storage.fetch('SELECT partition, "offset", value, reason FROM dead_letter')
    assert sorted(letters) == [
        (0, 0, b"poison", MALFORMED),
        (0, 4, future, UNSUPPORTED_VERSION),
        (1, 6, b"poison", MALFORMED),
    ]


async def test_frames_that_never_come_are_counted_once(
    settings: HistorianSettings, feed: Feed, storage: Storage
) -> None:
    settings = settings.model_copy(update={"late_seconds": 0})
    before = metric("lost_frames_total", cause="SequenceGap")
    async with running_historian(settings):
        await feed.ticks(2)
        feed.skip(3)
        await feed.ticks(2)
        await until(lambda: storage.count("lost_frames") == settings.shards)
        await feed.ticks(2)
        await until(lambda: storage.count() == len(feed.acknowledged))

    losses = storage.fetch("SELECT shard, run, first_sequence, count, cause FROM lost_frames")
    assert sorted(losses) == [(shard, "run-a", 2, 3, "SequenceGap") for shard in (0, 1)]
    assert metric("lost_frames_total", cause="SequenceGap") - before == 6


async def test_time_slots_come_and_go(
    settings: HistorianSettings, bus: KafkaBus, producer: Producer, storage: Storage
) -> None:
    """Topics of the embedded broker: each slot one topic, deleted once it has been read."""
    settings = settings.model_copy(update={"topic_slot_seconds": 60, "late_seconds": 1})
    feed = Feed(producer=producer, topics=settings.topics, tick_step_us=15_000_000)
    async with running_historian(settings):
        for minute in range(3):
            moment = feed.start_us + minute * 60_000_000
            await bus.ensure_topics(settings.topics.live(moment))
            await feed.ticks(4)
            await until(lambda: storage.count() == len(feed.acknowledged))
            if minute:
                await bus.delete_topics({settings.topics.telemetry(moment - 60_000_000)})
        await asyncio.sleep(1.5)

    assert storage.stored() == Counter(feed.acknowledged)
    assert storage.count("lost_frames") == 0


async def test_a_backlog_over_several_slots_has_no_losses(
    settings: HistorianSettings, bus: KafkaBus, producer: Producer, storage: Storage
) -> None:
    """Slots are read side by side, so frames of a later one come before those of an earlier one."""
    settings = settings.model_copy(
        update={
            "topic_slot_seconds": 60,
            "late_seconds": 0,
            "batch_rows": 6,
            "batch_milliseconds": 1000,
        }
    )
    feed = Feed(producer=producer, topics=settings.topics, tick_step_us=2_000_000)
    for minute in (0, 2):
        await bus.ensure_topics(settings.topics.live(feed.start_us + minute * 60_000_000))
    await feed.ticks(80)

    async with running_historian(settings):
        await until(lambda: storage.count() == len(feed.acknowledged))
        await asyncio.sleep(1)

    assert storage.stored() == Counter(feed.acknowledged)
    assert set(rows_by_transaction(storage)) == {6}
    assert storage.count("lost_frames") == 0


async def test_a_second_member_takes_a_share_and_gives_it_back(
    settings: HistorianSettings, feed: Feed, storage: Storage
) -> None:
    storage.execute("ALTER TABLE telemetry DROP CONSTRAINT pk_telemetry")
    settings = settings.model_copy(update={"late_seconds": 0})
    batches: Counter[str] = Counter()

    async def note_first(stage: Stage) -> None:
        batches["first"] += stage is Stage.COMMITTED

    async def note_second(stage: Stage) -> None:
        batches["second"] += stage is Stage.COMMITTED

    async with running_historian(settings, hook=note_first):
        async with feed.flowing():
            await until(lambda: batches["first"] > 3)
            async with running_historian(settings, hook=note_second):
                await until(lambda: batches["second"] > 3)
            alone_since = batches["first"]
            await until(lambda: batches["first"] > alone_since + 3)
        await until(lambda: storage.count() >= len(feed.acknowledged))

    assert storage.stored() == Counter(feed.acknowledged)
    assert storage.count("lost_frames") == 0


async def test_a_backlog_is_stored_in_bounded_transactions(
    settings: HistorianSettings, feed: Feed, storage: Storage
) -> None:
    feed.reactors_per_shard = 1000
    await feed.ticks(15)

    limits = {"batch_rows": 100_000, "batch_megabytes": 1, "batch_milliseconds": 1000}
    async with running_historian(settings.model_copy(update=limits)):
        await until(lambda: storage.count() == len(feed.acknowledged))

    # A frame of 1000 reactors takes 98 kB: the eleventh one passes a megabyte.
    assert max(rows_by_transaction(storage)) == 11_000


def rows_by_transaction(storage: Storage) -> list[int]:
    return [rows for (rows,) in storage.fetch("SELECT count(*) FROM telemetry GROUP BY xmin::text")]
