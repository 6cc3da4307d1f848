"""Partitions are there before a row needs them, and gone after the retention."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from reactorsync.db.engine import create_engine
from reactorsync.db.partitions import Partition, existing_partitions
from reactorsync.wire.envelope import to_micros
from reactorsync_historian.database import DatabaseUnavailable
from reactorsync_historian.partitions import AHEAD, PartitionKeeper
from reactorsync_historian.settings import HistorianSettings
from tests.historian.running import Storage, until

NOW = datetime(2026, 5, 6, 7, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
async def engine(settings: HistorianSettings) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(settings.database_url, application_name="test")
    yield engine
    await engine.dispose()


@pytest.fixture
def keeper(engine: AsyncEngine) -> PartitionKeeper:
    return PartitionKeeper(engine, retention=2 * HOUR)


async def hours(engine: AsyncEngine) -> list[int]:
    """Hours of the day that `telemetry` has a partition for."""
    async with engine.connect() as connection:
        partitions = await existing_partitions(connection)
    return [partition.start.hour for partition in partitions if partition.table == "telemetry"]


async def test_the_next_hours_are_made_ahead(keeper: PartitionKeeper, engine: AsyncEngine) -> None:
    await keeper.tidy(NOW)

    assert AHEAD == 3 * HOUR
    assert await hours(engine) == [7, 8, 9, 10]


async def test_what_is_past_the_retention_is_dropped(
    keeper: PartitionKeeper, engine: AsyncEngine
) -> None:
    await keeper.tidy(NOW)
    await keeper.tidy(NOW + 3 * HOUR)

    assert await hours(engine) == [8, 9, 10, 11, 12, 13]


async def test_a_late_tick_gets_its_partition(keeper: PartitionKeeper, engine: AsyncEngine) -> None:
    await keeper.ensure([to_micros(NOW), to_micros(NOW - HOUR)])

    assert await hours(engine) == [6, 7]


async def test_a_dropped_partition_is_made_again_on_demand(
    keeper: PartitionKeeper, engine: AsyncEngine
) -> None:
    await keeper.ensure([to_micros(NOW)])
    await keeper.tidy(NOW + 5 * HOUR)
    await keeper.ensure([to_micros(NOW)])

    assert 7 in await hours(engine)


async def test_the_keeper_tidies_at_once_and_stops_when_asked(
    keeper: PartitionKeeper, engine: AsyncEngine
) -> None:
    stopping = asyncio.Event()
    running = asyncio.create_task(keeper.run(stopping))

    async def ready() -> bool:
        return len(await hours(engine)) == 4

    await until(ready)
    stopping.set()
    await asyncio.wait_for(running, timeout=2)


async def test_an_unreachable_database_is_told() -> None:
    engine = create_engine(
        "postgresql+psycopg://nobody:nothing@127.0.0.1:1/none", application_name="test"
    )
    with pytest.raises(DatabaseUnavailable, match="refused"):
        await PartitionKeeper(engine, retention=HOUR).ensure([to_micros(NOW)])
    await engine.dispose()


@pytest.mark.parametrize(
    ("table", "days"), [("telemetry_10s", 7), ("telemetry_1min", 60), ("telemetry_1h", 730)]
)
async def test_rollups_are_kept_for_longer_and_not_for_ever(
    keeper: PartitionKeeper, engine: AsyncEngine, table: str, days: int
) -> None:
    partition = Partition.containing(table, NOW)

    async def there_after(kept: timedelta) -> bool:
        await keeper.tidy(partition.end + kept)
        async with engine.connect() as connection:
            return partition in await existing_partitions(connection)

    await keeper.ensure([to_micros(NOW)])
    assert await there_after(timedelta(days=days) - HOUR)
    assert not await there_after(timedelta(days=days))


async def test_dead_letters_and_losses_go_when_they_are_old(
    keeper: PartitionKeeper, storage: Storage
) -> None:
    storage.execute(
        """
        INSERT INTO dead_letter (topic, incarnation, partition, "offset", headers, reason, seen_at,
                                 mirrored_at)
        VALUES ('t', 'i', 0, 1, '[]', 'Malformed', now() - interval '40 days',
                now() - interval '29 days'),
               ('t', 'i', 0, 2, '[]', 'Malformed', now() - interval '40 days',
                now() - interval '27 days'),
               ('t', 'i', 0, 3, '[]', 'Malformed', now() - interval '40 days', NULL);
        """
    )
    storage.execute(
        """
        INSERT INTO lost_frames (shard, run, first_sequence, count, cause, noticed_at)
        VALUES (0, 'run', 1, 1, 'SequenceGap', now() - interval '91 days'),
               (0, 'run', 2, 1, 'SequenceGap', now() - interval '89 days')
        """
    )
    await keeper.tidy(datetime.now(tz=UTC))

    assert storage.fetch('SELECT "offset" FROM dead_letter ORDER BY 1') == [(2,), (3,)]
    assert storage.fetch("SELECT first_sequence FROM lost_frames") == [(2,)]
