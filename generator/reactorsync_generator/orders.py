"""Desired state in the plant's terms."""

from __future__ import annotations

import logging
from typing import Final

from reactorsync.faults import inapplicable
from reactorsync.resources.reactor import SensorNoise
from reactorsync.wire.desired import DesiredFault, DesiredReactor
from reactorsync_generator.plant import FaultInput, PlantSpec

log = logging.getLogger(__name__)

NOISE_FACTORS: Final = {SensorNoise.OFF: 0.0, SensorNoise.NOMINAL: 1.0, SensorNoise.HIGH: 3.0}
"""Factors on the nominal noise of the instruments."""


def require_simulable(desired: DesiredReactor) -> None:
    """Raise :class:`ValueError` when there is no plant as described.

    Faults are not looked at: one that cannot act is left out, the plant runs all the same.
    """
    plant_spec(desired)


def plant_spec(desired: DesiredReactor) -> PlantSpec:
    """Return the plant to add for a reactor. Raises ValueError."""
    return PlantSpec(
        design=desired.design,
        power_setpoint_permille=desired.power_setpoint_permille,
        seed=desired.seed,
        noise=NOISE_FACTORS[desired.noise],
    )


def acting_faults(desired: DesiredReactor) -> list[tuple[DesiredFault, FaultInput]]:
    """Return the faults that can act on the plant, in the order of their ids."""
    faults = []
    for fault in sorted(desired.faults, key=lambda fault: fault.id):
        reason = inapplicable(fault.kind, desired.design, fault.signal)
        try:
            if reason is not None:
                raise ValueError(reason)
            faults.append((fault, _input(fault)))
        except ValueError as error:
            log.error("fault %s cannot act on %s: %s", fault.id, desired.key, error)
    return faults


def _input(fault: DesiredFault) -> FaultInput:
    return FaultInput(
        kind=fault.kind,
        intensity=fault.severity_permille / 1000,
        shape=fault.shape,
        start_us=fault.start_us,
        end_us=fault.end_us,
        ramp_us=fault.ramp_us,
        signal=fault.signal,
        direction=fault.direction,
    )
