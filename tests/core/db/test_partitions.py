"""Partitions: rows find a place, old ones go, and nobody has to wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from reactorsync.db.engine import create_engine
from reactorsync.db.partitions import (
    LENGTHS,
    Partition,
    drop_expired,
    ensure_partitions,
    existing_partitions,
    expired,
    parse_partition_name,
    partitions_between,
)

NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)

moments = st.datetimes(
    min_value=datetime(1990, 1, 1),  # noqa: DTZ001 - Hypothesis adds the zone
    max_value=datetime(2090, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
tables = st.sampled_from(sorted(LENGTHS))


@given(table=tables, moment=moments)
def test_every_moment_lies_in_the_partition_made_for_it(table: str, moment: datetime) -> None:
    partition = Partition.containing(table, moment)

    assert partition.start <= moment < partition.end
    assert parse_partition_name(partition.name) == partition


@given(table=tables, first=moments, hours=st.integers(0, 200))
def test_partitions_between_two_moments_leave_no_gap(
    table: str, first: datetime, hours: int
) -> None:
    last = first + hours * HOUR

    partitions = partitions_between(table, first, last)

    assert partitions[0].start <= first
    assert partitions[-1].start <= last < partitions[-1].end
    assert all(earlier.end == later.start for earlier, later in pairwise(partitions))


def test_names_say_where_a_partition_starts() -> None:
    assert Partition.containing("telemetry", NOON).name == "telemetry_p202603141200"
    assert Partition.containing("telemetry_10s", NOON).name == "telemetry_10s_p202603140000"


def test_a_foreign_table_is_not_taken_for_a_partition() -> None:
    with pytest.raises(ValueError, match="telemetry_10s"):
        parse_partition_name("telemetry_10s")


@given(now=moments, age_hours=st.integers(0, 100), retention_hours=st.integers(1, 48))
def test_only_what_is_wholly_older_than_the_retention_expires(
    now: datetime, age_hours: int, retention_hours: int
) -> None:
    partition = Partition.containing("telemetry", now - age_hours * HOUR)

    gone = expired([partition], now=now, retention={"telemetry": retention_hours * HOUR})

    newest_row = partition.end - timedelta(microseconds=1)
    assert bool(gone) == (now - newest_row > retention_hours * HOUR)


def test_a_table_without_a_retention_is_kept() -> None:
    partition = Partition.containing("telemetry_1h", NOON)

    assert not expired([partition], now=NOON + 100_000 * HOUR, retention={"telemetry": HOUR})


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(database_url, application_name="test", pool_size=10)
    yield engine
    await engine.dispose()


async def _insert(engine: AsyncEngine, ts: datetime) -> None:
    async with engine.begin() as connection:
        await connection.execute(
            text("INSERT INTO telemetry (reactor_id, ts) VALUES (1, :ts)"), {"ts": ts}
        )


async def test_rows_of_now_and_of_the_time_ahead_can_be_stored(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await ensure_partitions(connection, now=NOON, ahead=3 * HOUR)

    for hours in (0, 1, 2, 3):
        await _insert(engine, NOON + hours * HOUR)


async def test_a_row_without_a_partition_is_refused_until_its_partition_is_made(
    engine: AsyncEngine,
) -> None:
    with pytest.raises(IntegrityError, match="no partition"):
        await _insert(engine, NOON)

    async with engine.begin() as connection:
        await ensure_partitions(connection, now=NOON, ahead=timedelta(0))

    await _insert(engine, NOON)


async def test_making_partitions_again_makes_none(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        made = await ensure_partitions(connection, now=NOON, ahead=HOUR)
    async with engine.begin() as connection:
        again = await ensure_partitions(connection, now=NOON, ahead=HOUR)

    assert {partition.table for partition in made} == set(LENGTHS)
    assert again == ()


async def test_many_processes_may_make_the_same_partitions_at_once(engine: AsyncEngine) -> None:
    async def make() -> int:
        async with engine.begin() as connection:
            return len(await ensure_partitions(connection, now=NOON, ahead=5 * HOUR))

    counts = await asyncio.gather(*(make() for _ in range(8)))

    assert sorted(counts) == [*([0] * 7), 6 + 1 + 1 + 1]


async def test_partitions_are_made_and_attached_while_a_long_query_and_an_ingest_run(
    engine: AsyncEngine,
) -> None:
    async with engine.begin() as connection:
        await ensure_partitions(connection, now=NOON, ahead=timedelta(0))
    async with engine.connect() as reader, engine.connect() as writer:
        await reader.execute(text("SELECT count(*) FROM telemetry"))
        await writer.execute(
            text("INSERT INTO telemetry (reactor_id, ts) VALUES (1, :ts)"), {"ts": NOON}
        )

        async with asyncio.timeout(5), engine.begin() as connection:
            made = await ensure_partitions(connection, now=NOON + HOUR, ahead=timedelta(0))

        await writer.commit()
    assert made


async def test_what_is_past_its_retention_is_dropped_and_nothing_else(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await ensure_partitions(connection, now=NOON - 6 * HOUR, ahead=7 * HOUR)

    async with engine.begin() as connection:
        dropped = await drop_expired(connection, now=NOON, retention={"telemetry": 3 * HOUR})

    async with engine.connect() as connection:
        left = [
            partition
            for partition in await existing_partitions(connection)
            if partition.table == "telemetry"
        ]
    assert [partition.start for partition in dropped] == [
        NOON - hours * HOUR for hours in (6, 5, 4)
    ]
    assert left[0].start == NOON - 3 * HOUR
    assert left[-1].start == NOON + HOUR


async def test_dropping_gives_way_to_a_long_query_and_succeeds_later(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await ensure_partitions(connection, now=NOON - 6 * HOUR, ahead=timedelta(0))
    retention = {"telemetry": HOUR}

    async with engine.connect() as reader:
        await reader.execute(text("SELECT count(*) FROM telemetry"))
        async with asyncio.timeout(5), engine.begin() as connection:
            assert await drop_expired(connection, now=NOON, retention=retention) == ()

    async with engine.begin() as connection:
        assert len(await drop_expired(connection, now=NOON, retention=retention)) == 1


async def test_rollups_outlive_the_rows_they_were_made_of(engine: AsyncEngine) -> None:
    past = NOON - 48 * HOUR
    async with engine.begin() as connection:
        await ensure_partitions(connection, now=past, ahead=timedelta(0))
        await connection.execute(
            text("INSERT INTO telemetry_1h (reactor_id, ts, count) VALUES (1, :ts, 3600)"),
            {"ts": past},
        )

    async with engine.begin() as connection:
        await drop_expired(
            connection, now=NOON, retention={"telemetry": 6 * HOUR, "telemetry_1h": 720 * HOUR}
        )

    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT sum(count) FROM telemetry_1h")) == 3600
