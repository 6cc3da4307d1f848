"""Table ``alarm``: written along with the rows that raised an alarm, read when a shard begins."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from psycopg import AsyncCursor

from reactorsync.designs import Design
from reactorsync.wire.envelope import from_micros
from reactorsync_historian.alarms.shard import Change, Cleared, OpenAlarm, Raised
from reactorsync_historian.database import Connection
from reactorsync_historian.fleet import Plant

_RAISE: Final = """
    INSERT INTO alarm (uid, reactor_id, reactor_uid, signal, condition, severity, message, value,
                       threshold, raised_at)
    SELECT * FROM unnest(%s::uuid[], %s::int[], %s::uuid[], %s::text[], %s::text[], %s::smallint[],
                         %s::text[], %s::real[], %s::real[], %s::timestamptz[])
    ON CONFLICT DO NOTHING
"""
_CLEAR: Final = """
    UPDATE alarm SET cleared_at = passed.at
    FROM unnest(%s::uuid[], %s::timestamptz[]) AS passed (uid, at)
    WHERE alarm.uid = passed.uid AND cleared_at IS NULL
"""


async def write_changes(cursor: AsyncCursor[tuple[object, ...]], changes: Sequence[Change]) -> None:
    """Write what a batch raised and cleared, in that order, in its transaction.

    An alarm that is there already is left as it is: the batch must not fail for it.
    """
    for kind, together in groupby(changes, type):
        columns = zip(*map(_row, together), strict=True)
        await cursor.execute(_RAISE if kind is Raised else _CLEAR, [list(one) for one in columns])


def _row(change: Change) -> tuple[object, ...]:
    moment = from_micros(change.tick_us)
    if isinstance(change, Cleared):
        return change.uid, moment
    return (
        change.uid,
        change.reactor_id,
        change.reactor_uid,
        change.signal,
        change.condition,
        change.severity,
        change.message,
        change.value,
        change.threshold,
        moment,
    )


async def read_open(connection: Connection) -> list[OpenAlarm]:
    """Return the open limit alarms of all reactors."""
    cursor = await connection.execute(
        """
        SELECT namespace || '/' || name, alarm.uid, alarm.reactor_uid, signal, condition
        FROM alarm JOIN reactor ON reactor.id = reactor_id
        WHERE cleared_at IS NULL AND signal IS NOT NULL AND alarm.reactor_uid IS NOT NULL
        """
    )
    return [OpenAlarm(*row) async for row in cursor]


async def read_plants(connection: Connection) -> dict[str, Plant]:
    """Return the reactors that existed when the desired state was last read."""
    cursor = await connection.execute(
        "SELECT namespace || '/' || name, uid, design FROM reactor"
        " WHERE deleted_at IS NULL AND uid IS NOT NULL AND design = ANY (%s)",
        ([str(design) for design in Design],),
    )
    return {key: Plant(uid, Design(design)) async for key, uid, design in cursor}


async def close_of_gone(connection: Connection) -> None:
    """Clear the alarms of reactors that were deleted, or replaced by others of their name."""
    await connection.execute(
        """
        UPDATE alarm SET cleared_at = greatest(now(), raised_at)
        FROM reactor
        WHERE reactor.id = alarm.reactor_id AND alarm.cleared_at IS NULL
          AND (reactor.deleted_at IS NOT NULL OR reactor.uid IS DISTINCT FROM alarm.reactor_uid)
          AND alarm.reactor_uid IS NOT NULL
        """
    )
