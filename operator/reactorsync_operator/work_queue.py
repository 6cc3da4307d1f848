"""The queue of objects to look at again: one entry for each, however often it was marked.

It is bounded by the number of objects. A key that is marked while it is being worked on comes again
afterwards, so that no mark is lost and no object is worked on twice at the same time. A key that
failed comes back after a pause that grows with every failure, and no mark brings it back sooner.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

FIRST_PAUSE_SECONDS: Final = 0.1
LONGEST_PAUSE_SECONDS: Final = 60.0


class WorkQueue(Generic[K]):
    """A de-duplicating queue of keys; ``clock`` returns monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._waiting: dict[K, float] = {}
        self._working: set[K] = set()
        self._again: set[K] = set()
        self._failures: dict[K, int] = {}
        self._delayed: set[K] = set()
        self._heap: list[tuple[float, int, K]] = []
        self._order = 0
        self._taken_at = float("-inf")
        self._arrived = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._delayed)

    @property
    def idle(self) -> bool:
        """Whether nothing waits, is delayed or is being worked on."""
        return not (self._waiting or self._working or self._delayed)

    @property
    def oldest_seconds(self) -> float:
        """How long the key has been waiting that waits longest; a pause after a failure is none."""
        marked_at = next(iter(self._waiting.values()), None)
        return 0.0 if marked_at is None else self._clock() - marked_at

    @property
    def stuck_seconds(self) -> float:
        """For how long something has been waiting and nothing was taken.

        The key that waits longest is always taken next: while any are taken, none is passed over.
        """
        marked_at = next(iter(self._waiting.values()), None)
        return 0.0 if marked_at is None else self._clock() - max(marked_at, self._taken_at)

    def add(self, key: K) -> None:
        """Mark a key; one that waits already keeps its place, one that failed its pause."""
        if key in self._working:
            self._again.add(key)
            return
        if key in self._delayed:
            return
        self._waiting.setdefault(key, self._clock())
        self._arrived.set()

    def take(self) -> K | None:
        """Return the key that waits longest and work on it, ``None`` when none waits."""
        self._release_delayed()
        if not self._waiting:
            self._arrived.clear()
            return None
        key = next(iter(self._waiting))
        del self._waiting[key]
        self._taken_at = self._clock()
        self._working.add(key)
        return key

    def done(self, key: K) -> None:
        """Say that the work on a key succeeded."""
        self._failures.pop(key, None)
        self._finish(key)

    def retry(self, key: K) -> float:
        """Say that the work on a key failed; return after how many seconds it comes back."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        longest = min(FIRST_PAUSE_SECONDS * 2.0 ** min(failures, 32), LONGEST_PAUSE_SECONDS)
        pause = random.uniform(longest / 2, longest)  # noqa: S311 - jitter, no secret
        self._order += 1
        self._delayed.add(key)
        heapq.heappush(self._heap, (self._clock() + pause, self._order, key))
        self._finish(key)
        self._arrived.set()
        return pause

    async def wait(self) -> None:
        """Wait until :meth:`take` would return a key."""
        while True:
            self._release_delayed()
            if self._waiting:
                return
            self._arrived.clear()
            remaining = self._heap[0][0] - self._clock() if self._heap else None
            try:
                async with asyncio.timeout(remaining):
                    await self._arrived.wait()
            except TimeoutError:
                continue

    def _finish(self, key: K) -> None:
        self._working.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def _release_delayed(self) -> None:
        now = self._clock()
        while self._heap and self._heap[0][0] <= now:
            key = heapq.heappop(self._heap)[2]
            self._delayed.discard(key)
            self.add(key)
