"""Offsets in Postgres: who owns a partition, and how far it is stored.

A partition has one row per group, topic and incarnation. Taking it over raises its owner epoch;
moving its offset demands that epoch and the offset that was read, so a former owner, however late
it wakes, moves nothing and rolls its rows back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from reactorsync.bus.port import Partition
from reactorsync_historian.database import Connection

GONE_KEPT: Final = timedelta(days=1)
"""How long the offsets of a topic or broker that is gone are kept after their last use."""


@dataclass(slots=True)
class Ownership:
    """A partition while this process owns it. ``next_offset`` is the first one not yet stored."""

    epoch: int
    next_offset: int


@dataclass(frozen=True, slots=True)
class Move:
    """An offset to be moved, by whoever still owns it."""

    epoch: int
    expected: int
    next_offset: int


class Fenced(Exception):
    """Some partitions have another owner, or another offset, than was thought."""

    def __init__(self, partitions: Collection[Partition]) -> None:
        super().__init__(", ".join(f"{part.topic}[{part.number}]" for part in sorted(partitions)))
        self.partitions = frozenset(partitions)


class OffsetStore:
    """The rows of ``consumer_offset`` of one group."""

    def __init__(self, group: str) -> None:
        self._group = group

    async def take_over(
        self, connection: Connection, *, incarnation: str, partitions: Collection[Partition]
    ) -> dict[Partition, Ownership]:
        """Become the owner of ``partitions``: whoever was it before can store nothing any more."""
        ordered = sorted(partitions)
        cursor = await connection.execute(
            """
            INSERT INTO consumer_offset AS known
                (consumer_group, topic, incarnation, partition, next_offset, owner_epoch)
            SELECT %s, topic, %s, partition, 0, 1
            FROM unnest(%s::text[], %s::int[]) AS wanted (topic, partition)
            ON CONFLICT (consumer_group, topic, incarnation, partition)
            DO UPDATE SET owner_epoch = known.owner_epoch + 1, used_at = now()
            RETURNING topic, partition, owner_epoch, next_offset
            """,
            (
                self._group,
                incarnation,
                [partition.topic for partition in ordered],
                [partition.number for partition in ordered],
            ),
        )
        return {
            Partition(topic, number): Ownership(epoch, next_offset)
            async for topic, number, epoch, next_offset in cursor
        }

    async def forget_gone(
        self, connection: Connection, *, incarnation: str, topics: Collection[str]
    ) -> int:
        """Delete offsets of other incarnations and of topics that do not exist; return how many.

        They are kept for :data:`GONE_KEPT`: an address may lead to the former broker again.

        Args:
            connection: in a transaction.
            incarnation: the broker there is.
            topics: all telemetry topics that it has; their offsets stay however old they are.
        """
        deleted = await connection.execute(
            """
            DELETE FROM consumer_offset
            WHERE consumer_group = %s AND used_at < now() - %s
              AND NOT (incarnation = %s AND topic = ANY (%s))
            """,
            (self._group, GONE_KEPT, incarnation, list(topics)),
        )
        return deleted.rowcount

    async def move(
        self, connection: Connection, *, incarnation: str, moves: Mapping[Partition, Move]
    ) -> None:
        """Move offsets by compare-and-swap.

        Raises:
            Fenced: some have another owner; the transaction has to be rolled back.
        """
        cursor = await connection.execute(
            """
            UPDATE consumer_offset AS known
            SET next_offset = wanted.next_offset, used_at = now()
            FROM unnest(%s::text[], %s::int[], %s::bigint[], %s::bigint[], %s::bigint[])
                AS wanted (topic, partition, epoch, expected, next_offset)
            WHERE known.consumer_group = %s AND known.incarnation = %s
              AND known.topic = wanted.topic AND known.partition = wanted.partition
              AND known.owner_epoch = wanted.epoch AND known.next_offset = wanted.expected
            RETURNING known.topic, known.partition
            """,
            (
                [partition.topic for partition in moves],
                [partition.number for partition in moves],
                [move.epoch for move in moves.values()],
                [move.expected for move in moves.values()],
                [move.next_offset for move in moves.values()],
                self._group,
                incarnation,
            ),
        )
        moved = {Partition(topic, number) async for topic, number in cursor}
        if moved != moves.keys():
            raise Fenced(moves.keys() - moved)
