"""The faults that are followed: from the report that one acts to the verdict on what was seen."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import numpy as np
import numpy.typing as npt

from reactorsync.signals import SIGNALS
from reactorsync.wire.events import FaultInjected, FaultRecovered, FaultVerified
from reactorsync_historian.verification.evidence import (
    FEWEST_READINGS,
    SLOW_READINGS,
    Baseline,
    find,
)

WINDOW_US: Final = 600_000_000
"""How long after its first tick a fault may still show."""

AFTERMATH_US: Final = 10_000_000
"""How long after its end: a short one shows in what it set going."""

MOST_CASES: Final = 50_000
"""Faults that are remembered at once; the oldest are given up beyond."""

_Key = tuple[UUID, str]


@dataclass(slots=True)
class Case:
    """A fault of one reactor.

    Attributes:
        injected: the report that it acts.
        signal: the sensor it acts on, if that is known.
        recovered_us: first tick that it does not act at.
        baseline: readings before it; ``None`` until they were read.
        seen_us: newest reading looked at.
        tail: the last readings looked at, and their times in seconds since it began.
        is_over: whether all readings that may show it have been looked at.
        settled: whether its verdict is told, by whomever.
    """

    injected: FaultInjected
    signal: str | None = None
    recovered_us: int | None = None
    baseline: Baseline | None = None
    seen_us: int = 0
    tail: npt.NDArray[np.float32] = field(
        default_factory=lambda: np.zeros((0, len(SIGNALS)), np.float32)
    )
    tail_seconds: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    is_over: bool = False
    settled: bool = False

    def __post_init__(self) -> None:
        self.seen_us = self.injected.tick_us - 1

    @property
    def end_us(self) -> int:
        """The last moment at which it may show."""
        window = self.injected.tick_us + WINDOW_US
        if self.recovered_us is None:
            return window
        return min(window, self.recovered_us + AFTERMATH_US)

    def look(
        self, times_us: npt.NDArray[np.int64], readings: npt.NDArray[np.float32]
    ) -> FaultVerified | None:
        """Look at new readings, oldest first; return the verdict once there is one.

        Args:
            times_us: shape ``(n,)``.
            readings: shape ``(n, n_signals)``.
        """
        baseline = self.baseline
        if baseline is None or baseline.signals == 0:
            return None
        is_past = bool((times_us > self.end_us).any())
        in_time = (times_us > self.seen_us) & (times_us <= self.end_us)
        times_us, readings = times_us[in_time], readings[in_time]
        known = len(self.tail)
        window = np.concatenate([self.tail, readings])
        seconds = np.concatenate([self.tail_seconds, (times_us - self.injected.tick_us) / 1e6])
        found = find(
            baseline,
            window,
            seconds=seconds,
            kind=self.injected.kind,
            signal=self.signal,
            begin=known,
        )
        if found is not None:
            return self._verdict(
                int(times_us[found.place - known]),
                confirmed=True,
                signal=found.signal.name,
                message=found.message,
            )
        if len(times_us):
            self.seen_us = int(times_us[-1])
        self.is_over = is_past
        self.tail = window[-(SLOW_READINGS - 1) :]
        self.tail_seconds = seconds[-(SLOW_READINGS - 1) :]
        return None

    def give_up(self) -> FaultVerified:
        """Return the verdict that nothing was seen."""
        where = "any signal" if self.signal is None else self.signal
        if self.baseline is None or self.baseline.signals == 0:
            message = f"fewer than {FEWEST_READINGS} readings from before the fault"
        elif self.seen_us < self.injected.tick_us:
            message = "no readings since the fault began"
        else:
            seconds = (self.seen_us - self.injected.tick_us) / 1e6
            message = f"{where} reads as before, {seconds:.0f} s after the fault began"
        return self._verdict(max(self.seen_us, self.injected.tick_us), message=message)

    def _verdict(
        self, tick_us: int, *, message: str, confirmed: bool = False, signal: str | None = None
    ) -> FaultVerified:
        told = self.injected
        return FaultVerified(
            namespace=told.namespace,
            name=told.name,
            uid=told.uid,
            tick_us=tick_us,
            fault_id=told.fault_id,
            scenario=told.scenario,
            run=told.run,
            stage=told.stage,
            kind=told.kind,
            confirmed=confirmed,
            signal=signal,
            message=message[:256],
        )


class CaseBook:
    """All cases. A fault that is reported again while it acts stays the case it is."""

    def __init__(self) -> None:
        self._cases: OrderedDict[_Key, Case] = OrderedDict()

    def __len__(self) -> int:
        return sum(1 for _ in self.open())

    def open(self) -> Iterator[Case]:
        """Return the cases that have no verdict yet, oldest first."""
        return (case for case in self._cases.values() if not case.settled)

    def injected(self, event: FaultInjected, *, signal: str | None) -> None:
        """A fault is reported to act."""
        key = (event.uid, event.fault_id)
        known = self._cases.get(key)
        if known is not None:
            # Told again by another generator, or to another broker: nothing new began.
            again = known.recovered_us is not None and event.tick_us >= known.recovered_us
            if not again:
                return
            del self._cases[key]
        self._cases[key] = Case(event, signal)
        while len(self._cases) > MOST_CASES:
            self._cases.popitem(last=False)

    def recovered(self, event: FaultRecovered) -> None:
        """A fault is reported to act no longer."""
        case = self._cases.get((event.uid, event.fault_id))
        if case is not None and event.tick_us >= case.injected.tick_us:
            case.recovered_us = min(event.tick_us, case.recovered_us or event.tick_us)

    def verified(self, event: FaultVerified) -> None:
        """A verdict is on the topic, from this process or another one."""
        case = self._cases.get((event.uid, event.fault_id))
        if case is not None and event.tick_us >= case.injected.tick_us:
            case.settled = True

    def forget(self, *, before_us: int) -> None:
        """Forget what has been over since before that time."""
        gone = [
            key
            for key, case in self._cases.items()
            if case.settled and case.recovered_us is not None and case.recovered_us < before_us
        ]
        for key in gone:
            del self._cases[key]
