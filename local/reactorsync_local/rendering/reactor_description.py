"""``describe reactor``: everything about a plant, its newest reading against its bands."""

from __future__ import annotations

from datetime import datetime

from rich.text import Text

from reactorsync.designs import DESIGNS
from reactorsync.resources import Reactor
from reactorsync.resources.reactor import Site
from reactorsync.signals import LIMITS, signals_of
from reactorsync_local.client import LatestReading
from reactorsync_local.rendering.columns import (
    health_of,
    is_suspended,
    permille,
    power_text,
)
from reactorsync_local.rendering.graphs import band
from reactorsync_local.rendering.palette import (
    ALARM,
    CAUTION,
    DEVIATION_STYLES,
    MUTED,
    deviation_of,
    health_text,
)
from reactorsync_local.rendering.readings import trip_title, unit_text, value_text
from reactorsync_local.rendering.sections import (
    INDENT,
    Lines,
    condition_lines,
    field_line,
    identity,
    section,
)
from reactorsync_local.rendering.times import age, clock, timestamp


def describe_reactor(reactor: Reactor, latest: LatestReading | None, now: datetime) -> Lines:
    """Return all about a reactor; ``latest`` is its newest stored reading."""
    spec, status = reactor.spec, reactor.status
    design = DESIGNS[spec.design]
    lines = identity(reactor, now)
    lines += [
        field_line(
            "Design",
            f"{design.title} ({spec.design.value}), {design.rated_thermal_mw:.0f} MW "
            f"thermal, {design.rated_electrical_mw:.0f} MW electric",
        ),
        field_line("Site", _site(spec.site)),
        field_line("State", spec.state.value),
        field_line(
            "Power",
            f"{power_text(reactor) or 'unknown'}, setpoint "
            f"{permille(spec.power_setpoint_permille)}",
        ),
        field_line(
            "Telemetry",
            f"every {spec.telemetry.interval_milliseconds} ms, noise {spec.telemetry.noise.value}",
        ),
        field_line("Health", _health(reactor)),
    ]
    if status.trip_cause:
        lines.append(field_line("Tripped by", Text(trip_title(status.trip_cause), style=ALARM)))
    if status.generator is not None:
        where = f"{status.generator.name}, shard {status.generator.shard}"
        lines.append(field_line("Generator", where))
    lines.append(field_line("Open alarms", str(status.open_alarms)))
    lines += condition_lines(status.conditions, now)
    lines += _faults_on(reactor, now)
    lines += _latest(reactor, latest, now)
    return lines


def _site(site: Site | None) -> str:
    if site is None:
        return "<none>"
    parts = [site.name]
    if site.country:
        parts.append(site.country)
    if site.latitude_microdegrees is not None and site.longitude_microdegrees is not None:
        latitude, longitude = site.latitude_microdegrees / 1e6, site.longitude_microdegrees / 1e6
        parts.append(
            f"{abs(latitude):.4f}°{'N' if latitude >= 0 else 'S'} "
            f"{abs(longitude):.4f}°{'E' if longitude >= 0 else 'W'}"
        )
    return ", ".join(parts)


def _health(reactor: Reactor) -> Text:
    if is_suspended(reactor):
        return Text(f"not simulated: {reactor.spec.state.value}", style=MUTED)
    text = health_text(health_of(reactor))
    health = reactor.status.health
    if health is not None and health.score is not None:
        text.append(f" (score {health.score} of 100)")
    return text


def _faults_on(reactor: Reactor, now: datetime) -> Lines:
    faults = reactor.status.active_faults
    if not faults:
        return []
    lines = section("Active faults")
    for fault in faults:
        left = (
            ""
            if fault.end_time is None
            else (f", {clock((fault.end_time - now).total_seconds())} left")
        )
        lines.append(
            Text.assemble(
                INDENT,
                (fault.fault, CAUTION),
                f"  by {fault.scenario}/{fault.stage}, since {timestamp(fault.start_time)}{left}",
            )
        )
    return lines


def _latest(reactor: Reactor, latest: LatestReading | None, now: datetime) -> Lines:
    if latest is None:
        return [*section("Latest reading"), Text(f"{INDENT}<none yet>", style=MUTED)]
    when = f"{timestamp(latest.time)} ({age(latest.time, now)} ago)"
    lines = [*section("Latest reading"), Text(f"{INDENT}{when}", style=MUTED)]
    limits = LIMITS[reactor.spec.design]
    for signal in signals_of(reactor.spec.design):
        value = latest.values.get(signal.name)
        limit = limits[signal.name]
        style = "" if value is None else DEVIATION_STYLES[deviation_of(value, limit)]
        normal = (
            f"{value_text(signal, limit.normal_low)} to {value_text(signal, limit.normal_high)}"
        )
        lines.append(
            Text.assemble(
                f"{INDENT}{signal.title:<26}",
                (f"{value_text(signal, value):>10}", style),
                f" {unit_text(signal):<6} ",
                band(value, limit, width=15, style=style),
                (f"  normal {normal}", MUTED),
            )
        )
    return lines
