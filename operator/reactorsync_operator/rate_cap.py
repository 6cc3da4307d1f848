"""How many announcements may be made: buckets of tokens for an object, for a reason and overall."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final

_REMEMBERED: Final = 4096
"""Buckets kept; beyond them the one that was used longest ago is full again."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many at once, and then so many a second."""

    burst: float
    per_second: float


PER_OBJECT: Final = Rate(burst=25, per_second=1 / 60)
PER_REASON: Final = Rate(burst=20, per_second=1)
OVERALL: Final = Rate(burst=100, per_second=10)


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float

    def fill(self, rate: Rate, now: float) -> None:
        self.tokens = min(rate.burst, self.tokens + (now - self.filled_at) * rate.per_second)
        self.filled_at = now


class RateCap:
    """Says whether something may be announced of an object, for a reason.

    The cap for a reason is what keeps one cause with ten thousand victims, such as a broker that
    is away, from being told ten thousand times. ``clock`` returns monotonic seconds.
    """

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._buckets: OrderedDict[Hashable, _Bucket] = OrderedDict()

    def allows(self, of_object: Hashable, reason: str) -> bool:
        """Take a token of each bucket; of none if one is empty."""
        now = self._clock()
        buckets = [
            self._bucket(("object", of_object), PER_OBJECT, now),
            self._bucket(("reason", reason), PER_REASON, now),
            self._bucket("overall", OVERALL, now),
        ]
        if any(bucket.tokens < 1 for bucket in buckets):
            return False
        for bucket in buckets:
            bucket.tokens -= 1
        return True

    def _bucket(self, key: Hashable, rate: Rate, now: float) -> _Bucket:
        bucket = self._buckets.setdefault(key, _Bucket(rate.burst, now))
        self._buckets.move_to_end(key)
        if len(self._buckets) > _REMEMBERED:
            self._buckets.popitem(last=False)
        bucket.fill(rate, now)
        return bucket
