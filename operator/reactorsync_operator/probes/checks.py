"""What one probe of one run has shown so far."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reactorsync.planning.targets import Candidate
from reactorsync.planning.timeline import Window
from reactorsync.planning.wording import counted
from reactorsync.resources.scenario import AlarmProbe, Comparison, DiagnosisProbe, TelemetryProbe
from reactorsync.signals import SIGNAL_INDEX, SIGNALS
from reactorsync.wire.envelope import from_micros
from reactorsync.wire.frame import Frame
from reactorsync.wire.keys import reactor_key, shard_of
from reactorsync_operator.probes.port import Sightings
from reactorsync_operator.reconcile.observed import (
    AlarmReport,
    DiagnosisReport,
    ProbeOutcome,
)

_NOT_YET: Final = -1
_NAME_SHOWN: Final = 64


class TargetCheck(ABC):
    """A check that targets pass one by one; passed when all have, or when ``needs_all`` is not set.

    What a target has shown is remembered while it stays a target, by its UID.
    """

    def __init__(self, *, namespace: str, expectation: str, needs_all: bool) -> None:
        self.namespace = namespace
        self.expectation = expectation
        self.needs_all = needs_all
        self._targets: Sequence[Candidate] = ()
        self._has_begun = False
        self._passed: ProbeOutcome | None = None

    @property
    def passed(self) -> bool:
        """Whether it is decided."""
        return self._passed is not None

    @property
    def outcome(self) -> ProbeOutcome:
        """What is known by now."""
        if self._passed is not None:
            return self._passed
        total = len(self._targets)
        if total == 0:
            return ProbeOutcome(message="there is no target to look at")
        shown = total - self.missing
        return ProbeOutcome(message=f"{self.expectation} on {shown} of {counted(total, 'target')}")

    @property
    def missing(self) -> int:
        """How many targets have not shown it."""
        return self._count_missing() if self._has_begun else len(self._targets)

    def set_targets(self, targets: Sequence[Candidate]) -> None:
        """Look at these reactors from now on; that costs nothing before the looking begins."""
        self._targets = targets
        if self._has_begun:
            self._take_over(targets)

    def begin(self) -> None:
        """Prepare to look, if that was not done before."""
        if not self._has_begun:
            self._has_begun = True
            self._take_over(self._targets)

    @abstractmethod
    def _count_missing(self) -> int:
        """Return how many targets have not shown it."""

    @abstractmethod
    def _take_over(self, targets: Sequence[Candidate]) -> None:
        """Look at these reactors; keep what those among them have shown already."""

    def _pass_all(self, last_us: int) -> None:
        """Note that no target is missing; the last showed it at ``last_us``."""
        total = len(self._targets)
        if not self.passed and self.needs_all and total > 0 and self.missing == 0:
            on = f"all {total} targets" if total > 1 else "the one target"
            self._passed = ProbeOutcome(
                passed_us=last_us,
                message=f"{self.expectation} on {on}, the last at {_moment(last_us)}",
            )

    def _pass_any(self, reactor: str, moment_us: int, detail: str = "") -> None:
        if not self.passed and not self.needs_all:
            self._passed = ProbeOutcome(
                passed_us=moment_us,
                message=(
                    f"{self.expectation} on {reactor[:_NAME_SHOWN]} at {_moment(moment_us)}{detail}"
                ),
            )


class _Shard:
    """The targets in one shard, and when each first showed it."""

    def __init__(self, targets: Sequence[tuple[str, UUID]]) -> None:
        self.keys: pa.StringArray = pa.array([key for key, _ in targets], type=pa.string())
        self.uids = [uid for _, uid in targets]
        self.shown_us: npt.NDArray[np.int64] = np.full(len(targets), _NOT_YET, dtype=np.int64)


class TelemetryCheck(TargetCheck):
    """A signal of every target, or of any, beyond a threshold."""

    def __init__(
        self, probe: TelemetryProbe, *, namespace: str, needs_all: bool, shards: int
    ) -> None:
        signal = SIGNALS[SIGNAL_INDEX[probe.signal]]
        self._row = SIGNAL_INDEX[probe.signal]
        self._threshold = np.float32(probe.threshold_milli / 1000)
        self._above = probe.comparison is Comparison.ABOVE
        self._unit = signal.unit
        self._shard_count = shards
        self._shards: dict[int, _Shard] = {}
        self._places: dict[str, tuple[int, str]] = {}
        self._missing = 0
        super().__init__(
            namespace=namespace,
            expectation=(
                f"{probe.signal} {probe.comparison.value.lower()} "
                f"{probe.threshold_milli / 1000:g} {signal.unit}".rstrip()
            ),
            needs_all=needs_all,
        )

    @property
    def shards(self) -> frozenset[int]:
        """The shards whose telemetry it must see."""
        self.begin()
        return frozenset(self._shards)

    def see(self, frame: Frame, window: Window) -> bool:
        """Look at the readings of a tick; return whether they brought anything new."""
        self.begin()
        shard = self._shards.get(frame.origin.shard)
        if self.passed or shard is None or not window.start_us <= frame.tick_us < window.end_us:
            return False
        readings = frame.readings[self._row]
        # NaN, where an instrument gives no reading, is neither above nor below.
        hits = readings > self._threshold if self._above else readings < self._threshold
        if not hits.any():
            return False
        rows = np.flatnonzero(hits)
        places = pc.index_in(frame.reactors.take(pa.array(rows)), value_set=shard.keys)
        places = np.asarray(places.fill_null(_NOT_YET))
        rows, places = rows[places >= 0], places[places >= 0]
        new = shard.shown_us[places] == _NOT_YET
        if not new.any():
            return False
        rows, places = rows[new], places[new]
        shard.shown_us[places] = frame.tick_us
        self._missing -= len(places)
        reactor = shard.keys[int(places[0])].as_py()
        self._pass_any(reactor, frame.tick_us, f": {readings[rows[0]]:.6g} {self._unit}".rstrip())
        self._pass_if_complete()
        return True

    def _count_missing(self) -> int:
        return self._missing

    def _take_over(self, targets: Sequence[Candidate]) -> None:
        known = {
            shard.uids[place]: shard.shown_us[place]
            for shard in self._shards.values()
            for place in np.flatnonzero(shard.shown_us != _NOT_YET)
        }
        places, self._places = self._places, {}
        by_shard: dict[int, list[tuple[str, UUID]]] = {}
        for target in targets:
            place = places.get(target.reactor)
            if place is None:
                key = reactor_key(self.namespace, target.reactor)
                place = (shard_of(key, self._shard_count), key)
            self._places[target.reactor] = place
            by_shard.setdefault(place[0], []).append((place[1], target.uid))
        self._shards = {number: _Shard(members) for number, members in by_shard.items()}
        self._missing = len(targets)
        for shard in self._shards.values() if known else ():
            for number, uid in enumerate(shard.uids):
                if uid in known:
                    shard.shown_us[number] = known[uid]
                    self._missing -= 1
        self._pass_if_complete()

    def _pass_if_complete(self) -> None:
        if self._missing == 0 and self._shards:
            self._pass_all(max(int(shard.shown_us.max()) for shard in self._shards.values()))


class SightingCheck(TargetCheck):
    """An alarm, or a diagnosis, of every target or of any, as events told of them."""

    def __init__(self, *, namespace: str, expectation: str, needs_all: bool) -> None:
        super().__init__(namespace=namespace, expectation=expectation, needs_all=needs_all)
        self._waiting: dict[UUID, str] = {}
        self._shown_us: dict[UUID, int] = {}

    def look(self, sightings: Sightings, window: Window) -> bool:
        """Look at what is known of the targets that are missing; return whether that is news."""
        if self.passed:
            return False
        self.begin()
        found = {
            uid: moment_us
            for uid in self._waiting
            if (moment_us := self._shown_at(sightings, uid, window)) is not None
        }
        if not found:
            return False
        first = min(found, key=lambda uid: (found[uid], self._waiting[uid]))
        self._pass_any(reactor_key(self.namespace, self._waiting[first]), found[first])
        for uid, moment_us in found.items():
            del self._waiting[uid]
            self._shown_us[uid] = moment_us
        self._pass_if_complete()
        return True

    @abstractmethod
    def _shown_at(self, sightings: Sightings, reactor: UUID, window: Window) -> int | None:
        """Return at which moment of the window a target first showed it."""

    def _count_missing(self) -> int:
        return len(self._waiting)

    def _take_over(self, targets: Sequence[Candidate]) -> None:
        names = {target.uid: target.reactor for target in targets}
        self._shown_us = {uid: when for uid, when in self._shown_us.items() if uid in names}
        self._waiting = {uid: name for uid, name in names.items() if uid not in self._shown_us}
        self._pass_if_complete()

    def _pass_if_complete(self) -> None:
        if not self._waiting and self._shown_us:
            self._pass_all(max(self._shown_us.values()))


class AlarmCheck(SightingCheck):
    """An alarm of a signal that stands at some moment of the window."""

    def __init__(self, probe: AlarmProbe, *, namespace: str, needs_all: bool) -> None:
        super().__init__(
            namespace=namespace, expectation=f"alarm of {probe.signal}", needs_all=needs_all
        )
        self._signal = probe.signal

    def _shown_at(self, sightings: Sightings, reactor: UUID, window: Window) -> int | None:
        shown_us = None
        for alarm in sightings.alarms(reactor):
            raised_us = alarm.raised_us
            if raised_us is None or alarm.signal != self._signal or not _stood_in(alarm, window):
                continue
            moment_us = max(raised_us, window.start_us)
            shown_us = moment_us if shown_us is None else min(shown_us, moment_us)
        return shown_us


class DiagnosisCheck(SightingCheck):
    """A diagnosis, made in the window, that names a fault among its first hypotheses."""

    def __init__(self, probe: DiagnosisProbe, *, namespace: str, needs_all: bool) -> None:
        rank = "first" if probe.top == 1 else f"among the first {probe.top}"
        super().__init__(
            namespace=namespace,
            expectation=f"diagnosis of {probe.fault} {rank}",
            needs_all=needs_all,
        )
        self._fault = probe.fault.value
        self._top = probe.top

    def _shown_at(self, sightings: Sightings, reactor: UUID, window: Window) -> int | None:
        for diagnosis in sightings.diagnoses(reactor):
            is_in_time = window.start_us <= diagnosis.made_us < window.end_us
            if is_in_time and self._names_fault(diagnosis):
                return diagnosis.made_us
        return None

    def _names_fault(self, diagnosis: DiagnosisReport) -> bool:
        return self._fault in diagnosis.faults[: self._top]


def _stood_in(alarm: AlarmReport, window: Window) -> bool:
    if alarm.raised_us is None or alarm.raised_us >= window.end_us:
        return False
    return alarm.cleared_us is None or alarm.cleared_us > window.start_us


def _moment(moment_us: int) -> str:
    return f"{from_micros(moment_us):%H:%M:%SZ}"
