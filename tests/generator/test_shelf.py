"""Checkpoints on disk outlive a broker that forgets everything."""

from pathlib import Path
from uuid import uuid4

from reactorsync import clock
from reactorsync.bus.kafka import KafkaBus
from reactorsync.wire.topics import Topics
from reactorsync_generator.checkpointing import CheckpointWriter, read_newest
from reactorsync_generator.clock import SystemClock
from reactorsync_generator.lease import Lease
from reactorsync_generator.shelf import CheckpointShelf
from tests.generator.test_checkpointing import checkpoint


def test_the_newest_of_each_shard_is_kept(tmp_path: Path) -> None:
    shelf = CheckpointShelf(tmp_path / "checkpoints")
    shelf.put(0, b"old")
    shelf.put(0, b"new")
    shelf.put(2, b"other")

    assert shelf.get([0, 1, 2]) == [b"new", b"other"]
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        "shard-0.arrow",
        "shard-2.arrow",
    ]


def test_a_folder_that_cannot_be_used_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    shelf = CheckpointShelf(tmp_path / "file")

    shelf.put(0, b"lost")

    assert shelf.get([0]) == []


async def test_states_are_found_again_by_a_broker_that_knows_none(
    broker: str, tmp_path: Path
) -> None:
    shelf = CheckpointShelf(tmp_path)
    now_us = clock.now_us()
    bus = KafkaBus(broker, session_timeout_ms=2000)
    before, after = (Topics(prefix=f"shelf-{uuid4().hex[:8]}", shards=2) for _ in range(2))
    for topics in (before, after):
        await bus.ensure_topics(topics.live(now_us))
    producer = bus.producer(client_id="shelf")
    await producer.start()
    lease = Lease(SystemClock(), session_timeout_us=60_000_000)
    writer = CheckpointWriter(producer, lease, topics=before, source="generator-1", shelf=shelf)
    kept = checkpoint(1, ("a", 7, 7.0))
    assert await writer.write(kept, kept.encode(), time_us=now_us)
    await producer.stop()

    found = await read_newest(bus, after, [0, 1], now_us=now_us, client_id="reading", shelf=shelf)
    await bus.close()

    assert found[0] == {}
    assert found[1]["a"].state.tolist() == [7.0, -7.0]
