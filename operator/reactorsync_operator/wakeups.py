"""One heap for all that has to happen by the clock: starts, ends, deadlines."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Hashable
from datetime import datetime
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

LONGEST_SLEEP_SECONDS: Final = 30.0
"""The wall clock may be set; it is looked at again at least this often."""


class Timers(Generic[K]):
    """At most one moment for each key. ``clock`` returns the time in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._moments: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._order = 0
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._moments)

    def set(self, key: K, moment: float | None) -> None:
        """Wake ``key`` at ``moment`` instead of whenever it was to be woken; ``None``: never."""
        if moment is None:
            self._moments.pop(key, None)
            return
        if self._moments.get(key) != moment:
            self._moments[key] = moment
            self._order += 1
            heapq.heappush(self._heap, (moment, self._order, key))
            self._drop_outdated()
        if self._heap[0][2] == key:
            self._changed.set()

    def due(self) -> list[K]:
        """Return the keys whose moment has come, earliest first, and forget it."""
        keys = []
        while (key := self._take()) is not None:
            keys.append(key)
        return keys

    async def next(self) -> K:
        """Wait for the key whose moment comes first, and forget it."""
        while (key := self._take()) is None:
            await self.wait()
        return key

    async def wait(self, *, seconds: float = LONGEST_SLEEP_SECONDS) -> None:
        """Wait until the earliest moment has come, :meth:`wake` is called, or for ``seconds``."""
        self._changed.clear()
        if self._heap:
            seconds = min(max(self._heap[0][0] - self._clock(), 0.0), seconds)
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return

    def wake(self) -> None:
        """End the waiting now."""
        self._changed.set()

    def _take(self) -> K | None:
        now = self._clock()
        while self._heap and self._heap[0][0] <= now:
            moment, _, key = heapq.heappop(self._heap)
            if self._moments.get(key) == moment:
                del self._moments[key]
                return key
        return None

    def _drop_outdated(self) -> None:
        """Keep the heap in proportion to the keys, when moments are moved often."""
        if len(self._heap) > 2 * len(self._moments) + 1000:
            self._heap = [entry for entry in self._heap if self._moments.get(entry[2]) == entry[0]]
            heapq.heapify(self._heap)


class Wakeups(Generic[K]):
    """Timers by the calendar. ``clock`` returns the time in UTC."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._timers: Timers[K] = Timers(lambda: clock().timestamp())

    def __len__(self) -> int:
        return len(self._timers)

    def set(self, key: K, moment: datetime | None) -> None:
        """Wake ``key`` at ``moment`` instead of whenever it was to be woken; ``None``: never."""
        self._timers.set(key, None if moment is None else moment.timestamp())

    def due(self) -> list[K]:
        """Return the keys whose moment has come, and forget it."""
        return self._timers.due()

    async def wait(self) -> None:
        """Wait until the earliest moment has come, or a while."""
        await self._timers.wait()
