"""What generators reported, folded from their events.

The fold does not depend on the order of events, and an event that comes twice changes nothing: of
each kind of fact the newest counts, by the time the event itself carries. Events of a reactor that
was deleted and created anew are told apart by its UID.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass, field, replace
from uuid import UUID

from reactorsync.wire.events import (
    Event,
    FaultInjected,
    FaultRecovered,
    ReactorApplied,
    ReactorEvent,
    ReactorObserved,
    ReactorRestarted,
    ReactorTripped,
    ShardHeartbeat,
)
from reactorsync_operator.reconcile.observed import FaultReport, ReactorReport, RunReport

RunKey = tuple[UUID, int]
"""UID of a scenario and number of its run."""


@dataclass(frozen=True, slots=True)
class Touched:
    """What an event changed: a reactor by its UID, a run, a shard; nothing if it was old news."""

    reactor: UUID | None = None
    run: RunKey | None = None
    shard: int | None = None


_NOTHING = Touched()


@dataclass(slots=True)
class _Latest:
    """When each part of a report was last set, so that older news does not undo it."""

    applied: tuple[int, int] = (-1, -1)
    power: int = -1
    trip: tuple[int, int] = (-1, -1)


@dataclass(slots=True)
class _Run:
    injected: set[UUID] = field(default_factory=set)
    acting: set[UUID] = field(default_factory=set)
    first_injected_us: int | None = None
    last_recovered_us: int | None = None


class Observations:
    """The fold. Grows with reactors and runs; :meth:`forget` and :meth:`retain` shrink it."""

    def __init__(self) -> None:
        self._reports: dict[UUID, ReactorReport] = {}
        self._latest: dict[UUID, _Latest] = {}
        self._runs: dict[RunKey, _Run] = {}
        self._heartbeats: dict[int, int] = {}

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
        """Return what was reported of a run; empty if nothing was."""
        run = self._runs.get(key)
        if run is None:
            return RunReport()
        return RunReport(
            injected=run.injected,
            acting=run.acting,
            first_injected_us=run.first_injected_us,
            last_recovered_us=run.last_recovered_us,
        )

    def seed(self, reactor: UUID, report: ReactorReport) -> None:
        """Start from what a status says, where no event is known that says otherwise."""
        self._reports.setdefault(reactor, report)

    def forget(self, reactor: UUID) -> None:
        """Drop a reactor that was deleted: no fault acts on it, though one did."""
        self._reports.pop(reactor, None)
        self._latest.pop(reactor, None)
        for run in self._runs.values():
            run.acting.discard(reactor)

    def retain(self, *, runs: Set[RunKey], reactors: Set[UUID]) -> None:
        """Drop what was reported of all runs and reactors but these."""
        for reactor in self._reports.keys() - reactors:
            self.forget(reactor)
        self._runs = {key: run for key, run in self._runs.items() if key in runs}
        for reactor, report in self._reports.items():
            kept = {
                fault_id: fault
                for fault_id, fault in report.faults.items()
                if _run_key(fault_id) in runs
            }
            if len(kept) != len(report.faults):
                self._reports[reactor] = replace(report, faults=kept)

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
            case FaultInjected() | FaultRecovered():
                return self._fault(event)
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

    def _fault(self, event: FaultInjected | FaultRecovered) -> Touched:
        key = _run_key(event.fault_id)
        report = self._report_of(event)
        before = report.faults.get(event.fault_id) or FaultReport(
            event.scenario, event.stage, event.kind
        )
        after = _folded(before, event)
        if key is None or after == before:
            return _NOTHING
        self._reports[event.uid] = replace(report, faults={**report.faults, event.fault_id: after})
        self._tally(key, event)
        return Touched(reactor=event.uid, run=key)

    def _tally(self, key: RunKey, event: FaultInjected | FaultRecovered) -> None:
        run = self._runs.setdefault(key, _Run())
        reports = [
            report
            for fault_id, report in self._reports[event.uid].faults.items()
            if _run_key(fault_id) == key
        ]
        # What has ended has acted, even if a broker forgot that it was said.
        run.injected.add(event.uid)
        if any(report.acts for report in reports):
            run.acting.add(event.uid)
        else:
            run.acting.discard(event.uid)
        if isinstance(event, FaultInjected):
            run.first_injected_us = _earlier(run.first_injected_us, event.tick_us)
        else:
            run.last_recovered_us = _later(run.last_recovered_us, event.tick_us)

    def _report_of(self, event: ReactorEvent) -> ReactorReport:
        return self._reports.get(event.uid) or ReactorReport()

    def _store(self, event: ReactorEvent, after: ReactorReport) -> Touched:
        if after == self._reports.get(event.uid):
            return _NOTHING
        self._reports[event.uid] = after
        return Touched(reactor=event.uid)

    def _latest_of(self, reactor: UUID) -> _Latest:
        return self._latest.setdefault(reactor, _Latest())


def _folded(report: FaultReport, event: FaultInjected | FaultRecovered) -> FaultReport:
    if isinstance(event, FaultRecovered):
        return replace(report, recovered_us=_later(report.recovered_us, event.tick_us))
    return replace(
        report,
        first_injected_us=_earlier(report.first_injected_us, event.tick_us),
        last_injected_us=_later(report.last_injected_us, event.tick_us),
    )


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
