"""Faults act exactly when they are told to, grow by their shape, and compose."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorsync.designs import Design
from reactorsync.faults import FAULTS, FaultKind
from reactorsync.resources.scenario import Shape
from reactorsync_generator.plant.faults import (
    PROCESSES,
    FaultInput,
    Process,
    combine,
    intensity_at,
    mean_intensity,
    pack_faults,
)
from tests.generator.plant.operating import at, fault, operate


@pytest.mark.parametrize(
    ("shape", "ramp", "course"),
    [
        (Shape.STEP, 0.0, {9.999: 0.0, 10.0: 0.8, 29.9: 0.8, 30.0: 0.0}),
        (Shape.RAMP, 5.0, {10.0: 0.0, 12.5: 0.4, 15.0: 0.8, 29.9: 0.8, 30.0: 0.0}),
        (Shape.PULSE, 4.0, {10.0: 0.8, 11.9: 0.8, 12.0: 0.0, 13.9: 0.0, 14.0: 0.8, 30.0: 0.0}),
        (Shape.DRIFT, 0.0, {10.0: 0.0, 20.0: 0.4, 25.0: 0.6, 30.0: 0.0}),
    ],
)
def test_an_intensity_follows_its_shape(
    shape: Shape, ramp: float, course: dict[float, float]
) -> None:
    pump = fault(FaultKind.PUMP_TRIP, end=30, intensity=0.8, shape=shape, ramp=ramp)
    (row,) = pack_faults((pump,))
    for second, intensity in course.items():
        assert intensity_at(row, at(second)) == pytest.approx(intensity), second


@given(
    shape=st.sampled_from(Shape),
    ramp=st.floats(0.3, 20),
    begin=st.integers(0, 400),
    length=st.integers(1, 50),
)
def test_a_steps_intensity_is_the_mean_of_the_instants_in_it(
    shape: Shape, ramp: float, begin: int, length: int
) -> None:
    one = fault(FaultKind.PUMP_TRIP, start=10.013, end=30.57, shape=shape, ramp=ramp)
    (row,) = pack_faults((one,))
    start, end = at(begin / 10), at((begin + length) / 10)
    instants = np.linspace(start, end, 4001)[:-1] + (end - start) / 8000
    mean = np.mean([intensity_at(row, int(instant)) for instant in instants])
    assert mean_intensity(row, start, end) == pytest.approx(mean, abs=2e-3)


def test_a_fault_begins_and_ends_to_the_microsecond() -> None:
    (row,) = pack_faults((fault(FaultKind.PUMP_TRIP, start=10.03, end=20.08),))
    assert mean_intensity(row, at(10.0), at(10.1)) == pytest.approx(0.7)
    assert mean_intensity(row, at(10.1), at(10.2)) == pytest.approx(1.0)
    assert mean_intensity(row, at(20.0), at(20.1)) == pytest.approx(0.8)
    assert mean_intensity(row, at(20.1), at(20.2)) == 0.0


def test_faults_of_one_kind_combine_to_less_than_their_sum() -> None:
    rows = pack_faults(
        (
            fault(FaultKind.PRIMARY_LEAK, intensity=0.5),
            fault(FaultKind.PRIMARY_LEAK, intensity=0.5),
            fault(FaultKind.PUMP_TRIP, intensity=0.2),
            fault(FaultKind.SENSOR_BIAS, signal="thermal_power_mw"),
        )
    )
    intensities = np.zeros(PROCESSES)
    assert combine(rows, 4, at(50), at(50.1), intensities)
    assert intensities[Process.PRIMARY_LEAK] == pytest.approx(0.75)
    assert intensities[Process.PUMP_TRIP] == pytest.approx(0.2)
    assert intensities.sum() == pytest.approx(0.95)
    assert not combine(rows, 4, at(5), at(5.1), intensities)
    assert not intensities.any()


def test_sensor_faults_leave_the_physics_alone() -> None:
    kinds = [kind for kind, info in FAULTS.items() if info.acts_on_sensor]
    faults = [fault(kind, signal="primary_pressure_mpa") for kind in kinds]
    disturbed = operate(Design.PWR_3_LOOP, faults, seconds=60).states[-1]
    quiet = operate(Design.PWR_3_LOOP, seconds=60).states[-1]
    for name in quiet.dtype.names:
        if name != "held":
            assert np.array_equal(disturbed[name], quiet[name]), name


def test_every_kind_of_the_catalogue_is_known() -> None:
    for kind, info in FAULTS.items():
        signal = "thermal_power_mw" if info.acts_on_sensor else None
        (row,) = pack_faults((fault(kind, signal=signal),))
        assert (row["kind"] < PROCESSES) == (not info.acts_on_sensor)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"intensity": 0.0}, "intensity"),
        ({"intensity": 1.01}, "intensity"),
        ({"end_us": 0}, "ends at 0"),
        ({"shape": Shape.RAMP}, "needs ramp_us"),
        ({"signal": "thermal_power_mw"}, "do not go together"),
        ({"kind": FaultKind.SENSOR_BIAS}, "do not go together"),
        ({"kind": FaultKind.SENSOR_BIAS, "signal": "magic"}, "'magic' is not a signal"),
    ],
)
def test_an_impossible_fault_is_refused(changes: dict[str, object], message: str) -> None:
    right: dict[str, object] = {
        "kind": FaultKind.PUMP_TRIP,
        "intensity": 1.0,
        "shape": Shape.STEP,
        "start_us": 0,
        "end_us": 1,
    }
    with pytest.raises(ValueError, match=message):
        FaultInput(**(right | changes))  # type: ignore[arg-type]
