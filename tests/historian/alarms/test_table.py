"""Alarms and telemetry are committed together; a successor goes on with what it finds."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from reactorsync.designs import Design
from reactorsync_historian.alarms.table import close_of_gone, read_open, read_plants
from reactorsync_historian.fleet import Plant
from reactorsync_historian.offsets import Fenced
from reactorsync_historian.stages import Stage
from tests.historian.alarms.plants import at_rest
from tests.historian.feed import make_frame
from tests.historian.owners import START_US, Owner, Owners, Pause
from tests.historian.running import Storage

KEY = "fleet-0/unit-0"
UID = UUID("11111111-2222-4333-8444-555555555555")
SECOND = 1_000_000
LOW, BACK = 12_700.0, 13_500.0


@pytest.fixture
def owners(owners: Owners) -> Owners:
    owners.fleet.put(KEY, Plant(UID, Design.PWR_3_LOOP))
    return owners


def frames(first: int, flows: list[float]) -> list[bytes | None]:
    """One frame a second, from the second ``first`` on."""
    return [
        make_frame(
            tick_us=START_US + (first + number) * SECOND,
            keys=[KEY],
            readings=at_rest(Design.PWR_3_LOOP, primary_flow_kg_s=flow)[:, None],
        ).encode()
        for number, flow in enumerate(flows)
    ]


def at(second: int) -> datetime:
    return datetime.fromtimestamp(START_US / 1e6, tz=UTC) + timedelta(seconds=second)


async def begin(owner: Owner) -> None:
    """Take over, as a session does."""
    await owner.take_over()
    async with owner.sink.link.transaction() as connection:
        owner.sink.alarms.begin({0, 1}, await read_open(connection))


def stored(storage: Storage) -> list[tuple[object, ...]]:
    return storage.fetch(
        "SELECT condition, value, threshold, raised_at, cleared_at FROM alarm ORDER BY id"
    )


async def test_an_alarm_is_stored_with_the_rows_that_raised_it(
    owner: Owner, owners: Owners, storage: Storage
) -> None:
    await owner.store(frames(0, [LOW] * 3))
    assert storage.count() == 3
    assert stored(storage) == [("Low", LOW, 12_800.0, at(2), None)]
    (row,) = storage.fetch("SELECT uid, reactor_uid, signal, severity, message FROM alarm")
    assert row[1:4] == (UID, "primary_flow_kg_s", 3)
    assert row[4] == "Primary flow 12700 kg/s, below Low 12800 kg/s"


async def test_what_turns_several_times_in_one_batch_is_stored_in_order(
    owner: Owner, owners: Owners, storage: Storage
) -> None:
    await owner.store(frames(0, [LOW] * 3 + [BACK] * 5 + [LOW] * 3))
    assert stored(storage) == [
        ("Low", LOW, 12_800.0, at(2), at(7)),
        ("Low", LOW, 12_800.0, at(10), None),
    ]


async def test_a_successor_clears_what_its_predecessor_raised(
    owners: Owners, storage: Storage
) -> None:
    first, second = owners.new(), owners.new()
    await begin(first)
    await first.store(frames(0, [LOW] * 3))
    await begin(second)
    await second.store(frames(3, [LOW] * 5 + [BACK] * 5))
    assert stored(storage) == [("Low", LOW, 12_800.0, at(2), at(12))]


async def test_a_fenced_batch_raises_nothing(owners: Owners, storage: Storage) -> None:
    pause = Pause(Stage.COPIED)
    zombie, successor = owners.new(pause), owners.new()
    await begin(zombie)
    batch = asyncio.create_task(zombie.store(frames(0, [LOW] * 3)))
    await pause.reached.wait()
    await begin(successor)
    pause.going_on.set()
    await asyncio.wait([batch])
    assert isinstance(batch.exception(), Fenced)
    assert storage.count("alarm") == 0

    await successor.store(frames(0, [LOW] * 3))
    assert stored(storage) == [("Low", LOW, 12_800.0, at(2), None)]


async def test_a_batch_that_failed_is_judged_again_to_the_same_alarm(
    owners: Owners, storage: Storage
) -> None:
    owner = owners.new()
    await begin(owner)
    await owner.store(frames(0, [LOW] * 2))
    last = frames(2, [LOW])
    other = owners.new()
    await other.take_over()
    with pytest.raises(Fenced):
        await owner.store(last)
    await owner.take_over()
    await owner.store(last)
    assert stored(storage) == [("Low", LOW, 12_800.0, at(2), None)]


async def test_alarms_of_a_reactor_that_is_gone_are_closed(
    owner: Owner, owners: Owners, storage: Storage
) -> None:
    storage.execute("UPDATE reactor SET uid = gen_random_uuid()")
    await owner.store(frames(0, [LOW] * 3))
    storage.execute(f"UPDATE reactor SET uid = '{UID}'")
    async with owner.sink.link.transaction() as connection:
        await close_of_gone(connection)
        (open_alarm,) = await read_open(connection)
    assert (open_alarm.key, open_alarm.reactor_uid) == (KEY, UID)

    storage.execute("UPDATE reactor SET deleted_at = now()")
    async with owner.sink.link.transaction() as connection:
        await close_of_gone(connection)
        assert await read_open(connection) == []


async def test_who_the_reactors_are_is_known_before_the_topic_is_read(
    owner: Owner, owners: Owners, storage: Storage
) -> None:
    await owner.store(frames(0, [BACK]))
    mine = uuid4()
    storage.execute(f"UPDATE reactor SET uid = '{mine}', design = 'Candu6'")
    async with owner.sink.link.transaction() as connection:
        assert await read_plants(connection) == {KEY: Plant(mine, Design.CANDU6)}
    storage.execute("UPDATE reactor SET design = 'FromALaterRelease'")
    async with owner.sink.link.transaction() as connection:
        assert await read_plants(connection) == {}
