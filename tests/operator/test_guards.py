"""Which runs may not begin."""

from datetime import datetime
from typing import Any

import pytest

from reactorsync.planning.schedule import next_run
from reactorsync.resources.scenario_status import Run, RunPhase
from reactorsync_operator.reconcile.guards import (
    Guards,
    Surroundings,
    is_severe,
    largest_choice,
    refusal,
)
from tests.core.planning.build import LEAK, NOON, after, scenario

SEVERE: dict[str, Any] = {"stages": [{**LEAK, "severityPercent": 80}]}


def other(start: datetime, end: datetime, **fields: Any) -> Run:
    return Run(**{"number": 1, "phase": "Running", "start_time": start, "end_time": end, **fields})


def reason_for(
    spec: dict[str, Any],
    guards: Guards,
    *,
    selected: int = 1,
    reactors: int = 10,
    others: tuple[Run, ...] = (),
) -> str | None:
    wanted = scenario(**spec)
    found = refusal(
        wanted,
        next_run(wanted, NOON),
        selected=selected,
        guards=guards,
        surroundings=Surroundings(reactors=reactors, severe_runs=others),
    )
    return found.reason.value if found is not None else None


@pytest.mark.parametrize(("severity", "severe"), [(79, False), (80, True), (100, True)])
def test_a_scenario_is_severe_by_its_worst_stage(severity: int, severe: bool) -> None:
    mild = {**LEAK, "name": "mild", "severityPercent": 1}
    worst = {**LEAK, "severityPercent": severity}
    assert is_severe(scenario(stages=[mild, worst]).spec) is severe


@pytest.mark.parametrize(
    ("percent", "reactors", "allowed"), [(100, 7, 7), (50, 7, 3), (10, 9, 0), (1, 10_000, 100)]
)
def test_the_largest_choice_is_rounded_down(percent: int, reactors: int, allowed: int) -> None:
    assert largest_choice(percent, reactors) == allowed


@pytest.mark.parametrize(
    ("start", "end", "refused"),
    [
        pytest.param(-600, 0, False, id="over as this one starts"),
        pytest.param(-600, 1, True, id="not yet over"),
        pytest.param(599, 900, True, id="starts before this one is over"),
        pytest.param(600, 900, False, id="starts as this one is over"),
    ],
)
def test_severe_runs_count_while_they_overlap(start: int, end: int, refused: bool) -> None:
    others = (other(after(start), after(end)),)
    found = reason_for(SEVERE, Guards(max_severe_runs=1), others=others)
    assert (found == "GuardTripped") is refused


@pytest.mark.parametrize("fields", [{"phase": RunPhase.PROBING}, {"held_since": after(-5000)}])
def test_one_whose_timeline_is_not_yet_placed_counts(fields: dict[str, Any]) -> None:
    others = (other(after(-9000), after(-8000), **fields),)
    assert reason_for(SEVERE, Guards(max_severe_runs=1), others=others) == "GuardTripped"


@pytest.mark.parametrize(
    ("spec", "guards", "selected", "expected"),
    [
        ({}, Guards(), 10, None),
        ({}, Guards(max_targets_percent=50), 5, None),
        ({}, Guards(max_targets_percent=50), 6, "GuardTripped"),
        ({"environment": "b"}, Guards(environment="a"), 1, "EnvironmentMismatch"),
        ({"environment": "b"}, Guards(), 1, "EnvironmentMismatch"),
        ({"environment": "b"}, Guards(environment="b"), 1, None),
        ({}, Guards(environment="b"), 1, None),
    ],
)
def test_what_is_refused(
    spec: dict[str, Any], guards: Guards, selected: int, expected: str | None
) -> None:
    assert reason_for(spec, guards, selected=selected) == expected


def test_only_the_guards_named_are_broken() -> None:
    spec = {**SEVERE, "guardOverride": {"guards": ["BlastRadius"], "reason": "as was agreed"}}
    guards = Guards(max_targets_percent=50, max_severe_runs=1)
    assert reason_for(spec, guards, selected=10) is None
    others = (other(NOON, after(60)),)
    assert reason_for(spec, guards, selected=10, others=others) == "GuardTripped"
