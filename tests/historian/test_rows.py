"""What is written is what Postgres reads."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import psycopg
import pytest

from reactorsync.db.models import telemetry
from reactorsync.signals import SIGNAL_NAMES
from reactorsync_historian.rows import COLUMNS, TRAILER, CopyBuffer
from tests.historian.running import Storage

Connection = psycopg.Connection[tuple[object, ...]]

TICK = datetime(2026, 3, 4, 5, 6, 7, 891_000, tzinfo=UTC)
TICK_US = int(TICK.timestamp() * 1000) * 1000


def append(buffer: CopyBuffer, readings: np.ndarray, *, first_id: int = 1) -> None:
    count = readings.shape[1]
    buffer.append(
        reactor_ids=np.arange(first_id, first_id + count, dtype=np.int32),
        tick_us=TICK_US,
        trip_causes=np.full(count, 255, np.uint8),
        readings=readings,
    )


@pytest.fixture
def table(storage: Storage) -> Iterator[Connection]:
    """A connection to a database with a table `readings`, like telemetry without partitions."""
    with storage.connect() as connection:
        connection.execute("CREATE TABLE readings (LIKE telemetry)")
        yield connection


def copied(connection: Connection, buffer: CopyBuffer) -> list[tuple[object, ...]]:
    names = ", ".join(COLUMNS)
    with connection.cursor() as cursor:
        with cursor.copy(f"COPY readings ({names}) FROM STDIN (FORMAT binary)") as copy:
            copy.write(buffer.data())
            copy.write(TRAILER)
        return cursor.execute(f"SELECT {names} FROM readings ORDER BY reactor_id").fetchall()


def test_columns_are_those_of_the_table() -> None:
    assert tuple(telemetry.columns.keys()) == COLUMNS


def test_every_value_arrives_as_it_was(table: Connection) -> None:
    readings = np.random.default_rng(1).normal(size=(len(SIGNAL_NAMES), 7)).astype(np.float32)
    readings[0, 0], readings[1, 0], readings[2, 0] = 3.4e38, 1e-45, -0.0
    buffer = CopyBuffer()
    append(buffer, readings)

    rows = copied(table, buffer)

    assert [row[0] for row in rows] == list(range(1, 8))
    assert {row[1:3] for row in rows} == {(TICK, 255)}
    assert np.array_equal(np.array([row[3:] for row in rows], np.float32), readings.T)


def test_a_reading_that_does_not_exist_is_nan(
    table: Connection,
) -> None:
    buffer = CopyBuffer()
    append(buffer, np.full((len(SIGNAL_NAMES), 2), np.nan, np.float32))

    rows = copied(table, buffer)

    assert all(isinstance(value, float) and math.isnan(value) for row in rows for value in row[3:])


def test_a_buffer_grows_and_can_be_used_again(
    table: Connection,
) -> None:
    buffer = CopyBuffer(rows=2)
    append(buffer, np.ones((len(SIGNAL_NAMES), 2), np.float32), first_id=100)
    buffer.clear()
    for start in (0, 3, 6):
        append(buffer, np.full((len(SIGNAL_NAMES), 3), start, np.float32), first_id=start)

    rows = copied(table, buffer)

    assert [row[0] for row in rows] == list(range(9))
    assert [row[3] for row in rows] == [0, 0, 0, 3, 3, 3, 6, 6, 6]
