"""Partitions of the time series: made ahead, dropped when all they hold is past its retention.

There is no DEFAULT partition. With one, making a partition would have to lock and search it, and
would fail once a row of that time had gone there; without one, a new partition is attached under a
lock that stops nobody from reading or writing. So whoever writes rows makes sure of their
partitions first, which costs one catalogue query as long as nothing is missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from reactorsync.db.locks import PARTITIONS

LENGTHS: Final[Mapping[str, timedelta]] = {
    "telemetry": timedelta(hours=1),
    "telemetry_10s": timedelta(days=1),
    "telemetry_1min": timedelta(days=7),
    "telemetry_1h": timedelta(days=28),
}
"""Length of a partition: short against the retention, so that little is kept longer than asked, and
long enough for some tens of partitions, not hundreds."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAME = re.compile(rf"^(?P<table>{'|'.join(LENGTHS)})_p(?P<start>\d{{12}})$")
_START_FORMAT = "%Y%m%d%H%M"

_LOCK_WAIT_MILLISECONDS = 500


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """The part of a table that holds rows from ``start`` on, for the table's length."""

    table: str
    start: datetime

    @classmethod
    def containing(cls, table: str, moment: datetime) -> Partition:
        """Return the partition a row of ``moment`` belongs to."""
        length = LENGTHS[table]
        return cls(table=table, start=_EPOCH + (moment - _EPOCH) // length * length)

    @property
    def end(self) -> datetime:
        """First moment that no longer belongs to it."""
        return self.start + LENGTHS[self.table]

    @property
    def name(self) -> str:
        """Name of its table, ``telemetry_p202601311200``."""
        return f"{self.table}_p{self.start:{_START_FORMAT}}"


def is_partition_name(name: str) -> bool:
    """Return whether a table of that name is a partition made here."""
    return _NAME.match(name) is not None


def parse_partition_name(name: str) -> Partition:
    """Read a partition's name. Raises ValueError when it is none."""
    match = _NAME.match(name)
    if match is None:
        raise ValueError(f"{name!r} is not the name of a partition")
    start = datetime.strptime(match["start"], _START_FORMAT).replace(tzinfo=UTC)
    return Partition(table=match["table"], start=start)


def partitions_between(table: str, first: datetime, last: datetime) -> tuple[Partition, ...]:
    """Return the partitions that hold rows from ``first`` to ``last``, both included, in order."""
    partition = Partition.containing(table, first)
    found = []
    while partition.start <= last:
        found.append(partition)
        partition = Partition(table=table, start=partition.end)
    return tuple(found)


def expired(
    partitions: Iterable[Partition], *, now: datetime, retention: Mapping[str, timedelta]
) -> tuple[Partition, ...]:
    """Return those of which every row is older than the retention of its table, oldest first.

    A table that ``retention`` does not name is kept for ever.
    """
    return tuple(
        sorted(
            partition
            for partition in partitions
            if partition.table in retention and partition.end <= now - retention[partition.table]
        )
    )


async def ensure_partitions(
    connection: AsyncConnection, *, now: datetime, ahead: timedelta = timedelta(hours=2)
) -> tuple[Partition, ...]:
    """Make the partitions of all tables for rows from ``now`` to ``now + ahead``.

    ``now`` may be any time: the oldest tick of a batch, for rows that come late. Any number of
    processes may call it at once. The transaction is the caller's and should do nothing else: until
    it commits, others who miss a partition wait.

    Returns:
        The partitions that were missing.
    """
    wanted = [
        partition for table in LENGTHS for partition in partitions_between(table, now, now + ahead)
    ]
    if await _missing(connection, wanted):
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": PARTITIONS})
        missing = await _missing(connection, wanted)
        for partition in missing:
            await _create(connection, partition)
        return tuple(missing)
    return ()


async def drop_expired(
    connection: AsyncConnection, *, now: datetime, retention: Mapping[str, timedelta]
) -> tuple[Partition, ...]:
    """Drop the partitions past their retention, given by table.

    Dropping needs the table for itself for some milliseconds. Behind a query that takes long it
    gives up at once instead of making everybody wait; the next call tries again.

    Returns:
        The partitions that were dropped.
    """
    dropped = []
    for partition in expired(await existing_partitions(connection), now=now, retention=retention):
        try:
            async with connection.begin_nested():
                await connection.execute(
                    text(f"SET LOCAL lock_timeout = {_LOCK_WAIT_MILLISECONDS}")
                )
                await connection.execute(text(f"DROP TABLE IF EXISTS {partition.name}"))
        except OperationalError as error:
            if connection.invalidated or not _is_lock_timeout(error):
                raise
            break
        dropped.append(partition)
    return tuple(dropped)


async def existing_partitions(connection: AsyncConnection) -> Sequence[Partition]:
    """Return the partitions that exist, of all tables, in order."""
    names = await connection.scalars(
        text(
            "SELECT child.relname FROM unnest(CAST(:tables AS text[])) AS parent "
            "JOIN pg_inherits ON inhparent = to_regclass(parent) "
            "JOIN pg_class child ON child.oid = inhrelid"
        ),
        {"tables": list(LENGTHS)},
    )
    return sorted(parse_partition_name(name) for name in names if is_partition_name(name))


async def _missing(connection: AsyncConnection, wanted: Sequence[Partition]) -> Sequence[Partition]:
    existing = set(await existing_partitions(connection))
    return [partition for partition in wanted if partition not in existing]


async def _create(connection: AsyncConnection, partition: Partition) -> None:
    """Make a table and attach it, where CREATE TABLE .. PARTITION OF would lock out all readers."""
    await connection.execute(
        text(
            f"CREATE TABLE {partition.name} "
            f"(LIKE {partition.table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)"
        )
    )
    await connection.execute(
        text(
            f"ALTER TABLE {partition.table} ATTACH PARTITION {partition.name} "
            f"FOR VALUES FROM ('{partition.start.isoformat()}') TO ('{partition.end.isoformat()}')"
        )
    )


def _is_lock_timeout(error: OperationalError) -> bool:
    return getattr(error.orig, "sqlstate", None) == "55P03"
