"""``describe``: everything about one object, in sections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from rich.text import Text

from reactorsync.designs import DESIGNS
from reactorsync.faults import FAULTS
from reactorsync.resources import AnomalyScenario, Condition, Reactor
from reactorsync.resources.meta import ConditionStatus
from reactorsync.resources.reactor import Site
from reactorsync.resources.scenario import Probe, Stage
from reactorsync.signals import LIMITS, signals_of
from reactorsync_local.client import LatestReading
from reactorsync_local.merging import LAST_APPLIED
from reactorsync_local.rendering.columns import (
    health_of,
    permille,
    scenario_phase,
    time_left,
)
from reactorsync_local.rendering.graphs import band
from reactorsync_local.rendering.palette import (
    ALARM,
    CAUTION,
    DEVIATION_STYLES,
    MUTED,
    TITLE,
    deviation_of,
    health_text,
)
from reactorsync_local.rendering.readings import unit_text, value_text
from reactorsync_local.rendering.table import Column, render_table
from reactorsync_local.rendering.times import age, clock, short_duration, timestamp

Lines = list[Text]

_INDENT: Final = "  "
_FIELD_WIDTH: Final = 18


def describe_reactor(reactor: Reactor, latest: LatestReading | None, now: datetime) -> Lines:
    """Return all about a reactor; ``latest`` is its newest stored reading."""
    spec, status = reactor.spec, reactor.status
    design = DESIGNS[spec.design]
    lines = _identity(reactor, now)
    lines += [
        _field(
            "Design",
            f"{design.title} ({spec.design.value}), {design.rated_thermal_mw:.0f} MW "
            f"thermal, {design.rated_electrical_mw:.0f} MW electric",
        ),
        _field("Site", _site(spec.site)),
        _field("State", spec.state.value),
        _field(
            "Power",
            f"{permille(status.power_permille) or 'unknown'}, setpoint "
            f"{permille(spec.power_setpoint_permille)}",
        ),
        _field(
            "Telemetry",
            f"every {spec.telemetry.interval_milliseconds} ms, noise {spec.telemetry.noise.value}",
        ),
        _field("Health", _health(reactor)),
    ]
    if status.trip_cause:
        lines.append(_field("Tripped by", Text(status.trip_cause, style=ALARM)))
    if status.generator is not None:
        where = f"{status.generator.name}, shard {status.generator.shard}"
        lines.append(_field("Generator", where))
    lines.append(_field("Open alarms", str(status.open_alarms)))
    lines += _conditions(status.conditions, now)
    lines += _faults_on(reactor, now)
    lines += _latest(reactor, latest, now)
    return lines


def describe_scenario(scenario: AnomalyScenario, now: datetime) -> Lines:
    """Return all about a scenario."""
    spec, status = scenario.spec, scenario.status
    lines = _identity(scenario, now)
    lines += [
        _field("Phase", scenario_phase(scenario)),
        _field("Summary", status.summary or "<none>"),
        _field("State", spec.state.value),
        _field("Mode", spec.mode.value),
        _field("Conflicts", f"{spec.conflict_policy.value}, priority {spec.priority}"),
    ]
    if spec.schedule is not None:
        schedule = spec.schedule
        lines.append(_field("Schedule", f"{schedule.cron} ({schedule.time_zone})"))
        lines.append(_field("Next run", timestamp(status.next_run_time)))
    lines += _run(scenario, now)
    lines += _targets(scenario)
    lines += _stages(spec.stages)
    lines += _probes(scenario)
    lines += _conditions(status.conditions, now)
    lines += _history(scenario)
    return lines


def _identity(resource: Reactor | AnomalyScenario, now: datetime) -> Lines:
    meta = resource.metadata
    annotations = {key: value for key, value in meta.annotations.items() if key != LAST_APPLIED}
    lines = [
        _field("Name", Text(meta.name, style=TITLE)),
        _field("Namespace", meta.namespace),
        *_mapping("Labels", meta.labels),
    ]
    if annotations:
        lines += _mapping("Annotations", annotations)
    created = f"{timestamp(meta.creation_timestamp)} ({age(meta.creation_timestamp, now)} ago)"
    lines += [
        _field("Created", created),
        _field("Generation", f"{meta.generation}, observed {resource.status.observed_generation}"),
    ]
    return lines


def _field(name: str, value: str | Text) -> Text:
    text = value if isinstance(value, Text) else Text(value)
    return Text.assemble((f"{name + ':':<{_FIELD_WIDTH}}", MUTED), text)


def _mapping(name: str, values: Mapping[str, str]) -> Lines:
    if not values:
        return [_field(name, "<none>")]
    pairs = [f"{key}={value}" for key, value in sorted(values.items())]
    return [_field(name, pairs[0]), *(Text(" " * _FIELD_WIDTH + pair) for pair in pairs[1:])]


def _section(title: str) -> Lines:
    return [Text(), Text(title, style=TITLE)]


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
    text = health_text(health_of(reactor))
    health = reactor.status.health
    if health is not None and health.score is not None:
        text.append(f" (score {health.score} of 100)")
    return text


def _table(columns: Sequence[Column[Condition]], rows: Iterable[Condition]) -> Lines:
    table = render_table(columns, rows)
    return [Text(_INDENT) + line for line in [table.titles, *table.rows]]


def _conditions(conditions: Sequence[Condition], now: datetime) -> Lines:
    if not conditions:
        return [*_section("Conditions"), Text(f"{_INDENT}<none yet>", style=MUTED)]
    columns: list[Column[Condition]] = [
        Column("TYPE", lambda condition: condition.type),
        Column("STATUS", _condition_status),
        Column("SINCE", lambda condition: age(condition.last_transition_time, now)),
        Column("REASON", lambda condition: condition.reason),
        Column("MESSAGE", lambda condition: condition.message),
    ]
    return [*_section("Conditions"), *_table(columns, conditions)]


def _condition_status(condition: Condition) -> Text:
    unknown = condition.status is ConditionStatus.UNKNOWN
    return Text(condition.status.value, style=MUTED if unknown else "")


def _faults_on(reactor: Reactor, now: datetime) -> Lines:
    faults = reactor.status.active_faults
    if not faults:
        return []
    lines = _section("Active faults")
    for fault in faults:
        left = (
            ""
            if fault.end_time is None
            else (f", {clock((fault.end_time - now).total_seconds())} left")
        )
        lines.append(
            Text.assemble(
                _INDENT,
                (fault.fault, CAUTION),
                f"  by {fault.scenario}/{fault.stage}, since {timestamp(fault.start_time)}{left}",
            )
        )
    return lines


def _latest(reactor: Reactor, latest: LatestReading | None, now: datetime) -> Lines:
    if latest is None:
        return [*_section("Latest reading"), Text(f"{_INDENT}<none yet>", style=MUTED)]
    when = f"{timestamp(latest.time)} ({age(latest.time, now)} ago)"
    lines = [*_section("Latest reading"), Text(f"{_INDENT}{when}", style=MUTED)]
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
                f"{_INDENT}{signal.title:<26}",
                (f"{value_text(signal, value):>10}", style),
                f" {unit_text(signal):<6} ",
                band(value, limit, width=15, style=style),
                (f"  normal {normal}", MUTED),
            )
        )
    return lines


def _run(scenario: AnomalyScenario, now: datetime) -> Lines:
    run = scenario.status.run
    if run is None:
        return []
    left = time_left(scenario, now)
    lines = [
        *_section(f"Run {run.number}"),
        _field(
            f"{_INDENT}Phase",
            run.phase.value if left is None else f"{run.phase.value}, {clock(left)} left",
        ),
        _field(f"{_INDENT}Start", timestamp(run.start_time)),
        _field(f"{_INDENT}End", timestamp(run.end_time)),
        _field(f"{_INDENT}Injected", timestamp(run.injected_time)),
        _field(f"{_INDENT}Recovered", timestamp(run.recovered_time)),
    ]
    if scenario.status.score is not None:
        lines.append(_field(f"{_INDENT}Score", str(scenario.status.score)))
    if (detection := scenario.status.detection) is not None:
        seconds = detection.time_to_detect_milliseconds
        after = "" if seconds is None else f", median after {seconds / 1000:.1f} s"
        lines.append(
            _field(
                f"{_INDENT}Detected",
                f"{detection.detected}{after}; missed {detection.missed}, "
                f"false alarms {detection.false_alarms}",
            )
        )
    return lines


def _targets(scenario: AnomalyScenario) -> Lines:
    counts, targets = scenario.status.targets, scenario.spec.targets
    if targets.names is not None:
        chosen_by = ", ".join(targets.names)
    else:
        selector = targets.selector
        terms = (
            [f"{key}={value}" for key, value in selector.match_labels.items()] if selector else []
        )
        for expression in selector.match_expressions if selector else []:
            values = f" ({', '.join(expression.values)})" if expression.values else ""
            terms.append(f"{expression.key} {expression.operator.value}{values}")
        chosen_by = ", ".join(terms) or "every reactor"
    lines = [
        *_section("Targets"),
        _field(f"{_INDENT}Chosen by", chosen_by),
        _field(
            f"{_INDENT}How many", f"{targets.count}, seed {targets.seed}, {targets.policy.value}"
        ),
        _field(
            f"{_INDENT}Now",
            f"{counts.matched} matched, {counts.selected} selected, {counts.injected} injected, "
            f"{counts.recovered} recovered, {counts.failed} failed",
        ),
    ]
    for failure in scenario.status.failures:
        text = f"{_INDENT}{failure.reactor}: {failure.reason}: {failure.message}"
        lines.append(Text(text, style=CAUTION))
    return lines


def _stages(stages: Sequence[Stage]) -> Lines:
    lines = _section("Stages")
    for stage in stages:
        start = short_duration(stage.offset_seconds)
        end = short_duration(stage.offset_seconds + stage.duration_seconds)
        ramp = f" over {short_duration(stage.ramp_seconds)}" if stage.ramp_seconds else ""
        sensor = f" of {stage.sensor.signal}" if stage.sensor is not None else ""
        lines.append(
            Text.assemble(
                f"{_INDENT}{start:>6} – {end:<6} ",
                (f"{stage.name}: ", ""),
                f"{FAULTS[stage.fault].title}{sensor}, {stage.severity_percent} %, "
                f"{stage.shape.value}{ramp}",
            )
        )
    return lines


def _probes(scenario: AnomalyScenario) -> Lines:
    probes: list[Probe] = [*scenario.spec.probes, *scenario.spec.abort_when]
    if not probes:
        return []
    results = {result.name: result for result in scenario.status.probes}
    lines = _section("Probes")
    for probe in probes:
        result = results.get(probe.name)
        passed = result.passed if result is not None else None
        verdict = {True: "passed", False: "failed", None: "undecided"}[passed]
        style = {True: "", False: CAUTION, None: MUTED}[passed]
        message = f"  {result.message}" if result is not None and result.message else ""
        lines.append(
            Text.assemble(
                f"{_INDENT}{probe.name} ({probe.phase.value}): ", (verdict, style), message
            )
        )
    return lines


def _history(scenario: AnomalyScenario) -> Lines:
    history = scenario.status.history
    if not history:
        return []
    lines = _section("History")
    for past in history:
        score = "" if past.score is None else f", score {past.score}"
        lines.append(
            Text(
                f"{_INDENT}run {past.number}: {past.phase.value}, {timestamp(past.start_time)} to "
                f"{timestamp(past.end_time)}, {past.targets} targets{score}"
            )
        )
    return lines
