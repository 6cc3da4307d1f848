"""The schema's history: every way through it ends in the schema of the models."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, inspect, text
from sqlalchemy import create_engine as create_sync_engine

from reactorsync.db.engine import create_engine
from reactorsync.db.migrate import (
    UnknownRevision,
    current_revision,
    downgrade,
    head_revision,
    upgrade,
)
from reactorsync.db.models import Base, latest_telemetry
from reactorsync.db.partitions import ensure_partitions, is_partition_name
from reactorsync.signals import SIGNAL_NAMES


@pytest.fixture
def empty_database(empty_database_url: str) -> Iterator[Engine]:
    engine = create_sync_engine(empty_database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def database(database_url: str) -> Iterator[Engine]:
    engine = create_sync_engine(database_url)
    yield engine
    engine.dispose()


def _differences_to_models(engine: Engine) -> list[Any]:
    def is_no_partition(name: str | None, kind: str, _parents: object) -> bool:
        return kind != "table" or name is None or not is_partition_name(name)

    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_name": is_no_partition,
                "compare_type": True,
                "compare_server_default": True,
            },
        )
        return list(compare_metadata(context, Base.metadata))


_DEFINITIONS = """
    WITH ours AS (
        SELECT oid, relname, relkind FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'
    )
    SELECT relname || ' index', pg_get_indexdef(oid) FROM ours WHERE relkind IN ('i', 'I')
        AND relname NOT LIKE 'alembic_version%'
    UNION ALL SELECT relname || ' partition key', pg_get_partkeydef(oid) FROM ours
        WHERE relkind = 'p'
    UNION ALL SELECT relname || '.' || conname, pg_get_constraintdef(pg_constraint.oid)
        FROM pg_constraint JOIN ours ON ours.oid = conrelid
    UNION ALL SELECT relname || ' default ' || adnum, pg_get_expr(adbin, adrelid)
        FROM pg_attrdef JOIN ours ON ours.oid = adrelid
    UNION ALL SELECT relname || '.' || attname, attcollation::regcollation || attidentity::text
        FROM pg_attribute JOIN ours ON ours.oid = attrelid
        WHERE attnum > 0 AND relkind IN ('r', 'p')
"""


def _definitions(engine: Engine) -> dict[str, str]:
    """What Alembic does not compare: how indexes, checks, keys and computed columns are defined."""
    with engine.connect() as connection:
        rows = connection.execute(text(_DEFINITIONS))
        return {row[0]: row[1] for row in rows}


def _objects(engine: Engine) -> set[str]:
    found = inspect(engine)
    return {*found.get_table_names(), *found.get_view_names(), *found.get_sequence_names()}


def test_migrated_schema_is_the_schema_of_the_models(database: Engine) -> None:
    assert _differences_to_models(database) == []


def test_migrated_definitions_are_those_the_models_give(
    database: Engine, empty_database: Engine
) -> None:
    Base.metadata.create_all(empty_database)

    assert _definitions(database) == _definitions(empty_database)


async def test_partitions_are_no_difference(database_url: str, database: Engine) -> None:
    engine = create_engine(database_url, application_name="test")
    async with engine.begin() as connection:
        await ensure_partitions(connection, now=datetime(2026, 3, 14, tzinfo=UTC))
    await engine.dispose()

    assert _differences_to_models(database) == []


def test_every_table_says_what_it_is(database: Engine) -> None:
    found = inspect(database)
    silent = [table for table in Base.metadata.tables if not found.get_table_comment(table)["text"]]

    assert silent == []


def test_readings_say_their_unit_and_what_nan_means(database: Engine) -> None:
    columns = {column["name"]: column for column in inspect(database).get_columns("telemetry")}

    assert columns["primary_pressure_mpa"]["comment"] == "MPa; 'NaN' where there is no reading"


def test_columns_of_readings_stand_in_the_order_of_the_registry(database: Engine) -> None:
    names = [column["name"] for column in inspect(database).get_columns("telemetry")]

    assert names == ["reactor_id", "ts", "trip_cause", *SIGNAL_NAMES]


def test_the_view_of_latest_readings_has_the_declared_columns(database: Engine) -> None:
    names = [column["name"] for column in inspect(database).get_columns("latest_telemetry")]

    assert names == [column.name for column in latest_telemetry.columns]


def test_migrating_a_migrated_database_changes_nothing(database_url: str, database: Engine) -> None:
    before = _definitions(database)

    upgrade(database_url)

    assert current_revision(database_url) == head_revision()
    assert _definitions(database) == before


async def test_several_processes_may_migrate_at_once(empty_database_url: str) -> None:
    async def migrate() -> int:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "reactorsync.db.migrate",
            env={**os.environ, "REACTORSYNC_DATABASE_URL": empty_database_url},
        )
        return await process.wait()

    assert await asyncio.gather(*(migrate() for _ in range(3))) == [0, 0, 0]
    assert current_revision(empty_database_url) == head_revision()


async def test_several_threads_may_migrate_at_once(empty_database_url: str) -> None:
    await asyncio.gather(*(asyncio.to_thread(upgrade, empty_database_url) for _ in range(3)))

    assert current_revision(empty_database_url) == head_revision()


def test_a_database_without_a_schema_has_no_revision(empty_database_url: str) -> None:
    assert current_revision(empty_database_url) is None


def test_downgrade_leaves_nothing_behind_and_can_be_taken_back(
    database_url: str, database: Engine
) -> None:
    before = _definitions(database)

    downgrade(database_url)
    assert _objects(database) == {"alembic_version"}
    assert current_revision(database_url) is None

    upgrade(database_url)
    assert _definitions(database) == before


def test_a_failed_migration_leaves_nothing_behind(
    empty_database_url: str, empty_database: Engine
) -> None:
    with empty_database.begin() as connection:
        connection.execute(text("CREATE TABLE audit (mine int)"))

    with pytest.raises(Exception, match='relation "audit" already exists'):
        upgrade(empty_database_url)

    assert _objects(empty_database) == {"audit"}


def test_a_schema_of_a_later_release_is_left_alone(database_url: str, database: Engine) -> None:
    with database.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(UnknownRevision, match="9999"):
        upgrade(database_url)
