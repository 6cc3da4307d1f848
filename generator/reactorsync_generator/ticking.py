"""Which ticks are due: arithmetic on the global grid of 100 ms, counted from 1970 in UTC.

Every generator computes the same ticks from the wall clock alone, so a shard that moves goes on
with the very tick at which its former owner would have sampled.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

GRID_US: Final = 100_000
"""Distance of the finest ticks, microseconds; every sampling interval is a multiple of it."""


def boundary_after(time_us: int, interval_us: int = GRID_US) -> int:
    """Return the first multiple of ``interval_us`` at or after ``time_us``."""
    return -(-time_us // interval_us) * interval_us


def boundary_before(time_us: int, interval_us: int = GRID_US) -> int:
    """Return the last multiple of ``interval_us`` at or before ``time_us``."""
    return time_us // interval_us * interval_us


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be made now, and what never will be.

    Attributes:
        ticks_us: the newest tick of each interval that has one, oldest first.
        deadlines_us: for each of these intervals, when its readings come out late: at its next
            tick.
        missed: older ticks, counted once for each interval that they were due for.
    """

    ticks_us: tuple[int, ...]
    deadlines_us: tuple[int, ...]
    missed: int

    def late(self, now_us: int) -> int:
        """Return how many came late, or never, when all are made by ``now_us``."""
        return self.missed + sum(now_us > deadline_us for deadline_us in self.deadlines_us)


@dataclass(frozen=True, slots=True)
class Cadence:
    """The sampling intervals that occur in a shard, microseconds.

    A tick is due for every interval that it is a multiple of.
    """

    intervals_us: frozenset[int]

    @classmethod
    def of_milliseconds(cls, intervals: Iterable[int]) -> Cadence:
        """Return the cadence of reactors with these intervals."""
        return cls(frozenset(1000 * interval for interval in intervals))

    def next_due(self, after_us: int) -> int | None:
        """Return the first due tick after ``after_us``; ``None`` when nothing is sampled."""
        return min((boundary_after(after_us + 1, each) for each in self.intervals_us), default=None)

    def due(self, *, last_us: int, now_us: int) -> Due | None:
        """Return what is due in ``(last_us, now_us]``, ``None`` when there is nothing.

        Ticks are never made up for: who comes late makes the newest one of each interval alone.
        """
        newest = {
            interval: tick_us
            for interval in self.intervals_us
            if (tick_us := boundary_before(now_us, interval)) > last_us
        }
        if not newest:
            return None
        return Due(
            ticks_us=tuple(sorted(set(newest.values()))),
            deadlines_us=tuple(tick_us + interval for interval, tick_us in newest.items()),
            missed=sum(
                (tick_us - boundary_after(last_us + 1, interval)) // interval
                for interval, tick_us in newest.items()
            ),
        )
