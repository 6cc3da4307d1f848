"""Compiled code is never older than its sources, and never meets numbers that slow it down."""

import numpy as np

from reactorsync.designs import Design
from reactorsync.faults import FaultKind
from reactorsync_generator.plant.constants import DESIGN
from reactorsync_generator.plant.jit import settled, sources_digest
from tests.generator.plant.operating import fault, operate


def test_the_kernels_argument_types_change_with_the_sources() -> None:
    assert f"sources_{sources_digest()}" in (DESIGN.names or ())


def test_what_dies_away_becomes_zero() -> None:
    assert settled(1e-29) == 1e-29
    assert settled(-1e-31) == 0.0


def test_no_state_becomes_denormal_in_hours_of_shutdown() -> None:
    faults = [
        fault(FaultKind.PUMP_TRIP),
        fault(FaultKind.PRIMARY_LEAK, end=60),
        fault(FaultKind.PUMP_BEARING_WEAR, end=60),
    ]
    state = operate(Design.PWR_3_LOOP, faults, seconds=4 * 3600, every=3600).states[-1]
    smallest = np.finfo(np.float64).tiny
    for name in state.dtype.names:
        values = np.abs(np.atleast_1d(state[name]))
        assert not ((values > 0.0) & (values < smallest)).any(), name
