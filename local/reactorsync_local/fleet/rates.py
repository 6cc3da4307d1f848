"""Rates from counters that are read now and then."""

from __future__ import annotations

from collections import deque
from typing import Final

_WINDOW_SECONDS: Final = 10.0


class Rate:
    """Increase per second of a counter, over about the last ten seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque()

    def add(self, seconds: float, value: float) -> None:
        """Note the counter's value at a moment; a smaller one than before means a restart."""
        if self._samples and value < self._samples[-1][1]:
            self._samples.clear()
        self._samples.append((seconds, value))
        while len(self._samples) > 2 and seconds - self._samples[1][0] >= _WINDOW_SECONDS:
            self._samples.popleft()

    @property
    def per_second(self) -> float | None:
        """The rate, ``None`` before there are two values."""
        if len(self._samples) < 2:
            return None
        (first, low), (last, high) = self._samples[0], self._samples[-1]
        return (high - low) / (last - first) if last > first else None
