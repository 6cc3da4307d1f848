"""Colours and symbols: grey while all is well, colour and shape only for what is not (ISA-101)."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from rich.text import Text

from reactorsync.resources.reactor import HealthState
from reactorsync.signals import Limits

MUTED: Final = "dim"
CAUTION: Final = "yellow"
ALARM: Final = "bold red"
TITLE: Final = "bold"

HEALTH_SYMBOLS: Final = {
    HealthState.NOMINAL: "●",
    HealthState.DEGRADED: "▲",
    HealthState.TRIPPED: "■",
    HealthState.UNKNOWN: "○",
}

HEALTH_STYLES: Final = {
    HealthState.NOMINAL: "",
    HealthState.DEGRADED: CAUTION,
    HealthState.TRIPPED: ALARM,
    HealthState.UNKNOWN: MUTED,
}

WORST_FIRST: Final = (
    HealthState.TRIPPED,
    HealthState.DEGRADED,
    HealthState.UNKNOWN,
    HealthState.NOMINAL,
)


class Deviation(IntEnum):
    """How far a reading is from what is normal."""

    NONE = 0
    BEYOND_ALARM = 1
    BEYOND_SECOND_ALARM = 2


DEVIATION_STYLES: Final = {
    Deviation.NONE: "",
    Deviation.BEYOND_ALARM: CAUTION,
    Deviation.BEYOND_SECOND_ALARM: ALARM,
}

DEVIATION_MARKS: Final = {
    Deviation.NONE: "",
    Deviation.BEYOND_ALARM: "!",
    Deviation.BEYOND_SECOND_ALARM: "!!",
}


def deviation_of(value: float, limits: Limits | None) -> Deviation:
    """Return which alarm limit a reading is beyond, if any."""
    if limits is None or value != value:
        return Deviation.NONE
    if _beyond(value, limits.low_low, limits.high_high):
        return Deviation.BEYOND_SECOND_ALARM
    if _beyond(value, limits.low, limits.high):
        return Deviation.BEYOND_ALARM
    return Deviation.NONE


def health_text(state: HealthState) -> Text:
    """Return a health state as symbol and word."""
    return Text(f"{HEALTH_SYMBOLS[state]} {state.value}", style=HEALTH_STYLES[state])


def _beyond(value: float, low: float | None, high: float | None) -> bool:
    return (low is not None and value < low) or (high is not None and value > high)
