"""From items to committed rows: what a batch needs, and what may be in its way."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Final

from psycopg import errors

from reactorsync.wire.frame import Frame
from reactorsync_historian import metrics
from reactorsync_historian.alarms.engine import AlarmEngine
from reactorsync_historian.batch import Batch, Item, Rejected, moves_of
from reactorsync_historian.database import DatabaseUnavailable, Link
from reactorsync_historian.partitions import PartitionKeeper
from reactorsync_historian.reactors import ReactorIds, read_ids
from reactorsync_historian.rows import CopyBuffer
from reactorsync_historian.sequences import Loss
from reactorsync_historian.writer import BatchWriter, Written

log = logging.getLogger(__name__)

_PARTITION_ATTEMPTS: Final = 3


class BatchStore:
    """Stores items.

    Args:
        link: connection for the dimension; may be the writer's own.
        writer: writes the transaction.
        reactor_ids: ids of the keys.
        partitions: keeps the table's partitions.
        alarms: judges the readings.
        on_alarms: called after a commit that raised or cleared alarms.
    """

    def __init__(
        self,
        *,
        link: Link,
        writer: BatchWriter,
        reactor_ids: ReactorIds,
        partitions: PartitionKeeper,
        alarms: AlarmEngine,
        on_alarms: Callable[[], None],
    ) -> None:
        self._link = link
        self._writer = writer
        self._reactor_ids = reactor_ids
        self._partitions = partitions
        self._alarms = alarms
        self._on_alarms = on_alarms
        self._rows = CopyBuffer()

    async def store(
        self, items: Sequence[Item], losses: Sequence[Loss], *, incarnation: str
    ) -> Written:
        """Store items, in the order in which each partition was read, and losses.

        Raises:
            Fenced: a partition has another owner; nothing was stored.
            DatabaseUnavailable: it is not known whether anything was stored.
        """
        await self._learn_reactors(items)
        self._fill_rows(items)
        judgement = self._alarms.judge(items, self._reactor_ids)
        batch = Batch(
            incarnation=incarnation,
            moves=moves_of(items),
            dead_letters=[item.content for item in items if isinstance(item.content, Rejected)],
            losses=list(losses),
            alarms=judgement.changes,
        )
        written = await self._write(batch, ticks_us={frame.tick_us for frame in _frames(items)})
        self._alarms.settle(judgement)
        if judgement.changes:
            self._on_alarms()
        _count(items, batch, written)
        return written

    async def _write(self, batch: Batch, *, ticks_us: set[int]) -> Written:
        staged = False
        for _ in range(_PARTITION_ATTEMPTS):
            await self._partitions.ensure(ticks_us)
            try:
                if not staged:
                    try:
                        return await self._writer.write(batch, self._rows)
                    except errors.UniqueViolation:
                        metrics.RETRIES.labels("Duplicates").inc()
                        staged = True
                return await self._writer.write(batch, self._rows, staged=True)
            except errors.CheckViolation:
                metrics.RETRIES.labels("NoPartition").inc()
                self._partitions.forget()
        raise DatabaseUnavailable("partitions of telemetry vanish as soon as they are made")

    async def _learn_reactors(self, items: Sequence[Item]) -> None:
        unknown = {key for item in items for key in item.unknown_reactors}
        if unknown:
            async with self._link.transaction() as connection:
                found = await read_ids(connection, unknown)
            self._reactor_ids.learn(found)

    def _fill_rows(self, items: Sequence[Item]) -> None:
        self._rows.clear()
        for item in items:
            if isinstance(item.content, Frame):
                self._rows.append(
                    reactor_ids=self._reactor_ids.of(
                        item.content.reactors, shard=item.record.partition.number
                    ),
                    tick_us=item.content.tick_us,
                    trip_causes=item.content.trip_causes,
                    readings=item.content.readings,
                )


def _frames(items: Sequence[Item]) -> list[Frame]:
    return [item.content for item in items if isinstance(item.content, Frame)]


def _count(items: Sequence[Item], batch: Batch, written: Written) -> None:
    frames = _frames(items)
    metrics.ROWS.inc(written.rows)
    metrics.FRAMES.inc(len(frames))
    metrics.DUPLICATES.inc(written.duplicates)
    if written.duplicates:
        log.info("%d rows were there already", written.duplicates)
    for dead in batch.dead_letters:
        metrics.DEAD_LETTERS.labels(dead.reason).inc()
        log.warning(
            "dead letter: %s[%d] offset %d: %s: %s",
            dead.record.partition.topic,
            dead.record.partition.number,
            dead.record.offset,
            dead.reason,
            dead.detail,
        )
    for loss in batch.losses:
        metrics.LOST_FRAMES.labels(loss.cause).inc(loss.count)
        log.warning(
            "%d frames of shard %d are lost (%s), run %s, from sequence %d on",
            loss.count,
            loss.shard,
            loss.cause,
            loss.run,
            loss.first_sequence,
        )
    if frames:
        metrics.note_tick(max(frame.tick_us for frame in frames))
