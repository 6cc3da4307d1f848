"""How many readings a generator can make, measured: what it makes, by how busy that keeps it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from reactorsync.wire.events import ShardHeartbeat
from reactorsync_operator.metrics import GENERATOR_CAPACITY

BUSY_GOAL: Final = 0.7
"""Share of its processor time that a generator is to use: the rest is for bursts."""

LEAST_BUSY: Final = 0.05
"""A generator that does less tells more of its idling than of its work."""

SILENT_SECONDS: Final = 15.0
"""A generator that has said nothing for so long no longer counts."""

SMOOTHING_SECONDS: Final = 60.0
"""Time after which a new load makes up most of the measure."""

LEAST_SHARE: Final = 0.25
GREATEST_SHARE: Final = 10.0
"""Bounds of what is measured, in shares of what is configured: no measure is trusted further."""


@dataclass(slots=True)
class _Generator:
    readings: dict[int, float] = field(default_factory=dict)
    busy: float | None = None
    heard_at: float = 0.0


class Capacity:
    """What one generator can make, from the heartbeats of all. ``clock``: monotonic seconds."""

    def __init__(self, configured: int, *, clock: Callable[[], float]) -> None:
        self._configured = float(configured)
        self._clock = clock
        self._generators: defaultdict[str, _Generator] = defaultdict(_Generator)
        self._measured: float | None = None
        self._measured_at = 0.0
        GENERATOR_CAPACITY.set(configured)

    @property
    def readings_per_second(self) -> float:
        """Readings per second that one generator is to make at most."""
        return self._configured if self._measured is None else self._measured

    def take(self, heartbeat: ShardHeartbeat) -> None:
        """Take in what a generator says of one of its shards."""
        now = self._clock()
        for other in self._generators.values():
            other.readings.pop(heartbeat.shard, None)
        one = self._generators[heartbeat.generator]
        one.readings[heartbeat.shard] = heartbeat.readings_per_second
        one.heard_at = now
        if heartbeat.busy_permille is not None:
            one.busy = heartbeat.busy_permille / 1000
        self._measure(now)

    def _measure(self, now: float) -> None:
        for name in list(self._generators):
            if now - self._generators[name].heard_at > SILENT_SECONDS:
                del self._generators[name]
        working = [
            (sum(one.readings.values()), one.busy)
            for one in self._generators.values()
            if one.busy is not None and one.busy >= LEAST_BUSY and one.readings
        ]
        readings, busy = sum(load for load, _ in working), sum(busy for _, busy in working)
        if not readings:
            return
        seen = self._bounded(BUSY_GOAL * readings / busy)
        if self._measured is None:
            # The first heartbeats of a generator speak of some of its shards alone.
            self._measured, self._measured_at = self._configured, now
        weight = min((now - self._measured_at) / SMOOTHING_SECONDS, 1.0)
        self._measured += weight * (seen - self._measured)
        self._measured_at = now
        GENERATOR_CAPACITY.set(self._measured)

    def _bounded(self, capacity: float) -> float:
        least, most = self._configured * LEAST_SHARE, self._configured * GREATEST_SHARE
        return min(max(capacity, least), most)
