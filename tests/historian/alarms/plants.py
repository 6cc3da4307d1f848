"""One shard's alarms, fed with readings of plants that are at rest except for what a test says."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid5

import numpy as np

from reactorsync.designs import Design
from reactorsync.signals import LIMITS, SIGNAL_INDEX, SIGNALS
from reactorsync_historian.alarms.shard import Change, Cleared, OpenAlarm, Raised, ShardAlarms
from reactorsync_historian.fleet import FleetView, Plant

SECOND = 1_000_000
START = 1_760_000_000 * SECOND
NAN = float("nan")

_NAMES = UUID("00000000-0000-4000-8000-000000000000")


def uid_of(key: str) -> UUID:
    return uuid5(_NAMES, key)


def at_rest(design: Design, **changed: float) -> np.ndarray:
    """Readings in the middle of the normal band, but for the signals that are named."""
    values = np.full(len(SIGNALS), np.nan, np.float32)
    for signal, limits in LIMITS[design].items():
        values[SIGNAL_INDEX[signal]] = (limits.normal_low + limits.normal_high) / 2
    for signal, value in changed.items():
        values[SIGNAL_INDEX[signal]] = value
    return values


@dataclass
class Watched:
    """Reactors ``default/0``, ``default/1``, ... under watch; their ids are 1, 2, ..."""

    designs: Sequence[Design] = (Design.PWR_3_LOOP,)
    open_alarms: Sequence[OpenAlarm] = ()
    fleet: FleetView = field(default_factory=FleetView)
    now_us: int = START

    def __post_init__(self) -> None:
        for number, design in enumerate(self.designs):
            self.fleet.put(f"default/{number}", Plant(uid_of(f"default/{number}"), design))
        self.alarms = ShardAlarms(self.fleet, self.open_alarms)

    def read(self, *reactors: int, **changed: float) -> list[Change]:
        """Give the readings of now."""
        return self.read_at(self.now_us, *reactors, **changed)

    def read_at(self, tick_us: int, *reactors: int, **changed: float) -> list[Change]:
        """Give the readings of one tick of these reactors (of all, when none is named)."""
        chosen = list(reactors) or list(range(len(self.designs)))
        rows = [at_rest(self.designs[number], **changed) for number in chosen]
        return self.alarms.judge(
            tick_us=tick_us,
            reactor_ids=np.array([number + 1 for number in chosen], np.int32),
            keys=[f"default/{number}" for number in chosen],
            readings=np.array(rows, np.float32).T,
        )

    def tick(self, *reactors: int, seconds: float = 1.0, **changed: float) -> list[Change]:
        """Let a sampling interval pass, then read."""
        self.now_us += round(seconds * SECOND)
        return self.read(*reactors, **changed)

    def ticks(self, count: int, *, seconds: float = 1.0, **changed: float) -> list[Change]:
        return [change for _ in range(count) for change in self.tick(seconds=seconds, **changed)]


def told(changes: Sequence[Change]) -> list[tuple[str, ...]]:
    """Say in short what was raised and cleared."""
    return [
        (change.signal, change.condition) if isinstance(change, Raised) else ("cleared",)
        for change in changes
    ]


def raised(changes: Sequence[Change]) -> Raised:
    (alarm,) = changes
    assert isinstance(alarm, Raised)
    return alarm


def cleared(changes: Sequence[Change]) -> Cleared:
    (alarm,) = changes
    assert isinstance(alarm, Cleared)
    return alarm
