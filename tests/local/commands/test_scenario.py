from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from reactorsync.resources import AnomalyScenario
from reactorsync_local.commands.scenario import failure_of, is_judged
from tests.local.commands.conftest import Command, Manifest


def state_of(reactorsync: Command, namespace: str, name: str) -> dict[str, str]:
    found = reactorsync("get", "anom", name, "-n", namespace, "-o", "yaml")
    spec = yaml.safe_load(found.stdout)["spec"]
    return {"state": spec["state"], "token": spec.get("runToken", "")}


def test_a_scenario_is_aborted_and_run_again(
    reactorsync: Command, scenario_yaml: Manifest, namespace: str
) -> None:
    reactorsync("apply", "-f", "-", stdin=scenario_yaml("drill"))
    aborted = reactorsync("scenario", "abort", "drill", "-n", namespace)
    assert aborted.lines == ["anomalyscenario.reactorsync.dev/drill aborted"]
    assert state_of(reactorsync, namespace, "drill") == {"state": "Aborted", "token": ""}
    started = reactorsync("scenario", "run", "drill", "-n", namespace)
    assert started.lines == ["anomalyscenario.reactorsync.dev/drill run started"]
    after = state_of(reactorsync, namespace, "drill")
    assert after["state"] == "Active"
    assert after["token"]


def test_a_dry_run_is_said_to_inject_nothing(
    reactorsync: Command, scenario_yaml: Manifest, namespace: str
) -> None:
    reactorsync("apply", "-f", "-", stdin=scenario_yaml("drill", spec="  mode: DryRun\n"))
    started = reactorsync("scenario", "run", "drill", "-n", namespace)
    assert "nothing is injected" in started.stderr


def test_scenarios_are_listed_of_all_namespaces_or_one(
    reactorsync: Command, scenario_yaml: Manifest, namespace: str
) -> None:
    reactorsync("apply", "-f", "-", stdin=scenario_yaml("drill"))
    everywhere = reactorsync("scenario", "list")
    assert any(line.split()[:2] == [namespace, "drill"] for line in everywhere.lines)
    here = reactorsync("scenario", "list", "-n", namespace)
    assert [line.split()[0] for line in here.lines] == ["NAME", "drill"]


def test_a_scenario_that_is_not_there_cannot_be_run(reactorsync: Command, namespace: str) -> None:
    for action in ("run", "abort"):
        refused = reactorsync("scenario", action, "nothing", "-n", namespace)
        assert refused.exit_code == 1
        assert "nothing" in refused.stderr


def test_aborting_twice_says_that_nothing_changed(
    reactorsync: Command, scenario_yaml: Manifest, namespace: str
) -> None:
    reactorsync("apply", "-f", "-", stdin=scenario_yaml("drill"))
    reactorsync("scenario", "abort", "drill", "-n", namespace)
    again = reactorsync("scenario", "abort", "drill", "-n", namespace)
    assert again.exit_code == 0
    assert "nothing changed" in again.stdout


def ended(status: str, reason: str, *, phase: str = "Completed", message: str = "") -> Any:
    """A scenario whose run is over, with this outcome."""
    moment = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
    stage = {"name": "pumps-lost", "fault": "PumpTrip", "durationSeconds": 60}
    return AnomalyScenario.model_validate(
        {
            "metadata": {"name": "drill"},
            "spec": {"targets": {"names": ["asco-1"]}, "stages": [stage]},
            "status": {
                "run": {"number": 1, "phase": phase, "startTime": moment, "endTime": moment},
                "conditions": [
                    {
                        "type": "Succeeded",
                        "status": status,
                        "reason": reason,
                        "message": message,
                        "lastTransitionTime": moment,
                    }
                ],
            },
        }
    )


@pytest.mark.parametrize(
    ("scenario", "judged", "failure"),
    [
        (ended("True", "Completed"), True, ""),
        (
            ended("False", "TargetsFailed", message="on 2 reactors"),
            True,
            "TargetsFailed: on 2 reactors",
        ),
        (ended("Unknown", "RunInProgress"), False, "RunInProgress"),
        (ended("Unknown", "NotReported"), True, "NotReported"),
        (ended("Unknown", "RunInProgress", phase="Aborted"), True, "it was aborted"),
        (
            ended("False", "SteadyStateNotMet", phase="Aborted", message="at-power did not pass"),
            True,
            "it was aborted: at-power did not pass",
        ),
    ],
)
def test_a_run_that_went_through_has_succeeded_only_if_the_condition_says_so(
    scenario: AnomalyScenario, judged: bool, failure: str
) -> None:
    assert (is_judged(scenario), failure_of(scenario)) == (judged, failure)
