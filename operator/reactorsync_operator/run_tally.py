"""What was reported of one run, counted as reports come in: each costs the same however big it is.

An alarm is *explained* by a fault when it is raised between the moment the fault began to act on
that reactor and :data:`AFTERMATH_US` after it ended. The first alarm that a fault of the run
explains is the target's detection; one that nothing explains, raised while the run lasts on a
reactor that is no target, is a false alarm.
"""

from __future__ import annotations

import bisect
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from reactorsync.planning.wording import counted
from reactorsync_operator.reconcile.observed import (
    AlarmReport,
    FaultReport,
    RunReport,
    Verification,
)

AFTERMATH_US: Final = 600_000_000
"""How long after its end a fault may still cause alarms: ten minutes."""

_MESSAGE_LENGTH: Final = 1024


@dataclass(frozen=True, slots=True, order=True)
class _Remark:
    """What was said of one stage on one reactor."""

    name: str
    stage: str
    message: str

    def __str__(self) -> str:
        said = f": {self.message}" if self.message else ""
        return f"{self.name}, stage {self.stage}{said}"


@dataclass(slots=True)
class _Remarks:
    """One remark of each reactor; the first by name is at hand, however many there are."""

    _of: dict[UUID, _Remark] = field(default_factory=dict)
    _sorted: list[tuple[_Remark, UUID]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._of)

    @property
    def first(self) -> _Remark:
        """The first remark, by name, stage and message; there must be one."""
        return self._sorted[0][0]

    def put(self, reactor: UUID, remarks: Collection[_Remark]) -> bool:
        """Keep the first of ``remarks`` on ``reactor``; return whether that is another one."""
        before, after = self._of.get(reactor), min(remarks, default=None)
        if before == after:
            return False
        if before is not None:
            del self._sorted[bisect.bisect_left(self._sorted, (before, reactor))]
            del self._of[reactor]
        if after is not None:
            bisect.insort(self._sorted, (after, reactor))
            self._of[reactor] = after
        return True


@dataclass(slots=True)
class RunTally:
    """The counts of one run. ``namespace`` is the one of its scenario and its targets."""

    namespace: str
    injected: set[UUID] = field(default_factory=set)
    acting: set[UUID] = field(default_factory=set)
    ended: set[UUID] = field(default_factory=set)
    first_injected_us: int | None = None
    last_recovered_us: int | None = None
    window_moved: bool = False
    """Whether the false alarms must be counted anew, because the run's extent is another one."""
    _detected: dict[UUID, int] = field(default_factory=dict)
    _delay_us: dict[UUID, int] = field(default_factory=dict)
    _delays_us: list[int] = field(default_factory=list)
    _false_alarms: dict[UUID, int] = field(default_factory=dict)
    _false_alarm_count: int = 0
    _confirmed: set[UUID] = field(default_factory=set)
    _mismatched: _Remarks = field(default_factory=_Remarks)
    _inconclusive: _Remarks = field(default_factory=_Remarks)

    def report(self, *, watched: bool = False) -> RunReport:
        """Return what is known, without copying what is big; ``watched`` as it says of itself."""
        return RunReport(
            injected=self.injected,
            acting=self.acting,
            ended=self.ended,
            first_injected_us=self.first_injected_us,
            last_recovered_us=self.last_recovered_us,
            verification=self._verification(),
            detected=self._detected,
            delays_us=self._delays_us,
            false_alarms=self._false_alarm_count,
            watched=watched,
        )

    def may_include(self, moment_us: int) -> bool:
        """Return whether the run lasted at that moment, by what is known now."""
        if self.first_injected_us is None or moment_us < self.first_injected_us:
            return False
        ended_us = self._ended_us
        return ended_us is None or moment_us <= ended_us

    def injection(self, reactor: UUID, tick_us: int) -> None:
        """Note that a fault began to act on ``reactor``."""
        self.injected.add(reactor)
        if self.first_injected_us is None or tick_us < self.first_injected_us:
            self.first_injected_us = tick_us
            self.window_moved = True

    def recovery(self, reactor: UUID, tick_us: int) -> None:
        """Note that a fault ended on ``reactor``, or was over before it could begin to act."""
        self.ended.add(reactor)
        if self.last_recovered_us is None or tick_us > self.last_recovered_us:
            self.last_recovered_us = tick_us
            self.window_moved |= not self.acting

    def set_acting(self, reactor: UUID, *, acts: bool) -> None:
        """Note whether any fault of the run acts on ``reactor``."""
        lasted = bool(self.acting)
        if acts:
            self.acting.add(reactor)
        else:
            self.acting.discard(reactor)
        self.window_moved |= bool(self.acting) is not lasted

    def set_verified(self, reactor: UUID, name: str, faults: Iterable[FaultReport]) -> bool:
        """Note what was found on ``reactor`` of the run's faults; return whether that is news.

        One fault that does not show weighs more than one that does, and that more than one that
        could not be judged.
        """
        found = {True: list[_Remark](), False: list[_Remark](), None: list[_Remark]()}
        for fault in faults:
            if (verification := fault.verification) is not None:
                remark = _Remark(name, fault.stage, verification.message)
                found[verification.confirmed].append(remark)
        amiss, shown, unjudged = found[False], found[True], found[None]
        is_news = self._mismatched.put(reactor, amiss)
        is_news |= self._inconclusive.put(reactor, [] if amiss or shown else unjudged)
        is_confirmed = bool(shown) and not amiss
        is_news |= is_confirmed is not (reactor in self._confirmed)
        if is_confirmed:
            self._confirmed.add(reactor)
        else:
            self._confirmed.discard(reactor)
        return is_news

    def set_alarms(
        self,
        reactor: UUID,
        alarms: Collection[AlarmReport],
        *,
        own_faults: Collection[FaultReport],
        faults: Collection[FaultReport],
    ) -> bool:
        """Note the alarms of ``reactor``; return whether they change anything.

        ``own_faults`` are the run's among all the ``faults`` known of it.
        """
        if reactor in self.injected:
            was_false = self._set_false(reactor, 0)
            # Of a reactor that was forgotten nothing is known that could change the detection.
            is_news = bool(own_faults) and self._set_detected(reactor, alarms, own_faults)
            return is_news or was_false
        count = sum(
            alarm.raised_us is not None
            and self.may_include(alarm.raised_us)
            and not any(_explains(fault, alarm.raised_us) for fault in faults)
            for alarm in alarms
        )
        return self._set_false(reactor, count)

    def detection_us(self, reactor: UUID) -> int | None:
        """Return when the run was noticed on ``reactor``."""
        return self._detected.get(reactor)

    def forget(self, reactor: UUID) -> None:
        """Let go of a reactor that is gone: nothing acts on it, though something did."""
        self.set_acting(reactor, acts=False)
        self._set_false(reactor, 0)

    def forget_false_alarms(self) -> None:
        """Begin to count the false alarms anew."""
        self._false_alarms.clear()
        self._false_alarm_count = 0
        self.window_moved = False

    @property
    def _ended_us(self) -> int | None:
        """When the last fault was gone, ``None`` while one acts."""
        return None if self.acting else self.last_recovered_us

    def _set_false(self, reactor: UUID, count: int) -> bool:
        before = self._false_alarms.get(reactor, 0)
        if count == before:
            return False
        self._false_alarm_count += count - before
        if count:
            self._false_alarms[reactor] = count
        else:
            del self._false_alarms[reactor]
        return True

    def _set_detected(
        self, reactor: UUID, alarms: Collection[AlarmReport], own_faults: Collection[FaultReport]
    ) -> bool:
        began = [
            fault.first_injected_us for fault in own_faults if fault.first_injected_us is not None
        ]
        raised_us = min(
            (
                alarm.raised_us
                for alarm in alarms
                if alarm.raised_us is not None
                and any(_explains(fault, alarm.raised_us) for fault in own_faults)
            ),
            default=None,
        )
        delay_us = raised_us - min(began) if raised_us is not None and began else None
        before_us = self._delay_us.get(reactor)
        is_news = self._detected.get(reactor) != raised_us or before_us != delay_us
        if is_news and before_us is not None:
            del self._delays_us[bisect.bisect_left(self._delays_us, before_us)]
            del self._delay_us[reactor], self._detected[reactor]
        if is_news and delay_us is not None and raised_us is not None:
            bisect.insort(self._delays_us, delay_us)
            self._delay_us[reactor] = delay_us
            self._detected[reactor] = raised_us
        return is_news

    def _verification(self) -> Verification | None:
        confirmed, amiss, unjudged = (
            len(self._confirmed),
            len(self._mismatched),
            len(self._inconclusive),
        )
        looked_at = counted(confirmed + amiss + unjudged, "target")
        if amiss:
            message = f"the telemetry of {amiss} of {looked_at} does not show the fault"
            return Verification(False, f"{message}; {self._mismatched.first}"[:_MESSAGE_LENGTH])
        if confirmed and unjudged:
            message = f"the telemetry of {confirmed} of {looked_at} shows the fault; not judged: "
            return Verification(True, f"{message}{self._inconclusive.first}"[:_MESSAGE_LENGTH])
        if confirmed:
            return Verification(True, f"the telemetry of {looked_at} shows the fault")
        if unjudged:
            message = f"whether the telemetry of {looked_at} shows the fault was not judged"
            return Verification(None, f"{message}; {self._inconclusive.first}"[:_MESSAGE_LENGTH])
        return None


def _explains(fault: FaultReport, raised_us: int) -> bool:
    """Return whether a fault may have caused an alarm raised at ``raised_us``."""
    if fault.first_injected_us is None or raised_us < fault.first_injected_us:
        return False
    if fault.acts or fault.recovered_us is None:
        return True
    return raised_us <= fault.recovered_us + AFTERMATH_US
