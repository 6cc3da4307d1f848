"""The verifier: tells, of every fault that is reported to act, whether the telemetry shows it.

It reads what is stored, over a connection of its own: ingest does nothing for it and waits for
nothing. A historian that starts anew, or takes a shard over, finds the same readings as the one
before and comes to the same verdict. Verdicts are sent at least once: one that was lost with the
process is found again, since the report of the fault is, unless it is older than the look back.

Only the owner of a reactor's shard judges; all follow all faults, to be ready.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from reactorsync import clock
from reactorsync.bus.events import EventReader
from reactorsync.bus.incarnation import Incarnation
from reactorsync.bus.port import BrokerUnavailable, Bus
from reactorsync.service import Backoff, pause
from reactorsync.wire.envelope import from_micros
from reactorsync.wire.events import (
    Event,
    FaultInjected,
    FaultRecovered,
    FaultVerified,
)
from reactorsync.wire.keys import shard_of
from reactorsync_historian import metrics
from reactorsync_historian.database import Connection, DatabaseUnavailable, Link
from reactorsync_historian.event_sender import EventSender
from reactorsync_historian.fleet import FleetView
from reactorsync_historian.settings import HistorianSettings
from reactorsync_historian.verification.cases import WINDOW_US, Case, CaseBook
from reactorsync_historian.verification.evidence import BASELINE_READINGS, Baseline
from reactorsync_historian.verification.readings import NO_READINGS, read_before, read_since

log = logging.getLogger(__name__)

LOOK_BACK_RECORDS: Final = 5000
"""Events of a partition that are read again at the start, at most."""

LOOK_BACK_US: Final = 900_000_000
"""Older events are passed over: they are of faults whose time to show is over."""

_EVERY_SECONDS: Final = 0.5
_AT_ONCE: Final = 200
"""Cases whose readings are fetched together: at most 6,400 rows of baselines."""

_LATE_US: Final = 15_000_000
"""How long after its end a case waits for readings that are late."""

_BASELINE_US: Final = (BASELINE_READINGS + 2) * 60_000_000
"""How far back the baseline of a reactor with the longest sampling interval reaches."""

_LABELS: Final = {True: "true", False: "false", None: "unknown"}


class FaultVerifier:
    """Follows faults and tells what was seen of them.

    Args:
        settings: of the historian.
        bus: to follow and to tell.
        link: to the readings; used by nobody else.
        fleet: who the reactors are.
        owns: says whether this process reads a shard.
    """

    def __init__(
        self,
        *,
        settings: HistorianSettings,
        bus: Bus,
        link: Link,
        fleet: FleetView,
        owns: Callable[[int], bool],
    ) -> None:
        self._shards = settings.shards
        self._link = link
        self._fleet = fleet
        self._owns = owns
        self._book = CaseBook()
        self._ids: dict[tuple[str, str], int] = {}
        self._bus = bus
        self._events = EventReader(
            bus,
            settings.topics,
            client_id="historian-events",
            take=self._take_recent,
            since=lambda: from_micros(clock.now_us() - LOOK_BACK_US),
            at_most=LOOK_BACK_RECORDS,
        )
        self._sender = EventSender(bus=bus, topics=settings.topics, client_id="historian-verdicts")

    async def run(self, stopping: asyncio.Event) -> None:
        """Verify until ``stopping`` is set."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow(stopping))
            tasks.create_task(self._verify(stopping))

    def take(self, event: Event) -> None:
        """Take note of an event."""
        match event:
            case FaultInjected():
                plant = self._fleet.get(event.subject)
                aim = None if plant is None else plant.faults.get(event.fault_id)
                if aim is not None and event.tick_us - aim.start_us > WINDOW_US:
                    return  # Told again, long after it began.
                if aim is None:
                    self._book.injected(event)
                else:
                    self._book.injected(event, signal=aim.signal, rise_us=aim.rise_us)
            case FaultRecovered():
                self._book.recovered(event)
            case FaultVerified():
                self._book.verified(event)

    async def look(self, now_us: int) -> list[FaultVerified]:
        """Look at what is stored of the open cases; return the verdicts there are.

        Raises:
            DatabaseUnavailable: nothing was looked at; try again.
        """
        self._book.forget(before_us=now_us - LOOK_BACK_US)
        cases = [case for case in self._book.open() if self._is_ours(case)]
        metrics.FAULTS_FOLLOWED.set(len(cases))
        verdicts: list[FaultVerified] = []
        for first in range(0, len(cases), _AT_ONCE):
            chosen = cases[first : first + _AT_ONCE]
            with metrics.VERIFY_SECONDS.time():
                async with self._link.transaction() as connection:
                    verdicts += await self._look_at(connection, chosen, now_us)
            await asyncio.sleep(0)
        return verdicts

    async def _follow(self, stopping: asyncio.Event) -> None:
        backoff = Backoff(limit_seconds=5.0)
        while not stopping.is_set():
            try:
                await self._read(await Incarnation.present(self._bus), stopping)
                backoff.reset()
            except BrokerUnavailable as error:
                log.warning("faults cannot be followed: %s", error)
                await pause(backoff.next_pause(), stopping)

    async def _read(self, incarnation: Incarnation, stopping: asyncio.Event) -> None:
        """Read events until ``stopping``, or until the broker is another one."""

        async def goes_on() -> bool:
            return not stopping.is_set() and await incarnation.lasts()

        await self._events.session(incarnation.cluster, goes_on=goes_on)

    def _take_recent(self, event: Event, time_us: int) -> None:
        if time_us >= clock.now_us() - LOOK_BACK_US:
            self.take(event)

    async def _verify(self, stopping: asyncio.Event) -> None:
        backoff = Backoff(limit_seconds=5.0)
        try:
            while not stopping.is_set():
                try:
                    verdicts = await self.look(clock.now_us())
                    if verdicts:
                        await self._tell(verdicts)
                    backoff.reset()
                    await pause(_EVERY_SECONDS, stopping)
                except (BrokerUnavailable, DatabaseUnavailable) as error:
                    log.warning("faults cannot be verified: %s", error)
                    await pause(backoff.next_pause(), stopping)
        finally:
            await self._sender.stop()

    async def _tell(self, verdicts: Sequence[FaultVerified]) -> None:
        await self._sender.start()
        await self._sender.send(verdicts)
        for verdict in verdicts:
            self._book.verified(verdict)
            metrics.FAULTS_JUDGED.labels(_LABELS[verdict.confirmed]).inc()

    def _is_ours(self, case: Case) -> bool:
        return self._owns(shard_of(case.injected.subject, self._shards))

    async def _look_at(
        self, connection: Connection, cases: Sequence[Case], now_us: int
    ) -> list[FaultVerified]:
        await self._find_ids(connection, cases)
        by_id = [(case, self._id_of(case)) for case in cases]
        known = [(case, number) for case, number in by_id if number is not None]
        after_us: dict[int, int] = {}
        for case, number in known:
            after_us[number] = min(case.seen_us, after_us.get(number, now_us))
        newer = await read_since(connection, after_us) if after_us else {}
        await self._take_baselines(
            connection,
            [
                (case, number)
                for case, number in known
                # Once a later reading is stored, so are those before.
                if case.baseline is None and number in newer
            ],
        )
        verdicts = []
        for case, reactor_id in by_id:
            readings = NO_READINGS if reactor_id is None else newer.get(reactor_id, NO_READINGS)
            verdict = case.look(readings.times_us, readings.values)
            if verdict is None and _is_over(case, now_us):
                verdict = case.give_up()
            if verdict is not None:
                verdicts.append(verdict)
        return verdicts

    async def _take_baselines(
        self, connection: Connection, cases: Sequence[tuple[Case, int]]
    ) -> None:
        # Of one reactor at a time: two faults of one reactor have baselines of their own.
        rounds: list[dict[int, Case]] = []
        for case, number in cases:
            place = next((one for one in rounds if number not in one), None)
            if place is None:
                rounds.append(place := {})
            place[number] = case
        for one in rounds:
            ticks_us = [case.injected.tick_us for case in one.values()]
            found = await read_before(
                connection,
                reactor_ids=list(one),
                ticks_us=ticks_us,
                count=BASELINE_READINGS,
                oldest_us=min(ticks_us) - _BASELINE_US,
            )
            for number, case in one.items():
                case.baseline = Baseline.of(found.get(number, NO_READINGS).values)

    def _id_of(self, case: Case) -> int | None:
        return self._ids.get((case.injected.namespace, case.injected.name))

    async def _find_ids(self, connection: Connection, cases: Sequence[Case]) -> None:
        wanted = {
            (case.injected.namespace, case.injected.name)
            for case in cases
            if self._id_of(case) is None
        }
        if not wanted:
            return
        cursor = await connection.execute(
            "SELECT namespace, name, id FROM reactor WHERE namespace || '/' || name = ANY (%s)",
            (["/".join(names) for names in wanted],),
        )
        self._ids |= {(namespace, name): number async for namespace, name, number in cursor}


def _is_over(case: Case, now_us: int) -> bool:
    """Return whether no further reading can confirm the case."""
    return case.is_over or now_us > case.end_us + _LATE_US
