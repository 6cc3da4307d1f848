"""Changes of the desired state between their arrival and the plants."""

from __future__ import annotations

from collections.abc import Iterable

from reactorsync_generator.desired_view import Change
from reactorsync_generator.ticking import boundary_after


class Inbox:
    """Changes on their way to the plants; each is valid from the first boundary after it came.

    They are handed on ahead of that boundary: no tick lies before it, so that plants which follow a
    change early show nothing of it too soon, and the change can be acknowledged at once.
    """

    def __init__(self) -> None:
        self._changes: list[tuple[int, Change]] = []

    @property
    def waits(self) -> bool:
        """Whether there is anything to take."""
        return bool(self._changes)

    def put(self, changes: Iterable[Change], now_us: int) -> None:
        """Take changes that have arrived at ``now_us``."""
        boundary_us = boundary_after(now_us)
        self._changes.extend((boundary_us, change) for change in changes)

    def take(self, now_us: int) -> tuple[list[Change], int]:
        """Return changes, and the boundary from which they are valid.

        Those valid by ``now_us`` come first, all with the last boundary among them; when there are
        none, those of the next boundary.
        """
        limit_us = max(now_us, self._changes[0][0]) if self._changes else now_us
        ready = [entry for entry in self._changes if entry[0] <= limit_us]
        self._changes = self._changes[len(ready) :]
        return [change for _, change in ready], ready[-1][0] if ready else now_us
