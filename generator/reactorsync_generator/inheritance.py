"""What is left of a shard's plants when their owner goes: states at simulated times."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reactorsync.wire.checkpoint import Checkpoint


@dataclass(frozen=True, slots=True)
class PlantState:
    """A plant's state at a simulated time, as the plant of resource ``uid`` had it."""

    uid: str
    layout: str
    time_us: int
    state: npt.NDArray[np.float64]


Inheritance = dict[str, PlantState]
"""What is known of the plants of a shard from before, by reactor key."""


def states_of(checkpoint: Checkpoint) -> Inheritance:
    """Return the states of a checkpoint by reactor key."""
    return {
        key: PlantState(
            uid=checkpoint.uids[row],
            layout=checkpoint.layout,
            time_us=int(checkpoint.times_us[row]),
            state=checkpoint.states[row],
        )
        for row, key in enumerate(checkpoint.keys)
    }


def newest(inheritances: Iterable[Inheritance]) -> Inheritance:
    """Return the newest state of each plant: the latest record need not hold the latest state."""
    chosen: Inheritance = {}
    for inheritance in inheritances:
        for key, state in inheritance.items():
            if key not in chosen or chosen[key].time_us < state.time_us:
                chosen[key] = state
    return chosen
