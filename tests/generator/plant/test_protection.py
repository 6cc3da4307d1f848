"""Which condition trips the reactor, when, and what isolates the steam lines."""

import numpy as np
import pytest

from reactorsync.designs import Design
from reactorsync.faults import FaultKind
from reactorsync.trips import TripCause
from reactorsync_generator.plant import LAYOUT, STATE_SIZE, PlantFleet, PlantSpec
from reactorsync_generator.plant.layout import Mode, Record
from tests.generator.plant.operating import at, constants_of, fault, operate

PWR, CANDU = Design.PWR_3_LOOP, Design.CANDU6

HIGH_POWER = {"power": 1.25}
HIGH_CONTAINMENT = {"containment_kpa": 140.0}
LOW_STEAM = {"steam_mpa": 1.0}


class ShownPlant:
    """A plant whose protection is shown conditions, a step at a time."""

    def __init__(self, design: Design = PWR) -> None:
        self._fleet = PlantFleet()
        self._indices = self._fleet.add([PlantSpec(design, noise=0.0)])
        self._steps = 0

    def step(self, shown: dict[str, float], *, times: int = 1) -> Record:
        """Let protection see ``shown`` for some steps; return the state after them."""
        for _ in range(times):
            states = self._fleet.states(self._indices)
            for name, value in shown.items():
                states[name] = value
            rows = states.view(np.float64).reshape(1, STATE_SIZE)
            self._fleet.restore(self._indices, rows, layout=LAYOUT)
            begin, end = at(self._steps / 10), at((self._steps + 1) / 10)
            self._fleet.advance(self._indices, begin, end)
            self._steps += 1
        return self._fleet.states(self._indices)[0]


def cause_of(state: Record) -> TripCause:
    return TripCause(int(state["trip_cause"]))


def test_a_condition_trips_when_it_has_lasted_for_the_confirmation_time() -> None:
    plant = ShownPlant()
    assert cause_of(plant.step(HIGH_CONTAINMENT, times=2)) is TripCause.NONE
    assert cause_of(plant.step(HIGH_CONTAINMENT)) is TripCause.HIGH_CONTAINMENT_PRESSURE


def test_a_condition_that_comes_and_goes_never_trips() -> None:
    plant = ShownPlant()
    for _ in range(20):
        plant.step(HIGH_CONTAINMENT, times=2)
        assert cause_of(plant.step({"containment_kpa": 101.3})) is TripCause.NONE


def test_a_condition_that_joins_neither_delays_the_trip_nor_becomes_its_cause() -> None:
    plant = ShownPlant()
    plant.step(HIGH_CONTAINMENT, times=2)
    state = plant.step(HIGH_CONTAINMENT | HIGH_POWER)
    assert cause_of(state) is TripCause.HIGH_CONTAINMENT_PRESSURE


def test_a_flickering_condition_does_not_delay_the_trip_of_a_lasting_one() -> None:
    plant = ShownPlant()
    plant.step(HIGH_CONTAINMENT)
    plant.step(HIGH_CONTAINMENT | HIGH_POWER)
    state = plant.step(HIGH_CONTAINMENT | {"power": 1.0})
    assert cause_of(state) is TripCause.HIGH_CONTAINMENT_PRESSURE


def test_of_conditions_confirmed_at_once_the_lowest_number_is_the_cause() -> None:
    state = ShownPlant().step(HIGH_CONTAINMENT | HIGH_POWER, times=3)
    assert cause_of(state) is TripCause.HIGH_NEUTRON_POWER


@pytest.mark.parametrize("design", Design)
def test_a_dip_of_steam_pressure_isolates_nothing(design: Design) -> None:
    plant = ShownPlant(design)
    state = plant.step(LOW_STEAM, times=2)
    state = plant.step({"steam_mpa": 4.5}, times=5)
    assert state["isolated"] == 0.0
    assert cause_of(state) is TripCause.NONE


@pytest.mark.parametrize("design", Design)
def test_a_confirmed_low_steam_pressure_isolates_and_trips_together(design: Design) -> None:
    state = ShownPlant(design).step(LOW_STEAM, times=3)
    assert state["isolated"] == 1.0
    assert cause_of(state) is TripCause.LOW_STEAM_PRESSURE


def test_a_plant_already_tripped_is_isolated_too_and_keeps_its_cause() -> None:
    plant = ShownPlant()
    plant.step(HIGH_CONTAINMENT, times=3)
    assert plant.step(LOW_STEAM, times=2)["isolated"] == 0.0
    state = plant.step(LOW_STEAM)
    assert state["isolated"] == 1.0
    assert cause_of(state) is TripCause.HIGH_CONTAINMENT_PRESSURE


def test_isolated_lines_go_with_a_trip_and_its_reset_opens_them() -> None:
    break_ = fault(FaultKind.STEAM_LINE_BREAK, end=310)
    course = operate(PWR, [break_], seconds=14400, every=10)
    isolated = course["isolated"] == 1.0
    assert isolated.any()
    assert np.all(course["mode"][isolated] == Mode.TRIPPED)
    assert not isolated[-1]


@pytest.mark.parametrize("setpoint", [1000, 600])
def test_a_turbine_trip_above_half_power_trips_a_pwr_before_its_safety_valves_lift(
    setpoint: int,
) -> None:
    turbine = fault(FaultKind.TURBINE_TRIP, end=400)
    course = operate(PWR, [turbine], seconds=5400, setpoint=setpoint)
    assert course.first_cause() is TripCause.TURBINE_TRIP
    assert course.trip_second() == pytest.approx(10.5, abs=0.5)
    assert course["steam_mpa"].max() < constants_of(PWR).steam_generator_safety_start_mpa - 0.2
    assert course["power"][-1] == pytest.approx(setpoint / 1000, abs=0.02), "and it comes back"


@pytest.mark.parametrize(
    ("design", "setpoint", "intensity"),
    [(PWR, 450, 1.0), (PWR, 1000, 0.3), (CANDU, 1000, 1.0)],
    ids=["below the interlock", "a turbine that still takes most of its steam", "stepback"],
)
def test_a_turbine_trip_does_not_trip_the_reactor_otherwise(
    design: Design, setpoint: int, intensity: float
) -> None:
    turbine = fault(FaultKind.TURBINE_TRIP, intensity=intensity)
    course = operate(design, [turbine], seconds=900, setpoint=setpoint)
    assert course.first_cause() is TripCause.NONE
