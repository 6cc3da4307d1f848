"""The dimension follower: what the desired state says of a reactor, for those who read its rows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from reactorsync.bus.incarnation import Incarnation
from reactorsync.bus.port import BrokerUnavailable, Bus, Consumer, Record
from reactorsync.service import Backoff, pause
from reactorsync.wire.desired import DesiredReactor, decode_desired
from reactorsync.wire.errors import UndecodableRecord
from reactorsync.wire.keys import shard_of
from reactorsync.wire.topics import SNAPSHOT_KEY
from reactorsync_historian import metrics
from reactorsync_historian.alarms.table import close_of_gone
from reactorsync_historian.batch import Rejected
from reactorsync_historian.database import Connection, DatabaseUnavailable, Link
from reactorsync_historian.fleet import FleetView, Plant
from reactorsync_historian.settings import HistorianSettings
from reactorsync_historian.writer import insert_dead_letters

log = logging.getLogger(__name__)

_POLL_SECONDS: Final = 1.0
_POLL_RECORDS: Final = 1000


class DimensionFollower:
    """Keeps ``reactor`` and ``fleet`` equal to the topic of desired states, read from its start.

    It needs no offsets: applying a record twice changes nothing.
    """

    def __init__(
        self, *, settings: HistorianSettings, bus: Bus, link: Link, fleet: FleetView
    ) -> None:
        self._settings = settings
        self._topic = settings.topics.reactors
        self._bus = bus
        self._link = link
        self._fleet = fleet
        self._living: dict[int, set[str]] = {}

    async def run(self, stopping: asyncio.Event) -> None:
        """Follow until ``stopping`` is set; begin anew whenever something was in the way."""
        backoff = Backoff()
        while not stopping.is_set():
            consumer = self._bus.consumer(client_id="historian-dimension")
            try:
                incarnation = await Incarnation.present(self._bus)
                await consumer.start()
                if await self._assign(consumer, stopping):
                    backoff.reset()
                    await self._follow(consumer, incarnation, stopping)
            except (BrokerUnavailable, DatabaseUnavailable) as error:
                log.warning("reactors cannot be followed: %s", error)
                await pause(backoff.next_pause(), stopping)
            finally:
                await consumer.stop()

    async def _assign(self, consumer: Consumer, stopping: asyncio.Event) -> bool:
        """Read the topic from its start, once it exists; return whether it does."""
        while not (partitions := await consumer.partitions_of(self._topic)):
            if await pause(_POLL_SECONDS, stopping):
                return False
        self._living = {partition.number: set() for partition in partitions}
        consumer.assign(partitions)
        return True

    async def _follow(
        self, consumer: Consumer, incarnation: Incarnation, stopping: asyncio.Event
    ) -> None:
        """Apply what comes, until the broker has become another one."""
        while not stopping.is_set() and await incarnation.lasts():
            records = await consumer.poll(timeout_seconds=_POLL_SECONDS, max_records=_POLL_RECORDS)
            if records:
                await self._apply(records, incarnation.cluster)

    async def _apply(self, records: Sequence[Record], incarnation: str) -> None:
        """Bring the table to the state after ``records``, in one transaction."""
        changes: dict[str, DesiredReactor | None] = {}
        dead_letters: list[Rejected] = []
        complete: set[int] = set()
        for record in records:
            if record.key == SNAPSHOT_KEY:
                complete.add(record.partition.number)
                continue
            try:
                self._note(record, changes)
            except UndecodableRecord as error:
                dead_letters.append(Rejected(record, error.reason, error.detail))
        # Before the table: no alarm of a reactor that is gone is raised from here on.
        version = self._fleet.version
        self._show(changes)
        async with self._link.transaction() as connection, connection.cursor() as cursor:
            await cursor.executemany(
                _UPSERT, [_row(desired) for desired in changes.values() if desired is not None]
            )
            await _mark_deleted(connection, [key for key, state in changes.items() if not state])
            if complete:
                await self._delete_missing(connection, complete)
            if complete or self._fleet.version != version:
                await close_of_gone(connection)
            await insert_dead_letters(cursor, incarnation=incarnation, dead_letters=dead_letters)
        for dead in dead_letters:
            metrics.DEAD_LETTERS.labels(dead.reason).inc()
            log.warning("dead letter: %s: %s: %s", self._topic, dead.reason, dead.detail)

    def _note(self, record: Record, changes: dict[str, DesiredReactor | None]) -> None:
        living = self._living.setdefault(record.partition.number, set())
        if record.value is None:
            key = (record.key or b"").decode(errors="replace")
            changes[key] = None
            living.discard(key)
        else:
            desired = decode_desired(record.value)
            changes[desired.key] = desired
            living.add(desired.key)

    def _show(self, changes: Mapping[str, DesiredReactor | None]) -> None:
        self._fleet.discard(key for key, state in changes.items() if state is None)
        for key, state in changes.items():
            if state is not None:
                self._fleet.put(key, Plant.of(state))

    async def _delete_missing(self, connection: Connection, shards: set[int]) -> None:
        """Mark those that a complete share of the fleet does not name: their tombstone was lost."""
        cursor = await connection.execute(
            "SELECT namespace || '/' || name FROM reactor"
            " WHERE deleted_at IS NULL AND uid IS NOT NULL"
        )
        gone = [
            key
            for (key,) in await cursor.fetchall()
            if (shard := shard_of(key, self._settings.shards)) in shards
            and key not in self._living[shard]
        ]
        self._fleet.discard(gone)
        await _mark_deleted(connection, gone)


_UPSERT: Final = """
    INSERT INTO reactor AS known
        (namespace, name, uid, design, site_name, latitude, longitude, country, interval_ms)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (namespace, name) DO UPDATE SET
        uid = excluded.uid, design = excluded.design, site_name = excluded.site_name,
        latitude = excluded.latitude, longitude = excluded.longitude, country = excluded.country,
        interval_ms = excluded.interval_ms, deleted_at = NULL
"""


def _row(desired: DesiredReactor) -> tuple[Any, ...]:
    site = desired.site
    place = (
        (None, None, None, None)
        if site is None
        else (
            site.name,
            _degrees(site.latitude_microdegrees),
            _degrees(site.longitude_microdegrees),
            site.country,
        )
    )
    return (
        desired.namespace,
        desired.name,
        desired.uid,
        desired.design,
        *place,
        desired.interval_milliseconds,
    )


def _degrees(microdegrees: int | None) -> float | None:
    return None if microdegrees is None else microdegrees / 1e6


async def _mark_deleted(connection: Connection, keys: Sequence[str]) -> None:
    if keys:
        await connection.execute(
            "UPDATE reactor SET deleted_at = now()"
            " WHERE deleted_at IS NULL AND namespace || '/' || name = ANY (%s)",
            (list(keys),),
        )
