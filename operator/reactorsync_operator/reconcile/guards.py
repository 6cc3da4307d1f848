"""Limits that an operator holds scenarios to, and why a run is therefore refused.

A guard decides whether a run may begin, and once more when its spec was edited before anything was
injected. One that has injected is never ended by a guard; but if it is Dynamic, its choice does not
grow beyond the blast radius (see :func:`largest_choice`), and if its clock was held, it stays held
while too many severe runs of others are in its way (see :func:`crowded`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from reactorsync.planning.wording import counted
from reactorsync.resources import AnomalyScenario, AnomalyScenarioSpec
from reactorsync.resources.scenario import Guard
from reactorsync.resources.scenario_status import Run, RunPhase
from reactorsync_operator.reconcile.reasons import ScenarioReason

SEVERE_FROM_PERCENT: Final = 80
"""A scenario with a stage of at least this severity counts as severe."""

_EVERYTHING_PERCENT: Final = 100


@dataclass(frozen=True, slots=True)
class Guards:
    """What an operator allows.

    Attributes:
        environment: name of the environment it serves; ``None``: no scenario that names one.
        max_targets_percent: share of a namespace's reactors that one scenario may act on; 100: all.
        max_severe_runs: how many severe runs may overlap in time; 0: any number.
    """

    environment: str | None = None
    max_targets_percent: int = _EVERYTHING_PERCENT
    max_severe_runs: int = 0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a guard looks at beside the scenario itself.

    Attributes:
        reactors: how many there are in the scenario's namespace.
        severe_runs: open runs of all other severe scenarios.
    """

    reactors: int = 0
    severe_runs: tuple[Run, ...] = ()


NO_GUARDS: Final = Guards()
ALONE: Final = Surroundings()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no run begins, or goes on; ``passes`` when that ends by itself, with others' runs."""

    reason: ScenarioReason
    message: str
    passes: bool = False


def is_severe(spec: AnomalyScenarioSpec) -> bool:
    """Return whether a stage is as severe as :data:`SEVERE_FROM_PERCENT`."""
    return any(stage.severity_percent >= SEVERE_FROM_PERCENT for stage in spec.stages)


def may_break(spec: AnomalyScenarioSpec, guard: Guard) -> bool:
    """Return whether the scenario says that it breaks the guard on purpose."""
    return spec.guard_override is not None and guard in spec.guard_override.guards


def largest_choice(guards_percent: int, reactors: int) -> int:
    """Return how many of a namespace's reactors one scenario may act on."""
    return reactors * guards_percent // _EVERYTHING_PERCENT


def wrong_environment(scenario: AnomalyScenario, guards: Guards) -> Refusal | None:
    """Return why the operator does not serve the scenario's environment, ``None`` when it does."""
    wanted = scenario.spec.environment
    if wanted is None or wanted == guards.environment:
        return None
    serves = "none" if guards.environment is None else guards.environment
    return Refusal(
        ScenarioReason.ENVIRONMENT_MISMATCH,
        f"meant for environment {wanted}; this operator serves {serves}",
    )


def refusal(
    scenario: AnomalyScenario,
    run: Run,
    *,
    selected: int,
    guards: Guards,
    surroundings: Surroundings,
) -> Refusal | None:
    """Return why ``run`` of ``selected`` reactors may not begin, ``None`` when it may."""
    return (
        wrong_environment(scenario, guards)
        or _blast_radius(scenario.spec, selected, guards, surroundings)
        or _concurrent_severe(scenario.spec, run, guards, surroundings.severe_runs)
    )


def crowded(
    scenario: AnomalyScenario, run: Run, *, guards: Guards, surroundings: Surroundings
) -> Refusal | None:
    """Return why ``run``, whose clock was held, may not go on now, ``None`` when it may.

    Others that are held do not count, or two would wait for each other: each is asked in its turn.
    """
    going_on = tuple(one for one in surroundings.severe_runs if one.held_since is None)
    return _concurrent_severe(scenario.spec, run, guards, going_on)


def _blast_radius(
    spec: AnomalyScenarioSpec, selected: int, guards: Guards, surroundings: Surroundings
) -> Refusal | None:
    percent, reactors = guards.max_targets_percent, surroundings.reactors
    allowed = largest_choice(percent, reactors)
    if percent >= _EVERYTHING_PERCENT or selected <= allowed:
        return None
    if may_break(spec, Guard.BLAST_RADIUS):
        return None
    return Refusal(
        ScenarioReason.GUARD_TRIPPED,
        f"{Guard.BLAST_RADIUS}: {selected} of the namespace's {counted(reactors, 'reactor')} "
        f"chosen, at most {allowed} ({percent} %) allowed",
    )


def _concurrent_severe(
    spec: AnomalyScenarioSpec, run: Run, guards: Guards, others: tuple[Run, ...]
) -> Refusal | None:
    if not guards.max_severe_runs or not is_severe(spec):
        return None
    if may_break(spec, Guard.CONCURRENT_SEVERE):
        return None
    meanwhile = sum(_overlap(run, other) for other in others)
    if meanwhile < guards.max_severe_runs:
        return None
    return Refusal(
        ScenarioReason.GUARD_TRIPPED,
        f"{Guard.CONCURRENT_SEVERE}: {counted(meanwhile, 'other severe run')} at the same time, "
        f"at most {guards.max_severe_runs} allowed",
        passes=True,
    )


def _overlap(run: Run, other: Run) -> bool:
    if other.held_since is not None or other.phase is RunPhase.PROBING:
        # Its timeline has yet to be placed.
        return True
    return other.start_time < run.end_time and run.start_time < other.end_time
