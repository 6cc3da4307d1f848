"""What generators and the historian reported, folded from their events.

The fold does not depend on the order of events, and an event that comes twice changes nothing: of
each kind of fact the newest counts, by the time the event itself carries. Events of a reactor that
was deleted and created anew are told apart by its UID.

Each event costs in proportion to what is known of its reactor, never to the size of a run.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator, Set
from dataclasses import dataclass, replace
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
from reactorsync_operator.fault_reports import earlier, folded, of_run, retained, runs_of
from reactorsync_operator.reconcile.observed import (
    AlarmReport,
    DiagnosisReport,
    ReactorReport,
    RunReport,
)
from reactorsync_operator.run_keys import RunKey, run_of_fault
from reactorsync_operator.run_tally import RunTally
from reactorsync_operator.watch_log import WatchLog
from reactorsync_operator.watch_logs import WatchLogs


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
        self.sightings = WatchLogs()
        """What was said of alarms and diagnoses."""
        self._runs: dict[RunKey, RunTally] = {}
        self._runs_in: defaultdict[str, set[RunKey]] = defaultdict(set)
        self._heartbeats: dict[int, int] = {}
        self._is_watched = False

    def report(self, reactor: UUID) -> ReactorReport | None:
        """Return what was reported of a reactor, ``None`` if nothing was."""
        return self._reports.get(reactor)

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
        runs: set[RunKey] = set()
        if report is not None:
            runs |= runs_of(report.faults) & self._runs.keys()
        namespace = self.sightings.forget(reactor)
        if namespace is not None:
            runs |= self._runs_in.get(namespace, frozenset())
        for key in runs:
            self._runs[key].forget(reactor)

    def retain(self, *, runs: Set[RunKey], reactors: Set[UUID]) -> None:
        """Drop what was reported of all runs and reactors but these.

        Faults that still act stay until they are reported gone, whatever run they are of.
        """
        for reactor in (self._reports.keys() | self.sightings.reactors()) - reactors:
            self.forget(reactor)
        for key in self._runs.keys() - runs:
            tally = self._runs.pop(key)
            self._runs_in[tally.namespace].discard(key)
            if not self._runs_in[tally.namespace]:
                del self._runs_in[tally.namespace]
        for reactor, report in self._reports.items():
            kept = retained(report.faults, runs)
            if len(kept) != len(report.faults):
                self._reports[reactor] = replace(report, faults=kept)
        self.sightings.drop_old(runs_since_us=self._first_injected_us())

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
        key = run_of_fault(event.fault_id)
        report = self._report_of(event)
        before = report.faults.get(event.fault_id)
        after = folded(before, event)
        if key is None or after == before:
            return _NOTHING
        report = replace(report, faults={**report.faults, event.fault_id: after})
        self._reports[event.uid] = report
        tally = self._tally(key, event)
        own_faults = of_run(report.faults, key)
        if isinstance(event, FaultVerified):
            self._is_watched = True
            tally.set_verified(event.uid, event.name, own_faults)
        else:
            tally.set_acting(event.uid, acts=any(fault.acts for fault in own_faults))
        also = self._weigh_alarms(event, report) if self.sightings.alarms(event.uid) else ()
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
        log = self.sightings.of(event)
        report = self._report_of(event)
        before = log.alarms.get(event.alarm_id.int) or AlarmReport(sys.intern(event.signal))
        runs = {key: self._runs[key] for key in runs_of(report.faults) & self._runs.keys()}
        needed_us = {tally.detection_us(event.uid) or 0 for tally in runs.values()}
        if not log.put_alarm(event.alarm_id.int, _with_alarm(before, event), needed_us=needed_us):
            return _NOTHING
        self.sightings.note_alarm(event)
        report = replace(report, open_alarms=self._open_alarms(event, log, report))
        touched = self._store(event, report)
        if isinstance(event, AlarmCleared):
            return touched
        return replace(touched, runs=self._weigh_alarms(event, report))

    def _open_alarms(self, event: AlarmEvent, log: WatchLog, report: ReactorReport) -> int | None:
        """Return how many alarms stand: whoever raises them knows, else those heard of count."""
        latest = self._latest_of(event.uid)
        if event.open_alarms is not None:
            latest.open_alarms = max(latest.open_alarms, (event.tick_us, event.open_alarms))
            return latest.open_alarms[1]
        return log.open_alarms if latest.open_alarms[0] < 0 else report.open_alarms

    def _weigh_alarms(self, event: ReactorEvent, report: ReactorReport) -> tuple[RunKey, ...]:
        """Tell the runs that the alarms of a reactor may be about; return those it changes."""
        alarms, faults = self.sightings.alarms(event.uid), report.faults.values()
        return tuple(
            key
            for key in self._runs_in.get(event.namespace, ())
            if self._runs[key].set_alarms(
                event.uid, alarms, own_faults=of_run(report.faults, key), faults=faults
            )
        )

    def _count_false_alarms(self, key: RunKey, tally: RunTally) -> None:
        tally.forget_false_alarms()
        for reactor in self.sightings.alarmed_in(tally.namespace):
            if reactor not in tally.injected:
                report = self._reports.get(reactor) or ReactorReport()
                tally.set_alarms(
                    reactor,
                    self.sightings.alarms(reactor),
                    own_faults=of_run(report.faults, key),
                    faults=report.faults.values(),
                )

    def _first_injected_us(self) -> int | None:
        began = (tally.first_injected_us for tally in self._runs.values())
        return min((moment for moment in began if moment is not None), default=None)

    def _diagnosis(self, event: DiagnosisMade) -> Touched:
        faults = tuple(sys.intern(one.fault) for one in event.hypotheses)
        log = self.sightings.of(event)
        if not log.put_diagnosis(DiagnosisReport(event.tick_us, faults)):
            return _NOTHING
        return self._store(event, replace(self._report_of(event), diagnosis=log.diagnoses[-1]))

    def _report_of(self, event: ReactorEvent) -> ReactorReport:
        return self._reports.get(event.uid) or ReactorReport()

    def _store(self, event: ReactorEvent, after: ReactorReport) -> Touched:
        if after == self._reports.get(event.uid):
            return _NOTHING
        self._reports[event.uid] = after
        return Touched(reactor=event.uid)

    def _latest_of(self, reactor: UUID) -> _Latest:
        return self._latest.setdefault(reactor, _Latest())


def _with_alarm(alarm: AlarmReport, event: AlarmRaised | AlarmCleared) -> AlarmReport:
    if isinstance(event, AlarmCleared):
        return replace(alarm, cleared_us=earlier(alarm.cleared_us, event.tick_us))
    return replace(alarm, raised_us=earlier(alarm.raised_us, event.tick_us))
