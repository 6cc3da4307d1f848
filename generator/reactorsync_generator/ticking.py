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
    """The tick to be made now. ``missed`` counts the due ticks before it that never will be."""

    tick_us: int
    missed: int


@dataclass(frozen=True, slots=True)
class Cadence:
    """The sampling intervals that occur in a shard, microseconds.

    A tick is due when it is a multiple of at least one of them.
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
        """Return the newest due tick in ``(last_us, now_us]``, ``None`` when there is none.

        Ticks are never made up for: whoever comes late makes the newest one alone.
        """
        newest = max((boundary_before(now_us, each) for each in self.intervals_us), default=last_us)
        if newest <= last_us:
            return None
        return Due(newest, missed=self.count_between(last_us, newest))

    def deadline(self, tick_us: int) -> int:
        """Return when the readings of ``tick_us`` come out late: at the next due tick."""
        following = self.next_due(tick_us)
        if following is None:
            raise ValueError("a cadence without intervals has no ticks")
        return following

    def count_between(self, after_us: int, before_us: int) -> int:
        """Return how many ticks are due strictly between two times."""
        if len(self.intervals_us) == 1:
            (interval,) = self.intervals_us
            return max(0, (before_us - 1) // interval - after_us // interval)
        return len(
            set().union(
                *(
                    range(boundary_after(after_us + 1, each), before_us, each)
                    for each in self.intervals_us
                )
            )
        )
