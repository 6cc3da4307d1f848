"""What each fault does to the plant, judged as an operator would, and the way back."""

import numpy as np
import pytest

from reactorsync.designs import Design
from reactorsync.faults import FaultKind
from reactorsync.trips import TripCause
from reactorsync_generator.plant.constants import DESIGN_ROWS, constants
from reactorsync_generator.plant.layout import DECAY, DELAYED, Mode
from tests.generator.plant.operating import Course, constants_of, fault, operate

PWR, CANDU = Design.PWR_3_LOOP, Design.CANDU6


def decay_share(course: Course, design: Design, second: float) -> float:
    shares = constants(0.1).tables[DESIGN_ROWS[design], 0]["heat_share"]
    return float(shares @ course.value("lags", second)[DELAYED : DELAYED + DECAY])


@pytest.mark.parametrize("design", Design)
def test_pumps_without_drive_coast_down_and_the_reactor_trips_on_low_flow(design: Design) -> None:
    course = operate(design, [fault(FaultKind.PUMP_TRIP)], seconds=400)
    assert course.first_cause() is TripCause.LOW_PRIMARY_FLOW
    assert course.trip_second() == pytest.approx(12.5, abs=1.5)
    rated = constants_of(design).core_primary_flow_kg_s
    flow = course["primary_flow_kg_s"] / rated
    assert np.all(np.diff(flow[10:60]) < 0.0)
    assert flow[400] == pytest.approx(0.05, abs=0.015), "natural circulation"
    assert course.value("power", 30) < 0.05
    assert np.all(course["hot_leg_c"][30:] > course["cold_leg_c"][30:] + 5.0)


def test_the_pwr_pumps_coast_down_as_the_reference_simulation() -> None:
    """NPPAD's LACP run: flow 57.6, 31.1 and 17.7 % after 8, 18 and 28 s."""
    course = operate(PWR, [fault(FaultKind.PUMP_TRIP)], seconds=40)
    flow = course["primary_flow_kg_s"] / course["primary_flow_kg_s"][0]
    np.testing.assert_allclose(flow[[18, 28, 38]], [0.576, 0.311, 0.177], atol=0.02)


@pytest.mark.parametrize("design", Design)
def test_decay_heat_after_a_trip_starts_near_seven_percent_and_falls_as_the_table(
    design: Design,
) -> None:
    course = operate(design, [fault(FaultKind.PUMP_TRIP)], seconds=1020)
    trip = course.trip_second()
    rods_in = trip + 3.0
    assert decay_share(course, design, trip) == pytest.approx(0.0685, abs=0.002)
    assert decay_share(course, design, rods_in) == pytest.approx(0.059, abs=0.004)
    assert decay_share(course, design, trip + 100) == pytest.approx(0.0337, rel=0.03)
    assert decay_share(course, design, trip + 1000) == pytest.approx(0.0192, rel=0.01)
    heat = course.value("heat_to_coolant_mw", trip + 1000)
    rated = constants_of(design).core_rated_thermal_mw
    assert heat / rated == pytest.approx(0.0195, abs=0.001)


def test_photoneutrons_keep_the_candu_brighter_than_the_pwr_after_a_trip() -> None:
    power = {
        design: operate(design, [fault(FaultKind.PUMP_TRIP)], seconds=1000).value("power", 1000)
        for design in Design
    }
    assert power[CANDU] > 2e-4
    assert power[CANDU] > 100 * power[PWR]


@pytest.mark.parametrize("design", Design)
def test_a_leak_empties_the_pressurizer_into_the_containment(design: Design) -> None:
    course = operate(design, [fault(FaultKind.PRIMARY_LEAK)], seconds=400)
    assert course.value("primary_mpa", 60) < course.value("primary_mpa", 0) - 0.15
    assert course.value("pressurizer_percent", 60) < course.value("pressurizer_percent", 0) - 5.0
    assert course.value("containment_kpa", 60) > course.value("containment_kpa", 0) + 1.0
    assert course.first_cause() in {
        TripCause.LOW_PRIMARY_PRESSURE,
        TripCause.HIGH_CONTAINMENT_PRESSURE,
    }
    assert course["primary_gained_kg"][-1] < -5000.0


def test_a_small_leak_is_made_up_without_a_trip() -> None:
    course = operate(PWR, [fault(FaultKind.PRIMARY_LEAK, intensity=0.08)], seconds=1800)
    assert course.first_cause() is TripCause.NONE
    assert 0.5 < 62.0 - course.value("pressurizer_percent", 1800) < 10.0
    assert course.value("containment_kpa", 1800) > 101.5


@pytest.mark.parametrize("design", Design)
def test_without_feedwater_the_steam_generators_boil_down_and_the_reactor_trips(
    design: Design,
) -> None:
    course = operate(design, [fault(FaultKind.LOSS_OF_FEEDWATER)], seconds=300)
    assert course.first_cause() is TripCause.LOW_STEAM_GENERATOR_LEVEL
    assert 25.0 < course.trip_second() - 10.0 < 60.0
    assert np.all(np.diff(course["steam_generator_percent"][12:30]) < 0.0)
    auxiliary = 0.05 * constants_of(design).steam_generator_steam_flow_kg_s
    assert course.value("feedwater_kg_s", 300) == pytest.approx(auxiliary, rel=0.05)


def test_a_steam_line_break_cools_a_pwr_and_raises_its_power_until_it_trips() -> None:
    course = operate(PWR, [fault(FaultKind.STEAM_LINE_BREAK)], seconds=300)
    trip = course.trip_second()
    assert course.value("steam_mpa", 13) < 6.6
    assert course.value("cold_leg_c", trip) < course.value("cold_leg_c", 0) - 1.0
    assert course.value("power", trip - 1) > 1.05
    assert course.first_cause() in {TripCause.HIGH_POWER_RATE, TripCause.HIGH_NEUTRON_POWER}
    assert course.value("isolated", 300) == 1.0
    assert course.value("reactivity", 300) < 0.0, "the shutdown margin covers the cooldown"


def test_a_candu_gives_its_turbines_steam_to_a_steam_line_break() -> None:
    course = operate(CANDU, [fault(FaultKind.STEAM_LINE_BREAK, end=300)], seconds=600)
    assert course.first_cause() is TripCause.NONE
    assert course.value("generator_mw", 200) < 0.6 * 706.5
    assert course.value("generator_mw", 600) == pytest.approx(706.5, rel=0.01)


@pytest.mark.parametrize(("design", "setpoint", "runback"), [(CANDU, 1000, 0.6), (PWR, 450, 0.15)])
def test_without_its_turbine_the_plant_runs_back_on_its_bypass_and_returns(
    design: Design, setpoint: int, runback: float
) -> None:
    course = operate(
        design, [fault(FaultKind.TURBINE_TRIP, end=400)], seconds=2400, setpoint=setpoint
    )
    assert course.first_cause() is TripCause.NONE
    peak = course["steam_mpa"].max()
    assert peak > 1.05 * course.value("steam_mpa", 0)
    assert peak < 1.02 * constants_of(design).steam_generator_safety_full_mpa
    assert course.value("generator_mw", 30) == pytest.approx(0.0, abs=1e-3)
    assert course.value("power", 400) == pytest.approx(runback, abs=0.03)
    assert course.value("power", 2400) == pytest.approx(setpoint / 1000, abs=0.01)


def test_a_rod_withdrawal_raises_power_and_temperature_until_the_bank_is_out() -> None:
    course = operate(PWR, [fault(FaultKind.ROD_WITHDRAWAL)], seconds=300)
    assert course["power"].max() > 1.05
    assert course.value("insertion", 300) == 0.0
    assert course.value("hot_leg_c", 300) > course.value("hot_leg_c", 0) + 2.0
    assert course.value("power", 300) == pytest.approx(1.0, abs=0.01), "the turbine holds its load"


def test_a_boron_dilution_drives_the_rods_in() -> None:
    course = operate(PWR, [fault(FaultKind.BORON_DILUTION, end=3600)], seconds=3600, every=10)
    assert course.value("boron_ppm", 3600) < 140.0
    assert course.value("insertion", 3600) > course.value("insertion", 0) + 0.05
    assert course.value("power", 3600) == pytest.approx(1.0, abs=0.01)


def test_a_candu_that_loses_regulation_trips_on_high_power() -> None:
    course = operate(CANDU, [fault(FaultKind.LOSS_OF_REGULATION)], seconds=60, every=0.1)
    assert course.first_cause() is TripCause.HIGH_NEUTRON_POWER
    assert 1.18 < course["power"].max() < 1.3
    assert np.all(np.diff(course["insertion"][101:140]) < 0.0)


@pytest.mark.parametrize("design", Design)
def test_a_worn_bearing_vibrates_and_costs_a_little_flow(design: Design) -> None:
    course = operate(design, [fault(FaultKind.PUMP_BEARING_WEAR, end=600)], seconds=900)
    assert course.value("vibration_mm_s", 0) == pytest.approx(1.5)
    assert course.value("vibration_mm_s", 600) == pytest.approx(11.5, abs=0.6)
    flow = course["primary_flow_kg_s"] / course["primary_flow_kg_s"][0]
    assert flow[600] == pytest.approx(0.96, abs=0.005)
    assert course.value("vibration_mm_s", 900) == pytest.approx(1.5, abs=0.01)
    assert course.first_cause() is TripCause.NONE


@pytest.mark.parametrize("design", Design)
def test_half_of_the_severity_does_less(design: Design) -> None:
    leaks = {
        x: operate(design, [fault(FaultKind.PRIMARY_LEAK, intensity=x)], seconds=40)
        for x in (0.25, 0.5, 1.0)
    }
    lost = [-course["primary_gained_kg"][-1] for course in leaks.values()]
    assert lost == sorted(lost)
    assert lost[2] > 1.8 * lost[1]


@pytest.mark.parametrize(
    ("design", "kind", "seconds"),
    [
        (PWR, FaultKind.PUMP_TRIP, 3600),
        (CANDU, FaultKind.PUMP_TRIP, 3600),
        (PWR, FaultKind.LOSS_OF_FEEDWATER, 6000),
        (CANDU, FaultKind.LOSS_OF_FEEDWATER, 3600),
        (PWR, FaultKind.PRIMARY_LEAK, 9000),
        (CANDU, FaultKind.PRIMARY_LEAK, 5400),
        (CANDU, FaultKind.LOSS_OF_REGULATION, 2400),
        (PWR, FaultKind.STEAM_LINE_BREAK, 14400),
        (PWR, FaultKind.TURBINE_TRIP, 5400),
    ],
)
def test_a_plant_that_tripped_comes_back_to_its_setpoint(
    design: Design, kind: FaultKind, seconds: int
) -> None:
    course = operate(design, [fault(kind, end=310)], seconds=seconds, every=10)
    tripped = course["mode"] == Mode.TRIPPED
    assert tripped.any()
    reset = course.seconds[np.flatnonzero(tripped)[-1] + 1]
    assert reset > 310 + 120, "not before the faults are gone and the delay has passed"
    restart = course["mode"] == Mode.RESTART
    assert course["log_rate_per_s"][restart].max() < 0.08, "a controlled period"
    assert course["power"][-1] == pytest.approx(1.0, abs=0.02)
    assert Mode(int(course["mode"][-1])) is Mode.RUN
    assert np.flatnonzero(np.diff(tripped.astype(int)) == 1).size == 1, "it trips once"


def test_a_trip_latches_while_its_fault_lasts() -> None:
    course = operate(CANDU, [fault(FaultKind.PUMP_TRIP)], seconds=3600, every=10)
    assert np.all(course["mode"][2:] == Mode.TRIPPED)
    assert set(course["trip_cause"][2:]) == {float(TripCause.LOW_PRIMARY_FLOW)}


def test_a_candu_left_shut_down_for_hours_is_poisoned_out() -> None:
    course = operate(CANDU, [fault(FaultKind.PUMP_TRIP, end=7200)], seconds=18000, every=600)
    assert course.value("xenon", 18000) > 2.0
    assert course.value("power", 18000) < 0.01, "xenon outweighs zones and adjusters"
