"""Changes of the desired state between their arrival and the moment they become valid."""

from __future__ import annotations

from collections.abc import Iterable

from reactorsync_generator.desired_view import Change
from reactorsync_generator.ticking import boundary_after


class Inbox:
    """Changes on their way to the plants; each is valid from the first boundary after it came."""

    def __init__(self) -> None:
        self._changes: list[tuple[int, Change]] = []

    @property
    def boundary_us(self) -> int | None:
        """When the next change is valid; ``None`` when nothing waits."""
        return self._changes[0][0] if self._changes else None

    def put(self, changes: Iterable[Change], now_us: int) -> None:
        """Take changes that have arrived at ``now_us``."""
        boundary_us = boundary_after(now_us)
        self._changes.extend((boundary_us, change) for change in changes)

    def take(self, now_us: int) -> tuple[list[Change], int]:
        """Return the changes valid by ``now_us``, and the boundary that the last of them has."""
        ready = [entry for entry in self._changes if entry[0] <= now_us]
        self._changes = self._changes[len(ready) :]
        return [change for _, change in ready], ready[-1][0] if ready else now_us
