"""What counts as seen: steps, slow changes, and what only a sensor does; chance does not."""

import numpy as np
import pytest

from reactorsync.designs import Design
from reactorsync.faults import FAULTS, FaultKind
from reactorsync.resources.scenario import SensorDirection, Shape
from reactorsync.signals import SIGNAL_INDEX, SIGNALS
from reactorsync_generator.plant import FaultInput, PlantFleet, PlantSpec
from reactorsync_historian.verification.evidence import (
    BASELINE_READINGS,
    ENOUGH_READINGS,
    FEWEST_READINGS,
    Baseline,
    Finding,
    find,
)

SECOND = 1_000_000
START = 1_760_000_000 * SECOND
FLOW = SIGNAL_INDEX["primary_flow_kg_s"]
OUTLET = "core_outlet_temperature_c"


def simulate(
    specs: list[PlantSpec], *, seconds: int, fault: FaultInput | None = None
) -> np.ndarray:
    """Readings once a second, shape (seconds, plants, signals)."""
    fleet = PlantFleet()
    slots = fleet.add(specs)
    if fault is not None:
        for slot in slots.tolist():
            fleet.set_faults(slot, [fault])
    readings = np.empty((seconds, len(specs), len(SIGNALS)), np.float32)
    for second in range(seconds):
        before_us, now_us = START + second * SECOND, START + (second + 1) * SECOND
        fleet.advance(slots, before_us, now_us)
        readings[second] = fleet.readings(slots, now_us)
    return readings


def after(readings: np.ndarray, *, kind: str, signal: str | None = None) -> Finding | None:
    """Judge readings of one plant of which the first ones are from before the fault."""
    later = readings[BASELINE_READINGS:]
    return find(
        Baseline.of(readings[:BASELINE_READINGS]),
        later,
        seconds=np.arange(len(later), dtype=np.float64),
        kind=kind,
        signal=signal,
    )


def at_rest(readings: int, *, seed: int = 1) -> np.ndarray:
    """Noise of 0.1 % of the range around half of it."""
    chance = np.random.default_rng(seed)
    spans = np.array([signal.span for signal in SIGNALS])
    noise = chance.normal(0.5, 0.001, (readings, len(SIGNALS)))
    return np.asarray(noise * spans, np.float32)


@pytest.mark.parametrize(
    ("kind", "design"),
    [(kind, design) for kind, info in FAULTS.items() for design in sorted(info.designs)],
)
def test_every_fault_of_full_severity_is_seen_in_a_real_plant(
    kind: FaultKind, design: Design
) -> None:
    is_sensor = FAULTS[kind].acts_on_sensor
    signal = OUTLET if is_sensor else None
    fault = FaultInput(
        kind=kind,
        intensity=1.0,
        shape=Shape.STEP,
        start_us=START + BASELINE_READINGS * SECOND + SECOND // 2,
        end_us=START + 3600 * SECOND,
        ramp_us=0,
        signal=signal,
        direction=SensorDirection.HIGH,
    )
    readings = simulate([PlantSpec(design, seed=5)], seconds=BASELINE_READINGS + 120, fault=fault)
    found = after(readings[:, 0], kind=kind, signal=signal)
    assert found is not None
    if is_sensor:
        assert found.signal.name == signal
    slow = {FaultKind.BORON_DILUTION, FaultKind.SENSOR_DRIFT}
    assert found.place < (120 if kind in slow else 15)


@pytest.mark.parametrize("noise", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("kind", [FaultKind.PUMP_TRIP, *(k for k in FaultKind if "Sensor" in k)])
def test_a_healthy_plant_shows_no_fault(kind: FaultKind, noise: float) -> None:
    """For half a minute, at any power; ten minutes of 1,000 plants were measured once."""
    specs = [
        PlantSpec(design, power_setpoint_permille=setpoint, seed=seed, noise=noise)
        for design in Design
        for setpoint in (200, 600, 1000)
        for seed in range(4)
    ]
    readings = simulate(specs, seconds=BASELINE_READINGS + 30)
    assert [after(readings[:, plant], kind=kind) for plant in range(len(specs))] == [None] * 24


def test_a_message_says_what_a_signal_did() -> None:
    readings = at_rest(BASELINE_READINGS + 10)
    readings[-5:, FLOW] = 6100.0
    found = after(readings, kind="PumpTrip")
    assert found is not None
    assert (found.place, found.signal.name) == (7, "primary_flow_kg_s")
    assert found.message == "primary_flow_kg_s fell from 12509 to 6100 kg/s within 7 s"


def test_two_wild_readings_are_not_a_fault() -> None:
    readings = at_rest(BASELINE_READINGS + 30)
    readings[[-20, -19, -5], FLOW] = 6100.0
    assert after(readings[: -4 - 1], kind="PumpTrip") is None


def test_a_change_of_a_fraction_of_the_noise_is_seen_when_it_lasts() -> None:
    readings = at_rest(BASELINE_READINGS + 30)
    readings[BASELINE_READINGS:, FLOW] += 4 * 0.001 * 25_000
    found = after(readings, kind="PumpBearingWear")
    assert found is not None
    assert 3 <= found.place < 12


def test_only_the_sensor_that_is_named_is_looked_at() -> None:
    readings = at_rest(BASELINE_READINGS + 30)
    readings[BASELINE_READINGS:, FLOW] = 6100.0
    assert after(readings, kind="SensorBias", signal=OUTLET) is None
    assert after(readings, kind="SensorBias", signal="primary_flow_kg_s") is not None


def test_a_stuck_sensor_repeats_itself() -> None:
    readings = at_rest(BASELINE_READINGS + 10)
    readings[BASELINE_READINGS + 2 :, FLOW] = readings[BASELINE_READINGS + 2, FLOW]
    found = after(readings, kind="SensorStuck")
    assert found is not None
    assert found.place == 6
    assert found.message.startswith("primary_flow_kg_s stands still at 12")
    assert after(readings, kind="PumpTrip") is None


def test_a_sensor_that_always_showed_the_same_is_not_stuck() -> None:
    readings = at_rest(BASELINE_READINGS + 30)
    readings[:, FLOW] = 0.0
    assert after(readings, kind="SensorStuck") is None


def test_missing_readings_are_a_dropout_and_nothing_else() -> None:
    readings = at_rest(BASELINE_READINGS + 10)
    readings[[-6, -3], FLOW] = np.nan
    found = after(readings, kind="SensorDropout")
    assert found is not None
    assert found.message == "primary_flow_kg_s lacks 2 of 8 readings, within 7 s"
    assert after(readings, kind="PumpTrip") is None


def test_a_signal_that_the_design_lacks_shows_nothing() -> None:
    readings = at_rest(BASELINE_READINGS + 20)
    readings[:, FLOW] = np.nan
    for kind in ("SensorDropout", "SensorStuck", "PumpTrip"):
        assert after(readings, kind=kind) is None


def test_too_few_readings_are_no_baseline() -> None:
    assert Baseline.of(at_rest(FEWEST_READINGS - 1)).readings() == 0
    assert Baseline.of(at_rest(FEWEST_READINGS)).readings() == FEWEST_READINGS
    assert Baseline.of(np.zeros((0, len(SIGNALS)), np.float32)).readings() == 0


def test_a_signal_that_was_missing_has_no_baseline() -> None:
    readings = at_rest(10)
    readings[:8, FLOW] = np.nan
    assert Baseline.of(readings).readings("primary_flow_kg_s") == 0
    assert Baseline.of(readings).readings() == 10


@pytest.mark.parametrize("count", range(FEWEST_READINGS, ENOUGH_READINGS))
def test_few_readings_from_before_show_a_great_change_and_no_chance(count: int) -> None:
    for seed in range(200):
        readings = at_rest(count + 30, seed=seed)
        baseline, later = Baseline.of(readings[:count]), readings[count:]
        seconds = np.arange(len(later), dtype=np.float64)
        assert find(baseline, later, seconds=seconds, kind="PumpTrip") is None
        fallen = later.copy()
        fallen[:, FLOW] = 0.0
        found = find(baseline, fallen, seconds=seconds, kind="PumpTrip")
        assert found is not None
        before = f"{baseline.mean[FLOW]:.0f}"
        assert found.message == f"primary_flow_kg_s fell from {before} to 0 kg/s within 2 s"
