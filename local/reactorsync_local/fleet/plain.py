"""The summary as lines for a log: one now and then, and one for each change that matters."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from reactorsync.resources.reactor import HealthState
from reactorsync_local.fleet.values import FleetView, PartState, PartView, ReactorView, ScenarioView
from reactorsync_local.rendering.palette import WORST_FIRST
from reactorsync_local.rendering.times import clock

_CHANGES_SHOWN = 20


def stamped(now: datetime, text: str) -> str:
    """Return a line with its time in UTC."""
    return f"{now:%Y-%m-%dT%H:%M:%SZ} {text}"


def summary_line(view: FleetView) -> str:
    """Return the whole summary in one line."""
    counts = view.health_counts
    words = [f"{counts[state]} {state.value.lower()}" for state in WORST_FIRST if counts[state]]
    line = f"{len(view.reactors)} reactors"
    if words:
        line += f" ({', '.join(words)})"
    stream = view.stream
    if stream.rows_per_second is not None:
        line += f", {stream.rows_per_second:,.0f} rows/s"
    if stream.freshness_seconds is not None:
        line += f", {stream.freshness_seconds:.1f} s old"
    for count, what in ((stream.lost_frames, "lost"), (stream.dead_letters, "dead-lettered")):
        if count is not None:
            line += f", {count:,.0f} {what}"
    for scenario in view.scenarios:
        if scenario.seconds_left is not None:
            line += f", {scenario.name} {clock(scenario.seconds_left)} left"
    return line


def changes_between(old: FleetView, new: FleetView) -> list[str]:
    """Return what became different, as lines: parts, health of reactors, scenarios."""
    lines = [] if old.problem == new.problem or not new.problem else [f"trouble: {new.problem}"]
    lines += _part_changes({part.name: part for part in old.parts}, new)
    reactors = _health_changes({reactor.key: reactor for reactor in old.reactors}, new)
    lines += reactors[:_CHANGES_SHOWN]
    if len(reactors) > _CHANGES_SHOWN:
        lines.append(f"and {len(reactors) - _CHANGES_SHOWN} reactors more changed")
    lines += _scenario_changes({one.name: one for one in old.scenarios}, new)
    return lines


def _part_changes(old: Mapping[str, PartView], new: FleetView) -> list[str]:
    lines = []
    for part in new.parts:
        before = old.get(part.name)
        if before is None or (before.state, before.problem) == (part.state, part.problem):
            continue
        if part.state is PartState.READY:
            lines.append(f"{part.name}: ready again")
        else:
            problem = f": {part.problem}" if part.problem else ""
            lines.append(f"{part.name}: {part.state.value}{problem}")
    return lines


def _health_changes(old: Mapping[str, ReactorView], new: FleetView) -> list[str]:
    lines = []
    for reactor in new.worst_first:
        before = old.get(reactor.key)
        if before is None or before.health is reactor.health:
            continue
        if HealthState.UNKNOWN in (before.health, reactor.health):
            continue
        reason = f" ({reactor.reason})" if reactor.reason else ""
        lines.append(f"{reactor.name}: {reactor.health.value}{reason}")
    return lines


def _scenario_changes(old: Mapping[str, ScenarioView], new: FleetView) -> list[str]:
    current = {scenario.name: scenario for scenario in new.scenarios}
    lines = [
        f"scenario {name}: {one.phase.lower()}"
        for name, one in current.items()
        if name not in old or old[name].phase != one.phase
    ]
    return lines + [f"scenario {name}: over" for name in old if name not in current]
