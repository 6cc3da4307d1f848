"""Power held for hours: xenon moves by more than the liquid zones are worth."""

import numpy as np
import pytest

from reactorsync.designs import Design
from reactorsync.faults import FaultKind
from reactorsync_generator.plant import PlantFleet, PlantSpec
from reactorsync_generator.plant.layout import Mode
from tests.generator.plant.operating import Course, at, fault, operate

PWR, CANDU = Design.PWR_3_LOOP, Design.CANDU6
HOUR = 3600.0


def change_setpoint(design: Design, before: int, after: int, *, hours: float) -> Course:
    """Run a plant at rest at one setpoint from the moment another is asked for."""
    fleet = PlantFleet()
    indices = fleet.add([PlantSpec(design, before, noise=0.0)])
    fleet.set_setpoint(int(indices[0]), after)
    seconds = np.arange(0.0, hours * HOUR + 1.0, 60.0)
    states = [fleet.states(indices)]
    for begin, end in zip(seconds[:-1].tolist(), seconds[1:].tolist(), strict=True):
        fleet.advance(indices, at(begin), at(end))
        states.append(fleet.states(indices))
    return Course(seconds=seconds, states=np.concatenate(states))


def trips(course: Course) -> int:
    tripped = (course["mode"] == Mode.TRIPPED).astype(int)
    return int(np.count_nonzero(np.diff(tripped) == 1))


@pytest.mark.parametrize(
    ("design", "before", "after", "hours"),
    [
        (CANDU, 600, 1000, 10),
        (CANDU, 200, 1000, 10),
        (CANDU, 400, 800, 10),
        (CANDU, 1000, 400, 40),
        (PWR, 600, 1000, 10),
        (PWR, 1000, 400, 10),
    ],
)
def test_a_plant_goes_to_another_power_and_holds_it_through_the_xenon_that_follows(
    design: Design, before: int, after: int, hours: float
) -> None:
    course = change_setpoint(design, before, after, hours=hours)
    assert trips(course) == 0
    settled = course.seconds > HOUR
    np.testing.assert_allclose(course["power"][settled], after / 1000, atol=0.02)


def test_a_candu_turned_down_too_far_is_poisoned_out_and_comes_back_by_itself() -> None:
    course = change_setpoint(CANDU, 1000, 200, hours=32)
    assert course.value("power", 6 * HOUR) < 0.05, "xenon outweighs zones and adjusters"
    assert trips(course) == 0
    assert course["power"][-1] == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize(
    ("outage_h", "back_h"), [(1, 2), (2, 28), (40, 42)], ids=["short", "poisoned out", "no xenon"]
)
def test_a_candu_recovers_from_an_outage_with_no_further_trip(
    outage_h: float, back_h: float
) -> None:
    pumps = fault(FaultKind.PUMP_TRIP, end=10 + outage_h * HOUR)
    course = operate(CANDU, [pumps], seconds=back_h * HOUR, every=60.0)
    assert trips(course) == 1
    assert Mode(int(course["mode"][-1])) is Mode.RUN
    assert course["power"][-1] == pytest.approx(1.0, abs=0.02)
    assert course["log_rate_per_s"][course["mode"] == Mode.RESTART].max() < 0.08


def test_poison_stands_in_for_missing_xenon_and_goes_as_xenon_returns() -> None:
    course = operate(
        CANDU, [fault(FaultKind.PUMP_TRIP, end=10 + 40 * HOUR)], seconds=60 * HOUR, every=600.0
    )
    poison = course["moderator_poison"]
    assert course["xenon"].min() < 0.8
    assert poison.max() > 0.3
    assert poison[-1] < 0.5 * poison.max()
    assert not operate(PWR, seconds=60, every=60.0)["moderator_poison"].any()
