"""What ``get`` says of a scenario in a word or two."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reactorsync.resources import AnomalyScenario
from reactorsync_local.rendering.columns import detected_text, scenario_phase, time_left
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


def stalled(reason: str) -> list[dict[str, Any]]:
    condition = {"type": "Stalled", "status": "True", "reason": reason, "lastTransitionTime": NOW}
    return [condition]


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
    ],
)
def test_a_phase_is_one_word(scenario: AnomalyScenario, phase: str) -> None:
    assert scenario_phase(scenario) == phase


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
