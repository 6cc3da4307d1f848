"""What generators and the historian reported, folded from their events.

The fold does not depend on the order of events, and an event that comes twice changes nothing: of
each kind of fact the newest counts, by the time the event itself carries. Events of a reactor that
was deleted and created anew are told apart by its UID.

Each event costs in proportion to what is known of its reactor, never to the size of a run.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from functools import lru_cache
from operator import attrgetter
from typing import Final
from uuid import UUID

from reactorsync.wire.events import (
    AlarmCleared,
    AlarmEvent,
    AlarmRaised,
    DiagnosisMade,
    Event,
    FaultEvent,
    FaultInjected,
    FaultRecovered,
    FaultVerified,
    ReactorApplied,
    ReactorEvent,
    ReactorObserved,
    ReactorRestarted,
    ReactorTripped,
    ShardHeartbeat,
)
from reactorsync_operator.reconcile.observed import (
    AlarmReport,
    DiagnosisReport,
    FaultReport,
    FaultVerification,
    ReactorReport,
    RunReport,
)
from reactorsync_operator.run_tally import RunTally
from reactorsync_operator.watch_log import WatchLog

RunKey = tuple[UUID, int]
"""UID of a scenario and number of its run."""

_ALARMS_KEPT_US: Final = 3_600_000_000
"""How long an alarm that is over is kept at least, counted from the newest one: an hour."""

_LINGERING_KEPT: Final = 32
"""Faults of forgotten runs that still act, of one reactor: as many as a status shows."""


@dataclass(frozen=True, slots=True)
class Touched:
    """What an event changed: a reactor by its UID, runs, a shard; nothing if it was old news."""

    reactor: UUID | None = None
    runs: tuple[RunKey, ...] = ()
    shard: int | None = None


_NOTHING = Touched()


@dataclass(slots=True)
class _Latest:
    """When each part of a report was last set, so that older news does not undo it."""

    applied: tuple[int, int] = (-1, -1)
    power: int = -1
    trip: tuple[int, int] = (-1, -1)
    open_alarms: tuple[int, int] = (-1, -1)


class Observations:
    """The fold. Grows with reactors and runs; :meth:`forget` and :meth:`retain` shrink it."""

    def __init__(self) -> None:
        self._reports: dict[UUID, ReactorReport] = {}
        self._latest: dict[UUID, _Latest] = {}
        self._watched: dict[UUID, WatchLog] = {}
        self._alarmed_in: defaultdict[str, set[UUID]] = defaultdict(set)
        self._runs: dict[RunKey, RunTally] = {}
        self._runs_in: defaultdict[str, set[RunKey]] = defaultdict(set)
        self._newest_alarm_us = 0
        self._heartbeats: dict[int, int] = {}
        self._is_watched = False

    def report(self, reactor: UUID) -> ReactorReport | None:
        """Return what was reported of a reactor, ``None`` if nothing was."""
        return self._reports.get(reactor)

    def alarms(self, reactor: UUID) -> Collection[AlarmReport]:
        """Return the newest alarms of a reactor."""
        log = self._watched.get(reactor)
        return log.alarms.values() if log is not None else ()

    def diagnoses(self, reactor: UUID) -> Collection[DiagnosisReport]:
        """Return the newest diagnoses of a reactor, oldest first."""
        log = self._watched.get(reactor)
        return log.diagnoses if log is not None else ()

    def heartbeat_us(self, shard: int) -> int | None:
        """Return when a generator last said that it simulates ``shard``."""
        return self._heartbeats.get(shard)

    def heartbeats(self) -> Iterator[tuple[int, int]]:
        """Yield every shard heard of, and when."""
        yield from self._heartbeats.items()

    def run(self, key: RunKey) -> RunReport:
        """Return what was reported of a run; empty if nothing was. It goes on changing."""
        tally = self._runs.get(key)
        if tally is None:
            return RunReport(watched=self._is_watched)
        if tally.window_moved:
            self._count_false_alarms(key, tally)
        return tally.report(watched=self._is_watched)

    def seed(self, reactor: UUID, report: ReactorReport) -> None:
        """Start from what a status says, where no event is known that says otherwise."""
        self._reports.setdefault(reactor, report)

    def forget(self, reactor: UUID) -> None:
        """Drop a reactor that was deleted: no fault acts on it, though one did."""
        report = self._reports.pop(reactor, None)
        self._latest.pop(reactor, None)
        log = self._watched.pop(reactor, None)
        if report is not None:
            for key in _run_keys(report):
                if (tally := self._runs.get(key)) is not None:
                    tally.forget(reactor)
        if log is not None:
            self._alarmless(reactor, log)
            for key in self._runs_in.get(log.namespace, ()):
                self._runs[key].forget(reactor)

    def retain(self, *, runs: Set[RunKey], reactors: Set[UUID]) -> None:
        """Drop what was reported of all runs and reactors but these.

        Faults that still act stay until they are reported gone, whatever run they are of.
        """
        for reactor in (self._reports.keys() | self._watched.keys()) - reactors:
            self.forget(reactor)
        for key in self._runs.keys() - runs:
            tally = self._runs.pop(key)
            self._runs_in[tally.namespace].discard(key)
            if not self._runs_in[tally.namespace]:
                del self._runs_in[tally.namespace]
        for reactor, report in self._reports.items():
            kept = _kept(report.faults, runs)
            if len(kept) != len(report.faults):
                self._reports[reactor] = replace(report, faults=kept)
        self._drop_old_alarms()

    def take(self, event: Event, *, time_us: int) -> Touched:
        """Fold an event in; ``time_us`` is when it was sent. Return what it changed."""
        match event:
            case ShardHeartbeat():
                return self._beat(event, time_us)
            case ReactorApplied():
                return self._applied(event, time_us)
            case ReactorObserved():
                return self._observed(event)
            case ReactorTripped():
                return self._tripped(event, event.cause)
            case ReactorRestarted():
                return self._tripped(event, None)
            case FaultInjected() | FaultRecovered() | FaultVerified():
                return self._fault(event)
            case AlarmRaised() | AlarmCleared():
                self._is_watched = True
                return self._alarm(event)
            case DiagnosisMade():
                self._is_watched = True
                return self._diagnosis(event)
        return _NOTHING

    def _beat(self, event: ShardHeartbeat, time_us: int) -> Touched:
        if time_us <= self._heartbeats.get(event.shard, -1):
            return _NOTHING
        self._heartbeats[event.shard] = time_us
        return Touched(shard=event.shard)

    def _applied(self, event: ReactorApplied, time_us: int) -> Touched:
        latest = self._latest_of(event.uid)
        if (event.tick_us, time_us) <= latest.applied:
            return _NOTHING
        latest.applied = (event.tick_us, time_us)
        before = self._report_of(event)
        return self._store(
            event,
            replace(
                before,
                revision=event.revision,
                generation=event.generation,
                generator=event.generator,
                shard=event.shard,
            ),
        )

    def _observed(self, event: ReactorObserved) -> Touched:
        latest = self._latest_of(event.uid)
        touched = _NOTHING
        if event.tick_us > latest.power:
            latest.power = event.tick_us
            before = self._report_of(event)
            touched = self._store(
                event,
                replace(before, power_permille=event.power_permille, observed_us=event.tick_us),
            )
        tripped = self._tripped(event, event.trip_cause)
        return touched if touched is not _NOTHING else tripped

    def _tripped(self, event: ReactorEvent, cause: str | None) -> Touched:
        latest = self._latest_of(event.uid)
        # At one tick a trip outweighs a restart, as in the plant.
        moment = (event.tick_us, 0 if cause is None else 1)
        if moment <= latest.trip:
            return _NOTHING
        latest.trip = moment
        return self._store(event, replace(self._report_of(event), trip_cause=cause))

    def _fault(self, event: FaultInjected | FaultRecovered | FaultVerified) -> Touched:
        key = _run_key(event.fault_id)
        report = self._report_of(event)
        before = report.faults.get(event.fault_id) or FaultReport(
            event.scenario, event.stage, event.kind
        )
        after = _folded(before, event)
        if key is None or after == before:
            return _NOTHING
        report = replace(report, faults={**report.faults, event.fault_id: after})
        self._reports[event.uid] = report
        tally = self._tally(key, event)
        own_faults = _faults_of(report, key)
        if isinstance(event, FaultVerified):
            self._is_watched = True
            tally.set_verified(event.uid, event.name, own_faults)
        else:
            tally.set_acting(event.uid, acts=any(fault.acts for fault in own_faults))
        also = self._weigh_alarms(event.uid, report) if self.alarms(event.uid) else ()
        return Touched(reactor=event.uid, runs=(key, *(other for other in also if other != key)))

    def _tally(self, key: RunKey, event: FaultEvent) -> RunTally:
        tally = self._runs.get(key)
        if tally is None:
            tally = self._runs[key] = RunTally(event.namespace)
            self._runs_in[event.namespace].add(key)
        if isinstance(event, FaultInjected):
            tally.injection(event.uid, event.tick_us)
        elif isinstance(event, FaultRecovered):
            tally.recovery(event.uid, event.tick_us)
        return tally

    def _alarm(self, event: AlarmRaised | AlarmCleared) -> Touched:
        log = self._log_of(event)
        report = self._report_of(event)
        before = log.alarms.get(event.alarm_id.int) or AlarmReport(sys.intern(event.signal))
        runs = {key: self._runs[key] for key in _run_keys(report) if key in self._runs}
        needed_us = {tally.detection_us(event.uid) or 0 for tally in runs.values()}
        if not log.put_alarm(event.alarm_id.int, _with_alarm(before, event), needed_us=needed_us):
            return _NOTHING
        self._alarmed_in[event.namespace].add(event.uid)
        self._newest_alarm_us = max(self._newest_alarm_us, event.tick_us)
        report = replace(report, open_alarms=self._open_alarms(event, log, report))
        touched = self._store(event, report)
        if isinstance(event, AlarmCleared):
            return touched
        return replace(touched, runs=self._weigh_alarms(event.uid, report))

    def _open_alarms(self, event: AlarmEvent, log: WatchLog, report: ReactorReport) -> int | None:
        """Return how many alarms stand: whoever raises them knows, else those heard of count."""
        latest = self._latest_of(event.uid)
        if event.open_alarms is not None:
            latest.open_alarms = max(latest.open_alarms, (event.tick_us, event.open_alarms))
            return latest.open_alarms[1]
        return log.open_alarms if latest.open_alarms[0] < 0 else report.open_alarms

    def _weigh_alarms(self, reactor: UUID, report: ReactorReport) -> tuple[RunKey, ...]:
        """Tell the runs that the alarms of ``reactor`` may be about; return those it changes."""
        log = self._watched[reactor]
        faults, alarms = report.faults.values(), log.alarms.values()
        return tuple(
            key
            for key in self._runs_in.get(log.namespace, ())
            if self._runs[key].set_alarms(
                reactor, alarms, own_faults=_faults_of(report, key), faults=faults
            )
        )

    def _count_false_alarms(self, key: RunKey, tally: RunTally) -> None:
        tally.forget_false_alarms()
        for reactor in self._alarmed_in.get(tally.namespace, ()):
            if reactor not in tally.injected:
                report = self._reports.get(reactor) or ReactorReport()
                tally.set_alarms(
                    reactor,
                    self.alarms(reactor),
                    own_faults=_faults_of(report, key),
                    faults=report.faults.values(),
                )

    def _drop_old_alarms(self) -> None:
        """Drop the alarms that were over before any run known, and an hour ago."""
        began = [
            tally.first_injected_us
            for tally in self._runs.values()
            if tally.first_injected_us is not None
        ]
        horizon_us = min([self._newest_alarm_us - _ALARMS_KEPT_US, *began])
        for reactor, log in list(self._watched.items()):
            log.drop_before(horizon_us)
            if not log.alarms:
                self._alarmless(reactor, log)
                if not log.diagnoses:
                    del self._watched[reactor]

    def _alarmless(self, reactor: UUID, log: WatchLog) -> None:
        alarmed = self._alarmed_in.get(log.namespace)
        if alarmed is not None:
            alarmed.discard(reactor)
            if not alarmed:
                del self._alarmed_in[log.namespace]

    def _diagnosis(self, event: DiagnosisMade) -> Touched:
        faults = tuple(sys.intern(one.fault) for one in event.hypotheses)
        log = self._log_of(event)
        if not log.put_diagnosis(DiagnosisReport(event.tick_us, faults)):
            return _NOTHING
        return self._store(event, replace(self._report_of(event), diagnosis=log.diagnoses[-1]))

    def _log_of(self, event: AlarmEvent | DiagnosisMade) -> WatchLog:
        log = self._watched.get(event.uid)
        if log is None:
            log = self._watched[event.uid] = WatchLog(event.namespace)
        return log

    def _report_of(self, event: ReactorEvent) -> ReactorReport:
        return self._reports.get(event.uid) or ReactorReport()

    def _store(self, event: ReactorEvent, after: ReactorReport) -> Touched:
        if after == self._reports.get(event.uid):
            return _NOTHING
        self._reports[event.uid] = after
        return Touched(reactor=event.uid)

    def _latest_of(self, reactor: UUID) -> _Latest:
        return self._latest.setdefault(reactor, _Latest())


def _folded(
    report: FaultReport, event: FaultInjected | FaultRecovered | FaultVerified
) -> FaultReport:
    if isinstance(event, FaultVerified):
        found = FaultVerification(event.tick_us, event.confirmed, event.message)
        known = report.verification
        if known is not None:
            found = max(known, found, key=attrgetter("weight"))
        return replace(report, verification=found)
    if isinstance(event, FaultRecovered):
        return replace(report, recovered_us=_later(report.recovered_us, event.tick_us))
    return replace(
        report,
        first_injected_us=_earlier(report.first_injected_us, event.tick_us),
        last_injected_us=_later(report.last_injected_us, event.tick_us),
    )


def _with_alarm(alarm: AlarmReport, event: AlarmRaised | AlarmCleared) -> AlarmReport:
    if isinstance(event, AlarmCleared):
        return replace(alarm, cleared_us=_earlier(alarm.cleared_us, event.tick_us))
    return replace(alarm, raised_us=_earlier(alarm.raised_us, event.tick_us))


def _kept(faults: Mapping[str, FaultReport], runs: Set[RunKey]) -> dict[str, FaultReport]:
    """Return the faults of ``runs``, and of all others the newest that still act."""
    lingering = [
        fault_id
        for fault_id, fault in faults.items()
        if fault.acts and _run_key(fault_id) not in runs
    ]
    lingering.sort(key=lambda fault_id: faults[fault_id].last_injected_us or 0)
    kept = set(lingering[-_LINGERING_KEPT:])
    return {
        fault_id: fault
        for fault_id, fault in faults.items()
        if fault_id in kept or _run_key(fault_id) in runs
    }


def _faults_of(report: ReactorReport, key: RunKey) -> list[FaultReport]:
    """Return what was reported of the faults of one run."""
    return [fault for fault_id, fault in report.faults.items() if _run_key(fault_id) == key]


def _run_keys(report: ReactorReport) -> set[RunKey]:
    """Return the runs whose faults were reported of a reactor."""
    return {key for fault_id in report.faults if (key := _run_key(fault_id)) is not None}


@lru_cache(maxsize=4096)
def _run_key(fault_id: str) -> RunKey | None:
    """Return the run a fault id names, ``None`` for an id that this operator never made."""
    try:
        scenario, number, _stage = fault_id.split("/")
        return UUID(scenario), int(number)
    except ValueError:
        return None


def _earlier(one: int | None, other: int) -> int:
    return other if one is None else min(one, other)


def _later(one: int | None, other: int) -> int:
    return other if one is None else max(one, other)
