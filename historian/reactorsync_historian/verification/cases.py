"""The faults that are followed: from the report that one acts to the verdict on what was seen."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import numpy as np
import numpy.typing as npt

from reactorsync.faults import FaultKind
from reactorsync.signals import SIGNAL_INDEX, SIGNALS
from reactorsync.wire.events import FaultInjected, FaultRecovered, FaultVerified
from reactorsync_historian.verification.evidence import (
    ENOUGH_READINGS,
    FEWEST_READINGS,
    SLOW_READINGS,
    Baseline,
    find,
)

WINDOW_US: Final = 600_000_000
"""How long after its first tick a fault may still show."""

SHOWS_WITHIN_US: Final = 45_000_000
"""What acted for less may not have had the time to show; docs/verification.md has the figures."""

SLOW_KINDS: Final = frozenset(
    {FaultKind.PRIMARY_LEAK, FaultKind.BORON_DILUTION, FaultKind.SENSOR_DRIFT}
)
"""What adds up: a small one may take all of the window."""

MOST_CASES: Final = 50_000
"""Faults that are remembered at once; the oldest are given up beyond."""

_Key = tuple[UUID, str]


@dataclass(slots=True)
class Case:
    """A fault of one reactor.

    Attributes:
        injected: the report that it acts.
        signal: the sensor it acts on, if that is known.
        rise_us: how long it takes to reach its full severity, if that is known.
        recovered_us: first tick that it does not act at.
        baseline: readings before it; ``None`` until they were read.
        seen_us: newest reading looked at.
        enough_us: the reading with which there were enough to say that nothing shows.
        tail: the last readings looked at, and their times in seconds since it began.
        is_over: whether all readings that may show it have been looked at.
        settled: whether its verdict is told, by whomever.
    """

    injected: FaultInjected
    signal: str | None = None
    rise_us: int = 0
    recovered_us: int | None = None
    baseline: Baseline | None = None
    seen_us: int = 0
    enough_us: int | None = None
    tail: npt.NDArray[np.float32] = field(
        default_factory=lambda: np.zeros((0, len(SIGNALS)), np.float32)
    )
    tail_seconds: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    is_over: bool = False
    settled: bool = False
    _present: int = 0

    def __post_init__(self) -> None:
        self.seen_us = self.injected.tick_us - 1

    @property
    def end_us(self) -> int:
        """The last moment at which it may show: what is read later is of a plant without it."""
        window = self.injected.tick_us + WINDOW_US
        return window if self.recovered_us is None else min(window, self.recovered_us - 1)

    @property
    def acted_us(self) -> int:
        """How long it acted while it was followed."""
        window = self.injected.tick_us + WINDOW_US
        end_us = window if self.recovered_us is None else min(window, self.recovered_us)
        return end_us - self.injected.tick_us

    @property
    def needed_us(self) -> int:
        """How long it must act until it can be said that it does not show."""
        is_slow = self.injected.kind in SLOW_KINDS
        return WINDOW_US if is_slow else min(WINDOW_US, SHOWS_WITHIN_US + self.rise_us)

    def look(
        self, times_us: npt.NDArray[np.int64], readings: npt.NDArray[np.float32]
    ) -> FaultVerified | None:
        """Look at new readings, oldest first; return the verdict once there is one.

        Args:
            times_us: shape ``(n,)``.
            readings: shape ``(n, n_signals)``.
        """
        baseline = self.baseline
        if baseline is None:
            return None
        if baseline.readings(self.signal) == 0:
            # None will come: those from before the fault are stored before those since.
            self.is_over = True
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
            self._count(times_us, readings)
        self.is_over = is_past
        self.tail = window[-(SLOW_READINGS - 1) :]
        self.tail_seconds = seconds[-(SLOW_READINGS - 1) :]
        return None

    def give_up(self) -> FaultVerified:
        """Return the verdict that nothing was seen, or that it cannot be judged."""
        last_us = min(self.seen_us, self.end_us)
        tick_us = max(last_us, self.injected.tick_us)
        unjudged = self._why_unjudged(last_us)
        if unjudged is not None:
            return self._verdict(tick_us, message=unjudged)
        where = "any signal" if self.signal is None else self.signal
        seconds = (last_us - self.injected.tick_us) / 1e6
        message = f"{where} reads as before, {seconds:.0f} s after the fault began"
        return self._verdict(tick_us, confirmed=False, message=message)

    def _why_unjudged(self, last_us: int) -> str | None:
        """Return why that nothing was seen says nothing; ``None`` if it does say that."""
        acted, needed = self.acted_us / 1e6, self.needed_us / 1e6
        before = 0 if self.baseline is None else self.baseline.readings(self.signal)
        if acted < needed:
            return f"the fault acted for {acted:.0f} s; it may take {needed:.0f} s to show"
        if self.baseline is not None and before == 0:
            return f"fewer than {FEWEST_READINGS} readings from before the fault"
        if last_us < self.injected.tick_us:
            return "no readings since the fault began"
        if before < ENOUGH_READINGS:
            return (
                f"nothing stands out, but only {before} readings are from before the fault; "
                f"{ENOUGH_READINGS} are needed"
            )
        if self.enough_us is None or self.enough_us > self.end_us:
            return f"fewer than {SLOW_READINGS} readings while the fault acted"
        read = (last_us - self.injected.tick_us) / 1e6
        if read < acted / 2:
            return f"readings of {read:.0f} s only, of {acted:.0f} s that the fault acted"
        return None

    def _count(self, times_us: npt.NDArray[np.int64], readings: npt.NDArray[np.float32]) -> None:
        """Note when there were enough readings that are not missing."""
        if self.enough_us is not None:
            return
        of_interest = slice(None) if self.signal is None else SIGNAL_INDEX[self.signal]
        present = np.isfinite(readings[:, of_interest]).reshape(len(readings), -1).any(axis=1)
        counts = self._present + present.cumsum()
        if counts[-1] >= SLOW_READINGS:
            self.enough_us = int(times_us[int((counts >= SLOW_READINGS).argmax())])
        self._present = int(counts[-1])

    def _verdict(
        self,
        tick_us: int,
        *,
        message: str,
        confirmed: bool | None = None,
        signal: str | None = None,
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

    def injected(
        self, event: FaultInjected, *, signal: str | None = None, rise_us: int = 0
    ) -> None:
        """A fault is reported to act."""
        key = (event.uid, event.fault_id)
        known = self._cases.get(key)
        if known is not None:
            # Told again by another generator, or to another broker: nothing new began.
            again = known.recovered_us is not None and event.tick_us >= known.recovered_us
            if not again:
                return
            del self._cases[key]
        self._cases[key] = Case(event, signal, rise_us)
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
