"""What the condition Verified says of a run, from what the historian told of its faults."""

import pytest

from reactorsync.wire.events import FaultInjected, FaultVerified
from reactorsync_operator.reconcile.announcements import announce
from tests.operator.world import World


@pytest.fixture
def world() -> World:
    """Three reactors on which the faults of a run act."""
    world = World()
    for number in (1, 2, 3):
        world.add_reactor(f"bruce-{number}")
    world.settle()
    world.report()
    world.apply()
    world.pass_time(1)
    return world


def tell(world: World, *confirmed: bool | None) -> None:
    """Let the historian tell what it found on some of the targets, in the order of their names."""
    acting = [event for event, _ in world.log if isinstance(event, FaultInjected)]
    acting.sort(key=lambda event: event.name)
    for event, answer in zip(acting, confirmed, strict=False):
        told = event.model_dump() | {"confirmed": answer, "message": f"found {answer}"}
        world.tell(FaultVerified.model_validate(told))
    world.settle()


@pytest.mark.parametrize(
    ("confirmed", "says"),
    [
        ([], ("Unknown", "NotObserved")),
        ([True, True, True], ("True", "Confirmed")),
        ([True, None, None], ("True", "Confirmed")),
        ([None, True, False], ("False", "Mismatch")),
        ([False, None], ("False", "Mismatch")),
        ([None, None, None], ("Unknown", "Inconclusive")),
    ],
)
def test_of_mixed_findings_one_stands(
    world: World, confirmed: list[bool | None], says: tuple[str, str]
) -> None:
    tell(world, *confirmed)
    assert world.says("Verified") == says


def test_what_could_not_be_judged_is_said_with_the_reason_and_no_event(world: World) -> None:
    before = world.scenarios["leak-drill"]
    tell(world, None)
    condition = world.condition("Verified")
    assert condition is not None
    assert condition.message.startswith(
        "whether the telemetry of 1 target shows the fault was not judged; bruce-1, stage "
    )
    assert condition.message.endswith(": found None")
    assert announce(before, world.scenarios["leak-drill"]) == ()


def test_it_stays_said_when_the_run_is_over_and_the_broker_has_forgotten(world: World) -> None:
    tell(world, None)
    world.until(900)
    world.start_operator(replay=())
    world.settle()
    assert world.says("Verified") == ("Unknown", "Inconclusive")


def test_a_verdict_that_comes_late_takes_its_place(world: World) -> None:
    tell(world, None)
    world.until(900)
    tell(world, True)
    assert world.says("Verified") == ("True", "Confirmed")
