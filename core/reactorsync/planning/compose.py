"""The complete set of faults of one reactor, from every scenario that acts on it.

Scenarios take precedence by priority, then age, then name. Where faults of two scenarios overlap:

- *Compose* adds its faults to whatever else acts.
- *Prioritize*, on either side, lets the one that comes first act: the other's fault is cut short
  where the first begins, left out while it lasts, and acts again for what is left of its window.
- *Reject* leaves all of the scenario's faults on this reactor out, as long as any of them would
  overlap one that comes before it.

A fault that would have its turn only for the last moment of its window (:data:`LEAST_TURN_US`),
after one it gave way to has ended, has none: nobody could tell that it acted.

The result depends on the scenarios that are live and on the time, not on the order in which they
came or went. Without live scenarios it is empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from reactorsync.planning.schedule import is_live, is_open
from reactorsync.planning.targets import stages_for
from reactorsync.planning.timeline import StageWindow, Window, stage_windows
from reactorsync.resources import AnomalyScenario, Reactor
from reactorsync.resources.scenario import ConflictPolicy, SensorDirection
from reactorsync.wire.desired import DesiredFault
from reactorsync.wire.envelope import to_micros

CONFLICT: Final = "Conflict"

LEAST_TURN_US: Final = 1_000_000
"""The least that must be left of a fault's window for it to act after another one: a second."""

_UNKNOWN_AGE: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A scenario whose faults give way on this reactor now, and to which other it gives way."""

    scenario: UUID
    gives_way_to: str


@dataclass(frozen=True, slots=True)
class Composition:
    """Faults of one reactor.

    Attributes:
        faults: all that act now or later, ordered by id.
        left_out: scenarios that give way, in order of precedence.
        changes_us: when the set will next be another one without anybody doing anything,
            microseconds since 1970; ``None`` when never.
    """

    faults: tuple[DesiredFault, ...]
    left_out: tuple[LeftOut, ...]
    changes_us: int | None


def precedence(scenario: AnomalyScenario) -> tuple[int, datetime, str, str, str]:
    """Return the sort key by which scenarios come first: priority, age, name, UID.

    Kubernetes tells the age in whole seconds, so that those applied together are of one age.
    """
    metadata = scenario.metadata
    return (
        -scenario.spec.priority,
        metadata.creation_timestamp or _UNKNOWN_AGE,
        metadata.namespace,
        metadata.name,
        str(metadata.uid),
    )


def compose(reactor: Reactor, scenarios: Iterable[AnomalyScenario], now: datetime) -> Composition:
    """Return the faults that ``scenarios``, all of which chose the reactor, put on it."""
    now_us = to_micros(now)
    admitted = _Admitted(now_us)
    some = [one for one in scenarios if is_live(one) or _is_just_over(one, now_us)]
    for scenario in sorted(some, key=precedence):
        admitted.take(scenario, _windows_since(scenario, reactor, now_us - LEAST_TURN_US))
    return Composition(
        faults=tuple(sorted(admitted.faults, key=lambda fault: fault.id)),
        left_out=tuple(admitted.left_out),
        changes_us=min(admitted.moments, default=None),
    )


def fault_id(scenario: AnomalyScenario, run: int, stage: str) -> str:
    """Return the id of a fault, the same on every reactor: ``<scenario uid>/<run>/<stage>``."""
    return f"{scenario.metadata.uid}/{run}/{stage}"


def _is_just_over(scenario: AnomalyScenario, now_us: int) -> bool:
    """Return whether the scenario's run has ended so lately that others may have waited for it."""
    run = scenario.status.run
    if run is None or is_open(run):
        return False
    return now_us - LEAST_TURN_US < to_micros(run.end_time) <= now_us


def _windows_since(scenario: AnomalyScenario, reactor: Reactor, since_us: int) -> list[StageWindow]:
    """Return the scenario's stages on this reactor that had not ended at ``since_us``."""
    run = scenario.status.run
    if run is None:
        return []
    window = Window(to_micros(run.start_time), to_micros(run.end_time))
    able = {stage.name for stage in stages_for(scenario, reactor)}
    return [
        placed
        for placed in stage_windows(scenario.spec, window)
        if placed.stage.name in able and placed.window.end_us > since_us
    ]


@dataclass(slots=True)
class _Admitted:
    """Faults taken so far, in order of precedence."""

    now_us: int
    faults: list[DesiredFault] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    moments: list[int] = field(default_factory=list)
    _windows: list[tuple[AnomalyScenario, Window]] = field(default_factory=list)
    _masking: list[tuple[AnomalyScenario, Window]] = field(default_factory=list)
    """Those of scenarios that let nothing act beside them."""

    def take(self, scenario: AnomalyScenario, placed: Sequence[StageWindow]) -> None:
        """Let the scenario's faults in, but for those that others keep out.

        Those that are over are taken in for the sake of the ones that waited for them.
        """
        ahead = [one for one in placed if one.window.end_us > self.now_us]
        for one in ahead:
            self._change_at(one.window.start_us)
            self._change_at(one.window.end_us)
        if scenario.spec.conflict_policy is ConflictPolicy.REJECT:
            for one in ahead:
                other = self._keeps_out(one.window)
                if other is not None:
                    self._leave_out(scenario, other)
                    return
        prioritizes = scenario.spec.conflict_policy is ConflictPolicy.PRIORITIZE
        # Hundreds that add their faults to each other need not be compared.
        rivals = list(self._windows if prioritizes else self._masking)
        for one in placed:
            free = self._free_window(scenario, one.window, rivals)
            if free is None:
                continue
            if free.end_us > self.now_us:
                self.faults.append(_desired(scenario, one, free))
            self._windows.append((scenario, free))
            if prioritizes:
                self._masking.append((scenario, free))

    def _keeps_out(self, window: Window) -> AnomalyScenario | None:
        """Return one whose faults overlap ``window``, and leave no turn of it afterwards."""
        for other, taken in self._windows:
            if taken.overlaps(window) and (taken.end_us > self.now_us or _spoils(taken, window)):
                return other
        return None

    def _free_window(
        self,
        scenario: AnomalyScenario,
        window: Window,
        rivals: Sequence[tuple[AnomalyScenario, Window]],
    ) -> Window | None:
        """Return ``window`` up to the next fault of a rival, ``None`` if one acts now.

        Of a window that is over by now, see it as it was just before its end.
        """
        is_over = window.end_us <= self.now_us
        seen_us = window.end_us - 1 if is_over else self.now_us
        end_us = window.end_us
        gives_way_to = scenario
        for other, taken in rivals:
            if not taken.overlaps(window) or taken.start_us >= end_us:
                continue
            if taken.end_us > seen_us or _spoils(taken, window):
                end_us, gives_way_to = taken.start_us, other
        if end_us <= max(window.start_us, seen_us):
            if not is_over:
                self._leave_out(scenario, gives_way_to)
            return None
        return Window(window.start_us, end_us)

    def _leave_out(self, scenario: AnomalyScenario, other: AnomalyScenario) -> None:
        uid = scenario.metadata.uid
        if uid is not None and all(entry.scenario != uid for entry in self.left_out):
            self.left_out.append(LeftOut(uid, other.metadata.name))

    def _change_at(self, moment_us: int) -> None:
        if moment_us > self.now_us:
            self.moments.append(moment_us)


def _spoils(taken: Window, window: Window) -> bool:
    """Return whether a fault that was in the way leaves too little of a window to begin with."""
    return window.end_us - taken.end_us < LEAST_TURN_US


def _desired(scenario: AnomalyScenario, placed: StageWindow, window: Window) -> DesiredFault:
    stage, run = placed.stage, scenario.status.run
    assert run is not None  # noqa: S101 - a scenario without a run is not live
    sensor = stage.sensor
    return DesiredFault(
        id=fault_id(scenario, run.number, stage.name),
        namespace=scenario.metadata.namespace,
        scenario=scenario.metadata.name,
        run=run.number,
        stage=stage.name,
        kind=stage.fault,
        severity_permille=placed.severity_permille(window.end_us),
        shape=stage.shape,
        start_us=window.start_us,
        ramp_us=placed.ramp_us,
        end_us=window.end_us,
        signal=sensor.signal if sensor is not None else None,
        direction=sensor.direction if sensor is not None else SensorDirection.HIGH,
    )
