"""Two owners of one partition: what one has stored, the other cannot store again.

The table has no key here, so that nothing but the offsets prevents a second row. The same scenes
with a plain update of the offset must fail: they show that the scenes can tell.
"""

import asyncio
from collections import Counter

import pytest

from reactorsync_historian.database import DatabaseUnavailable
from reactorsync_historian.offsets import Fenced
from reactorsync_historian.stages import Stage
from tests.historian.feed import TICK_US
from tests.historian.owners import (
    PARTITION,
    START_US,
    Owners,
    Pause,
    PlainOffsets,
    take_over_in_the_end,
)
from tests.historian.running import Storage


@pytest.fixture(autouse=True)
def without_key(storage: Storage) -> None:
    storage.execute("ALTER TABLE telemetry DROP CONSTRAINT pk_telemetry")


def expected(records: int) -> Counter[tuple[str, int]]:
    return Counter(("fleet-0/unit-0", START_US + offset * TICK_US) for offset in range(records))


async def a_zombie_wakes(owners: Owners, stage: Stage) -> asyncio.Task[None]:
    """One owner stops in the middle of a batch, another does the same work; the first goes on."""
    pause = Pause(stage)
    zombie = owners.new(pause)
    await zombie.take_over()
    batch = asyncio.create_task(zombie.store_up_to(10))
    await pause.reached.wait()

    successor = owners.new()
    await successor.take_over()
    await successor.store_up_to(10)
    pause.going_on.set()
    await asyncio.wait([batch])
    return batch


@pytest.mark.parametrize("stage", [Stage.COPYING, Stage.COPIED])
async def test_a_zombie_with_an_open_transaction_is_fenced(
    owners: Owners, storage: Storage, stage: Stage
) -> None:
    batch = await a_zombie_wakes(owners, stage)

    error = batch.exception()
    assert isinstance(error, Fenced)
    assert error.partitions == {PARTITION}
    assert storage.stored() == expected(10)


@pytest.mark.parametrize("offsets", [PlainOffsets("zombies")], ids=["plain update"])
async def test_without_the_comparison_the_zombie_doubles_its_rows(
    owners: Owners, storage: Storage
) -> None:
    batch = await a_zombie_wakes(owners, Stage.COPIED)

    assert batch.exception() is None
    assert storage.stored().total() == 20


async def test_a_zombie_that_holds_the_offset_is_ended(owners: Owners, storage: Storage) -> None:
    """It has moved the offset and not committed: whoever takes over waits for that row."""
    pause = Pause(Stage.OFFSETS_MOVED)
    zombie = owners.new(pause)
    await zombie.take_over()
    batch = asyncio.create_task(zombie.store_up_to(10))
    await pause.reached.wait()

    successor = owners.new()
    async with asyncio.timeout(15):
        await take_over_in_the_end(successor)
    await successor.store_up_to(10)
    pause.going_on.set()
    await asyncio.wait([batch])

    assert isinstance(batch.exception(), DatabaseUnavailable)
    assert storage.stored() == expected(10)


async def test_an_owner_that_was_replaced_before_it_began_is_fenced(
    owners: Owners, storage: Storage
) -> None:
    first, second = owners.new(), owners.new()
    await first.take_over()
    await second.take_over()
    await second.store_up_to(4)

    with pytest.raises(Fenced):
        await first.store_up_to(6)
    assert storage.stored() == expected(4)


async def test_a_successor_goes_on_where_the_last_commit_was(
    owners: Owners, storage: Storage
) -> None:
    for end in (3, 3, 8):
        owner = owners.new()
        await owner.take_over()
        await owner.store_up_to(end)

    assert storage.stored() == expected(8)
    assert storage.fetch("SELECT next_offset, owner_epoch FROM consumer_offset") == [(8, 3)]
