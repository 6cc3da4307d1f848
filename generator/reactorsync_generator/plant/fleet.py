"""A fleet of simulated plants: add, command, disturb, advance, read, save and restore."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from reactorsync.designs import Design
from reactorsync_generator.plant.constants import DESIGN_ROWS, constants
from reactorsync_generator.plant.equilibrium import equilibrium
from reactorsync_generator.plant.faults import FaultInput, pack_faults
from reactorsync_generator.plant.layout import (
    FAULT,
    INPUT,
    LAYOUT,
    SENSORS,
    STATE,
    STATE_SIZE,
    Records,
)
from reactorsync_generator.plant.stepping import advance_fleet, read_fleet

Indices = npt.NDArray[np.int64]

STEP_US: Final = 100_000
"""The plant's step and the grid of absolute time it lies on, in microseconds."""

LOWEST_SETPOINT_PERMILLE: Final = 200
HIGHEST_SETPOINT_PERMILLE: Final = 1000

_FIRST_CAPACITY: Final = 64
_FIRST_FAULTS: Final = 4


@dataclass(frozen=True, slots=True)
class PlantSpec:
    """A plant to add.

    Attributes:
        design: what is simulated.
        power_setpoint_permille: power that the regulation holds, 200 to 1000 of rated power.
        seed: of all noise, 0 or more.
        noise: factor on the instruments' nominal noise; 0 reads without noise.
    """

    design: Design
    power_setpoint_permille: int = HIGHEST_SETPOINT_PERMILLE
    seed: int = 0
    noise: float = 1.0

    def __post_init__(self) -> None:
        _check_setpoint(self.power_setpoint_permille)
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}, it must not be negative")
        if not 0.0 <= self.noise < np.inf:
            raise ValueError(f"noise is {self.noise}, it must be finite and not negative")


def _check_setpoint(permille: int) -> None:
    if not LOWEST_SETPOINT_PERMILLE <= permille <= HIGHEST_SETPOINT_PERMILLE:
        raise ValueError(
            f"power setpoint is {permille} permille, allowed are {LOWEST_SETPOINT_PERMILLE} to "
            f"{HIGHEST_SETPOINT_PERMILLE}"
        )


class PlantFleet:
    """Plants of mixed designs as rows of arrays.

    A plant is named by its index, which :meth:`add` returns and which stays valid until
    :meth:`remove`. :meth:`advance` and :meth:`readings` hold no lock and release the GIL: threads
    may work on different indices at once, while nothing else calls the fleet. What a plant does
    depends on its own specification, faults and times alone, to the last bit: not on the fleet, the
    order of indices, or how the time is divided into calls.
    """

    def __init__(self, *, step_us: int = STEP_US) -> None:
        """Create an empty fleet; another ``step_us`` is for convergence studies."""
        self._step_us = step_us
        self._constants = constants(step_us / 1e6)
        self._plants = np.zeros(_FIRST_CAPACITY, STATE)
        self._inputs = np.zeros(_FIRST_CAPACITY, INPUT)
        self._faults = np.zeros((_FIRST_CAPACITY, _FIRST_FAULTS), FAULT)
        self._used = np.zeros(_FIRST_CAPACITY, np.bool_)

    def __len__(self) -> int:
        return int(self._used.sum())

    @property
    def indices(self) -> Indices:
        """Indices of all plants, ascending."""
        return np.flatnonzero(self._used)

    def add(self, specs: Sequence[PlantSpec]) -> Indices:
        """Add plants at rest at their setpoints, without faults; return their indices."""
        free = np.flatnonzero(~self._used)
        if len(free) < len(specs):
            self._grow(len(self) + len(specs))
            free = np.flatnonzero(~self._used)
        chosen = free[: len(specs)]
        for index, spec in zip(chosen.tolist(), specs, strict=True):
            step_s = self._constants.step_s
            self._plants[index] = equilibrium(spec.design, spec.power_setpoint_permille, step_s)[0]
            self._inputs[index] = (
                DESIGN_ROWS[spec.design],
                spec.seed,
                spec.power_setpoint_permille / 1000.0,
                spec.noise,
                0,
            )
        self._used[chosen] = True
        return chosen

    def remove(self, indices: Indices) -> None:
        """Remove plants; their indices may be given to others."""
        self._check(indices)
        self._used[indices] = False

    def set_setpoint(self, index: int, permille: int) -> None:
        """Change the power that a plant's regulation goes to, at its own rate."""
        _check_setpoint(permille)
        self._check(np.array([index]))
        self._inputs["setpoint"][index] = permille / 1000.0

    def set_noise(self, index: int, noise: float) -> None:
        """Change the factor on a plant's nominal instrument noise."""
        if not 0.0 <= noise < np.inf:
            raise ValueError(f"noise is {noise}, it must be finite and not negative")
        self._check(np.array([index]))
        self._inputs["noise"][index] = noise

    def set_faults(self, index: int, faults: Sequence[FaultInput]) -> None:
        """Replace a plant's complete set of faults, past, present and future.

        The order matters for sensor faults of one instrument alone, which apply in sequence.
        """
        self._check(np.array([index]))
        if len(faults) > self._faults.shape[1]:
            wider = max(len(faults), 2 * self._faults.shape[1])
            self._faults = _resized(self._faults, (len(self._faults), wider))
        self._faults[index, : len(faults)] = pack_faults(tuple(faults))
        self._inputs["faults"][index] = len(faults)

    def advance(self, indices: Indices, from_us: int, to_us: int) -> None:
        """Advance plants from one absolute time to a later one, microseconds since 1970.

        Raises:
            ValueError: the times do not lie on the grid of the step, or descend.
            IndexError: there is no plant at an index.
        """
        if from_us % self._step_us or to_us % self._step_us or to_us < from_us:
            raise ValueError(
                f"cannot advance from {from_us} to {to_us}: times must ascend and be multiples of "
                f"{self._step_us} us"
            )
        self._check(indices)
        advance_fleet(
            self._plants,
            self._inputs,
            self._faults,
            self._constants.designs,
            self._constants.tables,
            indices,
            from_us,
            to_us,
            self._step_us,
        )

    def readings(self, indices: Indices, tick_us: int) -> npt.NDArray[np.float32]:
        """Return what the instruments of plants that stand at ``tick_us`` show.

        Shape (number of indices, number of signals), columns in registry order; NaN where a design
        lacks the signal or the instrument gives none.
        """
        self._check(indices)
        out = np.empty((len(indices), SENSORS), np.float32)
        read_fleet(
            self._plants,
            self._inputs,
            self._faults,
            self._constants.designs,
            indices,
            tick_us,
            out,
        )
        return out

    def trip_causes(self, indices: Indices) -> npt.NDArray[np.uint8]:
        """Return the first-out cause of each plant's trip, a ``TripCause``; 0 while not tripped."""
        self._check(indices)
        return self._plants["trip_cause"][indices].astype(np.uint8)

    def states(self, indices: Indices) -> Records:
        """Return copies of the plants' states as records (see ``layout.STATE``)."""
        self._check(indices)
        return self._plants[indices]

    def snapshot(self, indices: Indices) -> npt.NDArray[np.float64]:
        """Return the plants' complete states, shape (number of indices, STATE_SIZE).

        Setpoints, noise and faults are not part of it. The columns are those of :data:`LAYOUT`.
        """
        return self.states(indices).view(np.float64).reshape(len(indices), STATE_SIZE)

    def restore(self, indices: Indices, states: npt.NDArray[np.float64], *, layout: str) -> None:
        """Put states from :meth:`snapshot` into plants of the same designs.

        Raises:
            ValueError: the states have another layout or shape than this version's.
        """
        self._check(indices)
        if layout != LAYOUT:
            raise ValueError(f"states have layout {layout!r}, this version's is {LAYOUT!r}")
        if states.shape != (len(indices), STATE_SIZE):
            raise ValueError(
                f"states have shape {states.shape}, expected {(len(indices), STATE_SIZE)}"
            )
        rows = np.ascontiguousarray(states, dtype=np.float64)
        self._plants[indices] = rows.view(STATE).reshape(len(indices))

    def _check(self, indices: Indices) -> None:
        if len(indices) and not (
            indices.min() >= 0 and indices.max() < len(self._used) and self._used[indices].all()
        ):
            raise IndexError("no plant at one of the indices")

    def _grow(self, needed: int) -> None:
        capacity = max(needed, 2 * len(self._used))
        self._plants = _resized(self._plants, (capacity,))
        self._inputs = _resized(self._inputs, (capacity,))
        self._faults = _resized(self._faults, (capacity, self._faults.shape[1]))
        self._used = np.concatenate([self._used, np.zeros(capacity - len(self._used), np.bool_)])


def _resized(array: Records, shape: tuple[int, ...]) -> Records:
    larger = np.zeros(shape, array.dtype)
    larger[tuple(slice(0, length) for length in array.shape)] = array
    return larger
