"""When faults begin and end to act, as seen from the ticks of the reactors they act on."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto

from reactorsync.wire.desired import DesiredFault
from reactorsync_generator.ticking import boundary_after


class Turn(Enum):
    """What became of a fault."""

    BEGAN = auto()
    ENDED = auto()


@dataclass(frozen=True, slots=True)
class FaultTurn:
    """A fault of reactor ``key`` began or ended."""

    key: str
    fault: DesiredFault
    turn: Turn


class _Phase(Enum):
    AHEAD = auto()
    ACTING = auto()
    OVER = auto()


@dataclass(slots=True)
class _Watched:
    interval_us: int
    faults: dict[str, DesiredFault] = field(default_factory=dict)
    phases: dict[str, _Phase] = field(default_factory=dict)
    suspended: bool = False


class FaultWatch:
    """The faults of one shard. A turn belongs to the first tick of its reactor that shows it.

    Nothing turns while a reactor is suspended. A fault that ended meanwhile is told as ended when
    the reactor runs again, whether or not it ever acted; likewise one that had ended before
    it was heard of, since the former owner may have had no time to say so.
    """

    def __init__(self) -> None:
        self._watched: dict[str, _Watched] = {}
        self._ahead: list[tuple[int, str, str]] = []

    def replace(
        self,
        key: str,
        faults: Iterable[DesiredFault],
        *,
        interval_us: int,
        suspended: bool,
        at_us: int,
    ) -> list[FaultTurn]:
        """Take the complete fault set of a reactor, valid from ``at_us``.

        Returns the faults that ended by it: lifted while they acted, or in the past altogether.
        """
        watched = self._watched.setdefault(key, _Watched(interval_us))
        before, phases = watched.faults, watched.phases
        watched.interval_us, watched.suspended = interval_us, suspended
        watched.faults = {fault.id: fault for fault in faults}
        watched.phases = {name: phases.get(name, _Phase.AHEAD) for name in watched.faults}
        ended = [
            FaultTurn(key, fault, Turn.ENDED)
            for name, fault in before.items()
            if name not in watched.faults and phases[name] is _Phase.ACTING
        ]
        if suspended:
            return ended
        for name, fault in watched.faults.items():
            if watched.phases[name] is not _Phase.OVER and fault.end_us <= at_us:
                watched.phases[name] = _Phase.OVER
                ended.append(FaultTurn(key, fault, Turn.ENDED))
            self._schedule(key, watched, fault, after_us=at_us)
        return ended

    def forget(self, key: str) -> None:
        """The reactor is gone, and its faults with it."""
        self._watched.pop(key, None)

    def pass_to(self, tick_us: int) -> list[FaultTurn]:
        """Return what turned up to and including ``tick_us``, in order of time."""
        turns: list[FaultTurn] = []
        while self._ahead and self._ahead[0][0] <= tick_us:
            _, key, name = heapq.heappop(self._ahead)
            watched = self._watched.get(key)
            if watched is None or watched.suspended or name not in watched.faults:
                continue
            fault = watched.faults[name]
            turns.extend(FaultTurn(key, fault, turn) for turn in _turns(watched, fault, tick_us))
            self._schedule(key, watched, fault, after_us=tick_us)
        return turns

    def acting(self) -> list[tuple[str, DesiredFault]]:
        """Return the faults that act now, with the keys of their reactors."""
        return [
            (key, fault)
            for key, watched in self._watched.items()
            for name, fault in watched.faults.items()
            if watched.phases[name] is _Phase.ACTING
        ]

    def _schedule(self, key: str, watched: _Watched, fault: DesiredFault, *, after_us: int) -> None:
        phase = watched.phases[fault.id]
        if phase is _Phase.OVER:
            return
        turning_us = fault.start_us if phase is _Phase.AHEAD else fault.end_us
        tick_us = boundary_after(max(turning_us, after_us + 1), watched.interval_us)
        heapq.heappush(self._ahead, (tick_us, key, fault.id))


def _turns(watched: _Watched, fault: DesiredFault, tick_us: int) -> list[Turn]:
    """Move the fault's phase on to ``tick_us``; return the turns on the way."""
    turns = []
    if watched.phases[fault.id] is _Phase.AHEAD and fault.start_us <= tick_us:
        watched.phases[fault.id] = _Phase.ACTING
        turns.append(Turn.BEGAN)
    if watched.phases[fault.id] is _Phase.ACTING and fault.end_us <= tick_us:
        watched.phases[fault.id] = _Phase.OVER
        turns.append(Turn.ENDED)
    return turns
