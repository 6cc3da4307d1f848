"""Partitions of the time series: there before a row needs them, gone after the retention.

What else only grows is cut back along with them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from reactorsync.db.partitions import Partition, drop_expired, ensure_partitions
from reactorsync.service import Backoff, pause
from reactorsync.wire.envelope import from_micros
from reactorsync_historian.database import DatabaseUnavailable

log = logging.getLogger(__name__)

AHEAD: Final = timedelta(hours=3)
_EVERY_SECONDS: Final = 3600.0

ROLLUPS_KEPT: Final[Mapping[str, timedelta]] = {
    "telemetry_10s": timedelta(days=7),
    "telemetry_1min": timedelta(days=60),
    "telemetry_1h": timedelta(days=730),
}
"""How long rollups are kept: never shorter than the readings they sum up."""

DEAD_LETTERS_KEPT: Final = timedelta(days=28)
"""How long a dead letter stays after the dead-letter topic has it, which keeps it as long."""

LOSSES_KEPT: Final = timedelta(days=90)
"""How long it is remembered which frames were lost."""


class PartitionKeeper:
    """Makes partitions ahead and on demand, and drops what is past its retention.

    Args:
        engine: the database.
        retention: how long rows of ``telemetry`` are kept.
    """

    def __init__(self, engine: AsyncEngine, *, retention: timedelta) -> None:
        self._engine = engine
        self._retention = {
            "telemetry": retention,
            **{table: max(kept, retention) for table, kept in ROLLUPS_KEPT.items()},
        }
        self._known: set[Partition] = set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Make and drop partitions at once and every hour, until ``stopping`` is set."""
        backoff = Backoff()
        while not stopping.is_set():
            try:
                await self.tidy(datetime.now(tz=UTC))
            except SQLAlchemyError as error:
                log.warning("partitions cannot be kept up: %s", _first_line(error))
                await pause(backoff.next_pause(), stopping)
            else:
                backoff.reset()
                await pause(_EVERY_SECONDS, stopping)

    async def tidy(self, now: datetime) -> None:
        """Make the partitions of the next hours, and drop all that is past its retention."""
        async with self._engine.begin() as connection:
            made = await ensure_partitions(connection, now=now, ahead=AHEAD)
        async with self._engine.begin() as connection:
            dropped = await drop_expired(connection, now=now, retention=self._retention)
        self._known -= set(dropped)
        async with self._engine.begin() as connection:
            await connection.execute(
                text("DELETE FROM dead_letter WHERE mirrored_at < :before"),
                {"before": now - DEAD_LETTERS_KEPT},
            )
            await connection.execute(
                text("DELETE FROM lost_frames WHERE noticed_at < :before"),
                {"before": now - LOSSES_KEPT},
            )
        if made or dropped:
            log.info(
                "partitions made: %s; dropped: %s",
                ", ".join(partition.name for partition in made) or "none",
                ", ".join(partition.name for partition in dropped) or "none",
            )

    async def ensure(self, ticks_us: Iterable[int]) -> None:
        """Make sure that rows of these ticks can be stored; does nothing when that is known.

        Raises:
            DatabaseUnavailable: Postgres cannot be reached.
        """
        wanted = {Partition.containing("telemetry", from_micros(tick)) for tick in ticks_us}
        for partition in sorted(wanted - self._known):
            try:
                async with self._engine.begin() as connection:
                    await ensure_partitions(
                        connection, now=partition.start, ahead=timedelta(microseconds=1)
                    )
            except SQLAlchemyError as error:
                raise DatabaseUnavailable(_first_line(error)) from error
            self._known.add(partition)

    def forget(self) -> None:
        """Look again which partitions exist: another process may have dropped one."""
        self._known.clear()


def _first_line(error: SQLAlchemyError) -> str:
    return str(getattr(error, "orig", None) or error).strip().split("\n", 1)[0]
