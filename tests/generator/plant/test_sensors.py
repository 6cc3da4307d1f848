"""Instruments: noise that can be repeated, lag, range, and each sensor fault."""

import numpy as np
import numpy.typing as npt
import pytest

from reactorsync.designs import Design
from reactorsync.faults import FaultKind
from reactorsync.resources.scenario import SensorDirection, Shape
from reactorsync.signals import SIGNAL_INDEX, SIGNALS
from reactorsync_generator.plant import FaultInput, PlantFleet, PlantSpec, load_design
from reactorsync_generator.plant.sensors import normal, uniform
from tests.generator.plant.operating import at, fault

OUTLET = "core_outlet_temperature_c"
SPAN = 400.0


def read(
    faults: list[FaultInput],
    seconds: list[float],
    *,
    signal: str = OUTLET,
    noise: float = 0.0,
    seed: int = 1,
) -> npt.NDArray[np.float32]:
    """Readings of one signal of a PWR at full power."""
    fleet = PlantFleet()
    indices = fleet.add([PlantSpec(Design.PWR_3_LOOP, seed=seed, noise=noise)])
    fleet.set_faults(int(indices[0]), faults)
    values, now = [], 0.0
    for second in seconds:
        fleet.advance(indices, at(now), at(second))
        values.append(fleet.readings(indices, at(second))[0, SIGNAL_INDEX[signal]])
        now = second
    return np.array(values)


TRUTH = float(read([], [0.0])[0])


def test_random_numbers_are_uniform_and_normal() -> None:
    draws = np.array([uniform(3, at(n), 5, 0) for n in range(20_000)])
    assert draws.min() > 0.0
    assert draws.max() < 1.0
    np.testing.assert_allclose(np.histogram(draws, 10, (0, 1))[0], 2000, atol=200)
    noise = np.array([normal(3, at(n), 5, 0) for n in range(20_000)])
    assert noise.mean() == pytest.approx(0.0, abs=0.03)
    assert noise.std() == pytest.approx(1.0, abs=0.02)
    assert np.corrcoef(noise[1:], noise[:-1])[0, 1] == pytest.approx(0.0, abs=0.03)


@pytest.mark.parametrize("other", [(4, 0, 5, 0), (3, 1, 5, 0), (3, 0, 6, 0), (3, 0, 5, 1)])
def test_seed_tick_signal_and_stream_all_matter(other: tuple[int, int, int, int]) -> None:
    assert uniform(3, 0, 5, 0) != uniform(*other)
    assert abs(uniform(3, 0, 5, 0) - uniform(*other)) > 1e-6


def test_noise_has_the_deviation_of_the_instrument_times_the_plants_factor() -> None:
    seconds = [0.1 * n for n in range(1, 2001)]
    for factor in (1.0, 3.0):
        readings = read([], seconds, noise=factor)
        deviation = factor * load_design(Design.PWR_3_LOOP).sensors[OUTLET].noise
        assert readings.std() == pytest.approx(deviation, rel=0.06)
        assert readings.mean() == pytest.approx(TRUTH, abs=0.03)


def test_a_reading_depends_on_its_tick_alone() -> None:
    every = read([], [1.0, 2.0, 3.0], noise=1.0)
    last = read([], [3.0], noise=1.0)
    assert every[-1] == last[0]
    assert read([], [3.0], noise=1.0, seed=2)[0] != last[0]


def test_a_thermometer_lags_behind_the_process() -> None:
    fleet = PlantFleet()
    indices = fleet.add([PlantSpec(Design.PWR_3_LOOP, noise=0.0)])
    fleet.set_faults(int(indices[0]), [fault(FaultKind.PUMP_TRIP, start=0)])
    fleet.advance(indices, at(0), at(12))
    shown = fleet.readings(indices, at(12))[0, SIGNAL_INDEX[OUTLET]]
    truth = fleet.states(indices)["hot_leg_c"][0]
    assert abs(shown - truth) > 0.5
    assert min(TRUTH, truth) < shown < max(TRUTH, truth) + 5.0


def test_a_biased_instrument_is_wrong_by_a_tenth_of_its_range() -> None:
    low = fault(FaultKind.SENSOR_BIAS, end=20, signal=OUTLET, direction=SensorDirection.LOW)
    readings = read([low], [9.9, 10.0, 19.9, 20.0])
    np.testing.assert_allclose(readings, [TRUTH, TRUTH - 40, TRUTH - 40, TRUTH], atol=1e-3)


def test_a_drifting_instrument_moves_by_a_tenth_of_its_range_per_hour() -> None:
    drift = fault(FaultKind.SENSOR_DRIFT, start=0, end=3600, intensity=0.5, signal=OUTLET)
    readings = read([drift], [360.0, 1800.0, 3599.9, 3600.0])
    np.testing.assert_allclose(readings, [TRUTH + 2, TRUTH + 10, TRUTH + 20, TRUTH], atol=1e-2)


def test_a_stuck_instrument_repeats_its_last_reading_while_the_plant_moves() -> None:
    stuck = fault(FaultKind.SENSOR_STUCK, start=15, end=60, signal=OUTLET)
    pump = fault(FaultKind.PUMP_TRIP, start=10)
    readings = read([pump, stuck], [14.9, 15.0, 15.1, 30.0, 59.9, 61.0], noise=1.0)
    assert readings[1] == readings[2] == readings[3] == readings[4]
    assert abs(readings[5] - readings[4]) > 2.0


def test_an_instrument_that_is_no_longer_said_to_be_stuck_shows_the_truth() -> None:
    fleet = PlantFleet()
    indices = fleet.add([PlantSpec(Design.PWR_3_LOOP, noise=1.0)])
    fleet.set_faults(int(indices[0]), [fault(FaultKind.SENSOR_STUCK, start=0, signal=OUTLET)])
    fleet.advance(indices, at(0), at(5))
    fleet.set_faults(int(indices[0]), [])
    fleet.advance(indices, at(5), at(6))
    assert np.isnan(fleet.states(indices)["held"]).all()


def test_a_noisy_instrument_has_a_deviation_of_a_twentieth_of_its_range() -> None:
    noisy = fault(FaultKind.SENSOR_NOISE, start=0, intensity=0.5, signal=OUTLET)
    readings = read([noisy], [0.1 * n for n in range(1, 2001)])
    assert readings.std() == pytest.approx(0.5 * 0.05 * SPAN, rel=0.06)


def test_a_failing_instrument_gives_no_reading_for_its_share_of_the_ticks() -> None:
    dropout = fault(FaultKind.SENSOR_DROPOUT, start=0, intensity=0.25, signal=OUTLET)
    readings = read([dropout], [0.1 * n for n in range(1, 2001)])
    assert np.isnan(readings).mean() == pytest.approx(0.25, abs=0.03)
    silent = fault(FaultKind.SENSOR_DROPOUT, start=0, signal=OUTLET)
    assert np.isnan(read([silent], [1.0, 2.0])).all()


def test_sensor_faults_of_one_instrument_stack_in_order() -> None:
    bias = fault(FaultKind.SENSOR_BIAS, start=5, signal=OUTLET)
    stuck = fault(FaultKind.SENSOR_STUCK, start=5, signal=OUTLET)
    assert read([bias, stuck], [6.0])[0] == pytest.approx(TRUTH, abs=1e-3)
    assert read([stuck, bias], [6.0])[0] == pytest.approx(TRUTH + 40, abs=1e-3)


def test_a_pulsed_bias_comes_and_goes() -> None:
    pulsed = fault(FaultKind.SENSOR_BIAS, start=0, shape=Shape.PULSE, ramp=2.0, signal=OUTLET)
    readings = read([pulsed], [0.5, 1.5, 2.5, 3.5])
    np.testing.assert_allclose(readings - TRUTH, [40, 0, 40, 0], atol=1e-3)


def test_an_instrument_shows_no_more_than_its_range() -> None:
    signal = "containment_pressure_kpa"
    low = fault(FaultKind.SENSOR_BIAS, start=0, signal=signal, direction=SensorDirection.LOW)
    worse = [low, low]
    assert read(worse, [1.0], signal=signal)[0] == 0.0
    assert SIGNALS[SIGNAL_INDEX[signal]].low == 0.0
