"""A plant's health in one word and one number.

The score is 100 for a plant that no fault acts on. The worst fault takes half of its severity away
(a sensor fault, which leaves the plant alone, a fifth), each further one five points more, but
never below 10 while the plant runs. Power more than 5 % of rated away from its setpoint (a plant
brought back after a trip, or moved to a new setpoint) counts like a fault: it takes away the
per cent that are missing. A tripped plant scores 0: it does nothing it was built for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from reactorsync.faults import FAULTS, FaultKind
from reactorsync.resources.reactor import Health, HealthState

_PROCESS_WEIGHT: Final = 0.5
_SENSOR_WEIGHT: Final = 0.2
_FURTHER_FAULT: Final = 5
_LOWEST_RUNNING: Final = 10
_REGULATED_PERMILLE: Final = 50


@dataclass(frozen=True, slots=True)
class ActingFault:
    """A fault that acts: what it is and how severe it grows."""

    kind: FaultKind | None
    severity_percent: int


def assess(
    faults: Sequence[ActingFault],
    *,
    trip_cause: str | None,
    power_error_permille: int,
    heard_of: bool,
) -> Health:
    """Return the health of a plant.

    ``power_error_permille`` is how far its power is from the setpoint, either way; ``heard_of`` is
    whether recent telemetry says how it is.
    """
    if not heard_of:
        return Health(state=HealthState.UNKNOWN)
    if trip_cause is not None:
        return Health(state=HealthState.TRIPPED, score=0)
    points = [_points(fault) for fault in faults]
    if power_error_permille > _REGULATED_PERMILLE:
        points.append(power_error_permille / 10)
    if not points:
        return Health(state=HealthState.NOMINAL, score=100)
    score = 100 - max(points) - _FURTHER_FAULT * (len(points) - 1)
    return Health(state=HealthState.DEGRADED, score=max(round(score), _LOWEST_RUNNING))


def _points(fault: ActingFault) -> float:
    on_sensor = fault.kind is not None and FAULTS[fault.kind].acts_on_sensor
    return fault.severity_percent * (_SENSOR_WEIGHT if on_sensor else _PROCESS_WEIGHT)
