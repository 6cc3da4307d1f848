"""How often checkpoints are written, and how the newest is found again."""

from collections.abc import AsyncIterator
from uuid import uuid4

import numpy as np
import pytest

from reactorsync import clock
from reactorsync.bus.kafka import KafkaBus
from reactorsync.wire.checkpoint import Checkpoint
from reactorsync.wire.topics import Topics
from reactorsync_generator.checkpointing import (
    CheckpointPace,
    CheckpointWriter,
    checkpoint_key,
    read_newest,
)
from reactorsync_generator.clock import SystemClock
from reactorsync_generator.inheritance import PlantState, newest, states_of
from reactorsync_generator.lease import Lease
from tests.generator.reactors import SECOND, START


def pace(*, interval_us: int = 5 * SECOND) -> CheckpointPace:
    return CheckpointPace(
        shards=4, interval_us=interval_us, longest_us=60 * SECOND, bytes_per_second=1000
    )


def test_a_small_fleet_keeps_the_interval() -> None:
    small = pace()
    for shard in range(4):
        small.wrote(shard, 1000)
    assert small.pause_us == 5 * SECOND


def test_a_large_fleet_keeps_the_bandwidth_up_to_a_longest_pause() -> None:
    large = pace()
    for shard in range(4):
        large.wrote(shard, 5000)
    assert large.pause_us == 20 * SECOND
    large.wrote(0, 1_000_000)
    assert large.pause_us == 60 * SECOND
    large.released(0)
    assert large.pause_us == 15 * SECOND


def test_shards_take_turns() -> None:
    even = pace(interval_us=8 * SECOND)
    now_us = START // (8 * SECOND) * 8 * SECOND
    assert [even.next_us(shard, now_us) - now_us for shard in range(4)] == [
        8 * SECOND,
        2 * SECOND,
        4 * SECOND,
        6 * SECOND,
    ]
    for shard in range(4):
        following = even.next_us(shard, now_us)
        assert even.next_us(shard, following) == following + 8 * SECOND


def checkpoint(shard: int, *plants: tuple[str, int, float]) -> Checkpoint:
    return Checkpoint(
        shard=shard,
        layout="plant-1",
        keys=[key for key, _, _ in plants],
        uids=[f"uid-{key}" for key, _, _ in plants],
        times_us=np.array([START + second * SECOND for _, second, _ in plants], dtype=np.int64),
        states=np.array([[value, -value] for _, _, value in plants]),
    )


def test_the_newest_state_of_each_plant_counts_in_whatever_order_they_are_read() -> None:
    older = states_of(checkpoint(0, ("a", 1, 1.0), ("b", 9, 2.0)))
    newer = states_of(checkpoint(0, ("a", 5, 3.0), ("b", 5, 4.0), ("c", 5, 5.0)))
    for order in ([older, newer], [newer, older]):
        found = newest(order)
        assert {key: state.state[0] for key, state in found.items()} == {
            "a": 3.0,
            "b": 2.0,
            "c": 5.0,
        }


class Stored:
    """A checkpoint topic on the broker, in time slots of a minute."""

    def __init__(self, bus: KafkaBus, topics: Topics) -> None:
        self.bus = bus
        self.topics = topics
        self.producer = bus.producer(client_id="checkpoints")
        self.now_us = clock.now_us()
        lease = Lease(SystemClock(), session_timeout_us=60 * SECOND)
        self.writer = CheckpointWriter(self.producer, lease, topics=topics, source="generator-1")

    async def write(self, found: Checkpoint, *, age_seconds: int = 0) -> None:
        time_us = self.now_us - age_seconds * SECOND
        assert await self.writer.write(found, found.encode(), time_us=time_us)

    async def read(self, *shards: int) -> dict[int, dict[str, float]]:
        found = await read_newest(
            self.bus, self.topics, shards, now_us=self.now_us, client_id="reading"
        )
        return {
            shard: {key: float(state.state[0]) for key, state in states.items()}
            for shard, states in found.items()
        }


@pytest.fixture
async def stored(broker: str) -> AsyncIterator[Stored]:
    bus = KafkaBus(broker, session_timeout_ms=2000)
    topics = Topics(prefix=f"checkpoints-{uuid4().hex[:8]}", shards=3, slot_seconds=60)
    stored = Stored(bus, topics)
    await bus.ensure_topics(topics.live(stored.now_us))
    await stored.producer.start()
    yield stored
    await stored.producer.stop()
    await bus.close()


async def test_the_newest_checkpoint_of_each_shard_is_found(stored: Stored) -> None:
    for round_ in range(1, 8):
        for shard in (0, 2):
            await stored.write(checkpoint(shard, (f"plant-{shard}", round_, float(round_))))
    assert await stored.read(0, 1, 2) == {0: {"plant-0": 7.0}, 1: {}, 2: {"plant-2": 7.0}}


async def test_a_checkpoint_of_the_slot_before_is_found(stored: Stored) -> None:
    await stored.write(checkpoint(1, ("a", 1, 1.0), ("b", 1, 1.0)), age_seconds=60)
    await stored.write(checkpoint(1, ("a", 2, 2.0)))
    assert await stored.read(1) == {1: {"a": 2.0, "b": 1.0}}


async def test_what_cannot_be_read_is_passed_over(stored: Stored) -> None:
    await stored.write(checkpoint(0, ("a", 1, 1.0)))
    await stored.producer.send(
        stored.topics.checkpoints(stored.now_us), b"junk", key=checkpoint_key(0), partition=0
    )
    assert await stored.read(0) == {0: {"a": 1.0}}


async def test_a_process_in_doubt_writes_no_checkpoint(stored: Stored) -> None:
    lease = Lease(SystemClock(), session_timeout_us=-1)
    writer = CheckpointWriter(stored.producer, lease, topics=stored.topics, source="zombie")
    found = checkpoint(0, ("a", 9, 9.0))
    assert not await writer.write(found, found.encode(), time_us=stored.now_us)
    assert await stored.read(0) == {0: {}}


def test_states_are_known_by_key() -> None:
    (state,) = states_of(checkpoint(0, ("a", 1, 2.5))).values()
    assert isinstance(state, PlantState)
    assert (state.uid, state.layout, state.time_us) == ("uid-a", "plant-1", START + SECOND)
    assert state.state.tolist() == [2.5, -2.5]
