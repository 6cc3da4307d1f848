"""Real plants: a healthy one raises no alarm at any power, a broken one raises the right ones."""

import numpy as np
import pytest

from reactorsync.designs import Design
from reactorsync.faults import FaultKind
from reactorsync.resources.scenario import SensorDirection, Shape
from reactorsync_generator.plant import FaultInput, PlantFleet, PlantSpec
from reactorsync_historian.alarms.shard import Change, Raised, ShardAlarms
from reactorsync_historian.fleet import FleetView, Plant
from tests.historian.alarms.plants import SECOND, START, uid_of


class Simulation:
    """Plants, and the alarms that watch them once a second."""

    def __init__(self, specs: list[PlantSpec]) -> None:
        self.fleet, self.now_us = PlantFleet(), START
        self.slots = self.fleet.add(specs)
        self.keys = [f"default/{number}" for number in range(len(specs))]
        view = FleetView()
        for key, spec in zip(self.keys, specs, strict=True):
            view.put(key, Plant(uid_of(key), spec.design))
        self.alarms = ShardAlarms(view)

    def run(self, seconds: int) -> list[Change]:
        changes = []
        for _ in range(seconds):
            before_us, self.now_us = self.now_us, self.now_us + SECOND
            self.fleet.advance(self.slots, before_us, self.now_us)
            changes += self.alarms.judge(
                tick_us=self.now_us,
                reactor_ids=np.arange(1, len(self.keys) + 1, dtype=np.int32),
                keys=self.keys,
                readings=np.ascontiguousarray(self.fleet.readings(self.slots, self.now_us).T),
            )
        return changes


@pytest.mark.parametrize("noise", [1.0, 3.0], ids=["nominal", "high"])
def test_a_healthy_fleet_raises_nothing_at_any_power(noise: float) -> None:
    simulation = Simulation(
        [
            PlantSpec(design, power_setpoint_permille=setpoint, seed=seed, noise=noise)
            for design in Design
            for setpoint in range(200, 1001, 50)
            for seed in range(4)
        ]
    )
    assert simulation.run(600) == []


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (FaultKind.PUMP_TRIP, ("primary_flow_kg_s", "LowLow")),
        (FaultKind.PUMP_BEARING_WEAR, ("pump_vibration_mm_s", "HighHigh")),
        (FaultKind.LOSS_OF_FEEDWATER, ("feedwater_flow_kg_s", "LowLow")),
        (FaultKind.PRIMARY_LEAK, ("pressurizer_level_percent", "Low")),
    ],
)
@pytest.mark.parametrize("design", Design)
@pytest.mark.parametrize("setpoint", [400, 1000])
def test_a_fault_raises_what_an_engineer_expects(
    design: Design, setpoint: int, kind: FaultKind, expected: tuple[str, str]
) -> None:
    simulation = Simulation([PlantSpec(design, power_setpoint_permille=setpoint, seed=3)])
    assert simulation.run(10) == []
    fault = FaultInput(
        kind=kind,
        intensity=1.0,
        shape=Shape.STEP,
        start_us=simulation.now_us,
        end_us=simulation.now_us + 3600 * SECOND,
        ramp_us=0,
        signal=None,
        direction=SensorDirection.HIGH,
    )
    simulation.fleet.set_faults(int(simulation.slots[0]), [fault])
    raised = {
        (change.signal, change.condition)
        for change in simulation.run(240)
        if isinstance(change, Raised)
    }
    assert expected in raised
