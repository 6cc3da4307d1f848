"""A scenario in prose."""

from typing import Any

import pytest

from reactorsync.planning.explain import explain
from reactorsync.resources import (
    AnomalyScenario,
    AnomalyScenarioStatus,
    Condition,
    ConditionStatus,
    ObjectMeta,
)
from reactorsync.resources.scenario_status import Run, RunPhase
from tests.core.planning.build import LEAK, NOON, after, edited, fleet_of, reactor, scenario

GAUGE = {
    "name": "gauge",
    "fault": "SensorBias",
    "sensor": {"signal": "primary_pressure_mpa", "direction": "Low"},
    "severityPercent": 30,
    "offsetSeconds": 120,
}


ALARM = {"alarm": {"signal": "primary_pressure_mpa"}}


def told(story: AnomalyScenario, count: int = 3, now: float = 0) -> str:
    return explain(story, fleet_of(count, site="bruce"), after(now))


def test_a_whole_story() -> None:
    story = scenario(
        targets={"selector": {"matchLabels": {"site": "bruce"}}, "count": "50%", "seed": 7},
        startDelaySeconds=90,
        stages=[{**LEAK, "shape": "Ramp", "rampSeconds": 60}, GAUGE],
    )
    assert told(story, 4) == (
        "Scenario default/leak-drill acts on 2 of 4 reactors labelled site=bruce: bruce-2 and "
        "bruce-4. They are chosen by seed 7 (50 % of them); the same seed chooses the same ones. "
        "Reactors that appear later join.\n"
        "\n"
        "Run 1 starts on Monday, 2026-06-01 at 12:01:30 UTC (in 1 min 30 s) and lasts 1 h 2 min, "
        "until Monday, 2026-06-01 at 13:03:30 UTC (in 1 h 3 min).\n"
        "\n"
        "1. Primary coolant leak (stage leak), from the start, 12:01:30 to 12:11:30 UTC, 10 min: "
        "growing over 1 min to its full strength: 40 % severity, where 100 % is small break of "
        "10 cm2 flow area. Coolant escapes into the containment; pressure and pressurizer level "
        "fall while containment pressure rises. Look first at primary pressure.\n"
        "2. Sensor bias (stage gauge), 2 min into the run, 12:03:30 to 13:03:30 UTC, 1 h: at once: "
        "wrong by 0.6 MPa. Only the instrument is at fault: primary pressure, which reads too "
        "low.\n"
        "\n"
        "Every fault carries its own end and expires by it, even with the operator down. A plant "
        "that has tripped meanwhile is restarted by its own rules. The scenario adds its faults to "
        "those of other scenarios on the same reactor."
    )


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"targets": {"selector": {}}}, "acts on 3 reactors in its namespace: bruce-1, bruce-2"),
        ({"targets": {"names": ["bruce-2"]}}, "acts on 1 reactor named in it: bruce-2."),
        ({"targets": {"selector": {"matchLabels": {"site": "x"}}}}, "acts on nothing: no reactor"),
        ({"targets": {"selector": {}, "policy": "Static"}}, "closed when the run begins"),
        (
            {"state": "Suspended", "suspendPolicy": "HoldClock"},
            "its faults are lifted and its clock stands still",
        ),
        (
            {"probes": [{"name": "steady", "phase": "Before", **ALARM}]},
            "Nothing is injected before probe steady has passed.",
        ),
        (
            {"probes": [{"name": "seen", **ALARM}, {"name": "told", **ALARM}]},
            "While the faults act, probes seen and told must pass.",
        ),
        ({"abortWhen": [{"name": "hot", **ALARM}]}, "aborted as soon as check hot passes."),
        ({"environment": "training"}, "It is meant for environment training only."),
        (
            {"guardOverride": {"guards": ["BlastRadius"], "reason": "the yearly drill"}},
            "It may break BlastRadius: the yearly drill.",
        ),
        ({"ttlSecondsAfterFinished": 5400}, "It is deleted 1 h 30 min after its outcome is final."),
        ({"targets": {"names": ["gone"]}}, "- gone: no reactor of this name in namespace default"),
        ({"mode": "DryRun"}, "would act on 3 reactors"),
        ({"mode": "DryRun"}, "It is a dry run: nothing is injected."),
        ({"state": "Suspended"}, "its faults are lifted while the timeline goes on"),
        ({"state": "Aborted"}, "only a new run token starts it again"),
        ({}, "Run 1 starts now (2026-06-01 12:00:00 UTC) and lasts 10 min"),
        ({"schedule": {"cron": "30 3 * * *", "timeZone": "Europe/Bucharest"}}, "in 12 h 30 min"),
        ({"schedule": {"cron": "0 18 * * *"}}, "skipped while a run still goes on"),
        ({"schedule": {"cron": "0 18 * * *"}}, "The next one is due on Tuesday, 2026-06-02"),
        ({"conflictPolicy": "Reject"}, "leaves out reactors on which one that comes before it"),
        ({"stages": [{**LEAK, "shape": "Drift"}]}, "growing all the time to its full strength"),
        ({"stages": [{**LEAK, "shape": "Pulse", "rampSeconds": 10}]}, "on and off every 5 s"),
        (
            {"stages": [{"name": "dilution", "fault": "BoronDilution"}]},
            "- bruce-1: stage dilution: BoronDilution has no mechanism in a Candu6",
        ),
    ],
)
def test_what_is_said_of(spec: dict[str, Any], says: str) -> None:
    assert says in told(scenario(**spec))


def test_reactors_are_listed_as_people_count() -> None:
    story = told(scenario(), 12)
    assert "bruce-1, bruce-2, bruce-3, bruce-4, bruce-5 and 7 more." in story


def test_a_run_that_goes_on_is_told_from_its_own_start() -> None:
    run = Run(number=2, phase=RunPhase.RUNNING, start_time=NOON, end_time=after(600))
    story = told(scenario(status=AnomalyScenarioStatus(run=run)), now=60)
    assert "Run 2 started on Monday, 2026-06-01 at 12:00:00 UTC (1 min ago)" in story


def test_a_run_that_is_over_is_told_and_so_is_the_next_one() -> None:
    run = Run(number=2, phase=RunPhase.COMPLETED, start_time=NOON, end_time=after(600))
    over = scenario(status=AnomalyScenarioStatus(run=run))
    assert "Run 2 completed on Monday, 2026-06-01 at 12:10:00 UTC (5 min ago)." in told(
        over, now=900
    )
    assert "Run 3 starts now" in told(edited(over, runToken="again"), now=900)


def test_a_run_that_was_missed_is_told_as_such_and_its_start_may_be_corrected() -> None:
    run = Run(number=1, phase=RunPhase.COMPLETED, start_time=after(-900), end_time=after(-300))
    outcome = Condition(
        type="Succeeded",
        status=ConditionStatus.FALSE,
        reason="Missed",
        last_transition_time=NOON,
    )
    missed = scenario(
        startTime=after(-900).isoformat(),
        status=AnomalyScenarioStatus(run=run, conditions=[outcome]),
    )
    assert "Run 1 was missed: it would have ended on Monday" in told(missed)
    assert "Run 2" not in told(missed)
    assert "Run 2 starts on Monday, 2026-06-01 at 12:10:00 UTC" in told(
        edited(missed, startTime=after(600))
    )


def test_a_manifest_that_was_never_stored_is_told_as_if_created_now() -> None:
    stored = scenario(startDelaySeconds=60)
    manifest = stored.model_copy(update={"metadata": ObjectMeta(name="leak-drill")})
    assert "(in 1 min)" in explain(manifest, [reactor()], NOON)
