"""Partitions of the time series: there before a row needs them, gone after the retention."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from reactorsync.db.partitions import Partition, drop_expired, ensure_partitions
from reactorsync.service import Backoff, pause
from reactorsync.wire.envelope import from_micros
from reactorsync_historian.database import DatabaseUnavailable

log = logging.getLogger(__name__)

AHEAD: Final = timedelta(hours=3)
_EVERY_SECONDS: Final = 3600.0


class PartitionKeeper:
    """Makes partitions ahead and on demand, and drops those past the retention.

    Args:
        engine: the database.
        retention: how long rows of ``telemetry`` are kept.
    """

    def __init__(self, engine: AsyncEngine, *, retention: timedelta) -> None:
        self._engine = engine
        self._retention = retention
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
        """Make the partitions of the next hours and drop the expired ones."""
        async with self._engine.begin() as connection:
            made = await ensure_partitions(connection, now=now, ahead=AHEAD)
        async with self._engine.begin() as connection:
            dropped = await drop_expired(
                connection, now=now, retention={"telemetry": self._retention}
            )
        self._known -= set(dropped)
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
