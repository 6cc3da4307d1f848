"""Time, as something that is passed in: whoever needs it takes a :class:`Clock`."""

from __future__ import annotations

import asyncio
from typing import Protocol

from reactorsync.clock import now_us


class Clock(Protocol):
    """Wall-clock time in UTC."""

    def now_us(self) -> int:
        """Return microseconds since 1970."""
        ...

    async def sleep_until(self, time_us: int) -> None:
        """Return at ``time_us`` or a little later, at once when it has passed."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_us(self) -> int:
        """Return microseconds since 1970."""
        return now_us()

    async def sleep_until(self, time_us: int) -> None:
        """Sleep in the event loop, again where the wall clock was set back meanwhile."""
        while (left_us := time_us - self.now_us()) > 0:
            await asyncio.sleep(min(left_us / 1e6, _LONGEST_SLEEP_SECONDS))


_LONGEST_SLEEP_SECONDS = 1.0
