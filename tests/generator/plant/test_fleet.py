"""The fleet: plants come and go, and none depends on another or on how time was divided."""

import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from reactorsync.designs import Design
from reactorsync.faults import FaultKind
from reactorsync.resources.scenario import Shape
from reactorsync.signals import SIGNALS, signals_of
from reactorsync.trips import TripCause
from reactorsync_generator.plant import (
    LAYOUT,
    STATE_SIZE,
    FaultInput,
    PlantFleet,
    PlantSpec,
)
from tests.generator.plant.operating import at, fault


def specs() -> list[PlantSpec]:
    return [
        PlantSpec(Design.PWR_3_LOOP, 1000, seed=1),
        PlantSpec(Design.CANDU6, 800, seed=2),
        PlantSpec(Design.PWR_3_LOOP, 450, seed=3),
        PlantSpec(Design.CANDU6, 1000, seed=4),
        PlantSpec(Design.PWR_3_LOOP, 1000, seed=5),
    ]


def disturbances() -> list[list[FaultInput]]:
    return [
        [fault(FaultKind.PUMP_TRIP, start=3.21, end=40), fault(FaultKind.PRIMARY_LEAK, start=20)],
        [fault(FaultKind.LOSS_OF_REGULATION, start=5, intensity=0.3)],
        [],
        [
            fault(FaultKind.SENSOR_STUCK, start=7.77, end=30, signal="core_outlet_temperature_c"),
            fault(FaultKind.STEAM_LINE_BREAK, start=9, shape=Shape.RAMP, ramp=20),
        ],
        [fault(FaultKind.SENSOR_NOISE, start=1, signal="primary_pressure_mpa")],
    ]


def disturbed_fleet() -> tuple[PlantFleet, npt.NDArray[np.int64]]:
    fleet = PlantFleet()
    indices = fleet.add(specs())
    for index, faults in zip(indices.tolist(), disturbances(), strict=True):
        fleet.set_faults(index, faults)
    return fleet, indices


def same_bits(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> bool:
    return a.tobytes() == b.tobytes()


def test_one_call_or_six_hundred_give_the_same_bits() -> None:
    whole, indices = disturbed_fleet()
    divided, _ = disturbed_fleet()
    whole.advance(indices, at(0), at(60))
    for tenth in range(600):
        divided.advance(indices, at(tenth / 10), at((tenth + 1) / 10))
    assert same_bits(whole.snapshot(indices), divided.snapshot(indices))
    assert same_bits(whole.readings(indices, at(60)), divided.readings(indices, at(60)))


def test_alone_or_in_any_company_and_order_a_plant_gives_the_same_bits() -> None:
    together, indices = disturbed_fleet()
    together.advance(indices[::-1].copy(), at(0), at(60))
    for index, spec, faults in zip(indices.tolist(), specs(), disturbances(), strict=True):
        alone = PlantFleet()
        only = alone.add([spec])
        alone.set_faults(int(only[0]), faults)
        alone.advance(only, at(0), at(60))
        row = np.array([index])
        assert same_bits(alone.snapshot(only), together.snapshot(row))
        assert same_bits(alone.readings(only, at(60)), together.readings(row, at(60)))


def test_threads_on_different_plants_give_the_same_bits() -> None:
    serial, indices = disturbed_fleet()
    serial.advance(indices, at(0), at(60))
    parallel, _ = disturbed_fleet()
    threads = [
        threading.Thread(target=parallel.advance, args=(part.copy(), at(0), at(60)))
        for part in np.array_split(indices, 3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert same_bits(serial.snapshot(indices), parallel.snapshot(indices))


@pytest.mark.parametrize("moment", [0.0, 9.9, 12.5, 31.0])
def test_a_restored_plant_goes_on_as_if_nothing_had_happened(moment: float) -> None:
    whole, indices = disturbed_fleet()
    whole.advance(indices, at(0), at(60))
    first, _ = disturbed_fleet()
    first.advance(indices, at(0), at(moment))
    saved = np.frombuffer(first.snapshot(indices).tobytes()).reshape(-1, STATE_SIZE)
    second = PlantFleet()
    second.add([PlantSpec(Design.CANDU6)])
    others = second.add(specs())
    for index, faults in zip(others.tolist(), disturbances(), strict=True):
        second.set_faults(index, faults)
    second.restore(others, saved, layout=LAYOUT)
    second.advance(others, at(moment), at(60))
    assert same_bits(whole.snapshot(indices), second.snapshot(others))
    assert same_bits(whole.readings(indices, at(60)), second.readings(others, at(60)))


def test_a_snapshot_of_another_layout_or_shape_is_refused() -> None:
    fleet, indices = disturbed_fleet()
    saved = fleet.snapshot(indices)
    with pytest.raises(ValueError, match="layout 'plant-0'"):
        fleet.restore(indices, saved, layout="plant-0")
    with pytest.raises(ValueError, match="shape"):
        fleet.restore(indices[:2], saved, layout=LAYOUT)


def test_plants_come_and_go_by_the_thousand() -> None:
    fleet = PlantFleet()
    first = fleet.add([PlantSpec(Design.CANDU6, seed=n) for n in range(5000)])
    assert len(fleet) == 5000
    fleet.remove(first[::2])
    assert len(fleet) == 2500
    second = fleet.add([PlantSpec(Design.PWR_3_LOOP, seed=n) for n in range(4000)])
    assert len(fleet) == 6500
    assert len(np.union1d(first[1::2], second)) == 6500
    fleet.advance(fleet.indices, at(0), at(1))
    candus = fleet.readings(first[1::2], at(1))
    assert np.isnan(candus).sum(axis=1).tolist() == [2] * 2500


def test_a_reused_place_keeps_nothing_of_its_former_plant() -> None:
    fleet, indices = disturbed_fleet()
    fleet.advance(indices, at(0), at(60))
    fleet.remove(indices)
    again = fleet.add([PlantSpec(Design.CANDU6, seed=9)])
    fleet.advance(again, at(60), at(120))
    fresh = PlantFleet()
    only = fresh.add([PlantSpec(Design.CANDU6, seed=9)])
    fresh.advance(only, at(60), at(120))
    assert same_bits(fleet.snapshot(again), fresh.snapshot(only))


def test_readings_have_a_column_per_signal_and_nothing_for_signals_a_design_lacks() -> None:
    fleet, indices = disturbed_fleet()
    readings = fleet.readings(indices, at(0))
    assert readings.shape == (5, len(SIGNALS))
    assert readings.dtype == np.float32
    for row, spec in zip(readings, specs(), strict=True):
        present = [signal in signals_of(spec.design) for signal in SIGNALS]
        assert (~np.isnan(row)).tolist() == present


def test_trip_causes_are_the_protections_first_out() -> None:
    fleet, indices = disturbed_fleet()
    assert fleet.trip_causes(indices).tolist() == [0] * 5
    fleet.advance(indices, at(0), at(30))
    assert TripCause(fleet.trip_causes(indices)[0]) is TripCause.LOW_PRIMARY_FLOW


@pytest.mark.parametrize(("begin", "end"), [(0, 150_000), (50_000, 200_000), (200_000, 100_000)])
def test_times_off_the_grid_are_refused(begin: int, end: int) -> None:
    fleet, indices = disturbed_fleet()
    with pytest.raises(ValueError, match="multiples of 100000 us"):
        fleet.advance(indices, begin, end)


def test_a_plant_that_is_not_there_is_refused() -> None:
    fleet, indices = disturbed_fleet()
    fleet.remove(indices[:1])
    for use in (
        lambda: fleet.advance(indices, at(0), at(1)),
        lambda: fleet.readings(np.array([-1]), at(0)),
        lambda: fleet.set_setpoint(10_000, 500),
        lambda: fleet.set_faults(int(indices[0]), []),
    ):
        with pytest.raises(IndexError):
            use()


@pytest.mark.parametrize(
    ("setpoint", "seed", "noise"), [(199, 0, 1.0), (1001, 0, 1.0), (500, -1, 1.0), (500, 0, -1.0)]
)
def test_an_impossible_plant_is_refused(setpoint: int, seed: int, noise: float) -> None:
    with pytest.raises(ValueError, match=r"permille|seed|noise"):
        PlantSpec(Design.CANDU6, setpoint, seed, noise)


def test_importing_the_plant_compiles_nothing() -> None:
    program = (
        "import reactorsync_generator.plant as p\n"
        "from reactorsync_generator.plant import stepping, kinetics, water\n"
        "compiled = [f for m in (stepping, kinetics, water) for f in vars(m).values()\n"
        "            if getattr(f, 'signatures', None)]\n"
        "raise SystemExit(len(compiled))\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_ten_thousand_reactors_take_well_under_half_a_second_per_second() -> None:
    fleet = PlantFleet()
    indices = fleet.add([PlantSpec(list(Design)[n % 2], seed=n) for n in range(2000)])
    fleet.advance(indices, at(0), at(1))
    spent = []
    for second in range(1, 4):
        begin = time.thread_time()
        fleet.advance(indices, at(second), at(second + 1))
        fleet.readings(indices, at(second + 1))
        spent.append(time.thread_time() - begin)
    assert 5 * min(spent) < 0.5
