"""How long a consumer has heard nothing: of the broker, or of its fetches alone."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Silence:
    """Counts the seconds that were spent listening in vain; time spent elsewhere does not count.

    Attributes:
        broker_seconds: since the broker was last heard of at all.
        fetch_seconds: since a fetch was last answered.
        newest_fetch_ms: when that was, by the client's clock.
    """

    broker_seconds: float = 0.0
    fetch_seconds: float = 0.0
    newest_fetch_ms: int = 0

    def listened(self, seconds: float, *, newest_fetch_ms: int) -> None:
        """Note ``seconds`` of listening, after which the newest fetch is ``newest_fetch_ms``."""
        if newest_fetch_ms != self.newest_fetch_ms:
            self.newest_fetch_ms = newest_fetch_ms
            self.broker_seconds = self.fetch_seconds = 0.0
        else:
            self.broker_seconds += seconds
            self.fetch_seconds += seconds

    def broker_answered(self) -> None:
        """Note that the broker is there."""
        self.broker_seconds = 0.0

    def nothing_to_fetch(self) -> None:
        """Note that no fetch is due, so that none can be missed."""
        self.fetch_seconds = 0.0
