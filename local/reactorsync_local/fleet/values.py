"""What the summary shows, as values."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from reactorsync.designs import Design
from reactorsync.resources.reactor import HealthState
from reactorsync.signals import LIMITS
from reactorsync_local.rendering.palette import WORST_FIRST, Deviation, deviation_of
from reactorsync_local.rendering.readings import trip_title

KEY_SIGNALS: Final = (
    "neutron_power_percent",
    "core_outlet_temperature_c",
    "primary_pressure_mpa",
    "primary_flow_kg_s",
    "steam_generator_level_percent",
    "generator_power_mw",
)
"""Signals of the summary: every design has them."""

TREND_SIGNAL: Final = "neutron_power_percent"


def natural_order(name: str) -> list[tuple[int, str]]:
    """Return a sort key that compares the numbers within a name as numbers."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactorView:
    """One reactor. ``values`` are live readings by signal, ``trend`` the last of one of them."""

    key: str
    design: Design
    health: HealthState
    trip_cause: str | None
    faults: Sequence[str]
    values: Mapping[str, float] = field(default_factory=dict)
    trend: Sequence[float | None] = ()
    read_at: datetime | None = None

    @property
    def name(self) -> str:
        """Name, with the namespace unless it is the default one."""
        return self.key.removeprefix("default/")

    @property
    def reason(self) -> str:
        """Why the health is not nominal: what tripped the plant, else the faults that act."""
        if self.trip_cause is not None:
            return trip_title(self.trip_cause).lower()
        return ", ".join(dict.fromkeys(self.faults))

    def deviation(self, signal: str) -> Deviation:
        """Return how far a reading is from what is normal."""
        value = self.values.get(signal)
        if value is None:
            return Deviation.NONE
        return deviation_of(value, LIMITS[self.design].get(signal))

    @property
    def badness(self) -> tuple[int, int, list[tuple[int, str]]]:
        """Sort key: worst first, then by name as people count (``bruce-2`` before ``bruce-10``)."""
        beyond = sum(self.deviation(signal) for signal in self.values)
        return WORST_FIRST.index(self.health), -beyond, natural_order(self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioView:
    """A scenario that runs, or is about to. Times in seconds; ``starts_in`` while it is pending.

    One that waits for its probes has neither time; those of one that is held stand still.
    """

    name: str
    phase: str
    faults: Sequence[str]
    selected: int
    injected: int
    share_done: float
    seconds_left: float | None
    starts_in: float | None


class PartState(StrEnum):
    """How a part is, in one word."""

    READY = "ready"
    STARTING = "starting"
    NOT_READY = "not ready"
    DOWN = "down"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartView:
    """A process of the installation, and what is wrong with it if something is."""

    name: str
    state: PartState
    restarts: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamView:
    """The stream of telemetry; ``None`` for what nobody tells.

    Rates are per second over the last few seconds, counts are since each part's start.
    """

    rows_per_second: float | None = None
    frames_per_second: float | None = None
    freshness_seconds: float | None = None
    lag_frames: float | None = None
    lost_frames: float | None = None
    dead_letters: float | None = None
    late_ticks: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetView:
    """Everything the summary shows at one moment."""

    url: str
    release: str
    now: datetime
    started_at: datetime | None
    reactors: Sequence[ReactorView]
    scenarios: Sequence[ScenarioView]
    stream: StreamView
    parts: Sequence[PartView]
    problem: str = ""

    @property
    def health_counts(self) -> Mapping[HealthState, int]:
        """How many reactors are in which state."""
        return Counter(reactor.health for reactor in self.reactors)

    @property
    def worst_first(self) -> list[ReactorView]:
        """The reactors, worst first."""
        return sorted(self.reactors, key=lambda reactor: reactor.badness)
