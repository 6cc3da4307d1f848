"""How often the historian sees a fault in a plant that has none, and how soon one that is there.

Each plant is simulated once a second at a steady setpoint. A fault is claimed after as many
readings as a baseline takes, or after the fewest that are one, and looked for during all of the
time that the historian looks for one. Then every fault acts on a plant at rated power.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from reactorsync.designs import Design
from reactorsync.faults import FAULTS, FaultKind
from reactorsync.resources.scenario import Shape
from reactorsync.signals import SIGNALS
from reactorsync.wire.events import FaultInjected
from reactorsync_generator.plant import FaultInput, PlantFleet, PlantSpec
from reactorsync_historian.verification.cases import WINDOW_US, Case
from reactorsync_historian.verification.evidence import (
    BASELINE_READINGS,
    FEWEST_READINGS,
    Baseline,
    find,
)

KINDS: Final = (
    FaultKind.PUMP_TRIP,
    FaultKind.SENSOR_STUCK,
    FaultKind.SENSOR_NOISE,
    FaultKind.SENSOR_DROPOUT,
)
"""One for each way of looking: what any fault shows, and what only a sensor does."""

READINGS_BEFORE: Final = (BASELINE_READINGS, FEWEST_READINGS)
NOISE_FACTORS: Final = {"Nominal": 1.0, "High": 3.0}
SETPOINTS: Final = tuple(range(200, 1001, 100))

SEVERITIES_PERCENT: Final = (100, 50, 20, 10)
SENSOR: Final = "steam_pressure_mpa"
"""The instrument that the faults of sensors act on."""

_SECOND_US: Final = 1_000_000
_START_US: Final = 1_760_000_000 * _SECOND_US


def simulate(
    specs: list[PlantSpec], *, seconds: int, faults: Sequence[FaultInput] = ()
) -> npt.NDArray[np.float32]:
    """Return readings once a second, shape ``(seconds, plants, n_signals)``.

    Each plant has the fault at its place in ``faults``, if there are any.
    """
    fleet = PlantFleet()
    slots = fleet.add(specs)
    for slot, fault in zip(slots.tolist(), faults, strict=False):
        fleet.set_faults(slot, [fault])
    readings = np.empty((seconds, len(specs), len(SIGNALS)), np.float32)
    for second in range(seconds):
        now_us = _START_US + (second + 1) * _SECOND_US
        fleet.advance(slots, now_us - _SECOND_US, now_us)
        readings[second] = fleet.readings(slots, now_us)
    return readings


def confirms(readings: npt.NDArray[np.float32], kind: FaultKind, *, before: int) -> bool:
    """Return whether a fault that never was is confirmed by the readings of one plant.

    ``before`` says how many of those that precede the claim are known.
    """
    times_us = _START_US + np.arange(1, len(readings) + 1) * _SECOND_US
    claim = FaultInjected(
        namespace="default",
        name="unit-1",
        uid=UUID(int=0),
        tick_us=int(times_us[BASELINE_READINGS]),
        fault_id="drill/1/claim",
        scenario="drill",
        run=1,
        stage="claim",
        kind=kind,
    )
    case = Case(claim)
    case.baseline = Baseline.of(readings[BASELINE_READINGS - before : BASELINE_READINGS])
    return case.look(times_us[BASELINE_READINGS:], readings[BASELINE_READINGS:]) is not None


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plants", type=int, default=1000)
    console = Console()
    _seen_in_healthy_plants(console, parser.parse_args().plants)
    _shown_after(console)


def _seen_in_healthy_plants(console: Console, plants: int) -> None:
    noises, designs = list(NOISE_FACTORS), list(Design)
    settings = [
        (noise, kind, before) for before in READINGS_BEFORE for noise in noises for kind in KINDS
    ]
    chosen = [settings[number % len(settings)] for number in range(plants)]
    specs = [
        PlantSpec(
            designs[number // len(settings) % len(designs)],
            power_setpoint_permille=SETPOINTS[number // (2 * len(settings)) % len(SETPOINTS)],
            seed=number,
            noise=NOISE_FACTORS[noise],
        )
        for number, (noise, _, _) in enumerate(chosen)
    ]
    seconds = WINDOW_US // _SECOND_US
    readings = simulate(specs, seconds=BASELINE_READINGS + seconds)
    began = time.process_time()
    found = [
        confirms(readings[:, number], kind, before=before)
        for number, (_, kind, before) in enumerate(chosen)
    ]
    micros = (time.process_time() - began) / (plants * seconds) * 1e6

    table = Table(title=f"Faults seen in {plants} healthy plants, {seconds} readings of each")
    for title in ("noise", "claimed", "readings before", "plants", "seen"):
        table.add_column(title, justify="left" if title in ("noise", "claimed") else "right")
    for one in settings:
        outcomes = [saw for saw, setting in zip(found, chosen, strict=True) if setting == one]
        table.add_row(one[0], str(one[1]), str(one[2]), str(len(outcomes)), str(sum(outcomes)))
    console.print(table)
    console.print(f"{sum(found)} of {plants} in all; {micros:.0f} µs for each reading looked at")


def _shown_after(console: Console) -> None:
    table = Table(title="Seconds until a fault shows, as a step of that severity; - for never")
    for title in ("fault", "design"):
        table.add_column(title)
    for percent in SEVERITIES_PERCENT:
        table.add_column(f"{percent} %", justify="right")
    claims = [(kind, design) for kind, info in FAULTS.items() for design in sorted(info.designs)]
    plants = [(kind, design, percent) for kind, design in claims for percent in SEVERITIES_PERCENT]
    begin_us = _START_US + (BASELINE_READINGS + 1) * _SECOND_US
    readings = simulate(
        [PlantSpec(design, seed=number) for number, (_, design, _) in enumerate(plants)],
        seconds=BASELINE_READINGS + WINDOW_US // _SECOND_US,
        faults=[
            FaultInput(
                kind=kind,
                intensity=percent / 100,
                shape=Shape.STEP,
                start_us=begin_us,
                end_us=begin_us + WINDOW_US,
                signal=SENSOR if FAULTS[kind].acts_on_sensor else None,
            )
            for kind, _, percent in plants
        ],
    )
    shown = []
    for number, (kind, _, _) in enumerate(plants):
        later = readings[BASELINE_READINGS:, number]
        found = find(
            Baseline.of(readings[:BASELINE_READINGS, number]),
            later,
            seconds=np.arange(len(later), dtype=np.float64),
            kind=kind,
            signal=SENSOR if FAULTS[kind].acts_on_sensor else None,
        )
        shown.append("-" if found is None else str(found.place))
    each = len(SEVERITIES_PERCENT)
    for row, (kind, design) in enumerate(claims):
        table.add_row(str(kind), str(design), *shown[row * each : (row + 1) * each])
    console.print(table)


if __name__ == "__main__":
    main()
