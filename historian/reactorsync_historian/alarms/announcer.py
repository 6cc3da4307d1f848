"""Tells the events topic of alarms, each at least once.

The table is the outbox: an alarm's row says which of its two events the broker has taken. So an
event is late when the broker is away or the process dies between commit and sending, and never
lost. When the broker has become another one, which knows nothing, all open alarms are told again,
and those cleared within :data:`TOLD_AGAIN`. Readers know a repeated event by its ``alarm_id``.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from reactorsync.bus.port import BrokerUnavailable, Bus
from reactorsync.service import Backoff
from reactorsync.wire.envelope import to_micros
from reactorsync.wire.events import AlarmCleared, AlarmRaised, Event
from reactorsync.wire.topics import Topics
from reactorsync_historian import metrics
from reactorsync_historian.database import Connection, DatabaseUnavailable, Link
from reactorsync_historian.event_sender import EventSender

log = logging.getLogger(__name__)

TOLD_AGAIN: Final = timedelta(hours=1)
"""How long ago an alarm may have been cleared to be told again to a broker that forgot it."""

AT_ONCE: Final = 500
_LOOK_SECONDS: Final = 2.0
"""How often the table is looked at unasked: for what other processes left, and for the broker."""


class AlarmAnnouncer:
    """Sends what the table says is unannounced; :meth:`wake` after a commit makes it look."""

    def __init__(self, *, bus: Bus, topics: Topics, link: Link) -> None:
        self._bus = bus
        self._link = link
        self._sender = EventSender(bus=bus, topics=topics, client_id="historian-alarms")
        self._due = asyncio.Event()
        self._incarnation: str | None = None

    def wake(self) -> None:
        """Say that alarms were raised or cleared."""
        self._due.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Announce until ``stopping`` is set."""
        backoff = Backoff(limit_seconds=5.0)
        try:
            while not stopping.is_set():
                self._due.clear()
                try:
                    await self._look()
                except (BrokerUnavailable, DatabaseUnavailable) as error:
                    log.warning("alarms cannot be announced: %s", error)
                    await self._wait(stopping, backoff.next_pause(), asleep=True)
                else:
                    backoff.reset()
                    await self._wait(stopping, _LOOK_SECONDS)
        finally:
            await self._sender.stop()

    async def announce(self) -> int:
        """Send the oldest unannounced events; return how many alarms they are of.

        Raises:
            BrokerUnavailable: some were not acknowledged; all will be sent again.
            DatabaseUnavailable: the same, for they could not be marked.
        """
        async with self._link.transaction() as connection:
            rows = await _unannounced(connection)
        metrics.ALARMS_UNANNOUNCED.set(rows[0][-1] if rows else 0)
        if not rows:
            return 0
        # No transaction is open while the broker is waited for.
        await self._sender.send([event for row in rows for event in _events(row)])
        raised = [row[0] for row in rows]
        cleared = [row[0] for row in rows if row[7] is not None]
        async with self._link.transaction() as connection:
            await _mark(connection, raised=raised, cleared=cleared)
        return len(rows)

    async def _look(self) -> None:
        await self._sender.start()
        incarnation = await self._bus.cluster_id()
        if self._incarnation not in (None, incarnation):
            async with self._link.transaction() as connection:
                await _forget_announced(connection)
        self._incarnation = incarnation
        while await self.announce() == AT_ONCE:
            pass

    async def _wait(self, stopping: asyncio.Event, seconds: float, *, asleep: bool = False) -> None:
        """Wait until it is time to look; ``asleep`` hears of no alarms, only of the end."""
        events = [stopping] if asleep else [stopping, self._due]
        waiting = [asyncio.ensure_future(event.wait()) for event in events]
        try:
            await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()


async def _unannounced(connection: Connection) -> list[tuple[Any, ...]]:
    cursor = await connection.execute(
        """
        SELECT uid, reactor_uid, namespace, name, signal, condition, raised_at, cleared_at, value,
               raise_announced_at IS NOT NULL, open_once_raised, open_once_cleared, waiting
        FROM (
            SELECT alarm.*, count(*) OVER () AS waiting FROM alarm
            WHERE (raise_announced_at IS NULL
                   OR (cleared_at IS NOT NULL AND clear_announced_at IS NULL))
              AND alarm.reactor_uid IS NOT NULL AND signal IS NOT NULL
            ORDER BY alarm.id LIMIT %s
        ) AS alarm
        JOIN (SELECT id AS reactor, namespace, name FROM reactor) AS named ON reactor = reactor_id
        CROSS JOIN LATERAL (
            SELECT count(*) FILTER (
                       WHERE other.raised_at <= alarm.raised_at
                         AND (other.cleared_at IS NULL OR other.cleared_at > alarm.raised_at)
                   ) AS open_once_raised,
                   count(*) FILTER (
                       WHERE other.raised_at <= alarm.cleared_at
                         AND (other.cleared_at IS NULL OR other.cleared_at > alarm.cleared_at)
                   ) AS open_once_cleared
            FROM alarm AS other
            WHERE other.reactor_id = alarm.reactor_id AND other.reactor_uid = alarm.reactor_uid
              AND other.signal IS NOT NULL
        ) AS counted
        ORDER BY alarm.id
        """,
        (AT_ONCE,),
    )
    return await cursor.fetchall()


async def _mark(connection: Connection, *, raised: list[UUID], cleared: list[UUID]) -> None:
    await connection.execute(
        "UPDATE alarm SET raise_announced_at = now()"
        " WHERE uid = ANY (%s) AND raise_announced_at IS NULL",
        (raised,),
    )
    await connection.execute(
        "UPDATE alarm SET clear_announced_at = now() WHERE uid = ANY (%s)", (cleared,)
    )


async def _forget_announced(connection: Connection) -> None:
    await connection.execute(
        "UPDATE alarm SET raise_announced_at = NULL, clear_announced_at = NULL"
        " WHERE cleared_at IS NULL OR cleared_at > now() - %s",
        (TOLD_AGAIN,),
    )


def _events(row: tuple[Any, ...]) -> list[Event]:
    uid, reactor_uid, namespace, name, signal, limit, raised_at, cleared_at, value, *rest = row
    told, open_once_raised, open_once_cleared, _ = rest
    about = {
        "namespace": namespace,
        "name": name,
        "uid": reactor_uid,
        "alarm_id": uid,
        "signal": signal,
        "limit": limit,
    }
    events: list[Event] = []
    if not told:
        moment = to_micros(raised_at)
        raised = AlarmRaised(**about, tick_us=moment, value=value, open_alarms=open_once_raised)
        events.append(raised)
    if cleared_at is not None:
        moment = to_micros(cleared_at)
        events.append(AlarmCleared(**about, tick_us=moment, open_alarms=open_once_cleared))
    return events
