"""What one probe of one run has shown so far."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final
from uuid import UUID

from reactorsync.planning.targets import Candidate
from reactorsync.planning.timeline import Window
from reactorsync.planning.wording import counted
from reactorsync.resources.scenario import AlarmProbe, DiagnosisProbe
from reactorsync.wire.envelope import from_micros
from reactorsync.wire.keys import reactor_key
from reactorsync_operator.probes.port import Sightings
from reactorsync_operator.reconcile.observed import (
    AlarmReport,
    DiagnosisReport,
    ProbeOutcome,
)

if TYPE_CHECKING:
    from reactorsync.wire.frame import Frame

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


class FrameCheck(TargetCheck):
    """A check that looks at frames of telemetry."""

    @property
    @abstractmethod
    def shards(self) -> frozenset[int]:
        """The shards whose telemetry it must see."""

    @abstractmethod
    def see(self, frame: Frame, window: Window) -> bool:
        """Look at the readings of a tick; return whether they brought anything new."""


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
