"""What tools that wait for resources are told, over statuses that the plans really produce."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from reactorsync.kube import KubeClient
from reactorsync.resources import AnomalyScenario, Reactor
from tests.core.planning.build import NOON
from tests.gitops.kstatus import Answer, flux_status, kstatus
from tests.operator.world import World, observed

FLUX = Path(__file__).parents[2] / "gitops" / "flux"


def expressions_of(name: str) -> dict[str, Any]:
    return {
        one["kind"]: one
        for document in yaml.safe_load_all((FLUX / name).read_text(encoding="utf-8"))
        for one in document["spec"].get("healthCheckExprs", ())
    }


EXPRESSIONS, GATE = expressions_of("reactors.yaml"), expressions_of("gate.yaml")

CURRENT, IN_PROGRESS, FAILED = Answer.CURRENT, Answer.IN_PROGRESS, Answer.FAILED


def as_served(resource: Reactor | AnomalyScenario) -> dict[str, Any]:
    """The resource as an API server has it: its status holds only defaults until one is written."""
    document: dict[str, Any] = resource.to_json()
    if not document["status"]["conditions"]:
        document["status"] = {"observedGeneration": 0}
    return document


def reactor_without_generator() -> World:
    world = World()
    world.add_reactor("bruce-1")
    world.settle()
    return world


def running_fleet() -> World:
    world = World()
    for number in (1, 2):
        world.add_reactor(f"bruce-{number}")
    world.until(30)
    return world


def scenario_without_reactors() -> World:
    world = World()
    world.apply("leak-drill")
    world.settle()
    return world


def scenario_that_acts(**spec: Any) -> World:
    world = running_fleet()
    world.apply("leak-drill", **spec)
    world.until(60)
    return world


def edited_fleet() -> World:
    world = running_fleet()
    world.change_reactor("bruce-1", powerSetpointPermille=900)
    return world


def long_without_generator() -> World:
    world = reactor_without_generator()
    world.pass_time(3600, report=False)
    return world


def suspended_scenario() -> World:
    world = scenario_that_acts()
    world.apply("leak-drill", state="Suspended")
    world.until(90)
    return world


def finished_scenario() -> World:
    world = scenario_that_acts()
    world.until(900)
    return world


def aborted_scenario() -> World:
    world = scenario_that_acts()
    world.apply("leak-drill", state="Aborted")
    world.until(900)
    return world


def tripped_fleet() -> World:
    world = running_fleet()
    held = world.topic.held["default/bruce-1"]
    world.tell(observed(held, world.log[-1][1], trip_cause="LowFlow"))
    world.settle()
    return world


CASES: list[tuple[Callable[[], World], str, Answer]] = [
    (reactor_without_generator, "bruce-1", IN_PROGRESS),
    (long_without_generator, "bruce-1", FAILED),
    (running_fleet, "bruce-1", CURRENT),
    (edited_fleet, "bruce-1", IN_PROGRESS),
    (tripped_fleet, "bruce-1", CURRENT),
    (scenario_without_reactors, "leak-drill", IN_PROGRESS),
    (scenario_that_acts, "leak-drill", CURRENT),
    (suspended_scenario, "leak-drill", CURRENT),
    (finished_scenario, "leak-drill", CURRENT),
]


@pytest.mark.parametrize(
    ("world", "name", "expected"), CASES, ids=[case[0].__name__ for case in CASES]
)
def test_kstatus_and_the_expressions_agree(
    world: Callable[[], World], name: str, expected: Answer
) -> None:
    made = world()
    found: Reactor | AnomalyScenario = made.reactors.get(name) or made.scenarios[name]
    served = as_served(found)

    assert kstatus(served) is expected
    assert flux_status(served, EXPRESSIONS[found.kind]) is expected


def unseen() -> list[Reactor | AnomalyScenario]:
    world = World()
    world.add_reactor("bruce-1")
    world.apply("leak-drill")
    return [world.reactors["bruce-1"], world.scenarios["leak-drill"]]


@pytest.mark.parametrize("resource", unseen(), ids=lambda one: str(one.kind))
def test_what_nobody_has_looked_at_is_in_progress(resource: Reactor | AnomalyScenario) -> None:
    served = as_served(resource)
    assert kstatus(served) is IN_PROGRESS
    assert flux_status(served, EXPRESSIONS[resource.kind]) is IN_PROGRESS


async def test_a_real_api_server_gives_a_new_object_that_status(
    kube: KubeClient, kube_namespace: str
) -> None:
    for resource in unseen():
        plural = "reactors" if isinstance(resource, Reactor) else "anomalyscenarios"
        document: dict[str, Any] = resource.to_json()
        document["metadata"] = {"name": resource.metadata.name}
        path = f"/apis/reactorsync.dev/v1alpha1/namespaces/{kube_namespace}/{plural}"
        created: Any = await kube.post(path, document)
        assert created["status"]["observedGeneration"] == 0
        assert kstatus(created) is IN_PROGRESS


def test_without_any_status_kstatus_would_be_wrong_and_the_expressions_wait() -> None:
    [bare, _] = [resource.to_json() for resource in unseen()]
    del bare["status"]
    assert kstatus(bare) is CURRENT
    assert flux_status(bare, EXPRESSIONS["Reactor"]) is Answer.UNKNOWN


@pytest.mark.parametrize(
    ("world", "expected"),
    [
        (scenario_without_reactors, IN_PROGRESS),
        (scenario_that_acts, IN_PROGRESS),
        (finished_scenario, CURRENT),
        (aborted_scenario, FAILED),
    ],
)
def test_a_gate_opens_when_the_run_has_succeeded(
    world: Callable[[], World], expected: Answer
) -> None:
    served = as_served(world().scenarios["leak-drill"])
    assert flux_status(served, GATE["AnomalyScenario"]) is expected


def test_what_is_being_deleted_terminates() -> None:
    world = running_fleet()
    found = world.reactors["bruce-1"]
    metadata = found.metadata.model_copy(update={"deletion_timestamp": NOON})
    assert kstatus(as_served(found.model_copy(update={"metadata": metadata}))) is Answer.TERMINATING
