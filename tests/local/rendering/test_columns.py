"""What ``get`` says of a scenario in a word or two."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reactorsync.resources import AnomalyScenario, Reactor
from reactorsync_local.kinds import REACTORS, SCENARIOS
from reactorsync_local.rendering.columns import (
    detected_text,
    resource_table,
    scenario_phase,
    time_left,
)
from reactorsync_local.rendering.scenario_description import describe_scenario

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def drill(
    *, spec: dict[str, Any] | None = None, run: dict[str, Any] | None = None, **status: Any
) -> AnomalyScenario:
    """A leak of ten minutes on two reactors, begun a minute ago."""
    stage = {"name": "leak", "fault": "PrimaryLeak", "durationSeconds": 600}
    begun = {
        "number": 1,
        "phase": "Running",
        "startTime": NOW - timedelta(seconds=60),
        "endTime": NOW + timedelta(seconds=540),
    }
    return AnomalyScenario.model_validate(
        {
            "metadata": {"name": "drill"},
            "spec": {"targets": {"selector": {}}, "stages": [stage], **(spec or {})},
            "status": {"run": {**begun, **(run or {})}, **status},
        }
    )


def condition(type_: str, status: str, reason: str) -> dict[str, Any]:
    return {"type": type_, "status": status, "reason": reason, "lastTransitionTime": NOW}


def stalled(reason: str) -> list[dict[str, Any]]:
    return [condition("Stalled", "True", reason)]


@pytest.mark.parametrize(
    ("scenario", "phase"),
    [
        (drill(), "Running"),
        (drill(run={"phase": "Probing"}), "Probing"),
        (drill(run={"heldSince": NOW}, spec={"state": "Suspended"}), "Held"),
        (drill(spec={"state": "Suspended"}), "Suspended"),
        (drill(run={"phase": "Completed"}, conditions=stalled("GuardTripped")), "Refused"),
        (drill(run={"phase": "Completed"}, conditions=stalled("EnvironmentMismatch")), "Refused"),
        (drill(conditions=stalled("InvalidSpec")), "Invalid"),
        (drill(conditions=stalled("Unacknowledged")), "Running"),
        (drill(spec={"mode": "DryRun"}), "DryRun"),
        (drill(spec={"mode": "DryRun"}, conditions=stalled("InvalidSpec")), "Invalid"),
        (
            drill(
                run={"phase": "Completed"}, conditions=[condition("Succeeded", "False", "Missed")]
            ),
            "Missed",
        ),
    ],
)
def test_a_phase_is_one_word(scenario: AnomalyScenario, phase: str) -> None:
    assert scenario_phase(scenario) == phase


def test_the_table_of_scenarios_says_why_and_on_a_terminal_as_much_of_it_as_fits() -> None:
    refused = drill(
        run={"phase": "Pending"},
        conditions=stalled("GuardTripped"),
        summary="Refused: BlastRadius: 29 of the namespace's 29 reactors chosen, at most 14",
    )
    whole = resource_table(SCENARIOS, [refused], NOW, namespaces=False, wide=False)
    assert whole.titles.plain.split()[-1] == "STATUS"
    assert whole.rows[0].plain.endswith("   " + refused.status.summary)
    [cut] = resource_table(SCENARIOS, [refused], NOW, namespaces=False, wide=False, width=100).rows
    assert cut.cell_len == 100
    assert "Refused: BlastRadius:" in cut.plain


def test_whether_a_run_succeeded_is_a_wide_column() -> None:
    failed = drill(conditions=[condition("Succeeded", "False", "ProbesFailed")])
    for wide in (False, True):
        table = resource_table(SCENARIOS, [failed], NOW, namespaces=False, wide=wide)
        assert ("SUCCEEDED" in table.titles.plain) == wide
        assert ("   False   " in table.rows[0].plain) == wide


def test_how_old_the_reading_of_a_status_is_is_not_called_when_the_plant_was_last_seen() -> None:
    told = NOW - timedelta(seconds=55)
    plant = Reactor.model_validate(
        {
            "metadata": {"name": "asco-1"},
            "spec": {"design": "Pwr3Loop"},
            "status": {"lastTelemetryTime": told},
        }
    )
    table = resource_table(REACTORS, [plant], NOW, namespaces=False, wide=True)
    assert "SEEN" not in table.titles.plain
    assert "STATUS-AGE" in table.titles.plain
    assert "   55s" in table.rows[0].plain


def test_the_time_left_of_a_held_run_stands_still() -> None:
    held = drill(run={"heldSince": NOW - timedelta(seconds=40)})
    assert time_left(held, NOW) == time_left(held, NOW + timedelta(hours=1)) == 580.0


def test_detected_are_so_many_of_those_that_were_injected() -> None:
    assert detected_text(drill()) == ""
    noticed = drill(targets={"injected": 10}, detection={"detected": 9, "missed": 1})
    assert detected_text(noticed) == "9/10"


def test_a_description_says_what_probes_guards_and_the_clock_do() -> None:
    signal = {"signal": "neutron_power_percent", "comparison": "Above", "thresholdMilli": 1}
    lines = describe_scenario(
        drill(
            spec={
                "suspendPolicy": "HoldClock",
                "state": "Suspended",
                "environment": "training",
                "guardOverride": {"guards": ["BlastRadius"], "reason": "as was agreed upon"},
                "ttlSecondsAfterFinished": 3600,
                "probes": [{"name": "at-power", "phase": "Before", "telemetry": signal}],
                "abortWhen": [{"name": "too-hot", "telemetry": signal}],
            },
            run={"heldSince": NOW},
            probes=[{"name": "at-power", "passed": True, "message": "seen"}, {"name": "too-hot"}],
        ),
        NOW,
    )
    told = [line.plain for line in lines]
    for expected in (
        "State:            Suspended, its clock stands still",
        "Environment:      training",
        "Guards:           may break BlastRadius: as was agreed upon",
        "Deleted:          1h after its outcome is final",
        "  at-power (Before): passed  seen",
        "  too-hot (aborts): not seen",
    ):
        assert expected in told, told
    assert any(line.startswith("  Held since:") for line in told)
