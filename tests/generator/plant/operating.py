"""A plant to operate in a test: faults on a timeline, and what the plant did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from reactorsync.designs import Design
from reactorsync.faults import FaultKind
from reactorsync.resources.scenario import SensorDirection, Shape
from reactorsync.trips import TripCause
from reactorsync_generator.plant import FaultInput, PlantFleet, PlantSpec
from reactorsync_generator.plant.constants import DESIGN_ROWS, constants
from reactorsync_generator.plant.layout import Record, Records

SECOND_US = 1_000_000
EPOCH_US = 1_760_000_000 * SECOND_US
"""When the tests' plants begin, an ordinary moment in 2025."""


def at(seconds: float) -> int:
    """Return the absolute time of a second of the test."""
    return EPOCH_US + round(seconds * SECOND_US)


def fault(
    kind: FaultKind,
    *,
    start: float = 10.0,
    end: float = 1e6,
    intensity: float = 1.0,
    shape: Shape = Shape.STEP,
    ramp: float = 0.0,
    signal: str | None = None,
    direction: SensorDirection = SensorDirection.HIGH,
) -> FaultInput:
    """Return a fault with times in seconds of the test."""
    return FaultInput(
        kind=kind,
        intensity=intensity,
        shape=shape,
        start_us=at(start),
        end_us=at(end),
        ramp_us=round(ramp * SECOND_US),
        signal=signal,
        direction=direction,
    )


@dataclass(frozen=True)
class Course:
    """States of a plant at regular times, the first at the start.

    Attributes:
        seconds: times, shape (n,).
        states: state records, shape (n,).
    """

    seconds: npt.NDArray[np.float64]
    states: Records

    def __getitem__(self, name: str) -> npt.NDArray[np.float64]:
        return self.states[name]

    def value(self, name: str, second: float) -> Any:
        """Return a quantity at one of the times."""
        (index,) = np.flatnonzero(np.isclose(self.seconds, second))
        return self.states[name][index]

    def first_cause(self) -> TripCause:
        """Return the first trip's cause."""
        causes = self.states["trip_cause"]
        tripped = np.flatnonzero(causes)
        return TripCause(int(causes[tripped[0]])) if len(tripped) else TripCause.NONE

    def trip_second(self) -> float:
        """Return the first time at which the plant was seen tripped."""
        return float(self.seconds[np.flatnonzero(self.states["trip_cause"])[0]])


def operate(
    design: Design,
    faults: Sequence[FaultInput] = (),
    *,
    seconds: float,
    every: float = 1.0,
    setpoint: int = 1000,
    step_us: int = 100_000,
) -> Course:
    """Run one plant from rest."""
    fleet = PlantFleet(step_us=step_us)
    indices = fleet.add([PlantSpec(design, setpoint, noise=0.0)])
    fleet.set_faults(int(indices[0]), faults)
    states = [fleet.states(indices)]
    times = np.arange(0.0, seconds + every / 2, every)
    for begin, end in zip(times[:-1].tolist(), times[1:].tolist(), strict=True):
        fleet.advance(indices, at(begin), at(end))
        states.append(fleet.states(indices))
    return Course(seconds=times, states=np.concatenate(states))


def constants_of(design: Design) -> Record:
    """Return a design's record for the production step."""
    return constants(0.1).designs.view(np.recarray)[DESIGN_ROWS[design]]
