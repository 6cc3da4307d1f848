"""A scenario in prose, as a shift engineer would tell it to the next shift."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from reactorsync.faults import FAULTS, FaultInfo
from reactorsync.planning.schedule import expected_start, is_open, next_tick, run_end, was_missed
from reactorsync.planning.targets import Selection, resolve
from reactorsync.planning.timeline import SECOND_US, StageWindow, Window, stage_windows
from reactorsync.resources import AnomalyScenario, Reactor, Stage, Targets
from reactorsync.resources.scenario import (
    MAX_TARGETS,
    ConcurrencyPolicy,
    ConflictPolicy,
    ProbePhase,
    ScenarioMode,
    ScenarioState,
    SensorDirection,
    Shape,
    SuspendPolicy,
    TargetPolicy,
)
from reactorsync.resources.scenario_status import RunPhase
from reactorsync.resources.selector import LabelSelector, SelectorOperator
from reactorsync.signals import SIGNAL_INDEX, SIGNALS, Signal
from reactorsync.wire.envelope import from_micros, to_micros

_NAMES_SHOWN: Final = 5
_SHARE_OF_RANGE: Final = re.compile(r"(?P<share>\d+(?:\.\d+)?) % of the instrument's range")


def explain(scenario: AnomalyScenario, reactors: Iterable[Reactor], now: datetime) -> str:
    """Return what the scenario does: to which of ``reactors``, when, how strongly, how it ends.

    Times are in UTC, absolute and relative to ``now``. A scenario that was never stored is
    explained as if it were created now.
    """
    if scenario.metadata.creation_timestamp is None:
        metadata = scenario.metadata.model_copy(update={"creation_timestamp": now})
        scenario = scenario.model_copy(update={"metadata": metadata})
    run = scenario.status.run
    selection = resolve(scenario, reactors, run=run if is_open(run) else None)
    start = expected_start(scenario, now)
    paragraphs = [
        _opening(scenario, selection),
        _timing(scenario, start, now),
        _stages(scenario, start),
        *_checks(scenario),
        _ending(scenario),
    ]
    if selection.failures:
        paragraphs.append(_failures(selection))
    return "\n\n".join(paragraphs)


def _opening(scenario: AnomalyScenario, selection: Selection) -> str:
    metadata, targets = scenario.metadata, scenario.spec.targets
    acts = "would act" if scenario.spec.mode is ScenarioMode.DRY_RUN else "acts"
    names = sorted((one.reactor for one in selection.chosen), key=_by_number)
    title = f"Scenario {metadata.namespace}/{metadata.name}"
    if not names:
        return f"{title} {acts} on nothing: no reactor {_criterion(targets)}."
    of_matched = f" of {selection.matched}" if selection.matched != len(names) else ""
    text = f"{title} {acts} on {_reactors(len(names), of_matched)} {_criterion(targets)}: "
    text += f"{_listed(names)}."
    if selection.matched != len(names):
        text += f" {_choice(targets)}"
    if targets.policy is TargetPolicy.STATIC:
        text += " The choice is closed when the run begins."
    elif targets.selector is not None:
        text += " Reactors that appear later join."
    return text


def _reactors(count: int, of_matched: str) -> str:
    noun = "reactor" if count == 1 and not of_matched else "reactors"
    return f"{count}{of_matched} {noun}"


def _criterion(targets: Targets) -> str:
    if targets.selector is None:
        return "named in it"
    labels = _selector_text(targets.selector)
    return f"labelled {labels}" if labels else "in its namespace"


def _selector_text(selector: LabelSelector) -> str:
    terms = [f"{key}={value}" for key, value in sorted(selector.match_labels.items())]
    for requirement in selector.match_expressions:
        values = f"({', '.join(requirement.values)})"
        terms.append(
            {
                SelectorOperator.IN: f"{requirement.key} in {values}",
                SelectorOperator.NOT_IN: f"{requirement.key} not in {values}",
                SelectorOperator.EXISTS: f"{requirement.key}",
                SelectorOperator.DOES_NOT_EXIST: f"no {requirement.key}",
            }[requirement.operator]
        )
    return " and ".join(terms)


def _choice(targets: Targets) -> str:
    rules = []
    if isinstance(targets.count, str):
        rules.append(f"{targets.count.removesuffix('%')} % of them")
    if targets.max_targets < MAX_TARGETS:
        rules.append(f"at most {targets.max_targets}")
    rule = f" ({', '.join(rules)})" if rules else ""
    return f"They are chosen by seed {targets.seed}{rule}; the same seed chooses the same ones."


def _by_number(name: str) -> list[tuple[int, str]]:
    """Return a sort key that puts ``bruce-2`` before ``bruce-10``."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]


def _listed(names: Sequence[str]) -> str:
    shown, rest = list(names[:_NAMES_SHOWN]), len(names) - _NAMES_SHOWN
    if rest > 0:
        shown.append(f"{rest} more")
    if len(shown) == 1:
        return shown[0]
    return f"{', '.join(shown[:-1])} and {shown[-1]}"


def _timing(scenario: AnomalyScenario, start: datetime | None, now: datetime) -> str:
    spec, run = scenario.spec, scenario.status.run
    sentences = []
    if spec.schedule is not None:
        overlap = (
            "a run still going on then is ended first"
            if spec.schedule.concurrency_policy is ConcurrencyPolicy.REPLACE
            else "skipped while a run still goes on"
        )
        sentences.append(
            f"It runs by the clock, cron '{spec.schedule.cron}' in {spec.schedule.time_zone} "
            f"({overlap})."
        )
    if run is not None and not is_open(run):
        ended = "completed" if run.phase is RunPhase.COMPLETED else "was aborted"
        if was_missed(scenario):
            ended = "was missed: it would have ended"
        sentences.append(f"Run {run.number} {ended} {_moment(run.end_time, now)}.")
    if start is not None:
        end = run_end(scenario, start)
        verb = "started" if start <= now and is_open(run) else "starts"
        sentences.append(
            f"Run {_number(scenario)} {verb} {_moment(start, now)} and lasts "
            f"{_span(end - start)}, until {_moment(end, now).removeprefix('on ')}."
        )
        if spec.schedule is not None:
            following = next_tick(spec.schedule, after=max(start, now))
            if following is not None:
                sentences.append(f"The next one is due {_moment(following, now)}.")
    sentences.append(_state_text(scenario))
    return " ".join(sentence for sentence in sentences if sentence)


def _number(scenario: AnomalyScenario) -> int:
    run = scenario.status.run
    if run is None:
        return 1
    return run.number if is_open(run) and run.token == scenario.spec.run_token else run.number + 1


def _state_text(scenario: AnomalyScenario) -> str:
    if scenario.spec.mode is ScenarioMode.DRY_RUN:
        return "It is a dry run: nothing is injected."
    match scenario.spec.state:
        case ScenarioState.SUSPENDED if scenario.spec.suspend_policy is SuspendPolicy.HOLD_CLOCK:
            return "It is suspended: its faults are lifted and its clock stands still."
        case ScenarioState.SUSPENDED:
            return "It is suspended: its faults are lifted while the timeline goes on."
        case ScenarioState.ABORTED:
            return "It is aborted: its faults are lifted, and only a new run token starts it again."
        case ScenarioState.ACTIVE:
            return ""


def _stages(scenario: AnomalyScenario, start: datetime | None) -> str:
    spec = scenario.spec
    if start is None:
        window = Window(0, spec.run_seconds * SECOND_US)
    else:
        window = Window(to_micros(start), to_micros(run_end(scenario, start)))
    lines = []
    placed = sorted(stage_windows(spec, window), key=lambda one: one.window.start_us)
    for number, one in enumerate(placed, start=1):
        info = FAULTS[one.stage.fault]
        lines.append(
            f"{number}. {info.title} (stage {one.stage.name}), "
            f"{_when(one, window, start)}: {_course(one.stage)}. {_look(one.stage, info)}"
        )
    return "\n".join(lines)


def _when(placed: StageWindow, run: Window, start: datetime | None) -> str:
    offset = timedelta(microseconds=placed.window.start_us - run.start_us)
    length = timedelta(microseconds=placed.window.end_us - placed.window.start_us)
    relative = f"{_span(offset)} into the run" if offset else "from the start"
    if start is None:
        return f"{relative}, for {_span(length)}"
    first, last = from_micros(placed.window.start_us), from_micros(placed.window.end_us)
    return f"{relative}, {first:%H:%M:%S} to {last:%H:%M:%S} UTC, {_span(length)}"


def _course(stage: Stage) -> str:
    strength = _strength(stage)
    ramp = timedelta(seconds=stage.ramp_seconds or 0)
    match stage.shape:
        case Shape.STEP:
            return f"at once: {strength}"
        case Shape.RAMP:
            return f"growing over {_span(ramp)} to its full strength: {strength}"
        case Shape.PULSE:
            return f"on and off every {_span(ramp / 2)}: {strength}"
        case Shape.DRIFT:
            return f"growing all the time to its full strength: {strength}"


def _strength(stage: Stage) -> str:
    info = FAULTS[stage.fault]
    if stage.sensor is not None and (physical := _sensor_strength(stage, info)) is not None:
        return physical
    if stage.severity_percent == 100:
        return info.full_severity
    return f"{stage.severity_percent} % severity, where 100 % is {info.full_severity}"


def _sensor_strength(stage: Stage, info: FaultInfo) -> str | None:
    """Return the full severity with the share of the range put into the signal's unit."""
    match = _SHARE_OF_RANGE.search(info.full_severity)
    if match is None or stage.sensor is None:
        return None
    signal = _signal(stage.sensor.signal)
    amount = signal.span * float(match["share"]) / 100 * stage.severity_percent / 100
    digits = f"{amount:.{max(signal.decimals, 1)}f}".rstrip("0").rstrip(".")
    physical = f"{digits} {signal.unit}"
    return _SHARE_OF_RANGE.sub(physical, info.full_severity)


def _look(stage: Stage, info: FaultInfo) -> str:
    if stage.sensor is not None:
        signal = _signal(stage.sensor.signal)
        way = ""
        if info.title in ("Sensor bias", "Sensor drift"):
            high = stage.sensor.direction is SensorDirection.HIGH
            way = f", which reads too {'high' if high else 'low'}"
        return f"Only the instrument is at fault: {signal.title.lower()}{way}."
    assert info.primary_signal is not None  # noqa: S101 - a fault without one acts on a sensor
    return f"{info.description} Look first at {_signal(info.primary_signal).title.lower()}."


def _checks(scenario: AnomalyScenario) -> list[str]:
    """Return what is asked of whoever watches, and what keeps the run from going its way."""
    spec = scenario.spec
    sentences = []
    for phase, text in (
        (ProbePhase.BEFORE, "Nothing is injected before {} passed"),
        (ProbePhase.DURING, "While the faults act, {} must pass"),
        (ProbePhase.AFTER, "After its end, {} must pass"),
    ):
        names = [probe.name for probe in spec.probes if probe.phase is phase]
        if names:
            has = " has" if len(names) == 1 else " have"
            subject = f"{'probe' if len(names) == 1 else 'probes'} {_listed(names)}"
            subject += has if phase is ProbePhase.BEFORE else ""
            sentences.append(f"{text.format(subject)}.")
    if spec.abort_when:
        names = [probe.name for probe in spec.abort_when]
        one = len(names) == 1
        sentences.append(
            f"The run is aborted as soon as {'check' if one else 'one of the checks'} "
            f"{_listed(names)} passes."
        )
    if spec.environment is not None:
        sentences.append(f"It is meant for environment {spec.environment} only.")
    if spec.guard_override is not None:
        guards = " and ".join(spec.guard_override.guards)
        sentences.append(f"It may break {guards}: {spec.guard_override.reason}.")
    if spec.ttl_seconds_after_finished is not None:
        age = _span(timedelta(seconds=spec.ttl_seconds_after_finished))
        sentences.append(f"It is deleted {age} after its outcome is final.")
    return [" ".join(sentences)] if sentences else []


def _ending(scenario: AnomalyScenario) -> str:
    text = (
        "Every fault carries its own end and expires by it, even with the operator down. "
        "A plant that has tripped meanwhile is restarted by its own rules."
    )
    rule = {
        ConflictPolicy.COMPOSE: "adds its faults to those of other scenarios on the same reactor",
        ConflictPolicy.PRIORITIZE: (
            "gives way on reactors where one of higher priority, or an older one of the same, acts"
        ),
        ConflictPolicy.REJECT: "leaves out reactors on which one that comes before it acts",
    }[scenario.spec.conflict_policy]
    return f"{text} The scenario {rule}."


def _failures(selection: Selection) -> str:
    shown = sorted(selection.failures, key=lambda failure: _by_number(failure.reactor))
    shown = shown[:_NAMES_SHOWN]
    lines = [f"- {failure.reactor}: {failure.message}" for failure in shown]
    if len(selection.failures) > len(shown):
        lines.append(f"- and {len(selection.failures) - len(shown)} more")
    return "It cannot do all of it:\n" + "\n".join(lines)


def _signal(name: str) -> Signal:
    return SIGNALS[SIGNAL_INDEX[name]]


def _moment(moment: datetime, now: datetime) -> str:
    delta = moment - now
    if abs(delta) < timedelta(seconds=1):
        return f"now ({moment:%Y-%m-%d %H:%M:%S} UTC)"
    relative = f"in {_span(delta)}" if delta > timedelta() else f"{_span(-delta)} ago"
    return f"on {moment:%A, %Y-%m-%d at %H:%M:%S} UTC ({relative})"


def _span(span: timedelta) -> str:
    """Return a duration in its two largest units, ``2 h 30 min``."""
    seconds = span.total_seconds()
    if seconds < 10 and seconds != round(seconds):
        return f"{seconds:.1f} s"
    rest, parts = round(seconds), []
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        amount, rest = divmod(rest, size)
        if amount:
            parts.append(f"{amount} {unit}")
    return " ".join(parts[:2]) or "0 s"
