"""One batch, one transaction: rows, dead letters, losses, alarms and offsets, or none of it."""

from __future__ import annotations

import base64
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from psycopg import AsyncCursor, sql
from psycopg.types.json import Jsonb

from reactorsync.wire.envelope import Headers
from reactorsync_historian import metrics
from reactorsync_historian.alarms.table import write_changes
from reactorsync_historian.batch import Batch, Rejected
from reactorsync_historian.database import Link
from reactorsync_historian.offsets import OffsetStore
from reactorsync_historian.rows import COLUMNS, TRAILER, CopyBuffer
from reactorsync_historian.sequences import Loss
from reactorsync_historian.stages import Stage, StageHook, no_hook

_TABLE: Final = sql.Identifier("telemetry")
_STAGING: Final = sql.Identifier("pg_temp", "staged_telemetry")
_COLUMNS: Final = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
_LONGEST_DETAIL: Final = 2000


@dataclass(frozen=True, slots=True)
class Written:
    """What a committed batch changed. ``duplicates`` are rows that were there already."""

    rows: int
    duplicates: int


class BatchWriter:
    """Writes batches.

    Args:
        link: the connection, used by nobody else.
        offsets: where the offsets are kept.
        hook: awaited at every stage.
    """

    def __init__(
        self,
        link: Link,
        *,
        offsets: OffsetStore,
        hook: StageHook = no_hook,
    ) -> None:
        self._link = link
        self._offsets = offsets
        self._hook = hook

    async def write(self, batch: Batch, rows: CopyBuffer, *, staged: bool = False) -> Written:
        """Store a batch in one transaction.

        With ``staged`` the rows go through a temporary table, and those that exist already are left
        out: several times slower, so only for a batch that was refused.

        Raises:
            Fenced: a partition has another owner; nothing was stored.
            psycopg.errors.UniqueViolation: a row exists already; nothing was stored.
            psycopg.errors.CheckViolation: a row's time has no partition; nothing was stored.
            DatabaseUnavailable: whether anything was stored is unknown, the offsets will tell.
        """
        started = time.monotonic()
        async with self._link.transaction() as connection, connection.cursor() as cursor:
            stored = 0
            if len(rows):
                stored = await (self._stage if staged else self._copy)(cursor, rows)
            await self._hook(Stage.COPIED)
            await insert_dead_letters(
                cursor, incarnation=batch.incarnation, dead_letters=batch.dead_letters
            )
            await _insert_losses(cursor, batch.losses)
            await write_changes(cursor, batch.alarms)
            await self._offsets.move(connection, incarnation=batch.incarnation, moves=batch.moves)
            await self._hook(Stage.OFFSETS_MOVED)
        metrics.COMMIT_SECONDS.observe(time.monotonic() - started)
        await self._hook(Stage.COMMITTED)
        return Written(rows=stored, duplicates=len(rows) - stored)

    async def _copy(self, cursor: AsyncCursor[tuple[object, ...]], rows: CopyBuffer) -> int:
        await self._copy_into(_TABLE, cursor, rows)
        return len(rows)

    async def _stage(self, cursor: AsyncCursor[tuple[object, ...]], rows: CopyBuffer) -> int:
        await cursor.execute(
            sql.SQL("CREATE TEMPORARY TABLE {} (LIKE {}) ON COMMIT DROP").format(_STAGING, _TABLE)
        )
        await self._copy_into(_STAGING, cursor, rows)
        await cursor.execute(
            sql.SQL(
                "INSERT INTO {table} ({columns}) SELECT {columns} FROM {staging} "
                "ORDER BY reactor_id, ts ON CONFLICT DO NOTHING"
            ).format(table=_TABLE, columns=_COLUMNS, staging=_STAGING)
        )
        return cursor.rowcount

    async def _copy_into(
        self, table: sql.Identifier, cursor: AsyncCursor[tuple[object, ...]], rows: CopyBuffer
    ) -> None:
        statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(table, _COLUMNS)
        async with cursor.copy(statement) as copy:
            data = rows.data()
            half = len(data) // 2
            await copy.write(data[:half])
            await self._hook(Stage.COPYING)
            await copy.write(data[half:])
            await copy.write(TRAILER)


async def insert_dead_letters(
    cursor: AsyncCursor[tuple[object, ...]], *, incarnation: str, dead_letters: Sequence[Rejected]
) -> None:
    """Keep records that could not be processed; one that is there already stays as it is."""
    await cursor.executemany(
        """
        INSERT INTO dead_letter
            (topic, incarnation, partition, "offset", key, value, headers, reason, detail)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
        ON CONFLICT DO NOTHING
        """,
        [
            (
                dead.record.partition.topic,
                incarnation,
                dead.record.partition.number,
                dead.record.offset,
                dead.record.key,
                dead.record.value,
                Jsonb(_encode_headers(dead.record.headers)),
                dead.reason,
                _storable(dead.detail)[:_LONGEST_DETAIL],
            )
            for dead in dead_letters
        ],
    )


async def _insert_losses(cursor: AsyncCursor[tuple[object, ...]], losses: Sequence[Loss]) -> None:
    await cursor.executemany(
        """
        INSERT INTO lost_frames (shard, run, first_sequence, count, cause)
        VALUES (%s, %s, %s, %s, %s)
        ON CONFLICT DO NOTHING
        """,
        [
            (loss.shard, _storable(loss.run), loss.first_sequence, loss.count, loss.cause)
            for loss in losses
        ],
    )


def _encode_headers(headers: Headers) -> list[list[str]]:
    return [[_storable(name), base64.b64encode(value).decode()] for name, value in headers]


def _storable(text: str) -> str:
    """Return ``text`` without NUL, the one character that PostgreSQL cannot keep."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")
