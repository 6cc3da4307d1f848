"""One life of the group consumer: as long as the broker stays the same one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from reactorsync import clock
from reactorsync.bus.port import BrokerUnavailable, Bus, Partition, Record
from reactorsync.service import Backoff, Readiness, pause
from reactorsync.wire.frame import Frame
from reactorsync_historian import metrics
from reactorsync_historian.alarms.engine import AlarmEngine
from reactorsync_historian.alarms.table import close_of_gone, read_open, read_plants
from reactorsync_historian.assignment import Assignment
from reactorsync_historian.batch import Item, ItemReader
from reactorsync_historian.database import DatabaseUnavailable, Link
from reactorsync_historian.fleet import FleetView
from reactorsync_historian.offsets import Fenced, OffsetStore
from reactorsync_historian.sequences import Loss, SequenceLedger
from reactorsync_historian.settings import HistorianSettings
from reactorsync_historian.stages import Stage, StageHook, no_hook
from reactorsync_historian.store import BatchStore

log = logging.getLogger(__name__)

_IDLE_SECONDS: Final = 0.5
_WATCH_SECONDS: Final = 2.0
_REPORT_SECONDS: Final = 1.0
_AGAIN_SECONDS: Final = 0.2


@dataclass(frozen=True, kw_only=True)
class Sink:
    """Where frames go, and what is remembered of them; outlives sessions.

    Attributes:
        link: connection of the ingest.
        offsets: the offsets of the group.
        store: stores items.
        reader: decodes records.
        ledger: sequences of the shards read here.
        assignment: partitions of this process.
        fleet: who the reactors are.
        alarms: alarms of the shards read here.
        hook: awaited at every stage of a batch.
    """

    link: Link
    offsets: OffsetStore
    store: BatchStore
    reader: ItemReader
    ledger: SequenceLedger
    assignment: Assignment
    fleet: FleetView
    alarms: AlarmEngine
    hook: StageHook = no_hook


class Session:
    """Consumes telemetry from one incarnation of the broker."""

    def __init__(
        self,
        *,
        settings: HistorianSettings,
        bus: Bus,
        incarnation: str,
        sink: Sink,
        readiness: Readiness,
    ) -> None:
        self._settings = settings
        self._bus = bus
        self._incarnation = incarnation
        self._sink = sink
        self._readiness = readiness
        self._assignment = sink.assignment
        self._consumer = bus.consumer(client_id="historian", group=settings.consumer_group)
        self._storing = asyncio.Lock()
        self._outdated = asyncio.Event()
        self._broker_answers = True
        self._backoff = Backoff(limit_seconds=5.0)
        # Guesses before the first record; a poll asks for no more than surely fits into the batch.
        self._most_bytes = 1 << 20
        self._most_rows = 1000

    async def run(self, stopping: asyncio.Event) -> None:
        """Consume until ``stopping`` is set or the broker has become another one.

        Raises:
            BrokerUnavailable: the consumer cannot be started.
        """
        self._consumer.subscribe(
            pattern=self._settings.topics.telemetry_pattern,
            on_assigned=self._on_assigned,
            on_revoked=self._on_revoked,
        )
        await self._consumer.start()
        try:
            async with asyncio.TaskGroup() as tasks:
                aside = [tasks.create_task(self._watch()), tasks.create_task(self._report())]
                while not (stopping.is_set() or self._outdated.is_set()):
                    await self._cycle(stopping)
                for task in aside:
                    task.cancel()
        finally:
            await self._consumer.stop()

    # --- The group's callbacks ----------------------------------------------------------------

    async def _on_assigned(self, partitions: Collection[Partition]) -> None:
        self._assignment.assign(partitions)
        shards = {partition.number for partition in partitions}
        self._sink.ledger.keep(shards)
        self._sink.alarms.keep(shards)
        self._consumer.pause(partitions)

    async def _on_revoked(self, _partitions: Collection[Partition]) -> None:
        # A batch under way may end first, so that the next owner need not read it again. It is not
        # waited for longer than the group waits: the offsets fence it if it is late.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._session_seconds / 2), self._storing:
                pass
        self._assignment.revoke()

    # --- The loop -----------------------------------------------------------------------------

    async def _cycle(self, stopping: asyncio.Event) -> None:
        try:
            await self._take_over()
            items = await self._gather()
        except BrokerUnavailable as error:
            self._readiness.fails("kafka", str(error))
            await pause(_AGAIN_SECONDS, stopping)
            return
        except DatabaseUnavailable as error:
            self._give_up(error)
            return
        if items:
            await self._sink.hook(Stage.POLLED)
        try:
            async with self._storing:
                await self._store(items)
        except DatabaseUnavailable as error:
            self._give_up(error)

    async def _take_over(self) -> None:
        """Own what the group has given us, and read on from where Postgres says."""
        due = self._assignment.due(time.monotonic())
        # The group may have been joined again at another broker, where our offsets mean nothing.
        if not due or not await self._broker_is_the_same():
            return
        pattern = self._settings.topics.telemetry_pattern
        topics = {name for name in await self._bus.list_topics() if pattern.match(name)}
        async with self._sink.link.transaction() as connection:
            ownerships = await self._sink.offsets.take_over(
                connection, incarnation=self._incarnation, partitions=due
            )
            await self._sink.offsets.forget_gone(
                connection, incarnation=self._incarnation, topics=topics
            )
            # After the take-over: a former owner can raise or clear nothing any more.
            await close_of_gone(connection)
            open_alarms = await read_open(connection)
            plants = await read_plants(connection)
        self._database_works()
        self._sink.fleet.begin_with(plants)
        self._sink.alarms.begin({partition.number for partition in due}, open_alarms)
        for shard in self._assignment.acquire(ownerships, topics=topics):
            self._sink.ledger.forget(shard)
        for partition in due:
            ownership = self._assignment.owned.get(partition)
            if ownership is not None:
                self._consumer.seek(partition, ownership.next_offset or -1)
        self._consumer.resume(due)
        log.info("took over %d partitions", len(due))

    async def _gather(self) -> list[Item]:
        """Return what has arrived, up to the limits of a batch."""
        settings = self._settings
        items: list[Item] = []
        rows_left, bytes_left = settings.batch_rows, settings.batch_megabytes << 20
        deadline: float | None = None
        while rows_left > 0 and bytes_left > 0:
            fitting = min(rows_left // self._most_rows, bytes_left // self._most_bytes)
            wait = _IDLE_SECONDS if deadline is None else deadline - time.monotonic()
            if wait < 0:
                break
            try:
                records = await self._consumer.poll(
                    timeout_seconds=wait, max_records=max(1, fitting)
                )
            except BrokerUnavailable:
                if not items:
                    raise
                break  # What has arrived is stored; the next poll raises again.
            if records or self._broker_answers:
                self._readiness.works("kafka")
            if not records:
                break
            deadline = deadline or time.monotonic() + settings.batch_milliseconds / 1000
            read = self._read(records)
            items += read
            rows_left -= sum(item.rows for item in read)
            bytes_left -= sum(len(record.value or b"") for record in records)
        return items

    def _read(self, records: list[Record]) -> list[Item]:
        now_us = clock.now_us()
        items = []
        for record in records:
            self._most_bytes = max(self._most_bytes, len(record.value or b""))
            owner = self._assignment.owned.get(record.partition)
            if owner is None:
                continue
            if record.offset < owner.next_offset:
                # The log was cut, or belongs to another broker already: the watch will tell.
                metrics.SKIPPED.inc()
                continue
            item = self._sink.reader.read(record, owner, now_us=now_us)
            self._most_rows = max(self._most_rows, item.rows)
            items.append(item)
        return items

    async def _store(self, items: list[Item]) -> None:
        """Store items of partitions that are still ours, and losses."""
        losses = self._losses()
        while (items := [item for item in items if self._assignment.holds(item)]) or losses:
            try:
                await self._sink.store.store(items, losses, incarnation=self._incarnation)
            except Fenced as fenced:
                self._lose(fenced.partitions)
                continue
            self._database_works()
            self._settle(items, losses)
            return

    def _losses(self) -> list[Loss]:
        """Return the frames that count as lost: their shard's topics have been read to the end."""
        read = self._assignment.read_to_end(self._consumer.high_watermark)
        overdue = self._sink.ledger.overdue(time.monotonic())
        return [loss for loss in overdue if loss.shard in read]

    def _settle(self, items: list[Item], losses: list[Loss]) -> None:
        """Take note of what has been committed."""
        self._sink.ledger.settle(losses)
        now = time.monotonic()
        for item in items:
            item.owner.next_offset = item.record.offset + 1
            if isinstance(item.content, Frame):
                self._sink.ledger.observe(
                    shard=item.record.partition.number,
                    run=item.content.origin.run,
                    sequence=item.content.origin.sequence,
                    now=now,
                )

    # --- When something is in the way ---------------------------------------------------------

    def _lose(self, partitions: Collection[Partition]) -> None:
        """Somebody else has taken partitions over: most likely the group has, and tells us soon."""
        metrics.FENCED.inc(len(partitions))
        log.warning("fenced: %s", ", ".join(f"{part.topic}[{part.number}]" for part in partitions))
        self._consumer.pause(partitions)
        self._assignment.release(
            partitions, not_before=time.monotonic() + 2 * self._session_seconds
        )

    def _give_up(self, error: DatabaseUnavailable) -> None:
        """Postgres is away: let go of everything until it may be back."""
        self._readiness.fails("postgres", str(error))
        metrics.RETRIES.labels("PostgresUnavailable").inc()
        assigned = self._assignment.assigned
        self._consumer.pause(assigned)
        self._assignment.release(assigned, not_before=time.monotonic() + self._backoff.next_pause())

    def _database_works(self) -> None:
        self._backoff.reset()
        self._readiness.works("postgres")

    # --- Beside the loop ----------------------------------------------------------------------

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            try:
                await self._broker_is_the_same()
            except BrokerUnavailable as error:
                self._broker_answers = False
                self._readiness.fails("kafka", str(error))
            else:
                self._broker_answers = True

    async def _broker_is_the_same(self) -> bool:
        """Return whether it is; if not, this session ends. Raises :class:`BrokerUnavailable`."""
        incarnation = await self._bus.cluster_id()
        if incarnation != self._incarnation:
            log.warning("the broker is another one: %s was %s", incarnation, self._incarnation)
            self._outdated.set()
        return incarnation == self._incarnation

    async def _report(self) -> None:
        """Tell the lag to Prometheus, and the positions to the group for tools that look there."""
        hinted: dict[Partition, int] = {}
        while True:
            await asyncio.sleep(_REPORT_SECONDS)
            owned = {part: own.next_offset for part, own in self._assignment.owned.items()}
            metrics.report_lag(
                (part.number, self._consumer.high_watermark(part), offset)
                for part, offset in owned.items()
            )
            # A slot that nothing was read of may be gone any moment; the group need not know it.
            hints = {part: at for part, at in owned.items() if hinted.get(part, 0) != at}
            with contextlib.suppress(BrokerUnavailable):
                await self._consumer.commit(hints)
                hinted = owned

    @property
    def _session_seconds(self) -> float:
        return self._settings.kafka_session_timeout_ms / 1000
