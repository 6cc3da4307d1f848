"""How often a large scenario is planned: each plan counts all targets, and each of them reports."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from reactorsync.resources import AnomalyScenario

LARGE_FROM: Final = 500
"""A scenario with this many targets is planned at most every :data:`LARGE_PAUSE`, however many
reports come in."""

LARGE_PAUSE: Final = timedelta(milliseconds=200)


@dataclass(frozen=True, slots=True)
class _LastPlan:
    """When a scenario was planned last, and for which spec."""

    made_at: datetime
    generation: int


class Pace:
    """Remembers when scenarios, by name, were planned."""

    def __init__(self) -> None:
        self._last: dict[str, _LastPlan] = {}

    def planned(self, name: str, scenario: AnomalyScenario, now: datetime) -> None:
        """Note that a scenario is planned now."""
        self._last[name] = _LastPlan(now, scenario.metadata.generation)

    def forget(self, name: str) -> None:
        """Drop a scenario that is gone."""
        self._last.pop(name, None)

    def put_off(
        self, name: str, scenario: AnomalyScenario, *, targets: int, now: datetime
    ) -> datetime | None:
        """Return until when a plan has to wait, ``None`` if it is due.

        What its user asks for waits for nothing.
        """
        last = self._last.get(name)
        if targets < LARGE_FROM or last is None:
            return None
        if last.generation != scenario.metadata.generation:
            return None
        again_at = last.made_at + LARGE_PAUSE
        return again_at if last.made_at <= now < again_at else None
