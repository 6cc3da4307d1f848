"""Stored readings of some reactors, as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Final

import numpy as np
import numpy.typing as npt
from psycopg import sql

from reactorsync.signals import SIGNAL_NAMES
from reactorsync.wire.envelope import from_micros, to_micros
from reactorsync_historian.database import Connection

_COLUMNS: Final = sql.SQL(", ").join(
    sql.Identifier("telemetry", column) for column in ("reactor_id", "ts", *SIGNAL_NAMES)
)


@dataclass(frozen=True, slots=True)
class Readings:
    """Readings of one reactor, oldest first: times ``(n,)``, values ``(n, n_signals)``."""

    times_us: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]


NO_READINGS: Final = Readings(np.zeros(0, np.int64), np.zeros((0, len(SIGNAL_NAMES)), np.float32))


async def read_before(
    connection: Connection,
    *,
    reactor_ids: Sequence[int],
    ticks_us: Sequence[int],
    count: int,
    oldest_us: int,
) -> dict[int, Readings]:
    """Return up to ``count`` readings of each reactor from before its tick, by reactor id.

    ``oldest_us`` bounds how far back is looked, and with it the partitions that are opened.
    """
    query = sql.SQL(
        """
        SELECT {columns}
        FROM unnest({ids}::int[], {ticks}::timestamptz[]) AS wanted (id, tick)
        CROSS JOIN LATERAL (
            SELECT * FROM telemetry
            WHERE reactor_id = wanted.id AND ts < wanted.tick AND ts >= {oldest}
            ORDER BY ts DESC LIMIT {count}
        ) AS telemetry
        """
    ).format(
        columns=_COLUMNS,
        ids=sql.Literal(list(reactor_ids)),
        ticks=sql.Literal([from_micros(tick_us) for tick_us in ticks_us]),
        oldest=sql.Literal(from_micros(oldest_us)),
        count=sql.Literal(count),
    )
    return await _read(connection, query)


async def read_since(connection: Connection, after_us: Mapping[int, int]) -> dict[int, Readings]:
    """Return the readings of some reactors that are later than a time each, by reactor id."""
    query = sql.SQL(
        """
        SELECT {columns}
        FROM unnest({ids}::int[], {times}::timestamptz[]) AS wanted (id, after)
        CROSS JOIN LATERAL (
            SELECT * FROM telemetry
            WHERE reactor_id = wanted.id AND ts > wanted.after AND ts > {oldest}
        ) AS telemetry
        """
    ).format(
        columns=_COLUMNS,
        ids=sql.Literal(list(after_us)),
        times=sql.Literal([from_micros(time_us) for time_us in after_us.values()]),
        oldest=sql.Literal(from_micros(min(after_us.values()))),
    )
    return await _read(connection, query)


async def _read(connection: Connection, query: sql.Composed) -> dict[int, Readings]:
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(query)
        rows = await cursor.fetchall()
    by_reactor: dict[int, list[tuple[int, Sequence[float]]]] = {}
    for reactor_id, moment, *values in sorted(rows, key=itemgetter(1)):
        by_reactor.setdefault(reactor_id, []).append((to_micros(moment), values))
    return {
        reactor_id: Readings(
            np.array([time_us for time_us, _ in several], np.int64),
            np.array([values for _, values in several], np.float32),
        )
        for reactor_id, several in by_reactor.items()
    }
