"""A new plant is at rest at its setpoint, inside its normal bands, and follows a new one."""

import numpy as np
import pytest

from reactorsync.designs import Design
from reactorsync.signals import LIMITS, SIGNAL_INDEX
from reactorsync_generator.plant import PlantFleet, PlantSpec, load_design
from reactorsync_generator.plant.layout import Mode
from tests.generator.plant.operating import at, operate

SETPOINTS = (200, 370, 600, 850, 1000)


@pytest.mark.parametrize("setpoint", SETPOINTS)
@pytest.mark.parametrize("design", Design)
def test_nothing_moves_in_an_hour_at_rest(design: Design, setpoint: int) -> None:
    course = operate(design, seconds=3600, every=3600, setpoint=setpoint)
    before, after = course.states
    for name in before.dtype.names:
        if name == "held" or name.endswith("_mj"):
            continue
        tolerance = 1e-5 if name.endswith("gained_kg") else 1e-9
        np.testing.assert_allclose(
            after[name], before[name], rtol=1e-9, atol=tolerance, err_msg=name
        )


@pytest.mark.parametrize("setpoint", SETPOINTS)
@pytest.mark.parametrize("design", Design)
def test_heat_released_is_heat_passed_on(design: Design, setpoint: int) -> None:
    course = operate(design, seconds=60, every=60, setpoint=setpoint)
    released = course.value("released_mj", 60) / 60
    rated = load_design(design).core.rated_thermal_mw.value
    assert released == pytest.approx(rated * setpoint / 1000, rel=1e-12)
    assert course.value("to_secondary_mj", 60) / 60 == pytest.approx(released, rel=1e-12)
    assert course.value("heat_to_coolant_mw", 60) == pytest.approx(released, rel=1e-12)


@pytest.mark.parametrize("design", Design)
def test_at_full_power_every_reading_lies_in_its_normal_band(design: Design) -> None:
    fleet = PlantFleet()
    indices = fleet.add([PlantSpec(design, seed=seed) for seed in range(200)])
    fleet.advance(indices, at(0), at(30))
    readings = fleet.readings(indices, at(30))
    for name, limits in LIMITS[design].items():
        column = readings[:, SIGNAL_INDEX[name]]
        assert limits.normal_low <= column.min(), name
        assert column.max() <= limits.normal_high, name


@pytest.mark.parametrize("design", Design)
@pytest.mark.parametrize(("begin", "end"), [(1000, 600), (400, 900)])
def test_a_new_setpoint_is_reached_without_a_trip(design: Design, begin: int, end: int) -> None:
    fleet = PlantFleet()
    indices = fleet.add([PlantSpec(design, begin)])
    fleet.set_setpoint(int(indices[0]), end)
    for minute in range(40):
        fleet.advance(indices, at(60 * minute), at(60 * minute + 60))
        assert fleet.trip_causes(indices)[0] == 0
    state = fleet.states(indices)[0]
    assert state["power"] == pytest.approx(end / 1000, abs=0.012)
    assert Mode(int(state["mode"])) is Mode.RUN


def test_a_pwr_takes_load_off_at_five_percent_per_minute() -> None:
    fleet = PlantFleet()
    indices = fleet.add([PlantSpec(Design.PWR_3_LOOP, 1000)])
    fleet.set_setpoint(int(indices[0]), 500)
    fleet.advance(indices, at(0), at(300))
    assert fleet.states(indices)["load"][0] == pytest.approx(0.75, abs=1e-3)
    assert fleet.states(indices)["power"][0] == pytest.approx(0.75, abs=0.02)
