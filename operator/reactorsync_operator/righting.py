"""Putting right what somebody else wrote: the first time at once, and then not too often."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

RIGHT_AGAIN_SECONDS: Final = 10.0
"""A reactor that was put right is left alone for so long: two that both believe that they lead must
not answer each other as fast as they can."""


class Righting:
    """Asks for reactors, by key, to be published again; ``request`` does that."""

    def __init__(self, request: Callable[[str], None]) -> None:
        self._request = request
        self._righted_at: dict[str, float] = {}
        self._put_off: dict[str, asyncio.TimerHandle] = {}

    def put_right(self, key: str) -> None:
        """Ask now, or as soon as the reactor has been left alone for long enough."""
        loop = asyncio.get_running_loop()
        due_at = self._righted_at.get(key, float("-inf")) + RIGHT_AGAIN_SECONDS
        if due_at <= loop.time():
            self._righted_at[key] = loop.time()
            self._request(key)
        elif key not in self._put_off:
            self._put_off[key] = loop.call_at(due_at, self._put_right_now, key)

    def end(self) -> None:
        """Ask for nothing more, and forget what was asked for."""
        for put_off in self._put_off.values():
            put_off.cancel()
        self._put_off.clear()
        self._righted_at.clear()

    def _put_right_now(self, key: str) -> None:
        del self._put_off[key]
        self.put_right(key)
