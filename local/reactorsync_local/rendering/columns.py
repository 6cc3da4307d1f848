"""What ``get`` shows of each kind."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from rich.text import Text

from reactorsync.resources import (
    AnomalyScenario,
    Condition,
    Reactor,
    Resource,
    condition_of,
)
from reactorsync.resources.meta import ConditionStatus
from reactorsync.resources.reactor import HealthState, ReactorState
from reactorsync.resources.scenario import ScenarioMode, ScenarioState
from reactorsync.resources.scenario_status import RunPhase
from reactorsync_local.kinds import REACTORS, KindInfo
from reactorsync_local.rendering.palette import ALARM, CAUTION, MUTED, health_text
from reactorsync_local.rendering.readings import trip_title
from reactorsync_local.rendering.table import Column, TableLines, render_table
from reactorsync_local.rendering.times import age, short_duration, timestamp

HELD: Final = "Held"
"""The phase of a run whose clock stands still."""

_DRY_RUN: Final = "DryRun"
_MISSED: Final = "Missed"
"""What is said of a run that nobody was there to begin; also the reason of its ``Succeeded``."""

_REFUSALS: Final = {
    "GuardTripped": "Refused",
    "EnvironmentMismatch": "Refused",
    "InvalidSpec": "Invalid",
}


def resource_table(
    kind: KindInfo,
    resources: Sequence[Resource],
    now: datetime,
    *,
    namespaces: bool,
    wide: bool,
    width: int | None = None,
) -> TableLines:
    """Return the table of objects of one kind; ages are as of ``now``.

    Into a ``width`` fits as much of the scenarios' status as there is room for; wide, all of it.
    """
    if kind is REACTORS:
        reactors = [item for item in resources if isinstance(item, Reactor)]
        return render_table(reactor_columns(now, namespaces=namespaces), reactors, wide=wide)
    scenarios = [item for item in resources if isinstance(item, AnomalyScenario)]
    columns = scenario_columns(now, namespaces=namespaces)
    return render_table(columns, scenarios, wide=wide, width=None if wide else width)


def health_of(reactor: Reactor) -> HealthState:
    """Return the plant's health, ``Unknown`` before anybody said."""
    health = reactor.status.health
    return health.state if health is not None else HealthState.UNKNOWN


def is_suspended(reactor: Reactor) -> bool:
    """Return whether the plant is not simulated now, as the user asked."""
    return reactor.spec.state is ReactorState.SUSPENDED


def permille(value: int | None) -> str:
    """Return thousandths as a percentage: ``99.8%``."""
    return "" if value is None else f"{value / 10:.1f}%"


def condition_text(resource: Reactor | AnomalyScenario, type_: str) -> Text:
    """Return a condition's status; one that does not hold stands out."""
    condition = condition_of(resource.status.conditions, type_)
    if condition is None:
        return Text("Unknown", style=MUTED)
    holds = condition.status is ConditionStatus.TRUE
    return Text(condition.status.value, style="" if holds else CAUTION)


def power_text(reactor: Reactor) -> str:
    """Return the plant's power; one that is not simulated has none, whatever it last was."""
    return "" if is_suspended(reactor) else permille(reactor.status.power_permille)


def _health_cell(reactor: Reactor) -> Text:
    if is_suspended(reactor):
        return Text(reactor.spec.state.value, style=MUTED)
    text = health_text(health_of(reactor))
    return text[2:] if text.plain else text


def _site(reactor: Reactor) -> str:
    site = reactor.spec.site
    if site is None:
        return ""
    return f"{site.name} ({site.country})" if site.country else site.name


def reactor_columns(now: datetime, *, namespaces: bool) -> list[Column[Reactor]]:
    """Return the columns of reactors; ages are as of ``now``."""
    columns: list[Column[Reactor]] = [
        Column("NAMESPACE", lambda rx: rx.metadata.namespace),
        Column("NAME", lambda rx: rx.metadata.name),
        Column("DESIGN", lambda rx: rx.spec.design.value),
        Column("SITE", _site, wide=True),
        Column("SETPOINT", lambda rx: permille(rx.spec.power_setpoint_permille), wide=True),
        Column("POWER", power_text),
        Column("HEALTH", _health_cell),
        Column("READY", lambda rx: condition_text(rx, "Ready")),
        Column("FAULTS", lambda rx: str(len(rx.status.active_faults))),
        Column("ALARMS", lambda rx: str(rx.status.open_alarms), wide=True),
        Column(
            "TRIP", lambda rx: Text(trip_title(rx.status.trip_cause or ""), style=ALARM), wide=True
        ),
        Column("STATE", lambda rx: rx.spec.state.value, wide=True),
        Column("INTERVAL", _interval, wide=True),
        Column("GENERATOR", _generator, wide=True),
        Column("STATUS-AGE", lambda rx: age(rx.status.last_telemetry_time, now), wide=True),
        Column("AGE", lambda rx: age(rx.metadata.creation_timestamp, now)),
    ]
    return columns if namespaces else columns[1:]


def _interval(reactor: Reactor) -> str:
    return f"{reactor.spec.telemetry.interval_milliseconds}ms"


def _generator(reactor: Reactor) -> str:
    generator = reactor.status.generator
    return f"{generator.name}/{generator.shard}" if generator is not None else ""


def refusal_of(scenario: AnomalyScenario) -> Condition | None:
    """Return the condition that says why no run may begin, if none may."""
    stalled = condition_of(scenario.status.conditions, "Stalled")
    if stalled is None or stalled.status is not ConditionStatus.TRUE:
        return None
    return stalled if stalled.reason in _REFUSALS else None


def scenario_phase(scenario: AnomalyScenario) -> str:
    """Return where the scenario stands, in one word."""
    run = scenario.status.run
    if refusal := refusal_of(scenario):
        return _REFUSALS[refusal.reason]
    if scenario.spec.mode is ScenarioMode.DRY_RUN:
        return _DRY_RUN
    if run is not None and run.held_since is not None:
        return HELD
    if run is not None and run.phase is RunPhase.COMPLETED and _was_missed(scenario):
        return _MISSED
    phase = run.phase if run is not None else RunPhase.PENDING
    if scenario.spec.state is ScenarioState.SUSPENDED and phase is not RunPhase.COMPLETED:
        return "Suspended"
    return phase.value


def _was_missed(scenario: AnomalyScenario) -> bool:
    outcome = condition_of(scenario.status.conditions, "Succeeded")
    return outcome is not None and outcome.reason == _MISSED


def _phase_cell(scenario: AnomalyScenario) -> Text:
    phase = scenario_phase(scenario)
    style = CAUTION if phase in ("Running", _MISSED, *_REFUSALS.values()) else ""
    return Text(phase, style=MUTED if phase == "Aborted" else style)


def time_left(scenario: AnomalyScenario, now: datetime) -> float | None:
    """Return how many seconds the current run still takes, ``None`` unless it is running.

    While its clock stands still that stays the same.
    """
    run = scenario.status.run
    if run is None or run.phase is not RunPhase.RUNNING:
        return None
    return max(0.0, (run.end_time - (run.held_since or now)).total_seconds())


def detected_text(scenario: AnomalyScenario) -> str:
    """Return on how many of the targets an alarm was raised: ``9/10``."""
    detection = scenario.status.detection
    if detection is None:
        return ""
    return f"{detection.detected}/{scenario.status.targets.injected}"


def _targets(scenario: AnomalyScenario) -> str:
    counts = scenario.status.targets
    return f"{counts.selected}/{counts.matched}"


def _left(scenario: AnomalyScenario, now: datetime) -> str:
    seconds = time_left(scenario, now)
    return "" if seconds is None else short_duration(seconds)


def _when(scenario: AnomalyScenario) -> str:
    spec = scenario.spec
    if spec.schedule is not None:
        return f"{spec.schedule.cron} {spec.schedule.time_zone}"
    if spec.start_time is not None:
        return timestamp(spec.start_time)
    return f"+{spec.start_delay_seconds}s" if spec.start_delay_seconds else "at once"


def scenario_columns(now: datetime, *, namespaces: bool) -> list[Column[AnomalyScenario]]:
    """Return the columns of scenarios; ages and times left are as of ``now``."""
    columns: list[Column[AnomalyScenario]] = [
        Column("NAMESPACE", lambda anom: anom.metadata.namespace),
        Column("NAME", lambda anom: anom.metadata.name),
        Column("MODE", lambda anom: anom.spec.mode.value, wide=True),
        Column("FAULTS", lambda anom: ",".join(stage.fault.value for stage in anom.spec.stages)),
        Column("START", _when, wide=True),
        Column("PHASE", _phase_cell),
        Column("TARGETS", _targets),
        Column("INJECTED", lambda anom: str(anom.status.targets.injected), wide=True),
        Column("RECOVERED", lambda anom: str(anom.status.targets.recovered), wide=True),
        Column("LEFT", lambda anom: _left(anom, now)),
        Column("READY", lambda anom: condition_text(anom, "Ready"), wide=True),
        Column("VERIFIED", lambda anom: condition_text(anom, "Verified"), wide=True),
        Column("DETECTED", detected_text, wide=True),
        Column("SUCCEEDED", lambda anom: condition_text(anom, "Succeeded"), wide=True),
        Column("SCORE", _score, wide=True),
        Column("NEXT", _next, wide=True),
        Column("AGE", lambda anom: age(anom.metadata.creation_timestamp, now)),
        Column("STATUS", lambda anom: anom.status.summary, cut=True),
    ]
    return columns if namespaces else columns[1:]


def _score(scenario: AnomalyScenario) -> str:
    return "" if scenario.status.score is None else str(scenario.status.score)


def _next(scenario: AnomalyScenario) -> str:
    moment = scenario.status.next_run_time
    return "" if moment is None else timestamp(moment)
