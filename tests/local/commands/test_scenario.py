from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from reactorsync.resources import AnomalyScenario
from reactorsync_local.commands import scenario as scenario_command
from reactorsync_local.commands.scenario import Answer, answer_of, failure_of, is_judged
from tests.local.commands.conftest import Command, Manifest


@pytest.fixture(autouse=True)
def no_operator_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """None runs here, so no answer ever comes."""
    monkeypatch.setattr(scenario_command, "ANSWER_SECONDS", 0.2)


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
    assert started.lines == ["anomalyscenario.reactorsync.dev/drill run requested"]
    assert "no operator has taken it up yet" in started.stderr
    assert "reactorsync doctor" in started.stderr
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


def asked(*, spec: dict[str, Any] | None = None, **status: Any) -> AnomalyScenario:
    """A scenario at generation 2 that was asked to run anew, and what the status says since."""
    stage = {"name": "pumps-lost", "fault": "PumpTrip", "durationSeconds": 60}
    targets = {"names": ["asco-1"]}
    return AnomalyScenario.model_validate(
        {
            "metadata": {"name": "drill", "generation": 2},
            "spec": {"targets": targets, "stages": [stage], "runToken": "b", **(spec or {})},
            "status": {"observedGeneration": 2, **status},
        }
    )


def running(token: str) -> dict[str, Any]:
    moment = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
    return {
        "number": 2, "token": token, "phase": "Pending", "startTime": moment, "endTime": moment
    }  # fmt: skip


def says(type_: str, status: str, reason: str, message: str) -> dict[str, Any]:
    moment = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
    return {
        "type": type_, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": moment,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("scenario", "answer"),
    [
        (asked(observedGeneration=1, run=running("a")), None),
        (
            asked(run=running("b"), summary="Run 2 starts soon on 1 reactor"),
            Answer("Run 2 starts soon on 1 reactor"),
        ),
        (
            asked(
                run=running("b"),
                summary="Run 2 starts soon on 0 reactors",
                conditions=[says("TargetsResolved", "False", "NoTargets", "no reactor matches")],
            ),
            Answer("Run 2 starts soon on 0 reactors; NoTargets: no reactor matches"),
        ),
        (
            asked(conditions=[says("Stalled", "True", "GuardTripped", "29 chosen, at most 14")]),
            Answer("no run begins: GuardTripped: 29 chosen, at most 14", refused=True),
        ),
        (
            asked(
                summary="Waiting for a reactor that matches",
                conditions=[says("Ready", "False", "NoTargets", "no reactor matches")],
            ),
            Answer("no run has begun: NoTargets: no reactor matches"),
        ),
        (
            asked(spec={"mode": "DryRun"}, summary="Dry run: would act on 1 of 3 reactors"),
            Answer("Dry run: would act on 1 of 3 reactors"),
        ),
        (
            asked(
                run=running("a"),
                summary="Run 1 until noon: 1 of 1 injected",
                conditions=[says("Ready", "True", "Active", "")],
            ),
            Answer("no run has begun: Run 1 until noon: 1 of 1 injected"),
        ),
    ],
    ids=[
        "not yet",
        "begins",
        "begins on nothing",
        "refused",
        "no match",
        "dry run",
        "former run goes on",
    ],
)
def test_what_became_of_the_request_is_in_the_status(
    scenario: AnomalyScenario, answer: Answer | None
) -> None:
    assert answer_of(scenario) == answer


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
