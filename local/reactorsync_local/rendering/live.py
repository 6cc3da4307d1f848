"""Live readings of a few reactors: value, place in the normal band, trend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.console import Group
from rich.text import Text

from reactorsync.designs import Design
from reactorsync.signals import LIMITS, Signal
from reactorsync_local.rendering.graphs import band, sparkline
from reactorsync_local.rendering.palette import (
    ALARM,
    CAUTION,
    DEVIATION_MARKS,
    DEVIATION_STYLES,
    MUTED,
    TITLE,
    Deviation,
    deviation_of,
)
from reactorsync_local.rendering.readings import trip_title, unit_text, value_text

TREND_LENGTH = 60
STALE_SECONDS = 5.0

_BAND_WIDTH = 21
_SHARE_OF_BAND = 0.5
"""The least height of a trend, as a share of the normal band: noise stays flat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedReactor:
    """A reactor on the screen; ``trends`` hold the last values by signal, newest last."""

    key: str
    design: Design
    signals: Sequence[Signal]
    time: datetime | None
    trip_cause: str | None
    values: Mapping[str, float]
    trends: Mapping[str, Sequence[float | None]]


def render_reactors(
    reactors: Sequence[WatchedReactor], now: datetime, *, trouble: str, footer: str
) -> Group:
    """Return the reactors below each other."""
    lines: list[Text] = []
    if trouble:
        lines += [Text(trouble, style=ALARM), Text()]
    for reactor in reactors:
        lines += [_header(reactor, now), *(_row(reactor, one) for one in reactor.signals), Text()]
    lines.append(Text(footer, style=MUTED))
    return Group(*lines)


def _header(reactor: WatchedReactor, now: datetime) -> Text:
    name = reactor.key.removeprefix("default/")
    line = Text.assemble((name, TITLE), (f"  {reactor.design.value}", MUTED))
    if reactor.time is None:
        return line.append("  waiting for the first reading", style=CAUTION)
    age = (now - reactor.time).total_seconds()
    line.append(f"  {reactor.time:%H:%M:%S} UTC", style=MUTED)
    if age > STALE_SECONDS:
        line.append(f"  stale, {age:.0f} s old", style=CAUTION)
    if reactor.trip_cause is not None:
        line.append(f"  ■ TRIPPED: {trip_title(reactor.trip_cause)}", style=ALARM)
    return line


def _row(reactor: WatchedReactor, signal: Signal) -> Text:
    limits = LIMITS[reactor.design][signal.name]
    value = reactor.values.get(signal.name)
    deviation = Deviation.NONE if value is None else deviation_of(value, limits)
    style = DEVIATION_STYLES[deviation]
    span = (limits.normal_high - limits.normal_low) * _SHARE_OF_BAND
    trend = sparkline(reactor.trends.get(signal.name, ()), width=TREND_LENGTH, least_span=span)
    return Text.assemble(
        f"  {signal.title:<24}",
        (f"{DEVIATION_MARKS[deviation] + value_text(signal, value):>10}", style),
        f" {unit_text(signal):<5} ",
        (f"{value_text(signal, limits.normal_low):>8} ", MUTED),
        band(value, limits, width=_BAND_WIDTH, style=style),
        (f" {value_text(signal, limits.normal_high):<8} ", MUTED),
        (trend, style),
    )


def reading_line(
    reactor: str,
    time: datetime,
    trip_cause: str | None,
    values: Mapping[str, float],
    signals: Sequence[Signal],
) -> str:
    """Return a reading as one line of ``key=value`` fields."""
    stamp = time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    fields = [
        f"{signal.name}={value_text(signal, values[signal.name])}"
        for signal in signals
        if signal.name in values
    ]
    trip = [f"trip={trip_cause}"] if trip_cause is not None else []
    return " ".join([stamp, reactor, *trip, *fields])
