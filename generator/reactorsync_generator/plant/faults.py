"""Faults as the plant sees them: absolute times, a shape, an intensity.

What a fault does at an instant is a pure function of time, so it starts and ends exactly on time
whoever is up or down. Intensities of one kind combine as ``1 - prod(1 - x)``: two half-broken
things are three quarters broken, never more than entirely.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np

from reactorsync.faults import FAULTS, FaultKind
from reactorsync.resources.scenario import SensorDirection, Shape
from reactorsync.signals import SIGNAL_INDEX
from reactorsync_generator.plant.collocation import Array
from reactorsync_generator.plant.jit import compiled
from reactorsync_generator.plant.layout import FAULT, Record, Records


class Process(IntEnum):
    """Faults that act on the physics, as columns of the intensities."""

    PUMP_TRIP = 0
    PUMP_BEARING_WEAR = 1
    PRIMARY_LEAK = 2
    LOSS_OF_FEEDWATER = 3
    STEAM_LINE_BREAK = 4
    TURBINE_TRIP = 5
    ROD_WITHDRAWAL = 6
    BORON_DILUTION = 7
    LOSS_OF_REGULATION = 8


class SensorFault(IntEnum):
    """Faults that act on one instrument; numbered after the process faults."""

    SENSOR_BIAS = 9
    SENSOR_DRIFT = 10
    SENSOR_STUCK = 11
    SENSOR_NOISE = 12
    SENSOR_DROPOUT = 13


PROCESSES: Final = len(Process)
_CODES: Final = {
    kind: int(SensorFault[kind.name] if info.acts_on_sensor else Process[kind.name])
    for kind, info in FAULTS.items()
}
_SHAPES: Final = {
    shape: number for number, shape in enumerate((Shape.STEP, Shape.RAMP, Shape.PULSE, Shape.DRIFT))
}
_STEP: Final = _SHAPES[Shape.STEP]
_RAMP: Final = _SHAPES[Shape.RAMP]
_PULSE: Final = _SHAPES[Shape.PULSE]


@dataclass(frozen=True, slots=True)
class FaultInput:
    """One fault on one reactor.

    Attributes:
        kind: what fails.
        intensity: severity the shape grows to, above 0 and at most 1; what 1 means stands in
            :data:`reactorsync.faults.FAULTS`.
        shape: Step acts at once; Ramp grows linearly over ``ramp_us``, then holds; Pulse acts
            during the first half of every ``ramp_us``; Drift grows linearly until ``end_us``.
        start_us: when it begins, microseconds since 1970.
        end_us: when it ends by itself.
        ramp_us: length of the ramp, or period of the pulse; 0 for the other shapes.
        signal: the instrument of a sensor fault.
        direction: which way a biased or drifting instrument is wrong.

    Raises:
        ValueError: a value is out of bounds, or ``signal`` is missing or not wanted.
    """

    kind: FaultKind
    intensity: float
    shape: Shape
    start_us: int
    end_us: int
    ramp_us: int = 0
    signal: str | None = None
    direction: SensorDirection = SensorDirection.HIGH

    def __post_init__(self) -> None:
        if not 0.0 < self.intensity <= 1.0:
            raise ValueError(f"intensity of {self.kind} is {self.intensity}, not above 0 up to 1")
        if self.end_us <= self.start_us:
            raise ValueError(f"{self.kind} ends at {self.end_us}, not after {self.start_us}")
        if self.shape in (Shape.RAMP, Shape.PULSE) and self.ramp_us <= 0:
            raise ValueError(f"{self.kind} of shape {self.shape} needs ramp_us above 0")
        if FAULTS[self.kind].acts_on_sensor != (self.signal is not None):
            raise ValueError(f"{self.kind} and signal {self.signal!r} do not go together")
        if self.signal is not None and self.signal not in SIGNAL_INDEX:
            raise ValueError(f"{self.signal!r} is not a signal of the registry")


def pack_faults(faults: tuple[FaultInput, ...]) -> Records:
    """Return the faults as FAULT records, in the order given."""
    rows = np.zeros(len(faults), FAULT)
    for row, fault in zip(rows, faults, strict=True):
        row["kind"] = _CODES[fault.kind]
        row["shape"] = _SHAPES[fault.shape]
        row["signal"] = -1 if fault.signal is None else SIGNAL_INDEX[fault.signal]
        row["start_us"] = fault.start_us
        row["ramp_us"] = fault.ramp_us
        row["end_us"] = fault.end_us
        row["intensity"] = fault.intensity
        row["sign"] = 1.0 if fault.direction is SensorDirection.HIGH else -1.0
    return rows


@compiled
def accumulated_s(fault: Record, time_us: int) -> float:
    """Return the integral of the shape, which grows to 1, from the start until ``time_us``."""
    length = 1e-6 * (fault.end_us - fault.start_us)
    elapsed = min(max(1e-6 * (time_us - fault.start_us), 0.0), length)
    ramp = 1e-6 * fault.ramp_us
    if fault.shape == _STEP:
        return float(elapsed)
    if fault.shape == _RAMP:
        if elapsed < ramp:
            return float(0.5 * elapsed * elapsed / ramp)
        return float(elapsed - 0.5 * ramp)
    if fault.shape == _PULSE:
        periods = np.floor(elapsed / ramp)
        return float(0.5 * ramp * periods + min(elapsed - ramp * periods, 0.5 * ramp))
    return float(0.5 * elapsed * elapsed / length)


@compiled
def mean_intensity(fault: Record, from_us: int, to_us: int) -> float:
    """Return the fault's mean intensity between two times, to the microsecond."""
    if to_us <= fault.start_us or from_us >= fault.end_us:
        return 0.0
    span = 1e-6 * (to_us - from_us)
    mean = (accumulated_s(fault, to_us) - accumulated_s(fault, from_us)) / span
    return float(fault.intensity * min(max(mean, 0.0), 1.0))


@compiled
def intensity_at(fault: Record, time_us: int) -> float:
    """Return the fault's intensity at an instant; it acts from its start until before its end."""
    if time_us < fault.start_us or time_us >= fault.end_us:
        return 0.0
    elapsed = time_us - fault.start_us
    if fault.shape == _STEP:
        return float(fault.intensity)
    if fault.shape == _RAMP:
        return float(fault.intensity * min(elapsed / fault.ramp_us, 1.0))
    if fault.shape == _PULSE:
        return float(fault.intensity) if 2 * (elapsed % fault.ramp_us) < fault.ramp_us else 0.0
    return float(fault.intensity * elapsed / (fault.end_us - fault.start_us))


@compiled
def combine(faults: Records, count: int, from_us: int, to_us: int, intensities: Array) -> bool:
    """Fill ``intensities`` (one per Process) for a step; return whether any of them is above 0."""
    acting = False
    for kind in range(PROCESSES):
        intensities[kind] = 0.0
    for slot in range(count):
        fault = faults[slot]
        kind = fault.kind
        if kind < PROCESSES:
            mean = mean_intensity(fault, from_us, to_us)
            if mean > 0.0:
                intensities[kind] = 1.0 - (1.0 - intensities[kind]) * (1.0 - mean)
                acting = True
    return acting
