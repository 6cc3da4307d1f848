"""A plant's health in one word and one number.

The score is 100 for a plant that no fault acts on. The worst fault takes half of its severity away
(a sensor fault, which leaves the plant alone, a fifth), each further one five points more, but
never below 10 while the plant runs. A tripped plant scores 0: it does nothing it was built for.
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


@dataclass(frozen=True, slots=True)
class ActingFault:
    """A fault that acts: what it is and how severe it grows."""

    kind: FaultKind | None
    severity_percent: int


def assess(faults: Sequence[ActingFault], *, trip_cause: str | None, heard_of: bool) -> Health:
    """Return the health of a plant; ``heard_of`` is whether recent telemetry says how it is."""
    if not heard_of:
        return Health(state=HealthState.UNKNOWN)
    if trip_cause is not None:
        return Health(state=HealthState.TRIPPED, score=0)
    if not faults:
        return Health(state=HealthState.NOMINAL, score=100)
    worst = max(_points(fault) for fault in faults)
    score = 100 - worst - _FURTHER_FAULT * (len(faults) - 1)
    return Health(state=HealthState.DEGRADED, score=max(round(score), _LOWEST_RUNNING))


def _points(fault: ActingFault) -> float:
    on_sensor = fault.kind is not None and FAULTS[fault.kind].acts_on_sensor
    return fault.severity_percent * (_SENSOR_WEIGHT if on_sensor else _PROCESS_WEIGHT)
