"""An object that cannot be planned says so, once, and holds nothing else up."""

import logging
from typing import Any

import pytest

from reactorsync_operator import reconciler
from reactorsync_operator.reconcile.announcements import announce
from tests.core.planning.build import NOON, after
from tests.operator.world import World


@pytest.fixture
def world() -> World:
    """A reactor that streams, and a scenario that acts on it."""
    world = World()
    world.add_reactor("bruce-1")
    world.settle()
    world.report()
    world.settle()
    world.apply()
    world.pass_time(1)
    return world


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No scenario can be planned."""

    def fail(*_: Any, **__: Any) -> None:
        raise ValueError("year 10000 is out of range")

    monkeypatch.setattr(reconciler, "plan_scenario", fail)
    return monkeypatch


def work(world: World, *, passes: int = 1) -> None:
    """Plan what is marked, without a pause after failures."""
    for _ in range(passes):
        world.fleet.mark_all()
        world.reconciler.work(seconds=60)
        world._queue._delayed.clear()
        world._queue._heap.clear()


def test_status_and_event_say_why(world: World, broken: pytest.MonkeyPatch) -> None:
    before = world.scenarios["leak-drill"]
    work(world)
    (failed,) = world.statuses.offered.values()
    said = {one.type: (one.status.value, one.reason) for one in failed.status.conditions}
    assert said["Ready"] == ("False", "PlanFailed")
    assert said["Stalled"] == ("True", "PlanFailed")
    assert said["Injected"] == ("True", "AllInjected"), "what was known stays"
    assert failed.status.conditions[0].message == "ValueError: year 10000 is out of range"
    told = [f"{one.kind.type} {one.kind.reason}: {one.note}" for one in announce(before, failed)]
    assert told == ["Warning PlanFailed: ValueError: year 10000 is out of range"]


def test_what_was_edited_meanwhile_has_yet_to_be_looked_at(
    world: World, broken: pytest.MonkeyPatch
) -> None:
    world.apply(priority=3)
    work(world)
    (failed,) = world.statuses.offered.values()
    assert failed.metadata.generation == 2
    assert failed.status.observed_generation == 1


def test_log_and_status_are_written_once(
    world: World, broken: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    work(world, passes=3)
    world._write()
    world.now = after(5)
    work(world, passes=3)
    assert world.statuses.offered == {}
    condition = world.condition("Stalled")
    assert condition is not None
    assert condition.last_transition_time == after(1)
    errors = [one for one in caplog.records if one.levelno >= logging.ERROR]
    assert [one.getMessage() for one in errors] == [
        "AnomalyScenario default/leak-drill: no plan; trying again, ever less often"
    ]
    assert errors[0].exc_info is not None


def test_it_goes_on_where_it_was(
    world: World, broken: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    work(world)
    world._write()
    assert world.faulty() == {"bruce-1"}, "faults in place stay, and end by themselves"
    broken.undo()
    work(world)
    world.settle()
    assert world.says("Ready") == ("True", "Active")
    assert world.says("Stalled") is None
    assert "AnomalyScenario default/leak-drill: planned again" in caplog.messages
    run = world.status().run
    assert run is not None
    assert (run.number, run.start_time) == (1, NOON)


def test_of_a_reactor_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise KeyError("design")

    monkeypatch.setattr(reconciler, "plan_reactor", fail)
    work(world)
    world._write()
    assert world.reactor_says("Stalled") == ("True", "PlanFailed")
    assert world.faulty() == {"bruce-1"}
