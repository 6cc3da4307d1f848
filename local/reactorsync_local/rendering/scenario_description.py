"""``describe scenario``: everything about a scenario and its current run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.text import Text

from reactorsync.faults import FAULTS
from reactorsync.planning.schedule import is_held
from reactorsync.resources import AnomalyScenario
from reactorsync.resources.scenario import Probe, ScenarioState, Stage
from reactorsync.resources.scenario_status import ProbeResult
from reactorsync_local.rendering.columns import (
    scenario_phase,
    time_left,
)
from reactorsync_local.rendering.palette import (
    CAUTION,
    MUTED,
)
from reactorsync_local.rendering.sections import (
    INDENT,
    Lines,
    condition_lines,
    field_line,
    identity,
    section,
)
from reactorsync_local.rendering.times import clock, short_duration, timestamp


def describe_scenario(scenario: AnomalyScenario, now: datetime) -> Lines:
    """Return all about a scenario."""
    spec, status = scenario.spec, scenario.status
    lines = identity(scenario, now)
    lines += [
        field_line("Phase", scenario_phase(scenario)),
        field_line("Summary", status.summary or "<none>"),
        field_line("State", _state(scenario)),
        field_line("Mode", spec.mode.value),
        field_line("Conflicts", f"{spec.conflict_policy.value}, priority {spec.priority}"),
    ]
    if spec.environment is not None:
        lines.append(field_line("Environment", spec.environment))
    if spec.guard_override is not None:
        guards = ", ".join(spec.guard_override.guards)
        lines.append(field_line("Guards", f"may break {guards}: {spec.guard_override.reason}"))
    if spec.ttl_seconds_after_finished is not None:
        age_limit = short_duration(spec.ttl_seconds_after_finished)
        lines.append(field_line("Deleted", f"{age_limit} after its outcome is final"))
    if spec.schedule is not None:
        schedule = spec.schedule
        lines.append(field_line("Schedule", f"{schedule.cron} ({schedule.time_zone})"))
        lines.append(field_line("Next run", timestamp(status.next_run_time)))
    lines += _run(scenario, now)
    lines += _targets(scenario)
    lines += _stages(spec.stages)
    lines += _probes(scenario)
    lines += condition_lines(status.conditions, now)
    lines += _history(scenario)
    return lines


def _state(scenario: AnomalyScenario) -> str:
    spec = scenario.spec
    if spec.state is not ScenarioState.SUSPENDED:
        return spec.state.value
    clock_of_it = "stands still" if is_held(scenario) else "goes on"
    return f"{spec.state.value}, its clock {clock_of_it}"


def _run(scenario: AnomalyScenario, now: datetime) -> Lines:
    run = scenario.status.run
    if run is None:
        return []
    left = time_left(scenario, now)
    lines = [
        *section(f"Run {run.number}"),
        field_line(
            f"{INDENT}Phase",
            run.phase.value if left is None else f"{run.phase.value}, {clock(left)} left",
        ),
        *(
            [field_line(f"{INDENT}Held since", timestamp(run.held_since))]
            if run.held_since is not None
            else []
        ),
        field_line(f"{INDENT}Start", timestamp(run.start_time)),
        field_line(f"{INDENT}End", timestamp(run.end_time)),
        field_line(f"{INDENT}Injected", timestamp(run.injected_time)),
        field_line(f"{INDENT}Recovered", timestamp(run.recovered_time)),
    ]
    if scenario.status.score is not None:
        lines.append(field_line(f"{INDENT}Score", str(scenario.status.score)))
    if (detection := scenario.status.detection) is not None:
        seconds = detection.time_to_detect_milliseconds
        after = "" if seconds is None else f", median after {seconds / 1000:.1f} s"
        lines.append(
            field_line(
                f"{INDENT}Detected",
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
        *section("Targets"),
        field_line(f"{INDENT}Chosen by", chosen_by),
        field_line(
            f"{INDENT}How many", f"{targets.count}, seed {targets.seed}, {targets.policy.value}"
        ),
        field_line(
            f"{INDENT}Now",
            f"{counts.matched} matched, {counts.selected} selected, {counts.injected} injected, "
            f"{counts.recovered} recovered, {counts.failed} failed",
        ),
    ]
    for failure in scenario.status.failures:
        text = f"{INDENT}{failure.reactor}: {failure.reason}: {failure.message}"
        lines.append(Text(text, style=CAUTION))
    return lines


def _stages(stages: Sequence[Stage]) -> Lines:
    lines = section("Stages")
    for stage in stages:
        start = short_duration(stage.offset_seconds)
        end = short_duration(stage.offset_seconds + stage.duration_seconds)
        ramp = f" over {short_duration(stage.ramp_seconds)}" if stage.ramp_seconds else ""
        sensor = f" of {stage.sensor.signal}" if stage.sensor is not None else ""
        lines.append(
            Text.assemble(
                f"{INDENT}{start:>6} – {end:<6} ",
                (f"{stage.name}: ", ""),
                f"{FAULTS[stage.fault].title}{sensor}, {stage.severity_percent} %, "
                f"{stage.shape.value}{ramp}",
            )
        )
    return lines


def _probes(scenario: AnomalyScenario) -> Lines:
    spec = scenario.spec
    if not (spec.probes or spec.abort_when):
        return []
    results = {result.name: result for result in scenario.status.probes}
    lines = section("Probes")
    lines += [_probe(one, results.get(one.name), aborts=False) for one in spec.probes]
    lines += [_probe(one, results.get(one.name), aborts=True) for one in spec.abort_when]
    return lines


def _probe(probe: Probe, result: ProbeResult | None, *, aborts: bool) -> Text:
    passed = result.passed if result is not None else None
    if aborts:
        verdict = "aborted the run" if passed else "not seen"
        style = CAUTION if passed else MUTED
    else:
        verdict = {True: "passed", False: "failed", None: "undecided"}[passed]
        style = {True: "", False: CAUTION, None: MUTED}[passed]
    role = "aborts" if aborts else probe.phase.value
    message = f"  {result.message}" if result is not None and result.message else ""
    return Text.assemble(f"{INDENT}{probe.name} ({role}): ", (verdict, style), message)


def _history(scenario: AnomalyScenario) -> Lines:
    history = scenario.status.history
    if not history:
        return []
    lines = section("History")
    for past in history:
        score = "" if past.score is None else f", score {past.score}"
        lines.append(
            Text(
                f"{INDENT}run {past.number}: {past.phase.value}, {timestamp(past.start_time)} to "
                f"{timestamp(past.end_time)}, {past.targets} targets{score}"
            )
        )
    return lines
