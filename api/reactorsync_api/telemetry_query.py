"""Telemetry out of Postgres: one reactor, a window, some signals, as columns."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import psycopg
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from reactorsync.store.postgres_errors import outages_as_unavailable

_POSTGRES_EPOCH_US = 946_684_800_000_000
"""2000-01-01T00:00:00Z, where the binary format of timestamps starts counting."""

_HEADER_BYTES = 19
_CHUNKS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Series:
    """Readings of one reactor.

    Attributes:
        times_us: microseconds since 1970, ascending, shape ``(n,)``.
        trip_causes: codes of :class:`reactorsync.trips.TripCause`, shape ``(n,)``.
        values: one float32 array of shape ``(n,)`` per signal asked for, NaN for no reading.
    """

    times_us: npt.NDArray[np.int64]
    trip_causes: npt.NDArray[np.int16]
    values: dict[str, npt.NDArray[np.float32]]

    def take(self, rows: npt.NDArray[np.intp]) -> Series:
        """Return the chosen rows."""
        return Series(
            self.times_us[rows],
            self.trip_causes[rows],
            {name: column[rows] for name, column in self.values.items()},
        )


async def read_series(
    engine: AsyncEngine,
    *,
    namespace: str,
    name: str,
    start: datetime,
    end: datetime,
    signals: Sequence[str],
) -> Series:
    """Read the window ``[start, end)``; empty for a reactor that has never reported.

    Rows are of fixed size (no column is ever null), so COPY's binary form becomes arrays at once.

    Raises:
        StoreUnavailable: Postgres is away.
    """
    query = sql.SQL(
        "COPY (SELECT t.ts, t.trip_cause, {columns} FROM telemetry t "
        "WHERE t.reactor_id = "
        "(SELECT id FROM reactor WHERE namespace = {namespace} AND name = {name}) "
        "AND t.ts >= {start} AND t.ts < {end} ORDER BY t.ts) TO STDOUT (FORMAT BINARY)"
    ).format(
        columns=sql.SQL(", ").join(sql.Identifier("t", signal) for signal in signals),
        namespace=sql.Literal(namespace),
        name=sql.Literal(name),
        start=sql.Literal(start),
        end=sql.Literal(end),
    )
    chunks: list[bytes] = []
    with outages_as_unavailable():
        async with engine.connect() as connection:
            raw = (await connection.get_raw_connection()).driver_connection
            assert isinstance(raw, psycopg.AsyncConnection)  # noqa: S101 - the engine's dialect
            async with raw.cursor() as cursor, cursor.copy(query) as copy:
                async for chunk in copy:
                    chunks.append(bytes(chunk))
                    if len(chunks) % _CHUNKS_AT_ONCE == 0:
                        # What is already here comes without waiting, and others wait meanwhile.
                        await asyncio.sleep(0)
    return await asyncio.to_thread(_parse, chunks, signals)


@dataclass(frozen=True, slots=True)
class Latest:
    """Newest reading of one reactor; a reading that does not exist is absent from ``values``."""

    key: str
    time: datetime
    trip_cause: int
    values: dict[str, float]


async def read_latest(engine: AsyncEngine, *, namespace: str, name: str) -> Latest | None:
    """Return the newest reading of a reactor, ``None`` when there is none."""
    query = text("SELECT * FROM latest_telemetry WHERE namespace = :namespace AND name = :name")
    with outages_as_unavailable():
        async with engine.connect() as connection:
            found = await connection.execute(query, {"namespace": namespace, "name": name})
            row = found.mappings().first()
    if row is None:
        return None
    values = {
        column: value
        for column, value in row.items()
        if isinstance(value, float) and value == value
    }
    return Latest(f"{namespace}/{name}", row["ts"], row["trip_cause"], values)


def _parse(chunks: list[bytes], signals: Sequence[str]) -> Series:
    data = b"".join(chunks)
    fields: list[tuple[str, str]] = [
        ("count", ">i2"),
        ("ts_length", ">i4"),
        ("ts", ">i8"),
        ("trip_length", ">i4"),
        ("trip", ">i2"),
    ]
    for index in range(len(signals)):
        fields += [(f"length{index}", ">i4"), (f"value{index}", ">f4")]
    row = np.dtype(fields)
    body = data[_HEADER_BYTES:-2]
    if len(body) % row.itemsize:
        raise ValueError("telemetry holds a null, which its writers never store")
    rows = np.frombuffer(body, dtype=row)
    return Series(
        times_us=rows["ts"].astype(np.int64) + _POSTGRES_EPOCH_US,
        trip_causes=rows["trip"].astype(np.int16),
        values={
            signal: rows[f"value{index}"].astype(np.float32) for index, signal in enumerate(signals)
        },
    )
