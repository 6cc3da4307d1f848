"""The view of newest readings: right, and without reading what is not newest."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from reactorsync.db.engine import create_engine
from reactorsync.db.models import ReactorRow, latest_telemetry, telemetry
from reactorsync.db.partitions import ensure_partitions

NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[AsyncConnection]:
    engine = create_engine(database_url, application_name="test")
    async with engine.begin() as connection:
        await ensure_partitions(connection, now=NOON - 5 * HOUR, ahead=7 * HOUR)
        yield connection
        await connection.rollback()
    await engine.dispose()


async def add_reactor(connection: AsyncConnection, name: str, **fields: object) -> int:
    inserted = insert(ReactorRow).values(namespace="default", name=name, **fields)
    return int(await connection.scalar(inserted.returning(ReactorRow.id)) or 0)


async def add_reading(
    connection: AsyncConnection, reactor_id: int, ts: datetime, power: float
) -> None:
    row = {"reactor_id": reactor_id, "ts": ts, "neutron_power_percent": power}
    await connection.execute(insert(telemetry).values(row))


async def latest(connection: AsyncConnection) -> dict[str, float]:
    view = latest_telemetry.c
    rows = await connection.execute(select(view.name, view.neutron_power_percent))
    return {row.name: row.neutron_power_percent for row in rows}


async def test_shows_the_newest_row_of_each_reactor(connection: AsyncConnection) -> None:
    one, other = await add_reactor(connection, "one"), await add_reactor(connection, "other")
    for minutes in range(5):
        await add_reading(connection, one, NOON + timedelta(minutes=minutes), 90 + minutes)
    await add_reading(connection, other, NOON - 4 * HOUR, 50)
    await add_reading(connection, other, NOON - 3 * HOUR, 51)

    assert await latest(connection) == {"one": 94, "other": 51}


async def test_leaves_out_reactors_that_are_deleted_or_silent(connection: AsyncConnection) -> None:
    deleted = await add_reactor(connection, "deleted", deleted_at=NOON)
    await add_reading(connection, deleted, NOON, 100)
    await add_reactor(connection, "silent")

    assert await latest(connection) == {}


async def test_a_reading_that_does_not_exist_is_nan(connection: AsyncConnection) -> None:
    reactor_id = await add_reactor(connection, "candu")
    await add_reading(connection, reactor_id, NOON, 100)

    row = (await connection.execute(select(latest_telemetry))).one()

    assert row.boron_concentration_ppm != row.boron_concentration_ppm
    assert row.trip_cause == 0


async def test_stops_at_the_newest_partition_that_has_a_row(connection: AsyncConnection) -> None:
    for number in range(20):
        reactor_id = await add_reactor(connection, f"r-{number}")
        await add_reading(connection, reactor_id, NOON - 5 * HOUR, 1)
        await add_reading(connection, reactor_id, NOON, 2)

    plan = await connection.scalar(
        text("EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) SELECT * FROM latest_telemetry")
    )

    scans = {
        node["Relation Name"]: node
        for node in _nodes(plan[0]["Plan"])
        if node.get("Relation Name", "").startswith("telemetry_p")
    }
    assert len(scans) == 8
    assert scans["telemetry_p202603141200"]["Actual Loops"] == 20
    assert all(
        node["Actual Loops"] == 0
        for name, node in scans.items()
        if name < "telemetry_p202603141200"
    )


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from _nodes(child)
